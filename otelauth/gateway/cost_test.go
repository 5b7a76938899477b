// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"golang.org/x/sys/unix"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// maxCost is what a request without credentials may cost at most, in plain 401s.
const maxCost = 5

var (
	costTime = flag.Duration("cost", 3*time.Second, "how long TestCostBeforeAuthentication looks for expensive requests")
	costSave = flag.Bool("cost-save", false, "TestCostBeforeAuthentication keeps the most expensive request in testdata/cost")
)

// meter measures what a gateway spends on one request, all signals included. What net/http
// itself parses is not counted.
type meter struct {
	gw    *gateway.Gateway
	plain *http.Request
}

func newMeter(t testing.TB) *meter {
	t.Helper()
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(dropped{})), sdklog.WithAllowKeyDuplication())
	cfg := gateway.Config{Upstream: "http://127.0.0.1:1", AllowRawPaths: []string{"/files/"}, Rules: []gateway.Rule{
		{Pattern: "GET /static/", Access: gateway.Public}, {Pattern: "/u/{id}", Access: gateway.Public}, {Pattern: "/files/{id}/secret", Groups: []string{"ops"}},
		{Pattern: "/files/{a}/x/{b}/y", Groups: []string{"ops"}}, {Pattern: "/admin/", Groups: []string{"ops"}}, {Pattern: "shop.example/keys/", Groups: []string{"ops"}},
	}}
	for i := range 20 {
		cfg.Rules = append(cfg.Rules, gateway.Rule{Pattern: fmt.Sprintf("/area%d/", i), Groups: []string{"ops"}})
	}
	cfg.Auth = otelauth.Config{
		Accounts: accounts(t), TracerProvider: traces, LoggerProvider: logs,
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
	}
	gw, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = gw.Shutdown(context.Background())
		_ = traces.Shutdown(context.Background())
		_ = logs.Shutdown(context.Background())
	})
	m := &meter{gw: gw}
	m.plain = parsed([]byte("GET /orders/7 HTTP/1.1\r\nHost: orders.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"))
	return m
}

// parsed returns the request as net/http hands it to a handler, nil when it would refuse it.
func parsed(raw []byte) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil
	}
	r.RemoteAddr, r.TLS = "198.51.100.7:4711", &tls.ConnectionState{}
	return r
}

// cpu returns the CPU time that this thread has used.
func cpu() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// spend returns the CPU time of one request in its quickest of several runs.
func (m *meter) spend(r *http.Request, runs int) time.Duration {
	const batch = 50
	runtime.LockOSThread() // whose CPU time it is
	defer runtime.UnlockOSThread()
	least := time.Duration(1<<63 - 1)
	for range runs {
		var clones [batch]*http.Request
		for i := range clones {
			clones[i] = r.Clone(context.Background())
		}
		began := cpu()
		for _, c := range clones {
			m.gw.ServeHTTP(httptest.NewRecorder(), c)
		}
		least = min(least, cpu()-began)
	}
	return least / batch
}

// ratio returns how many plain 401s the request costs.
func (m *meter) ratio(raw []byte, runs int) float64 {
	r := parsed(raw)
	if r == nil {
		return 0
	}
	plain := m.spend(m.plain, runs)
	cost := m.spend(r, runs)
	plain = min(plain, m.spend(m.plain, runs))
	return float64(cost) / float64(max(plain, time.Nanosecond))
}

// hostile are pieces of which expensive requests may consist.
var hostile = []string{
	"a", "/", "//", "%20", "%25", "%2525", "%252e", "%2e", "%2f", "%5c", "%3f", "%3b", "%00", "%0d", "%C0%AE", "%E4%BD%A0", "%EF%BC%85", "%EF%BC%8F", "%EF%BC%8E", "%EF%B7%BA",
	"%E2%80%8B", "%CC%81", "%C3%A9", "%e9", "%ff", "%F0%9D%94%B8", "%EA%B0%81", "é", "％", "ﷺ", "㌀", "\xff", "\xe9", ";", "?", "#", "|", ".", "..", ".php/", "x.php/", "/files/", "/u/", "/x/", "~", ":",
	"%u0041", "%uff0f", "A", "ß", "ᾳ", ",", "\t", " ", "=", "\"", "for=", "[::1]", "1.2.3.4", "2001:db8::1", "unknown", "\\",
}

