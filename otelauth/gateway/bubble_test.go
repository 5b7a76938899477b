// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otelauth/otelauth-go/internal/semconvgen/recorded"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// memory is a listener whose connections are in memory, for a synctest bubble: sockets would stop
// its clock.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newMemory() memory { return memory{make(chan net.Conn), make(chan struct{})} }

var loopback = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}

type memoryConn struct{ net.Conn }

func (memoryConn) LocalAddr() net.Addr  { return loopback }
func (memoryConn) RemoteAddr() net.Addr { return loopback }

func (m memory) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- memoryConn{theirs}:
		return memoryConn{ours}, nil
	case <-m.closed:
	case <-ctx.Done():
	}
	return nil, net.ErrClosed
}

func (m memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m memory) Close() error   { close(m.closed); return nil }
func (m memory) Addr() net.Addr { return loopback }

// newBubbleSite is newSite in a synctest bubble. It returns a function that connects to the
// gateway.
func newBubbleSite(t *testing.T, cfg gateway.Config, handler http.Handler) (s *site, dial func() net.Conn) {
	t.Helper()
	s = &site{Recorder: otelauthtest.NewRecorder(t), addr: loopback.String()}
	upstream, front := newMemory(), newMemory()
	server := &http.Server{Handler: s.remember(handler), ReadHeaderTimeout: time.Hour}
	go func() { _ = server.Serve(upstream) }()
	cfg.Upstream = "http://upstream.example"
	var err error
	if s.gw, err = gateway.New(s.own(t, cfg)); err != nil {
		t.Fatal(err)
	}
	s.gw.DialUpstream(upstream.dial)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.gw.Serve(ctx, front) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.gw.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		_ = server.Close()
		recorded.Check(t, s.Recorder)
	})
	return s, func() net.Conn {
		c, err := front.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

// A slow body is not a stall, and neither is a silent stream.
func TestPatientStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const stall = time.Minute
		s, dial := newBubbleSite(t, gateway.Config{StallTimeout: stall}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprintf(w, "%d %v", n, err)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * stall) // silence
			_, _ = io.WriteString(w, " end")
		}))
		body, feed := io.Pipe()
		go func() {
			for range 12 {
				_, _ = io.WriteString(feed, "x")
				time.Sleep(stall - time.Millisecond)
			}
			_ = feed.Close()
		}()
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return dial(), nil }}
		defer transport.CloseIdleConnections()
		res, err := transport.RoundTrip(s.request(t, "POST", "/", "alice", "wonderland", body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		equal(t, "answer", fmt.Sprint(string(answer), " ", err), "12 <nil> end <nil>")
	})
}

// A client that stalls within its body does not hold the upstream. A client that stalls within
// the head of a request is recorded.
func TestStalledClients(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, sent string
		status     int
		reaches    int
	}{
		{"body of known length", "POST / HTTP/1.1\r\nHost: h\r\n" + authorization("alice", "wonderland") + "Content-Length: 10\r\n\r\n1\r\n", 408, 1},
		{"chunked body", "POST / HTTP/1.1\r\nHost: h\r\n" + authorization("alice", "wonderland") + "Transfer-Encoding: chunked\r\n\r\n1\r\n", 408, 1},
		{"head", "GET / HTTP/1.1\r\nHost: h\r\nX-Slow", 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				released := 0
				s, dial := newBubbleSite(t, gateway.Config{StallTimeout: time.Minute, ReadHeaderTimeout: time.Minute},
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						_, _ = io.Copy(io.Discard, r.Body)
						released++
						_, _ = io.WriteString(w, "ok")
					}))
				conn := dial()
				_, _ = io.WriteString(conn, tc.sent)
				answer, _ := io.ReadAll(conn)
				took := time.Since(begin)
				time.Sleep(time.Minute) // the event about connections comes later
				synctest.Wait()         // orders what the upstream wrote before what is read here
				if tc.status != 0 {
					equal(t, "status", status(t, string(answer)), tc.status)
				}
				equal(t, "requests that the upstream received", len(s.reached()), tc.reaches)
				equal(t, "requests that the upstream ended", released, tc.reaches)
				equal(t, "connections without a request", len(s.named(semconv.EventGatewayUnparsed)), 1-tc.reaches)
				equal(t, "events about the upstream", len(s.named(semconv.EventGatewayUpstream)), 0)
				if took < time.Minute || took > 2*time.Minute {
					t.Errorf("it ended after %v", took)
				}
			})
		})
	}
}
