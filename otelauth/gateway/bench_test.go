// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"testing"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// BenchmarkProxy compares a bare httputil.ReverseProxy with the gateway, in front of the same
// upstream, in one process over loopback. The difference is the cost of the gateway. Run each
// with -cpu 1 in a separate process.
func BenchmarkProxy(b *testing.B) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello, world") }))
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bare", func(b *testing.B) {
		proxy := &httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() },
			Transport: &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true},
		}
		front := httptest.NewServer(proxy)
		defer front.Close()
		benchmarkClient(b, front.Listener.Addr().String())
	})
	rules := []gateway.Rule{
		{Pattern: "GET /static/", Access: gateway.Public}, {Pattern: "/admin/", Groups: []string{"ops"}}, {Pattern: "/reports/{id}", Groups: []string{"dev"}},
	}
	b.Run("gateway", func(b *testing.B) {
		benchmarkGateway(b, gateway.Config{Upstream: upstream.URL, Rules: rules, Uninstrumented: true})
	})
	b.Run("gateway, all signals", func(b *testing.B) {
		cfg := gateway.Config{Upstream: upstream.URL, Rules: rules}
		traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
		logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(dropped{})), sdklog.WithAllowKeyDuplication())
		defer func() {
			_ = traces.Shutdown(context.Background())
			_ = logs.Shutdown(context.Background())
		}()
		cfg.Auth.TracerProvider, cfg.Auth.LoggerProvider = traces, logs
		cfg.Auth.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
		benchmarkGateway(b, cfg)
	})
}

func benchmarkGateway(b *testing.B, cfg gateway.Config) {
	cfg.Auth.Accounts = accounts(b)
	cfg.Auth.IdentityKey = otelauth.IdentityKey{ID: "b", Secret: make([]byte, 32)}
	gw, err := gateway.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	l := listen(b)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- gw.Serve(ctx, l) }()
	benchmarkClient(b, l.Addr().String())
	cancel()
	<-ended //nolint:errcheck // a benchmark has nothing to drain
	_ = gw.Shutdown(context.Background())
}

// benchmarkClient is cheap: one connection, one byte string, no parsing.
func benchmarkClient(b *testing.B, addr string) {
	conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	request := []byte("GET /orders/7?a=b HTTP/1.1\r\nHost: orders.example\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n" + authorization("alice", "wonderland") + "\r\n")
	answer := make([]byte, 4096)
	exchange := func() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		n := 0
		for n < 12 || string(answer[n-12:n]) != "hello, world" {
			m, err := conn.Read(answer[n:])
			if err != nil {
				b.Fatal(err)
			}
			n += m
		}
	}
	exchange() // hash it once
	b.ReportAllocs()
	for b.Loop() {
		exchange()
	}
}

// dropped is an exporter that discards events.
type dropped struct{}

func (dropped) Export(context.Context, []sdklog.Record) error { return nil }
func (dropped) ForceFlush(context.Context) error              { return nil }
func (dropped) Shutdown(context.Context) error                { return nil }

// BenchmarkRules shows that a long list of rules costs no more than a short one.
func BenchmarkRules(b *testing.B) {
	for _, n := range []int{0, 10, 1000} {
		var rules []gateway.Rule
		for i := range n {
			rules = append(rules, gateway.Rule{Pattern: "/area" + string(rune('a'+i%26)) + strconv.Itoa(i) + "/", Groups: []string{"ops"}})
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			gw, err := gateway.New(gateway.Config{Upstream: "http://127.0.0.1:1", Rules: rules, Auth: otelauth.Config{Accounts: accounts(b)}, Uninstrumented: true})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = gw.Shutdown(context.Background()) }()
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/areax/none", nil)
			r.RemoteAddr = "127.0.0.1:4711"
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				gw.ServeHTTP(w, r)
				if w.Code != http.StatusUnauthorized {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
