// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// A stream arrives piece by piece, with or without the type of server-sent events.
func TestStreaming(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"text/event-stream", "application/x-ndjson"} {
		next := make(chan struct{})
		s := newSite(t, gateway.Config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			for i := range 3 {
				_, _ = fmt.Fprintf(w, "data: %d\n", i)
				_ = http.NewResponseController(w).Flush()
				<-next // the next piece is not sent before this one has arrived
			}
		}))
		res, err := client(t).Do(s.request(t, "GET", "/events", "alice", "wonderland", nil))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(res.Body)
		for i := range 3 {
			if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) {
				t.Fatalf("%s: line %d is %q: %v", contentType, i, lines.Text(), lines.Err())
			}
			next <- struct{}{}
		}
		_ = res.Body.Close()
	}
}

// A body of any size is streamed: the upstream has its first part before the last is sent, and
// the gateway holds only buffers. Not parallel, because it measures the heap of the process.
func TestBodiesAreNotBuffered(t *testing.T) {
	const size = 96 << 20
	arrived := make(chan struct{})
	s := newSite(t, gateway.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first := make([]byte, 1)
		_, _ = io.ReadFull(r.Body, first)
		close(arrived)
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Length", fmt.Sprint(n+1))
		_, _ = io.CopyN(w, zeros{}, size)
	}))
	body, feed := io.Pipe()
	go func() {
		_, _ = feed.Write([]byte{0})
		<-arrived
		_, err := io.CopyN(feed, zeros{}, size-1)
		_ = feed.CloseWithError(err)
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res, err := client(t).Do(s.request(t, "POST", "/upload", "alice", "wonderland", body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil || n != size {
		t.Errorf("%d bytes came back: %v", n, err)
	}
	runtime.ReadMemStats(&after)
	equal(t, "bytes that arrived", res.Header.Get("X-Length"), fmt.Sprint(size))
	if sys := int64(after.HeapSys) - int64(before.HeapSys); sys > size/2 {
		t.Errorf("the heap grew by %d MiB for a body of %d MiB", sys>>20, size>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// echo is an upstream that upgrades to the requested protocol and echoes bytes.
func echo(w http.ResponseWriter, r *http.Request) {
	protocol := r.Header.Get("Upgrade")
	if protocol == "" {
		w.WriteHeader(http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
	_ = rw.Flush()
	_, _ = io.Copy(conn, rw)
}

// upgrade requests a protocol and returns the status of the response and the connection.
func (s *site) upgrade(t testing.TB, protocol, header string) (int, net.Conn, *bufio.Reader) {
	t.Helper()
	conn := s.dial(t)
	_, _ = fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive, Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n", s.addr, protocol, header)
	r := bufio.NewReader(conn)
	line, err := textproto.NewReader(r).ReadLine()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := textproto.NewReader(r).ReadMIMEHeader(); err != nil {
		t.Fatal(err)
	}
	var status int
	_, _ = fmt.Sscanf(line, "HTTP/1.1 %d", &status)
	return status, conn, r
}

func authorization(name, pass string) string { return "Authorization: " + basic(name, pass) + "\r\n" }

// A WebSocket is a tunnel after a handshake that was judged. Any other protocol would be a
// tunnel that bypasses the rules.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{}, http.HandlerFunc(echo))
	status, conn, r := s.upgrade(t, "WebSocket", authorization("alice", "wonderland"))
	equal(t, "status", status, http.StatusSwitchingProtocols)
	for _, word := range []string{"hello\n", "again\n"} {
		_, _ = io.WriteString(conn, word)
		if got, err := r.ReadString('\n'); err != nil || got != word {
			t.Fatalf("%q came back: %v", got, err)
		}
	}
	equal(t, "Remote-User", s.last(t).Header.Get("Remote-User"), "alice")
	eventually(t, "the event", func() bool { return len(s.attempts()) == 1 })

	if status, _, _ := s.upgrade(t, "websocket", ""); status != http.StatusUnauthorized {
		t.Errorf("without credentials: %d", status)
	}
	for _, protocol := range []string{"h2c", "websocket, h2c", "h2c, websocket", "TLS/1.3", "foo"} {
		if status, _, _ := s.upgrade(t, protocol, "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"+authorization("alice", "wonderland")); status != http.StatusUpgradeRequired {
			t.Errorf("%s: %d, want the upstream's answer to a plain request", protocol, status)
		}
		if got := s.last(t).Header; got["Upgrade"] != nil || got["Connection"] != nil && got.Get("Connection") != "" {
			t.Errorf("%s: Upgrade reached the upstream", protocol)
		}
	}
}

// An upstream that switches protocols without being asked is answered 502.
func TestUnaskedUpgrade(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Upgrade", "websocket")
		echo(w, r)
	}))
	res, _ := s.get(t, "/", "alice", "wonderland")
	equal(t, "status", res.StatusCode, http.StatusBadGateway)
}

// With 100-continue a refused request is answered before its body is sent, and any other is
// asked for its body.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n)
	}))
	conn := s.dial(t)
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Fatalf("%v %v", res, err)
	}
	_ = res.Body.Close()
	conn = s.dial(t)
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"+authorization("alice", "wonderland")+"\r\n")
	r := bufio.NewReader(conn)
	if res, err = http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusContinue {
		t.Fatalf("%v %v", res, err)
	}
	_, _ = io.WriteString(conn, "hello")
	for res.StatusCode == http.StatusContinue { // the upstream's own is passed on too
		if res, err = http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || string(body) != "5" {
		t.Fatalf("%d %q", res.StatusCode, body)
	}
}

