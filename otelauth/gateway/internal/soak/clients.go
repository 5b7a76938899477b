// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// patience is how long a client waits for an expected event.
const patience = 60 * time.Second

// counts are the observations of all clients. A client that has read a status knows that the
// attempt was recorded.
type counts struct {
	// requests that are attempts, and anonymous requests to public endpoints
	attempts, public atomic.Int64
	unparsed         atomic.Int64 // connections that sent no valid request
	streams, cut     atomic.Int64 // of temp: opened, and ended by the other side
	active           atomic.Int64 // of temp: open at this moment
	overloaded       atomic.Int64 // right credentials answered 503
	right            atomic.Int64 // right credentials
}

// wire is one HTTP/1.1 connection without the retries of http.Client, so that requests can be
// counted.
type wire struct {
	net.Conn
	in *bufio.Reader
}

// dial connects from an address of 127.0.0.0/8; each address is a separate client.
func (s *soak) dial(from string) (*wire, error) {
	d := &tls.Dialer{
		NetDialer: &net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}},
		Config:    &tls.Config{RootCAs: s.files.roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
	}
	conn, err := d.DialContext(context.Background(), "tcp", s.address)
	if err != nil {
		return nil, err
	}
	return &wire{Conn: conn, in: bufio.NewReader(conn)}, nil
}

