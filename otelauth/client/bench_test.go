// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelauth/otelauth-go/otelauth/client"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// BenchmarkRoundTrip compares the Transport with its bare Base: with a response from memory, which
// isolates the cost, and over a loopback connection, which shows its share of a real request.
func BenchmarkRoundTrip(b *testing.B) {
	const origin = "https://orders.example"
	memory := roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	})
	file := filepath.Join(b.TempDir(), "orders")
	if err := os.WriteFile(file, []byte("alice:wonderland"), 0o600); err != nil {
		b.Fatal(err)
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()))
	secret := credential.NewSecret("wonderland")
	s := newServer(b, false, nil)
	s.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

	run := func(name, target string, rt http.RoundTripper) {
		b.Run(name, func(b *testing.B) {
			req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				resp, err := rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		})
	}
	run("memory/bare", origin, memory)
	run("memory/static", origin, newTransport(b, client.Config{Origins: []string{origin}, Name: "alice", Password: secret, Base: memory, Uninstrumented: true}))
	run("memory/file", origin, newTransport(b, client.Config{Origins: []string{origin}, File: file, Base: memory, Uninstrumented: true}))
	run("memory/other origin", "https://other.example", newTransport(b, client.Config{Origins: []string{origin}, File: file, Base: memory, Uninstrumented: true}))
	run("memory/otelhttp", origin, otelhttp.NewTransport(memory, otelhttp.WithTracerProvider(tp)))
	run("memory/otelhttp and static", origin, newTransport(b, client.Config{Origins: []string{origin}, Name: "alice", Password: secret, Base: memory, TracerProvider: tp}))
	run("loopback/bare", s.URL, http.DefaultTransport.(*http.Transport).Clone())
	run("loopback/static", s.URL, newTransport(b, client.Config{Origins: []string{s.URL}, Name: "alice", Password: secret, Uninstrumented: true}))
	run("loopback/file", s.URL, newTransport(b, client.Config{Origins: []string{s.URL}, File: file, Uninstrumented: true}))
}
