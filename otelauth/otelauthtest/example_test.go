// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

func ExampleClock() {
	clock := otelauthtest.NewClock(time.Time{})
	now := clock.Now // for Config.Now
	clock.Advance(90 * time.Second)
	fmt.Println(now().Format(time.DateTime))
	// Output: 2026-01-01 00:01:30
}

func ExampleLeaks() {
	leaks, err := otelauthtest.Leaks([]byte("Authorization: Basic YWxpY2U6d29uZGVybGFuZA=="), "wonderland")
	fmt.Println(leaks, err)
	// Output: [{0 base64 29}] <nil>
}

func ExampleRecorder() {
	t := &testing.T{} // the testing.T of the test
	rec := otelauthtest.NewRecorder(t)
	obs := rec.Observers(attempt.SchemeBasic)

	req := attempt.Request{Context: context.Background(), Scheme: attempt.SchemeBasic, Route: "/orders", Method: "GET"}
	res := attempt.Result{Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, UserName: "alice"}
	ctx := obs.Begin(req.Context, &req)
	_ = obs.Decide(ctx, &req, &res)
	obs.End(req.Context, &req, &res, &attempt.Response{Status: 401})

	for _, a := range rec.Attempts() {
		fmt.Println(a.Outcome, a.ErrorType, a.UserName, a.Route, a.Status)
		tr := rec.ByTrace(a.TraceID)
		fmt.Println(len(tr.Spans), "span", len(tr.Events), "event", len(tr.Metrics), "series")
	}
	fmt.Println(rec.Sum("auth.attempts", attribute.String("auth.outcome", "failure")))
	otelauthtest.NoSecrets(t, rec, "wonderland")
	fmt.Println(t.Failed())
	// Output:
	// failure invalid_credentials alice /orders 401
	// 1 span 1 event 2 series
	// 1
	// false
}

// The providers of a Recorder go into the Config of what is tested. What they got is compared
// signal by signal, or as the bytes that an exporter would send.
func ExampleRecorder_Events() {
	t := &testing.T{} // the testing.T of the test
	rec := otelauthtest.NewRecorder(t)
	mw, err := otelauth.New(otelauth.Config{
		Accounts:       &verify.Static{Hashes: map[string]string{"alice": "$2a$04$bbxDPdNXVRQemIgGJIUZZuvB4CtLsA8B9LA.6r.PjsMOlSiQQLIo2"}},
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mw.Close()
	request := httptest.NewRequest(http.MethodGet, "/orders/7", nil)
	mw.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), request)

	for _, e := range rec.Events() {
		if e.Name() == "auth.attempt" {
			all := e.Attributes()
			fmt.Println(e.Attribute("auth.outcome"), all.Has("user.name"), all.Text("client.address"))
			fmt.Println(all.Get("http.response.status_code").AsInt64(), all.Map()["url.path"])
		}
	}
	for _, s := range rec.Spans() {
		fmt.Println(s.Name, s.Attribute("auth.outcome"))
	}
	exported, err := rec.OTLP()
	if err != nil {
		fmt.Println(err)
		return
	}
	otelauthtest.NoSecretsIn(t, "the exported signals", exported, "wonderland")
	fmt.Println(t.Failed())
	// Output:
	// missing false 192.0.2.1
	// 403 /orders/7
	// authenticate basic missing
	// false
}