// request returns the head of a request, which also claims a forged identity.
func request(method, path string, as *login, more ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nRemote-User: %s\r\nRemote_user: %[3]s\r\nx-forwarded-user: %[3]s\r\n", method, path, forged)
	if as != nil {
		fmt.Fprintf(&b, "Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(as.name+":"+as.password)))
	}
	for _, line := range more {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// send returns the response to a request, with its body unread.
func (w *wire) send(req []byte) (*http.Response, error) {
	_ = w.SetDeadline(time.Now().Add(patience))
	if _, err := w.Write(req); err != nil {
		return nil, err
	}
	return http.ReadResponse(w.in, nil)
}

// ask sends a request and reads the whole response.
func (w *wire) ask(req []byte) (status int, body string, err error) {
	res, err := w.send(req)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return res.StatusCode, string(b), err
}

// want reports a status that is not among the expected ones.
func (s *soak) want(what string, status int, among ...int) {
	if !slices.Contains(among, status) {
		s.violations.add("%s: status %d, want one of %v", what, status, among)
	}
}

// keep opens one connection after another until the load ends; use makes requests on one of them.
func (s *soak) keep(ctx context.Context, from string, use func(w *wire) error) {
	for ctx.Err() == nil {
		w, err := s.dial(from)
		if err != nil {
			s.violations.add("a client cannot connect: %v", err)
			return
		}
		err = use(w)
		_ = w.Close()
		if err != nil {
			s.violations.add("%v", err)
			return
		}
	}
}

// perConnection is how many requests a client makes on one connection.
const perConnection = 50

// good has right credentials: no other client may prevent its answers.
func (s *soak) good(ctx context.Context, n int) {
	s.keep(ctx, fmt.Sprintf("127.1.0.%d", n+1), func(w *wire) error {
		for i := 0; i < perConnection && ctx.Err() == nil; i++ {
			as, path, allowed := &alice, fmt.Sprintf("/private/%d", i), http.StatusOK
			switch i % 10 {
			case 3:
				path, allowed = "/admin/users", http.StatusForbidden
			case 5:
				as, path = &root, "/admin/users"
			case 7:
				path = "/no/rule/names/this"
			case 9:
				path = "/public/with-credentials"
			}
			status, body, err := w.ask(request(http.MethodGet, path, as))
			if status == 0 {
				return fmt.Errorf("good: GET %s was not answered: %w", path, err)
			}
			s.counts.attempts.Add(1)
			s.counts.right.Add(1)
			if status == http.StatusServiceUnavailable {
				s.counts.overloaded.Add(1)
			}
			s.want("good: GET "+path, status, allowed, http.StatusBadGateway, http.StatusServiceUnavailable)
			if status == http.StatusOK && body != "for "+as.name {
				s.violations.add("good: %s was answered %q", as.name, body)
			}
			if err != nil && status == http.StatusOK && s.steady.Load() {
				return fmt.Errorf("good: GET %s: half an answer: %w", path, err)
			}
			if err != nil {
				return nil //nolint:nilerr // the upstream died in the middle of it
			}
			pause(ctx, 4*time.Millisecond)
		}
		return nil
	})
}

// good2 is good over HTTP/2.
func (s *soak) good2(ctx context.Context, _ int) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.files.roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	for i := 0; ctx.Err() == nil; i++ {
		r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, "https://"+s.address+"/private/h2", strings.NewReader("body"))
		if err != nil {
			s.violations.add("%v", err)
			return
		}
		r.SetBasicAuth(alice.name, alice.password)
		res, err := transport.RoundTrip(r)
		if err != nil {
			s.violations.add("good over HTTP/2: not answered: %v", err)
			return
		}
		s.counts.attempts.Add(1)
		s.counts.right.Add(1)
		if res.ProtoMajor != 2 {
			s.violations.add("good over HTTP/2: it was %s", res.Proto)
		}
		_, _ = io.Copy(io.Discard, res.Body) // an upstream that dies may cut it
		_ = res.Body.Close()
		if res.StatusCode == http.StatusServiceUnavailable {
			s.counts.overloaded.Add(1)
		}
		s.want("good over HTTP/2", res.StatusCode, http.StatusOK, http.StatusBadGateway, http.StatusServiceUnavailable)
		if i%perConnection == 0 {
			transport.CloseIdleConnections()
		}
		pause(ctx, 8*time.Millisecond)
	}
}

// visitor has no credentials and requests public pages.
func (s *soak) visitor(ctx context.Context, n int) {
	s.keep(ctx, fmt.Sprintf("127.2.0.%d", n+1), func(w *wire) error {
		for i := 0; i < perConnection && ctx.Err() == nil; i++ {
			status, body, err := w.ask(request(http.MethodGet, "/public/page", nil))
			if status == 0 {
				return fmt.Errorf("visitor: not answered: %w", err)
			}
			s.counts.public.Add(1)
			s.want("visitor", status, http.StatusOK, http.StatusBadGateway)
			if status == http.StatusOK && body != "for " {
				s.violations.add("visitor: answered %q", body)
			}
			if err != nil {
				return nil //nolint:nilerr // the upstream died in the middle of it
			}
			pause(ctx, 10*time.Millisecond)
		}
		return nil
	})
}

// bad sends requests that must be denied, from many addresses.
func (s *soak) bad(ctx context.Context, n int) {
	denied := []int{http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable}
	for i := 0; ctx.Err() == nil; i++ {
		w, err := s.dial(fmt.Sprintf("127.66.%d.%d", n, i%200+1))
		if err != nil {
			s.violations.add("bad: cannot connect: %v", err)
			return
		}
		guess := &login{victim.name, fmt.Sprintf("guess %d", rand.IntN(1000))} //nolint:gosec // G404: as good as any
		unknown := &login{fmt.Sprintf("unknown%d", rand.IntN(1000)), "guess"}  //nolint:gosec // G404: as good as any
		for what, req := range map[string][]byte{
			"wrong password": request(http.MethodGet, "/private/", guess),
			"unknown user":   request(http.MethodGet, "/admin/", unknown),
			"nothing":        request(http.MethodGet, "/private/", nil),
			"bearer":         request(http.MethodGet, "/private/", nil, "Authorization: Bearer abc"),
			"bad base64":     request(http.MethodGet, "/private/", nil, "Authorization: Basic !!!!"),
			"two fields":     request(http.MethodGet, "/private/", &alice, "Authorization: Basic YTpi"),
			"raw path":       request(http.MethodGet, "/public/%2e%2e/private/", &alice),
			"double slash":   request(http.MethodGet, "/public//private/", nil),
			"TRACE":          request("TRACE", "/private/", nil),
		} {
			status, _, err := w.ask(req)
			if status == 0 {
				s.violations.add("bad: %s was not answered: %v", what, err)
				break
			}
			s.counts.attempts.Add(1)
			s.want("bad: "+what, status, append(denied, http.StatusBadRequest, http.StatusMethodNotAllowed)...)
		}
		_ = w.Close()
		pause(ctx, 20*time.Millisecond)
	}
}

// garbage sends bytes that are not a request.
func (s *soak) garbage(ctx context.Context, n int) {
	heads := []string{
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n",
		"\x00\x01\x02\r\n\r\n",
	}
	for i := 0; ctx.Err() == nil; i++ {
		w, err := s.dial(fmt.Sprintf("127.67.0.%d", n+1))
		if err != nil {
			s.violations.add("garbage: cannot connect: %v", err)
			return
		}
		status, _, err := w.ask([]byte(heads[i%len(heads)]))
		_ = w.Close()
		if status == 0 {
			s.violations.add("garbage %d was not answered: %v", i%len(heads), err)
		} else {
			s.want("garbage", status, http.StatusBadRequest, http.StatusHTTPVersionNotSupported)
		}
		s.counts.unparsed.Add(1)
		wait(ctx, 50*time.Millisecond)
	}
}

// slow clients stall within the TLS handshake, the head, the body or the response.
func (s *soak) slow(ctx context.Context, n int) {
	from := fmt.Sprintf("127.3.0.%d", n+1)
	for i := n; ctx.Err() == nil; i++ {
		switch i % 4 {
		case 0:
			s.halfOpen(from)
		case 1:
			s.keepOnce(from, func(w *wire) {
				if _, err := io.WriteString(w, "GET /private/ HTTP/1.1\r\nHost: a\r\nX-"); err != nil {
					s.violations.add("slow head: %v", err)
					return
				}
				s.closedByServer("slow head", w)
			})
		case 2:
			s.keepOnce(from, func(w *wire) {
				status, _, err := w.ask(append(request(http.MethodPost, "/private/upload", &alice, "Content-Length: 100"), "ten bytes!"...))
				if status == 0 {
					s.violations.add("slow body: not answered: %v", err)
					return
				}
				s.counts.attempts.Add(1)
				s.want("slow body", status, http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable)
			})
		case 3:
			s.keepOnce(from, func(w *wire) {
				res, err := w.send(request(http.MethodGet, "/private/big", &alice))
				if err != nil {
					s.violations.add("slow reader: not answered: %v", err)
					return
				}
				// in this order: the body would be read to its end
				defer func() { _ = w.Close(); _ = res.Body.Close() }()
				s.counts.attempts.Add(1)
				s.want("slow reader", res.StatusCode, http.StatusOK, http.StatusBadGateway, http.StatusServiceUnavailable)
				// the gateway gives up within this time, or the client does now
				wait(ctx, patienceWith*2)
			})
		}
	}
}

func (s *soak) keepOnce(from string, use func(*wire)) {
	w, err := s.dial(from)
	if err != nil {
		s.violations.add("slow: cannot connect: %v", err)
		return
	}
	defer func() { _ = w.Close() }()
	use(w)
}

// halfOpen connects and sends nothing.
func (s *soak) halfOpen(from string) {
	d := &net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", s.address)
	if err != nil {
		s.violations.add("half-open: %v", err)
		return
	}
	defer func() { _ = conn.Close() }()
	s.closedByServer("half-open", conn)
}

// closedByServer reports a connection that the gateway leaves open.
func (s *soak) closedByServer(what string, conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		s.violations.add("%s: still open after %v", what, patience)
	}
}

