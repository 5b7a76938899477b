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

// patience is how long a client waits for what must come. Nothing asserts that it takes long.
const patience = 60 * time.Second

// counts are what all clients have seen. Who has read the status of an answer knows that there was an attempt.
type counts struct {
	attempts, public atomic.Int64 // requests that are an attempt each, and anonymous ones of public endpoints
	unparsed         atomic.Int64 // connections that sent what is no request
	streams, cut     atomic.Int64 // of temp: opened, and ended by the other side
	active           atomic.Int64 // of temp: open at this moment
	overloaded       atomic.Int64 // right credentials answered 503
	right            atomic.Int64 // right credentials
}

// wire is one HTTP/1.1 connection, without the repetitions of http.Client, so that what was sent can be counted.
type wire struct {
	net.Conn
	in *bufio.Reader
}

// dial connects from an address of 127.0.0.0/8, of which each is another client.
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

// request is a head. Every client claims to be somebody else.
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

// send returns the answer to a request, its body not yet read.
func (w *wire) send(req []byte) (*http.Response, error) {
	_ = w.SetDeadline(time.Now().Add(patience))
	if _, err := w.Write(req); err != nil {
		return nil, err
	}
	return http.ReadResponse(w.in, nil)
}

// ask makes a whole exchange.
func (w *wire) ask(req []byte) (status int, body string, err error) {
	res, err := w.send(req)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return res.StatusCode, string(b), err
}

// want reports an answer that is none of those.
func (s *soak) want(what string, status int, among ...int) {
	if !slices.Contains(among, status) {
		s.faults.add("%s: status %d, want one of %v", what, status, among)
	}
}

// keep has each client open connections again and again until the load ends; use makes requests on one of them.
func (s *soak) keep(ctx context.Context, from string, use func(w *wire) error) {
	for ctx.Err() == nil {
		w, err := s.dial(from)
		if err != nil {
			s.faults.add("a client cannot connect: %v", err)
			return
		}
		err = use(w)
		_ = w.Close()
		if err != nil {
			s.faults.add("%v", err)
			return
		}
	}
}

// perConnection is how many requests a client makes on one connection.
const perConnection = 50

// good has right credentials: nothing that others do may keep an answer from it.
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
				path = "/nobody/thought/of/this"
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
				s.faults.add("good: %s was answered %q", as.name, body)
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

// good2 is good by HTTP/2.
func (s *soak) good2(ctx context.Context, _ int) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.files.roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	for i := 0; ctx.Err() == nil; i++ {
		r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, "https://"+s.address+"/private/h2", strings.NewReader("body"))
		if err != nil {
			s.faults.add("%v", err)
			return
		}
		r.SetBasicAuth(alice.name, alice.password)
		res, err := transport.RoundTrip(r)
		if err != nil {
			s.faults.add("good by HTTP/2: not answered: %v", err)
			return
		}
		s.counts.attempts.Add(1)
		s.counts.right.Add(1)
		if res.ProtoMajor != 2 {
			s.faults.add("good by HTTP/2: it was %s", res.Proto)
		}
		_, _ = io.Copy(io.Discard, res.Body) // an upstream that dies may cut it
		_ = res.Body.Close()
		if res.StatusCode == http.StatusServiceUnavailable {
			s.counts.overloaded.Add(1)
		}
		s.want("good by HTTP/2", res.StatusCode, http.StatusOK, http.StatusBadGateway, http.StatusServiceUnavailable)
		if i%perConnection == 0 {
			transport.CloseIdleConnections()
		}
		pause(ctx, 8*time.Millisecond)
	}
}

// visitor has no credentials, which public pages do not need.
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
				s.faults.add("visitor: answered %q", body)
			}
			if err != nil {
				return nil //nolint:nilerr // the upstream died in the middle of it
			}
			pause(ctx, 10*time.Millisecond)
		}
		return nil
	})
}

// bad has no right to anything, and comes from many addresses.
func (s *soak) bad(ctx context.Context, n int) {
	denied := []int{http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable}
	for i := 0; ctx.Err() == nil; i++ {
		w, err := s.dial(fmt.Sprintf("127.66.%d.%d", n, i%200+1))
		if err != nil {
			s.faults.add("bad: cannot connect: %v", err)
			return
		}
		guess := &login{victim.name, fmt.Sprintf("guess %d", rand.IntN(1000))} //nolint:gosec // G404: as good as any
		nobody := &login{fmt.Sprintf("nobody%d", rand.IntN(1000)), "guess"}    //nolint:gosec // G404: as good as any
		for what, req := range map[string][]byte{
			"wrong password": request(http.MethodGet, "/private/", guess),
			"unknown user":   request(http.MethodGet, "/admin/", nobody),
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
				s.faults.add("bad: %s was not answered: %v", what, err)
				break
			}
			s.counts.attempts.Add(1)
			s.want("bad: "+what, status, append(denied, http.StatusBadRequest, http.StatusMethodNotAllowed)...)
		}
		_ = w.Close()
		pause(ctx, 20*time.Millisecond)
	}
}