// 1xx responses and trailers of the upstream arrive.
func TestInformationalAndTrailers(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "7")
		w.Header().Set(http.TrailerPrefix+"X-Late", "8")
	}))
	var hints atomic.Int32
	r := s.request(t, "GET", "/", "alice", "wonderland", nil)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				hints.Add(1)
			}
			return nil
		},
	}))
	res, body := s.do(t, r)
	equal(t, "body", body, "body")
	equal(t, "early hints", hints.Load(), int32(1))
	equal(t, "trailers", res.Trailer, http.Header{"X-Sum": {"7"}, "X-Late": {"8"}})
	if len(res.Header["X-Request-Id"]) != 1 {
		t.Errorf("X-Request-Id: %q", res.Header["X-Request-Id"])
	}
}

// grpcLike answers each message at once and ends with a status in the trailer.
func grpcLike(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	_ = http.NewResponseController(w).Flush()
	buf := make([]byte, 64)
	for {
		n, err := r.Body.Read(buf)
		if n > 0 {
			_, _ = w.Write(buf[:n])
			_ = http.NewResponseController(w).Flush()
		}
		if err != nil {
			break
		}
	}
	w.Header().Set("Grpc-Status", "0")
}

// HTTP/2 on both sides, with messages in both directions at once and the status in a trailer, as
// in gRPC.
func TestGRPC(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"h2c", "unix+h2c", "https"} {
		s := &site{Recorder: otelauthtest.NewRecorder(t)}
		upstream := httptest.NewUnstartedServer(s.remember(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") != "" {
				echo(w, r)
				return
			}
			if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" {
				t.Errorf("%s: the upstream was asked by %s, TE: %q", network, r.Proto, r.Header.Get("Te"))
			}
			grpcLike(w, r)
		})))
		t.Cleanup(upstream.Close)
		cfg := gateway.Config{}
		switch network {
		case "https":
			upstream.EnableHTTP2 = true
			upstream.StartTLS()
			cfg.Upstream, cfg.UpstreamCAFile = upstream.URL, testkit.WriteCA(t, upstream.Certificate())
		default:
			upstream.Config.Protocols = new(http.Protocols)
			upstream.Config.Protocols.SetHTTP1(true)
			upstream.Config.Protocols.SetUnencryptedHTTP2(true)
			cfg.Upstream = "h2c://" + upstream.Listener.Addr().String()
			if network == "unix+h2c" {
				socket := filepath.Join(t.TempDir(), "s")
				l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
				if err != nil {
					t.Fatal(err)
				}
				_ = upstream.Listener.Close()
				upstream.Listener, cfg.Upstream = l, "unix+h2c:"+socket
			}
			upstream.Start()
		}
		s.start(t, cfg)

		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetUnencryptedHTTP2(true)
		t.Cleanup(transport.CloseIdleConnections)
		body, feed := io.Pipe()
		r := s.request(t, "POST", "/pkg.Service/Chat", "alice", "wonderland", body)
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
		res, err := (&http.Client{Transport: transport, Timeout: patience}).Do(r)
		if err != nil {
			t.Fatal(network, err)
		}
		if res.ProtoMajor != 2 || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %d", network, res.Proto, res.StatusCode)
		}
		for _, message := range []string{"one", "two"} {
			_, _ = io.WriteString(feed, message)
			got := make([]byte, len(message))
			if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != message {
				t.Fatalf("%s: %q came back: %v", network, got, err)
			}
		}
		_ = feed.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		equal(t, network+" trailer", res.Trailer.Get("Grpc-Status"), "0")
		// A WebSocket uses HTTP/1.1 to the same upstream.
		if status, _, _ := s.upgrade(t, "websocket", authorization("alice", "wonderland")); status != http.StatusSwitchingProtocols {
			t.Errorf("%s: a WebSocket is answered %d", network, status)
		}
	}
}