// soup returns n bytes or so of hostile pieces: few of them, many times.
func soup(rng *rand.Rand, n int) string {
	kinds := make([]string, 1+rng.IntN(4))
	for i := range kinds {
		kinds[i] = hostile[rng.IntN(len(hostile))]
	}
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(kinds[rng.IntN(len(kinds))])
	}
	return b.String()
}

// field removes what cannot stand in a header.
func field(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return '.'
		}
		return r
	}, s)
}

// invent returns a request without valid credentials.
func invent(rng *rand.Rand) []byte {
	sizes := []int{20, 200, 1000, 4000, 8000, 8100}
	size := func() int { return sizes[rng.IntN(len(sizes))] }
	prefix := []string{"/", "/static/", "/files/", "/u/", "/admin"}[rng.IntN(5)]
	methods := []string{"GET", "GET", "GET", "POST", "COPY", "PROPFIND"}
	target := prefix + strings.ReplaceAll(strings.ReplaceAll(soup(rng, size()), " ", "%20"), "\t", "%09")
	raw := methods[rng.IntN(len(methods))] + " " + target + " HTTP/1.1\r\nHost: " + []string{"h", "shop.example", "h:" + fmt.Sprint(rng.IntN(9999))}[rng.IntN(3)] + "\r\n"
	for range rng.IntN(4) {
		switch value := soup(rng, size()); rng.IntN(8) {
		case 0:
			raw += "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(value)) + "\r\n"
		case 1:
			raw += "Authorization: " + field(value) + "\r\n"
		case 2:
			raw += "X-Forwarded-For: " + field(value) + "\r\n"
		case 3:
			raw += "Forwarded: " + field(value) + "\r\n"
		case 4:
			raw += "User-Agent: " + field(value) + "\r\n"
		case 5:
			raw += "Traceparent: " + field(value) + "\r\nBaggage: " + field(value) + "\r\n"
		case 6:
			raw += "Destination: " + field(target) + "\r\n"
		case 7:
			raw += "X-Request-Id: " + field(value) + "\r\nCookie: " + field(value) + "\r\n"
		}
	}
	return []byte(raw + "\r\n")
}

// A request without credentials costs five plain 401s at most, whatever its path and its headers
// hold. The stored requests are the most expensive ones that a search has found; a search goes
// on for -cost.
func TestCostBeforeAuthentication(t *testing.T) {
	if testkit.Race {
		t.Log("CPU time means nothing under the race detector: the search runs without it")
		return
	}
	m := newMeter(t)
	files, err := filepath.Glob("testdata/cost/*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stored requests: %v", err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m.check(t, filepath.Base(name), raw)
	}
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	worst, worstRatio, tried := []byte(nil), 0.0, 0
	for deadline := time.Now().Add(*costTime); time.Now().Before(deadline); tried++ {
		raw := invent(rng)
		if got := m.ratio(raw, 1); got > worstRatio {
			if got = m.ratio(raw, 5); got > worstRatio {
				worst, worstRatio = raw, got
			}
		}
	}
	t.Logf("%d requests; the most expensive one costs %.1f plain 401s (%v)", tried, worstRatio, m.spend(m.plain, 5))
	if m.check(t, "the most expensive one", worst) {
		return
	}
	if *costSave {
		if err := os.WriteFile("testdata/cost/found.http", m.minimize(worst), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// check reports whether the request keeps the bound. Other load on the machine can only make it
// look expensive, so it is measured again before it fails.
func (m *meter) check(t *testing.T, name string, raw []byte) bool {
	t.Helper()
	least := 0.0
	for runs := range 6 {
		got := m.ratio(raw, 2+4*runs)
		if runs == 0 || got < least {
			least = got
		}
		if least <= maxCost {
			return true
		}
	}
	t.Errorf("%s costs %.1f plain 401s, more than %d:\n%s", name, least, maxCost, summary(m.minimize(raw)))
	return false
}

// summary shows the begin of each line.
func summary(raw []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(raw)) {
		fmt.Fprintf(&b, "%6d bytes %.100q\n", len(line), line)
	}
	return b.String()
}

// minimize removes lines and shortens what is left while the request stays too expensive.
func (m *meter) minimize(raw []byte) []byte {
	for _, size := range []int{4000, 1000, 200, 40} {
		for at := 0; at+size < len(raw); {
			shorter := slices.Concat(raw[:at], raw[at+size:])
			if m.ratio(shorter, 3) > maxCost {
				raw = shorter
			} else {
				at += size
			}
		}
	}
	return raw
}
