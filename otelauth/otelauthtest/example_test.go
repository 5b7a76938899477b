// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
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