func TestUnixUpstream(t *testing.T) {
	t.Parallel()
	s := &site{Recorder: otelauthtest.NewRecorder(t)}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	upstream := &httptest.Server{Listener: l, Config: &http.Server{Handler: s.remember(nil), ReadHeaderTimeout: patience}}
	upstream.Start()
	t.Cleanup(upstream.Close)
	s.start(t, gateway.Config{Upstream: "unix:" + socket})
	res, body := s.get(t, "/x", "alice", "wonderland")
	equal(t, "answer", body, "ok")
	equal(t, "status", res.StatusCode, 200)
	equal(t, "Host", s.last(t).Host, s.addr)
}

// An upstream that is unreachable, slow or dies leads to 502 or 504 with an event, never to a
// response that looks complete.
func TestUpstreamFailures(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + l.Addr().String()
	_ = l.Close()
	abort := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	short := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "20000")
		abort(w, nil)
	})
	for _, tc := range []struct {
		name     string
		upstream string
		handler  http.Handler
		status   int
		whole    bool
		kind     string
	}{
		{"not there", gone, nil, 502, true, "upstream_unreachable"},
		{"slow", "", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), 504, true, "upstream_timeout"},
		{"dies before it answers", "", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), 502, true, "upstream_unreachable"},
		{"dies in the middle, chunked", "", abort, 200, false, "upstream_aborted"},
		{"dies in the middle, of known length", "", short, 200, false, "upstream_aborted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := gateway.Config{Upstream: tc.upstream}
			if tc.status == 504 {
				cfg.ResponseHeaderTimeout = 50 * time.Millisecond
			}
			s := newSite(t, cfg, tc.handler)
			res, err := client(t).Do(s.request(t, "GET", "/x", "alice", "wonderland", nil))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			equal(t, "status", res.StatusCode, tc.status)
			equal(t, "the response looks complete", err == nil, tc.whole)
			if tc.whole {
				p := problemOf(t, string(body))
				equal(t, "problem", p.Status, tc.status)
				if p.TraceID == "" || strings.Contains(p.Detail, "127.0.0.1") {
					t.Errorf("%+v", p)
				}
			}
			eventually(t, "event of the attempt", func() bool { return len(s.attempts()) == 1 })
			equal(t, "its status", s.attempts()[0].Attribute("http.response.status_code"), fmt.Sprint(tc.status))
			eventually(t, "event of the upstream", func() bool { return len(s.named(semconv.EventGatewayUpstream)) == 1 })
			equal(t, "error.type", s.named(semconv.EventGatewayUpstream)[0].Attribute("error.type"), tc.kind)
			eventually(t, "client span", func() bool {
				for _, span := range s.Spans() {
					if span.Attribute("error.type") == tc.kind {
						return true
					}
				}
				return false
			})
		})
	}
}