// garbage sends what is no request.
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
			s.faults.add("garbage: cannot connect: %v", err)
			return
		}
		status, _, err := w.ask([]byte(heads[i%len(heads)]))
		_ = w.Close()
		if status == 0 {
			s.faults.add("garbage %d was not answered: %v", i%len(heads), err)
		} else {
			s.want("garbage", status, http.StatusBadRequest, http.StatusHTTPVersionNotSupported)
		}
		s.counts.unparsed.Add(1)
		wait(ctx, 50*time.Millisecond)
	}
}

// slow clients stop in the middle: of the TLS handshake, of the head, of the body, of the answer.
func (s *soak) slow(ctx context.Context, n int) {
	from := fmt.Sprintf("127.3.0.%d", n+1)
	for i := n; ctx.Err() == nil; i++ {
		switch i % 4 {
		case 0:
			s.halfOpen(from)
		case 1:
			s.keepOnce(from, func(w *wire) {
				if _, err := io.WriteString(w, "GET /private/ HTTP/1.1\r\nHost: a\r\nX-"); err != nil {
					s.faults.add("slow head: %v", err)
					return
				}
				s.closedByServer("slow head", w)
			})
		case 2:
			s.keepOnce(from, func(w *wire) {
				status, _, err := w.ask(append(request(http.MethodPost, "/private/upload", &alice, "Content-Length: 100"), "ten octets"...))
				if status == 0 {
					s.faults.add("slow body: not answered: %v", err)
					return
				}
				s.counts.attempts.Add(1)
				s.want("slow body", status, http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable)
			})
		case 3:
			s.keepOnce(from, func(w *wire) {
				res, err := w.send(request(http.MethodGet, "/private/big", &alice))
				if err != nil {
					s.faults.add("slow reader: not answered: %v", err)
					return
				}
				defer func() { _ = w.Close(); _ = res.Body.Close() }() // in this order: the body would be read to its end
				s.counts.attempts.Add(1)
				s.want("slow reader", res.StatusCode, http.StatusOK, http.StatusBadGateway, http.StatusServiceUnavailable)
				wait(ctx, patienceWith*2) // the gateway gives up meanwhile, or the client does now
			})
		}
	}
}

func (s *soak) keepOnce(from string, use func(*wire)) {
	w, err := s.dial(from)
	if err != nil {
		s.faults.add("slow: cannot connect: %v", err)
		return
	}
	defer func() { _ = w.Close() }()
	use(w)
}

// halfOpen connects and never says a word.
func (s *soak) halfOpen(from string) {
	d := &net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", s.address)
	if err != nil {
		s.faults.add("half-open: %v", err)
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
		s.faults.add("%s: still open after %v", what, patience)
	}
}

// gone leaves while the upstream is at work, and half of an answer.
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

// halfAnswer has the upstream die in the middle of its answer. The connection ends then, with the head of the answer or, where it
// was not sent yet, without; what it must not do is look whole.
func (s *soak) halfAnswer(w *wire, id string) {
	res, err := w.send(request(http.MethodGet, "/private/die", &alice, "X-Request-Id: "+id))
	_, arrived := s.upstream.hanging.LoadAndDelete(id)
	if err != nil && !arrived {
		s.faults.add("dying upstream: not answered: %v", err)
		return
	}
	s.counts.attempts.Add(1)
	if err != nil {
		return
	}
	defer func() { _ = res.Body.Close() }()
	s.want("dying upstream", res.StatusCode, http.StatusOK, http.StatusBadGateway, http.StatusServiceUnavailable)
	if _, err := io.Copy(io.Discard, res.Body); err == nil && res.StatusCode == http.StatusOK {
		s.faults.add("half an answer looks whole")
	}
}

// hangUp leaves when the request has reached the upstream. An upstream that is down answers, which is as good.
func (s *soak) hangUp(ctx context.Context, w *wire, id string) {
	if _, err := w.Write(request(http.MethodGet, "/private/hang", &alice, "X-Request-Id: "+id)); err != nil {
		s.faults.add("gone: %v", err)
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
				s.faults.add("gone: not answered: %v", err)
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
	s.faults.add("gone: the request never reached the upstream (load over: %v)", ctx.Err() != nil)
}

// streaming holds streams and sockets of an account that comes and goes.
func (s *soak) streaming(ctx context.Context, n int) {
	from := fmt.Sprintf("127.5.0.%d", n+1)
	for i := n; ctx.Err() == nil; i++ {
		s.keepOnce(from, func(w *wire) {
			// The head is counted before the stream is: until then it is a request like any other.
			req, what := request(http.MethodGet, "/private/stream", &temp), "stream"
			if i%2 == 0 {
				req, what = request(http.MethodGet, "/private/socket", &temp, "Upgrade: websocket", "Connection: Upgrade",
					"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), "socket"
			}
			res, err := w.send(req)
			if err != nil {
				s.faults.add("%s: not answered: %v", what, err)
				return
			}
			defer func() { _ = w.Close(); _ = res.Body.Close() }() // in this order: a stream has no end
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

// listen goes on until the load or the stream ends, and reports whether it was the stream.
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

// pause spreads requests.
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