// gone disconnects while the upstream works, or receives half a response.
func (s *soak) gone(ctx context.Context, n int) {
	from := fmt.Sprintf("127.4.0.%d", n+1)
	for i := 0; ctx.Err() == nil; i++ {
		if i%2 == 0 {
			s.keepOnce(from, func(w *wire) { s.halfAnswer(w, fmt.Sprintf("half-%d-%d", n, i)) })
			continue
		}
		s.keepOnce(from, func(w *wire) { s.hangUp(ctx, w, fmt.Sprintf("gone-%d-%d", n, i)) })
	}
}

// halfAnswer makes the upstream abort within its response. The connection ends then, with or
// without the head of the response. The response must not look complete.
func (s *soak) halfAnswer(w *wire, id string) {
	res, err := w.send(request(http.MethodGet, "/private/die", &alice, "X-Request-Id: "+id))
	_, arrived := s.upstream.hanging.LoadAndDelete(id)
	if err != nil && !arrived {
		s.violations.add("dying upstream: not answered: %v", err)
		return
	}
	s.counts.attempts.Add(1)
	if err != nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	s.want("dying upstream", res.StatusCode, http.StatusOK, http.StatusBadGateway, http.StatusServiceUnavailable)
	if _, err := io.Copy(io.Discard, res.Body); err == nil && res.StatusCode == http.StatusOK {
		s.violations.add("half a response looks complete")
	}
}

