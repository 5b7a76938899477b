// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package spans_test

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/spans"
)

// A service that verifies bearer tokens itself emits the same spans as otelauth.
func ExampleNew() {
	exported := tracetest.NewInMemoryExporter() // a real service configures an OTLP exporter
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exported))

	spanObserver, err := spans.New(spans.Config{TracerProvider: provider, Scheme: attempt.SchemeBearer})
	if err != nil {
		fmt.Println(err)
		return
	}
	metricObserver, err := metrics.New(metrics.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	observer := attempt.Join(spanObserver, metricObserver)

	orders := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	handler := requireToken(observer, "s3cr3t-token", "/orders", orders)

	for _, authorization := range []string{"", "Bearer guess", "Bearer s3cr3t-token"} {
		r := httptest.NewRequest("GET", "/orders", nil)
		r.Header.Set("Authorization", authorization)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	for _, s := range exported.GetSpans() {
		fmt.Print(s.Name, " ", s.Status.Code)
		for _, kv := range s.Attributes {
			fmt.Print(" ", kv.Key, "=", kv.Value.String())
		}
		fmt.Println()
	}
	// Output:
	// authenticate bearer Unset auth.outcome=missing auth.scheme=none http.route=/orders http.request.method=GET
	// authenticate bearer Error auth.outcome=failure auth.scheme=bearer http.route=/orders http.request.method=GET error.type=invalid_credentials
	// authenticate bearer Unset auth.outcome=success auth.scheme=bearer user.name=alice http.route=/orders http.request.method=GET
}

// requireToken lets requests with the token pass and reports each attempt to observer.
func requireToken(observer attempt.Observer, token, route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := attempt.Request{Context: r.Context(), Time: time.Now(), Route: route, Method: attempt.KnownMethod(r.Method)}
		ctx := observer.Begin(r.Context(), &req)
		res := checkToken(ctx, &req, r.Header.Get("Authorization"), token)
		res.Duration = time.Since(req.Time)
		if err := observer.Decide(ctx, &req, &res); err != nil || res.Outcome != attempt.Success {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			observer.End(r.Context(), &req, &res, &attempt.Response{Status: http.StatusUnauthorized})
			return
		}
		next.ServeHTTP(w, r)
		// A service that needs the status of the handler wraps w; 0 means unknown.
		observer.End(r.Context(), &req, &res, &attempt.Response{Handler: true})
	})
}

func checkToken(_ context.Context, req *attempt.Request, authorization, token string) attempt.Result {
	got, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return attempt.Result{Outcome: attempt.Missing}
	}
	req.Scheme = attempt.SchemeBearer
	if subtle.ConstantTimeCompare([]byte(got), []byte(token)) != 1 {
		return attempt.Result{Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials}
	}
	return attempt.Result{Outcome: attempt.Success, UserName: "alice"}
}
