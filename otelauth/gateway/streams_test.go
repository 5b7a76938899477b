// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// endless streams until its client disconnects.
func endless(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		echo(w, r)
		return
	}
	if r.Method == http.MethodPost {
		_, _ = io.Copy(io.Discard, r.Body)
		return
	}
	_, _ = io.WriteString(w, "begun\n")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// stream begins one exchange of each kind for an account. Each function returned waits for its
// end.
func (s *site) stream(t *testing.T, name, pass string) (ends []func()) {
	t.Helper()
	res, err := client(t).Do(s.request(t, "GET", "/admin/stream", name, pass, nil))
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", res, err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	lines := bufio.NewReader(res.Body)
	if line, err := lines.ReadString('\n'); err != nil || line != "begun\n" {
		t.Fatalf("%q %v", line, err)
	}
	code, conn, r := s.upgrade(t, "websocket", authorization(name, pass))
	equal(t, "handshake", code, http.StatusSwitchingProtocols)
	_, _ = io.WriteString(conn, "ping\n")
	if line, err := r.ReadString('\n'); err != nil || line != "ping\n" {
		t.Fatalf("%q %v", line, err)
	}
	upload := s.dial(t)
	_, _ = io.WriteString(upload, "POST /admin/upload HTTP/1.1\r\nHost: h\r\n"+authorization(name, pass)+"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
	silent := s.dial(t)
	_, _ = io.WriteString(silent, "GET /admin/wait HTTP/1.1\r\nHost: h\r\n"+authorization(name, pass)+"\r\n")
	want := len(s.reached())
	eventually(t, "all are upstream", func() bool { return len(s.reached()) >= max(want, 4) })
	drain := func(kind string, r io.Reader) func() {
		return func() {
			var timeout net.Error
			if _, err := io.Copy(io.Discard, r); errors.As(err, &timeout) && timeout.Timeout() {
				t.Errorf("%s continues", kind)
			}
		}
	}
	return []func(){drain("the stream", lines), drain("the WebSocket", r), drain("the upload", upload), drain("the answer that does not come", silent)}
}

// Streams, uploads and WebSockets end when their account loses access, for any reason; others
// continue.
func TestStreamsEndWithTheirAccount(t *testing.T) {
	t.Parallel()
	rules := []gateway.Rule{{Pattern: "/admin/", Groups: []string{"ops"}}, {Pattern: "/ws", Groups: []string{"ops"}}}
	for name, change := range map[string]func(s *site, m *mutable, cfg gateway.Config) error{
		"removed": func(_ *site, m *mutable, _ gateway.Config) error {
			m.set(&verify.Static{Hashes: map[string]string{"alice": hash(t, "wonderland")}}, nil)
			return nil
		},
		"another password": func(_ *site, m *mutable, _ gateway.Config) error {
			a := accounts(t)
			a.Hashes["root"] = hash(t, "changed")
			m.set(a, nil)
			return nil
		},
		"out of the group": func(_ *site, m *mutable, _ gateway.Config) error {
			a := accounts(t)
			a.Groups = map[string][]string{"dev": {"root"}}
			m.set(a, nil)
			return nil
		},
		"a new rule": func(s *site, _ *mutable, cfg gateway.Config) error {
			cfg.Rules = []gateway.Rule{{Pattern: "/", Accounts: []string{"alice"}}}
			return s.gw.Reconfigure(s.own(t, cfg))
		},
		"a store that does not answer": func(_ *site, m *mutable, _ gateway.Config) error {
			m.set(nil, errStore)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &mutable{Accounts: accounts(t)}
			cfg := gateway.Config{MaxStreamAge: 300 * time.Millisecond, Auth: otelauth.Config{Accounts: m}, Rules: rules}
			s := newSite(t, cfg, http.HandlerFunc(endless))
			cfg.Upstream = s.upstream
			ends := s.stream(t, "root", "toor")
			before := m.lookups()
			eventually(t, "each was judged more than once", func() bool { return m.lookups() >= before+3*len(ends) })
			if recorded := s.named(semconv.EventGatewayStreamEnded); len(recorded) > 0 {
				t.Fatalf("%d ended before anything changed", len(recorded))
			}
			if err := change(s, m, cfg); err != nil {
				t.Fatal(err)
			}
			for _, end := range ends {
				end()
			}
			eventually(t, "an event for each", func() bool { return len(s.named(semconv.EventGatewayStreamEnded)) == len(ends) })
			e := s.named(semconv.EventGatewayStreamEnded)[0]
			if e.Attribute("http.route") == "" || !e.Record.TraceID().IsValid() {
				t.Errorf("event %v", e.Attributes().Map())
			}
		})
	}
}

// A Verifier cannot be asked again without the password, so its exchanges end after MaxStreamAge.
func TestStreamsOfAVerifierEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{MaxStreamAge: 200 * time.Millisecond, Auth: otelauth.Config{Verifier: everybody{}}}, http.HandlerFunc(endless))
	for _, end := range s.stream(t, "root", "toor") {
		end()
	}
}

type everybody struct{}

func (everybody) Verify(_ context.Context, name string, _ credential.Secret) (*verify.Account, error) {
	return &verify.Account{Name: name}, nil
}

// A drain accepts no new connections, waits for requests in progress, and cuts those that last
// too long.
func TestDrain(t *testing.T) {
	t.Parallel()
	release, begun := make(chan struct{}), make(chan struct{}, 1)
	s := newSite(t, gateway.Config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		begun <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "whole")
	}))
	got := make(chan string, 1)
	go func() {
		res, err := client(t).Do(s.request(t, "GET", "/x", "alice", "wonderland", nil))
		if err != nil {
			got <- err.Error()
			return
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		got <- fmt.Sprintf("%s %v", body, err)
	}()
	<-begun
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	eventually(t, "no new connections", func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(release)
	equal(t, "the request in progress", <-got, "whole <nil>")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{DrainTimeout: 50 * time.Millisecond}, http.HandlerFunc(endless))
	ends := s.stream(t, "root", "toor")
	err := s.stop()
	if err == nil || !strings.Contains(err.Error(), "4 requests") {
		t.Errorf("Serve: %v", err)
	}
	for _, end := range ends {
		end()
	}
	if err := s.gw.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.gw.Serve(t.Context(), fakeListener{addr: &net.TCPAddr{IP: net.IPv6loopback}, closed: make(chan struct{})}); err == nil {
		t.Error("a gateway that was shut down serves")
	}
}