// The event of the upstream is emitted when it begins to fail, and again when it answers.
func TestUpstreamRecovers(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	s := newSite(t, gateway.Config{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
	}))
	for range 3 {
		s.get(t, "/x", "alice", "wonderland")
	}
	equal(t, "events while it is down", len(s.named(semconv.EventGatewayUpstream)), 1)
	failing := s.gw.UpstreamState()
	if failing.OK || failing.Since.IsZero() || failing.Errors == 0 || failing.LastError == "" || !failing.LastAnswer.IsZero() {
		t.Errorf("the state while it is down is %+v", failing)
	}
	down.Store(false)
	s.get(t, "/x", "alice", "wonderland")
	equal(t, "events after", len(s.named(semconv.EventGatewayUpstream)), 2)
	if up := s.gw.UpstreamState(); !up.OK || up.Since.Before(failing.Since) || up.Errors != failing.Errors || up.LastAnswer.IsZero() {
		t.Errorf("the state after is %+v", up)
	}
}

// An upstream that fails and answers within a second emits one pair of events. Its state is that
// of the last request at each moment, and the next event comes with the first failure after the
// second.
func TestUpstreamFlaps(t *testing.T) {
	t.Parallel()
	clock := otelauthtest.NewClock(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	var down atomic.Bool
	cfg := gateway.Config{}
	cfg.Auth.Now = clock.Now
	s := newSite(t, cfg, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
	}))
	events, failures := 0, uint64(0)
	request := func(isDown bool, newEvents int) {
		t.Helper()
		clock.Advance(100 * time.Millisecond)
		before := s.gw.UpstreamState()
		down.Store(isDown)
		s.get(t, "/x", "alice", "wonderland")
		events += newEvents
		if isDown {
			failures++
		}
		equal(t, "events", len(s.named(semconv.EventGatewayUpstream)), events)
		up := s.gw.UpstreamState()
		if up.OK == isDown || up.Errors != failures || isDown == before.OK != up.Since.Equal(clock.Now()) {
			t.Errorf("after the failure: %v, the state is %+v; before it was %+v", isDown, up, before)
		}
	}
	request(false, 0)
	request(true, 1)  // it fails
	request(false, 1) // it answers again
	request(true, 0)  // the state has it, the events do not
	request(true, 0)
	request(false, 0) // no event said that it fails
	request(true, 0)
	clock.Advance(time.Second)
	request(true, 1) // it fails
	request(true, 0)
	request(false, 1) // it answers again
}

// A denial is sent although net/http would first read a body that does not arrive.
func TestDeniedWithABodyThatStops(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{StallTimeout: shortStall}, http.NotFoundHandler())
	answer := s.raw(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nten bytes")
	if got := status(t, answer); got != http.StatusUnauthorized {
		t.Errorf("%d; want 401", got)
	}
	if len(s.reached()) != 0 {
		t.Error("the upstream was reached")
	}
}

// A client that disconnects within its body releases the upstream and is not an upstream failure.
func TestLeavingClients(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	s := newSite(t, gateway.Config{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(ended)
	}))
	conn := s.dial(t)
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\n"+authorization("alice", "wonderland")+"Content-Length: 10\r\n\r\n1")
	eventually(t, "the request is upstream", func() bool { return len(s.reached()) == 1 })
	_ = conn.Close()
	eventually(t, "the event", func() bool { return len(s.attempts()) == 1 })
	<-ended
	if recorded := s.named(semconv.EventGatewayUpstream); len(recorded) > 0 {
		t.Errorf("an upstream failure was recorded: %v", recorded[0].Attributes().Map())
	}
}

