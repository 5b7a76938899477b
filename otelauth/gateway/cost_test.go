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
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
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

// shortSearch is the number of requests that the search tries by default, on a slow machine too.
const shortSearch = 250

var (
	costTime = flag.Duration("cost", 0, fmt.Sprintf("how long TestCostBeforeAuthentication looks for expensive requests; 0: %d requests", shortSearch))
	costSave = flag.Bool("cost-save", false, "TestCostBeforeAuthentication keeps the most expensive request, made smaller, in testdata/cost/found.http")
)

// meter measures the CPU time of a gateway for one request, all signals included: that of the
// handler plus that of net/http for a plain request. The time in which net/http reads long heads
// is not counted, because it is spent before the handler runs.
type meter struct {
	gw    *gateway.Gateway
	base  time.Duration // what net/http spends on a plain request
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
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Accounts: accounts(t), TracerProvider: traces, LoggerProvider: logs,
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
	m.base = serverCost(t)
	m.plain = parsed(plain401)
	return m
}

var plain401 = []byte("GET /orders/7 HTTP/1.1\r\nHost: orders.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n")

// parsed returns the request as net/http hands it to a handler, nil when it would refuse it. The
// field Test-Peer is the address that it comes from: 192.0.2.1 is a trusted proxy, 10.0.0.1 a
// trusted caller.
func parsed(raw []byte) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil
	}
	r.RemoteAddr, r.TLS = "198.51.100.7:4711", &tls.ConnectionState{}
	if peer := r.Header.Get("Test-Peer"); peer != "" {
		r.RemoteAddr = peer + ":4711"
		r.Header.Del("Test-Peer")
	}
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

// spend returns the CPU time of each request in its quickest run. The requests take turns, so
// that a change of the machine's speed meets all of them.
func (m *meter) spend(runs int, requests ...*http.Request) []time.Duration {
	const batch = 20
	runtime.LockOSThread() // whose CPU time it is
	defer runtime.UnlockOSThread()
	least := make([]time.Duration, len(requests))
	for run := range runs {
		for i, r := range requests {
			var clones [batch]*http.Request
			for j := range clones {
				clones[j] = r.Clone(context.Background())
			}
			began := cpu()
			for _, c := range clones {
				m.gw.ServeHTTP(httptest.NewRecorder(), c)
			}
			if took := (cpu() - began) / batch; run == 0 || took < least[i] {
				least[i] = took
			}
		}
	}
	return least
}

// serverCost returns the CPU time that net/http spends on reading and answering one plain
// request over a connection in memory: without system calls, which only make a plain 401 more
// expensive.
func serverCost(t testing.TB) time.Duration {
	t.Helper()
	const batch, runs = 50, 40
	least, count, began := time.Duration(1<<63-1), 0, time.Duration(0)
	c := &repeater{request: plain401, ended: make(chan struct{})}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// All requests of one connection are served by one goroutine.
		switch count++; {
		case count == 1:
			runtime.LockOSThread()
		case count%batch == 0:
			now := cpu()
			if count > batch {
				least = min(least, now-began)
			}
			began = now
		}
		if count == batch*runs {
			w.Header().Set("Connection", "close")
		}
		w.WriteHeader(http.StatusUnauthorized)
	})}
	l := &oneConn{conn: make(chan net.Conn, 1), closed: c.ended}
	l.conn <- c
	_ = server.Serve(l) // until the connection is closed
	return least / batch
}

// repeater is a connection on which one request arrives again and again.
type repeater struct {
	net.Conn
	request []byte
	at      int
	once    sync.Once
	ended   chan struct{}
}

func (c *repeater) Read(b []byte) (int, error) {
	n := copy(b, c.request[c.at:])
	c.at = (c.at + n) % len(c.request)
	return n, nil
}

func (c *repeater) Write(b []byte) (int, error)      { return len(b), nil }
func (c *repeater) Close() error                     { c.once.Do(func() { close(c.ended) }); return nil }
func (c *repeater) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
func (c *repeater) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711} }
func (c *repeater) SetDeadline(time.Time) error      { return nil }
func (c *repeater) SetReadDeadline(time.Time) error  { return nil }
func (c *repeater) SetWriteDeadline(time.Time) error { return nil }

// oneConn is a listener that accepts one connection and ends with it.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// ratio returns how many plain 401s the request costs; 0 for one that net/http refuses, and for
// one that a public rule lets through, which costs what forwarding costs.
func (m *meter) ratio(raw []byte, runs int) float64 {
	r := parsed(raw)
	if r == nil {
		return 0
	}
	w := httptest.NewRecorder()
	if m.gw.ServeHTTP(w, r.Clone(context.Background())); w.Code == http.StatusBadGateway {
		return 0
	}
	took := m.spend(runs, m.plain, r)
	return float64(took[1]+m.base) / float64(took[0]+m.base)
}

