// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	lognoop "go.opentelemetry.io/otel/log/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// census returns every series that a reader holds: metric name and attributes.
func census(t *testing.T, reader sdkmetric.Reader) []string {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	var series []string
	add := func(name string, set attribute.Set) {
		series = append(series, name+"{"+set.Encoded(attribute.DefaultEncoder())+"}")
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes)
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes)
				}
			default:
				t.Fatalf("census: %s is a %T; count its series here", m.Name, data)
			}
		}
	}
	slices.Sort(series)
	return series
}

// censusMethods are the methods of the warm-up; every other method counts as _OTHER.
var censusMethods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"}

// censusRequest is the n-th request of the flood. The warm-up repeats the parts that do not
// depend on n; the numbered parts are values that a client can invent.
type censusRequest struct{ method, path, host, version, agent, credentials string }

func (h censusRequest) bytes() string {
	return fmt.Sprintf("%s %s %s\r\nHost: %s\r\nUser-Agent: %s\r\nX-Forwarded-For: %s\r\nX-Forwarded-Proto: %s\r\n"+
		"X-Forwarded-Host: %s\r\nForwarded: for=%s\r\n%s\r\n",
		h.method, h.path, h.version, h.host, h.agent, h.agent, h.agent, h.host, h.agent, h.credentials)
}

func newCensusRequest(n int, invent bool) censusRequest {
	i := 0
	if invent {
		i = n + 1
	}
	kinds := []string{"", "Authorization: " + basic("alice", "wonderland") + "\r\n",
		"Authorization: " + basic(fmt.Sprintf("user-%d", i), "x") + "\r\n", fmt.Sprintf("Authorization: Scheme%d x\r\n", i)}
	paths := []string{"/static/%d", "/admin/%d", "/orders/%d?q=1", "/%d"}
	hosts := []string{"a:%d", "h%d.example", "[2001:db8::%x]:8443", "127.0.0.1:%d"}
	method := censusMethods[n%len(censusMethods)]
	if method == "BREW" {
		method = fmt.Sprintf("BREW%d", i)
	}
	version := []string{"HTTP/1.1", "HTTP/1.0"}[n/9%2]
	if invent && version == "HTTP/1.1" {
		version = fmt.Sprintf("HTTP/1.%d", 1+n%9)
	}
	path := paths[n/72%4]
	return censusRequest{
		method: method, version: version, path: fmt.Sprintf(strings.Replace(path, "/%d", "/x%d", 1), i),
		host: fmt.Sprintf(hosts[n%4], 1024+i), agent: fmt.Sprintf("agent/%d", i), credentials: kinds[n/18%4],
	}
}

// send writes one request on a connection of its own and reads the answer.
func (h censusRequest) send(t *testing.T, dial func() (net.Conn, error)) {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, strings.Replace(h.bytes(), "\r\n", "\r\nConnection: close\r\n", 1)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: h.method})
	if err != nil {
		t.Fatalf("%+v: %v", h, err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
}

// No value that a client sends creates a time series, neither of otelauth nor of otelhttp.
func TestSeriesCensus(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]gateway.Config{
		"default":                   {},
		"server name without port":  {ServerName: "shop.example"},
		"server name with port":     {ServerName: "shop.example:8443"},
		"IPv6 address without port": {ServerName: "2001:db8::1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader := sdkmetric.NewManualReader()
			upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			t.Cleanup(upstream.Close)
			cfg.Upstream, cfg.Rules = upstream.URL, siteRules
			cfg.Auth = otelauth.Config{
				Accounts: accounts(t), TracerProvider: tracenoop.NewTracerProvider(), LoggerProvider: lognoop.NewLoggerProvider(),
				MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithCardinalityLimit(0)),
				Throttle:      throttle.DangerouslyNone{}, // every outcome must occur at any time
			}
			gw, err := gateway.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			l := listen(t)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- gw.Serve(ctx, l) }()
			t.Cleanup(func() { cancel(); _, _ = <-ended, gw.Shutdown(context.Background()) })
			dial := func() (net.Conn, error) {
				return new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
			}
			const combinations = 288
			requests := testkit.Repeats(600, 3000)
			for n := range combinations {
				newCensusRequest(n, false).send(t, dial)
			}
			settled := func() []string {
				// The server span and metrics of a request end after its answer. Detections and
				// folded events come at any time; their one attribute comes from the closed sets of
				// rules and of outcomes.
				return slices.DeleteFunc(census(t, reader), func(s string) bool {
					return strings.HasPrefix(s, "auth.detections{") || strings.HasPrefix(s, "auth.events.suppressed")
				})
			}
			eventually(t, "warm-up is counted", func() bool { return durations(t, reader) == combinations })
			before := settled()
			count := requests
			if name != "default" {
				count = combinations
			}
			for n := range count {
				newCensusRequest(n, true).send(t, dial)
			}
			eventually(t, "flood is counted", func() bool { return durations(t, reader) == uint64(combinations+count) })
			equal(t, "series", settled(), before)
			if len(before) < 100 {
				t.Errorf("%d series after the warm-up: it covers too little", len(before))
			}
			if joined := strings.Join(before, "\n"); !strings.Contains(joined, "http.server.request.duration{") ||
				strings.Contains(joined, "server.port=") != strings.Contains(cfg.ServerName, "8443") {
				t.Errorf("otelhttp's series: %s", joined)
			}
		})
	}
}

// durations returns how many requests otelhttp has counted.
func durations(t *testing.T, reader sdkmetric.Reader) (n uint64) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "http.server.request.duration" {
				for _, p := range h.DataPoints {
					n += p.Count
				}
			}
		}
	}
	return n
}

// A server name whose port is not a number would let otelhttp fall back to the port of the Host
// header.
func TestServerNameIsChecked(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"shop.example:https", "shop.example:", "shop.example:65536", ":443"} {
		_, err := gateway.New(gateway.Config{Upstream: "http://127.0.0.1:1", ServerName: name, Auth: otelauth.Config{Accounts: accounts(t)}})
		if err == nil || !strings.Contains(err.Error(), "ServerName") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
