// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	lognoop "go.opentelemetry.io/otel/log/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

var encoder = attribute.DefaultEncoder()

// counted returns the attribute sets of each metric.
func counted(t *testing.T, reader sdkmetric.Reader) map[string][]string {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	series := map[string][]string{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					series[m.Name] = append(series[m.Name], p.Attributes.Encoded(encoder))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					series[m.Name] = append(series[m.Name], p.Attributes.Encoded(encoder))
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					series[m.Name] = append(series[m.Name], p.Attributes.Encoded(encoder))
				}
			default:
				t.Fatalf("%s is a %T", m.Name, data)
			}
		}
	}
	for _, list := range series {
		slices.Sort(list)
	}
	return series
}

// Invariant 4: a client cannot create a time series. The first requests create all of them.
func TestCardinality(t *testing.T) {
	t.Parallel()
	const first = 4_000
	all := testkit.Repeats(20_000, 100_000)
	reader := sdkmetric.NewManualReader()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithCardinalityLimit(0))
	routes := []string{"/orders", "/orders/{id}", "/healthz", "/static/", "/admin"}
	mux := http.NewServeMux()
	for _, route := range routes {
		mux.HandleFunc(route, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	}
	mw := newMiddleware(t, otelauth.Config{
		Verifier: instant{}, Routes: mux, Public: []string{"/healthz", "/static/"},
		TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: meters, LoggerProvider: lognoop.NewLoggerProvider(),
		Throttle: throttle.DangerouslyNone{}, // every outcome must remain possible
	})
	handler := otelhttp.NewHandler(mw.Wrap(mux), "orders", otelhttp.WithTracerProvider(tracenoop.NewTracerProvider()),
		otelhttp.WithMeterProvider(meters), otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName(serverName))

	methods := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", ""}
	paths := []string{"/orders?%d", "/orders/%d", "/healthz?%d", "/static/%d", "/admin?%d", "/%d"}
	send := func(from, to int) {
		var senders sync.WaitGroup
		const parallel = 2
		for lane := range parallel {
			senders.Go(func() {
				for i := from + lane; i < to; i += parallel {
					// Small numbers select the combination; the text of the client contains all of
					// i.
					kind, rest := i%8, i/8
					method := methods[rest%len(methods)]
					if method == "" {
						method = fmt.Sprintf("M%d", i)
					}
					u, err := url.ParseRequestURI(fmt.Sprintf(paths[rest/len(methods)%len(paths)], i))
					if err != nil {
						t.Error(err)
						return
					}
					r := (&http.Request{
						Method: method, URL: u, Host: fmt.Sprintf("h%d.example:%d", i, 1024+i%60000), Proto: "HTTP/1.1", ProtoMajor: 1,
						ProtoMinor: 1, Header: http.Header{"User-Agent": {fmt.Sprintf("agent/%d", i)}, "X-Forwarded-For": {fmt.Sprintf("10.0.%d.%d", i>>8&255, i&255)}},
						RemoteAddr: fmt.Sprintf("127.0.%d.%d:%d", i>>8&255, i&255, 1024+i%60000), RequestURI: u.RequestURI(),
					}).WithContext(t.Context())
					switch kind {
					case 0:
					case 1:
						r.SetBasicAuth(fmt.Sprintf("user-%d", i), "right")
					case 2:
						r.SetBasicAuth(fmt.Sprintf("user-%d", i), "wrong")
					case 3:
						r.Header.Set("Authorization", fmt.Sprintf("Scheme%d x", i))
					case 4:
						r.Header.Set("Authorization", fmt.Sprintf("Basic !%d", i))
					case 5:
						r.SetBasicAuth(fmt.Sprintf("user-%d", i), "right")
						r.RemoteAddr = "192.0.2.7:50000"
					case 6:
						r.RemoteAddr = "192.0.2.7:50000"
					case 7:
						r.Header["Authorization"] = []string{fmt.Sprintf("Scheme%d", i), "x"}
					}
					if kind != 5 && kind != 6 {
						r.Header.Del("X-Forwarded-For") // otherwise loopback is an unknown proxy
					}
					handler.ServeHTTP(&discard{header: http.Header{}}, r)
				}
			})
		}
		senders.Wait()
	}
	send(0, first)
	before := counted(t, reader)
	send(first, all)
	after := counted(t, reader)
	// Detections come at any time; their one attribute is from a closed set.
	if n := len(after["auth.detections"]); n > len(detect.Rules()) {
		t.Errorf("%d series of auth.detections, there are %d rules", n, len(detect.Rules()))
	}
	// Folded events come when their period ends, which a slow machine reaches at any time.
	if n := len(after["auth.events.suppressed"]); n > attempt.OutcomeCount+1 {
		t.Errorf("%d series of auth.events.suppressed, there are %d outcomes", n, attempt.OutcomeCount)
	}
	for _, name := range []string{"auth.detections", "auth.events.suppressed"} {
		delete(before, name)
		delete(after, name)
	}
	equal(t, "series", after, before)

	const kinds, knownMethods = 8, 10
	bound := (len(routes) + 1) * knownMethods * kinds
	for name, series := range after {
		if len(series) > bound {
			t.Errorf("%s has %d series, want at most %d", name, len(series), bound)
		}
	}
	// The test is valid only if it counted something.
	if n := len(after["auth.attempts"]); n < bound/2 {
		t.Errorf("auth.attempts has %d series: too few combinations were tried", n)
	}
	for _, name := range []string{"auth.public.responses", "auth.responses.denied", "auth.attempt.duration", "http.server.request.duration"} {
		if len(after[name]) == 0 {
			t.Errorf("%s was not recorded", name)
		}
	}
}