// hostile are pieces of which expensive requests may consist.
var hostile = []string{
	"a", "/", "//", "%20", "%25", "%2525", "%252e", "%2e", "%2f", "%5c", "%3f", "%3b", "%00", "%0d", "%C0%AE", "%E4%BD%A0", "%EF%BC%85", "%EF%BC%8F", "%EF%BC%8E", "%EF%B7%BA",
	"%E2%80%8B", "%CC%81", "%C3%A9", "%e9", "%ff", "%F0%9D%94%B8", "%EA%B0%81", "é", "％", "ﷺ", "㌀", "\xff", "\xe9", ";", "?", "#", "|", ".", "..", ".php/", "x.php/", "/files/", "/u/", "/x/", "~", ":",
	"%u0041", "%uff0f", "25", "%2541", "%F3%A0%84%80", ".abc", ".a", "a=b", ", ", "A", "ß", "ᾳ", ",", "\t", " ", "=", "\"", "for=", "[::1]", "1.2.3.4", "2001:db8::1", "unknown", "\\",
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
	sizes := []int{20, 200, 1000, 2000, 4000, 8000, 8100, 30000}
	size := func() int { return sizes[rng.IntN(len(sizes))] }
	prefix := []string{"/", "/static/", "/files/", "/u/", "/admin"}[rng.IntN(5)]
	methods := []string{"GET", "GET", "GET", "POST", "COPY", "PROPFIND"}
	target := prefix + strings.ReplaceAll(strings.ReplaceAll(soup(rng, min(size(), 8100)), " ", "%20"), "\t", "%09")
	raw := methods[rng.IntN(len(methods))] + " " + target + " HTTP/1.1\r\nHost: " + []string{"h", "shop.example", "h:" + fmt.Sprint(rng.IntN(9999))}[rng.IntN(3)] + "\r\n"
	raw += []string{"", "", "Test-Peer: 192.0.2.1\r\n", "Test-Peer: 10.0.0.1\r\n"}[rng.IntN(4)]
	for range rng.IntN(4) {
		switch value := soup(rng, size()); rng.IntN(8) {
		case 0:
			raw += "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(value)) + "\r\n"
		case 1:
			raw += "Authorization: " + field(value) + "\r\n"
		case 2:
			raw += "X-Forwarded-For: " + field(value) + "\r\nX-Forwarded-Proto: " + field(value) + "\r\n"
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

// vary returns the request with one line of another one in it, as the first or as the last line.
func vary(rng *rand.Rand, raw, other []byte) []byte {
	a, b := bytes.SplitAfter(raw, []byte("\r\n")), bytes.SplitAfter(other, []byte("\r\n"))
	switch at := rng.IntN(len(a)); {
	case at == 0:
		a[0] = b[0]
	case at < len(a)-2 && len(b) > 4:
		a[at] = b[1+rng.IntN(len(b)-3)]
	case len(b) > 4:
		a = slices.Insert(a, len(a)-2, b[1+rng.IntN(len(b)-3)])
	}
	return bytes.Join(a, nil)
}

// maxHead is slightly more than the gateway reads of a head by default.
const maxHead = 68 << 10

// A request without credentials costs at most five plain 401s, for every path and header. The
// stored requests are the most expensive ones that a search has found; a search of the duration
// -cost follows.
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
	seed := uint64(1)
	if *costTime > 0 {
		seed = uint64(time.Now().UnixNano())
	}
	worst, ratio := m.search(t, seed)
	if m.check(t, "the most expensive one", worst) && !*costSave {
		return
	}
	if *costSave {
		if err := os.WriteFile("testdata/cost/found.http", m.minimize(worst, 0.9*ratio), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// search returns the most expensive request that it finds, and what it costs.
func (m *meter) search(t *testing.T, seed uint64) (worst []byte, ratio float64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, seed))
	tried := 0
	deadline := time.Now().Add(*costTime)
	for ; *costTime == 0 && tried < shortSearch || time.Now().Before(deadline); tried++ {
		raw := invent(rng)
		if worst != nil && rng.IntN(2) == 0 {
			raw = vary(rng, worst, raw)
		}
		if len(raw) > maxHead {
			continue
		}
		if got := m.ratio(raw, 1); got > ratio {
			if got = m.ratio(raw, 8); got > ratio {
				worst, ratio = raw, got
			}
		}
	}
	t.Logf("seed %d, %d requests; the most expensive one costs %.1f plain 401s (%v in the handler, %v in net/http):\n%s",
		seed, tried, ratio, m.spend(5, m.plain)[0], m.base, summary(worst))
	return worst, ratio
}

// check reports whether the request keeps the bound. Other load on the machine can only increase
// the time, and more that of the request that needs more memory, so the request is measured for
// half a minute before the test fails.
func (m *meter) check(t *testing.T, name string, raw []byte) bool {
	t.Helper()
	least := m.ratio(raw, 2)
	deadline := time.Now().Add(30 * time.Second)
	for runs := 6; least > maxCost && time.Now().Before(deadline); runs = min(runs+4, 50) {
		least = min(least, m.ratio(raw, runs))
	}
	if least <= maxCost {
		return true
	}
	t.Errorf("%s costs %.1f plain 401s, more than %d:\n%s", name, least, maxCost, summary(m.minimize(raw, maxCost)))
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

// minimize removes pieces while the request costs floor plain 401s, for ten seconds at most.
func (m *meter) minimize(raw []byte, floor float64) []byte {
	end := time.Now().Add(10 * time.Second)
	for _, size := range []int{4000, 1000, 200, 40} {
		for at := 0; at+size < len(raw) && time.Now().Before(end); {
			shorter := slices.Concat(raw[:at], raw[at+size:])
			if m.ratio(shorter, 4) > floor {
				raw = shorter
			} else {
				at += size
			}
		}
	}
	return raw
}