// A client that reads nothing is cut, however large the response is.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	s := newSite(t, gateway.Config{StallTimeout: shortStall}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.Copy(w, zeros{})
		ended <- err
	}))
	conn := s.dial(t)
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n"+authorization("alice", "wonderland")+"\r\n")
	select {
	case err := <-ended:
		if err == nil {
			t.Error("all of it was sent")
		}
	case <-time.After(patience):
		t.Fatal("still sending")
	}
}

// Pages of other origins cannot make a browser use its credentials.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{
		TrustedOrigins: []string{"https://shop.example"}, DangerouslyAllowCrossOrigin: []string{"/hook/"}, AllowRawPaths: []string{"/hook/"},
	}, http.HandlerFunc(echo))
	for _, tc := range []struct {
		method, path string
		header       http.Header
		websocket    bool
		refused      bool
	}{
		{"POST", "/x", nil, false, false},
		{"POST", "/x", http.Header{"Sec-Fetch-Site": {"same-origin"}}, false, false},
		{"POST", "/x", http.Header{"Sec-Fetch-Site": {"cross-site"}}, false, true},
		{"POST", "/x", http.Header{"Sec-Fetch-Site": {"same-site"}}, false, true},
		{"POST", "/x", http.Header{"Origin": {"https://evil.example"}}, false, true},
		{"POST", "/x", http.Header{"Origin": {"null"}}, false, true},
		{"DELETE", "/x", http.Header{"Origin": {"https://evil.example"}}, false, true},
		{"POST", "/x", http.Header{"Origin": {"https://shop.example"}, "Sec-Fetch-Site": {"cross-site"}}, false, false},
		{"GET", "/x", http.Header{"Sec-Fetch-Site": {"cross-site"}}, false, false},
		{"POST", "/hook/x", http.Header{"Sec-Fetch-Site": {"cross-site"}}, false, false},
		{"POST", "/hook", http.Header{"Sec-Fetch-Site": {"cross-site"}}, false, true},
		// exempt in its canonical spelling only
		{"POST", "/%68ook/x", http.Header{"Sec-Fetch-Site": {"cross-site"}}, false, true},
		{"GET", "/ws", http.Header{"Origin": {"https://evil.example"}}, true, true},
		{"GET", "/ws", http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}, true, true},
		{"GET", "/ws", http.Header{"Origin": {"http://" + s.addr}}, true, false},
		{"GET", "/ws", http.Header{"Origin": {"https://shop.example"}}, true, false},
		{"GET", "/ws", nil, true, false},
	} {
		r := s.request(t, tc.method, tc.path, "alice", "wonderland", nil)
		if strings.Contains(tc.path, "%") {
			r.URL.RawPath = tc.path
		}
		for name, values := range tc.header {
			r.Header[name] = values
		}
		if tc.websocket {
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
		}
		before := len(s.attempts())
		res, err := client(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.StatusCode == http.StatusForbidden; got != tc.refused {
			t.Errorf("%s %s %v: %d", tc.method, tc.path, tc.header, res.StatusCode)
		}
		eventually(t, "the event", func() bool { return len(s.attempts()) == before+1 })
		if tc.refused {
			equal(t, "status of the event", s.attempts()[before].Attribute("http.response.status_code"), "403")
		}
	}
}

// HTTP/2 clients over TLS are served, including streams.
func TestHTTP2InFront(t *testing.T) {
	t.Parallel()
	cert, key, roots := newCertificate(t)
	s := &site{Recorder: otelauthtest.NewRecorder(t)}
	upstream := httptest.NewServer(s.remember(nil))
	t.Cleanup(upstream.Close)
	s.start(t, gateway.Config{Upstream: upstream.URL, CertFile: cert, KeyFile: key})
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	for range 3 {
		r := s.request(t, "GET", "/x", "alice", "wonderland", nil)
		r.URL.Scheme = "https"
		res, err := (&http.Client{Transport: transport, Timeout: patience}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		equal(t, "protocol and status", fmt.Sprint(res.Proto, res.StatusCode), "HTTP/2.0200")
		equal(t, "X-Forwarded-Proto", s.last(t).Header.Get("X-Forwarded-Proto"), "https")
	}
}