// hangUp disconnects when the request has reached the upstream. While the upstream is down, the
// gateway answers instead.
func (s *soak) hangUp(ctx context.Context, w *wire, id string) {
	if _, err := w.Write(request(http.MethodGet, "/private/hang", &alice, "X-Request-Id: "+id)); err != nil {
		s.violations.add("gone: %v", err)
		return
	}
	answered := make(chan error, 1)
	go func() {
		_, err := w.in.ReadByte()
		answered <- err
	}()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, arrived := s.upstream.hanging.LoadAndDelete(id); arrived {
			s.counts.attempts.Add(1)
			_ = w.Close()
			<-answered //nolint:errcheck // the connection is closed
			return
		}
		select {
		case err := <-answered:
			if err != nil {
				s.violations.add("gone: not answered: %v", err)
				return
			}
			s.upstream.hanging.Delete(id)
			s.counts.attempts.Add(1)
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
	_ = w.Close()
	<-answered //nolint:errcheck // the connection is closed
	s.violations.add("gone: the request never reached the upstream (load over: %v)", ctx.Err() != nil)
}

// streaming holds streams and WebSockets of an account that is removed and added again.
func (s *soak) streaming(ctx context.Context, n int) {
	from := fmt.Sprintf("127.5.0.%d", n+1)
	for i := n; ctx.Err() == nil; i++ {
		s.keepOnce(from, func(w *wire) {
			// The response head is counted as a request before the stream is counted.
			req, what := request(http.MethodGet, "/private/stream", &temp), "stream"
			if i%2 == 0 {
				req, what = request(http.MethodGet, "/private/socket", &temp, "Upgrade: websocket", "Connection: Upgrade",
					"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), "socket"
			}
			res, err := w.send(req)
			if err != nil {
				s.violations.add("%s: not answered: %v", what, err)
				return
			}
			// in this order: a stream has no end
			defer func() { _ = w.Close(); _ = res.Body.Close() }()
			s.counts.attempts.Add(1)
			s.want(what, res.StatusCode, http.StatusOK, http.StatusSwitchingProtocols, http.StatusUnauthorized, http.StatusTooManyRequests,
				http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusForbidden)
			if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusSwitchingProtocols {
				wait(ctx, 200*time.Millisecond)
				return
			}
			s.counts.streams.Add(1)
			s.counts.active.Add(1)
			defer s.counts.active.Add(-1)
			if s.listen(ctx, w, res) {
				s.counts.cut.Add(1)
			}
		})
	}
}

// listen reads until the load or the stream ends, and reports whether the stream ended.
func (s *soak) listen(ctx context.Context, w *wire, res *http.Response) bool {
	stop := context.AfterFunc(ctx, func() { _ = w.Close() })
	defer stop()
	from, talk := io.Reader(res.Body), res.StatusCode == http.StatusSwitchingProtocols
	if talk {
		from = w.in
	}
	p := make([]byte, 512)
	for {
		_ = w.SetDeadline(time.Now().Add(patience))
		if talk {
			if _, err := io.WriteString(w, "echo"); err != nil {
				return ctx.Err() == nil
			}
			wait(ctx, 50*time.Millisecond)
		}
		if _, err := from.Read(p); err != nil {
			return ctx.Err() == nil
		}
	}
}

// pause waits for a random time of at most most.
func pause(ctx context.Context, most time.Duration) {
	wait(ctx, rand.N(most)) //nolint:gosec // G404: no secret
}

// wait returns after d or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
