// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// counting is a store that counts its lookups.
type counting struct {
	*verify.Static

	times atomic.Int64
}

func (a *counting) Lookup(ctx context.Context, name string) (*verify.Account, error) {
	a.times.Add(1)
	return a.Static.Lookup(ctx, name)
}

func prefixes(list ...string) (ps []netip.Prefix) {
	for _, s := range list {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func TestPlaintext(t *testing.T) {
	t.Parallel()
	proxied := otelauth.Config{TrustedProxies: prefixes("10.0.0.0/8", "127.0.0.0/8")}
	rfc7239 := proxied
	rfc7239.ForwardedHeader = clientip.Forwarded
	allowed := otelauth.Config{DangerouslyAllowPlaintextFrom: prefixes("192.0.2.0/24", "2001:db8::/32")}
	both := allowed
	both.TrustedProxies = proxied.TrustedProxies
	for _, tc := range []struct {
		name   string
		cfg    otelauth.Config
		peer   string
		tls    bool
		header []string // name, value, …
		secure bool
	}{
		{name: "TLS from anywhere", peer: "192.0.2.7:1", tls: true, secure: true},
		{name: "plaintext from anywhere", peer: "192.0.2.7:1"},
		{name: "plaintext from a private network", peer: "10.1.2.3:1"},
		{name: "plaintext over IPv6", peer: "[2001:db8::1]:1"},
		{name: "loopback", peer: "127.0.0.1:1", secure: true},
		{name: "loopback over IPv6", peer: "[::1]:1", secure: true},
		{name: "mapped loopback", peer: "[::ffff:127.0.0.1]:1", secure: true},
		{name: "loopback that stands for others", peer: "127.0.0.1:1", header: []string{"X-Forwarded-For", "192.0.2.7"}},
		{name: "a claim of https from an unknown peer", peer: "192.0.2.7:1", header: []string{"X-Forwarded-Proto", "https"}},
		{name: "Forwarded from an unknown peer", peer: "192.0.2.7:1", header: []string{"Forwarded", "for=127.0.0.1;proto=https"}},
		{
			name: "a proxy that says https", cfg: proxied, peer: "10.1.2.3:1", secure: true,
			header: []string{"X-Forwarded-For", "192.0.2.7", "X-Forwarded-Proto", "https"},
		},
		{
			name: "a proxy that says http", cfg: proxied, peer: "10.1.2.3:1",
			header: []string{"X-Forwarded-For", "192.0.2.7", "X-Forwarded-Proto", "http"},
		},
		{
			name: "a proxy that says http over TLS", cfg: proxied, peer: "10.1.2.3:1", tls: true,
			header: []string{"X-Forwarded-For", "192.0.2.7", "X-Forwarded-Proto", "http"},
		},
		{
			name: "a proxy on loopback that says http", cfg: proxied, peer: "127.0.0.1:1",
			header: []string{"X-Forwarded-For", "127.0.0.1", "X-Forwarded-Proto", "http"},
		},
		{
			name: "the client's https before the proxy's http", cfg: proxied, peer: "10.1.2.3:1",
			header: []string{"X-Forwarded-For", "192.0.2.7", "X-Forwarded-Proto", "https, http"},
		},
		{name: "a proxy that says nothing", cfg: proxied, peer: "10.1.2.3:1", header: []string{"X-Forwarded-For", "192.0.2.7"}},
		{
			name: "RFC 7239, https", cfg: rfc7239, peer: "10.1.2.3:1", secure: true,
			header: []string{"Forwarded", "for=192.0.2.7;proto=https"},
		},
		{name: "RFC 7239, http", cfg: rfc7239, peer: "10.1.2.3:1", header: []string{"Forwarded", "for=192.0.2.7;proto=http"}},
		{
			name: "the header that the proxy does not write", cfg: rfc7239, peer: "10.1.2.3:1",
			header: []string{"X-Forwarded-Proto", "https"},
		},
		{name: "allowed", cfg: allowed, peer: "192.0.2.7:1", secure: true},
		{name: "allowed over IPv6", cfg: allowed, peer: "[2001:db8::1]:1", secure: true},
		{name: "beside what is allowed", cfg: allowed, peer: "198.51.100.7:1"},
		{
			name: "a claim to come from what is allowed", cfg: allowed, peer: "198.51.100.7:1",
			header: []string{"X-Forwarded-For", "192.0.2.7"},
		},
		{
			name: "allowed behind a proxy that says http", cfg: both, peer: "10.1.2.3:1", secure: true,
			header: []string{"X-Forwarded-For", "192.0.2.7", "X-Forwarded-Proto", "http"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			store := &counting{Static: accounts(t)}
			tc.cfg.Accounts = store
			s := newService(t, tc.cfg, nil)
			for _, name := range []string{"", "alice"} {
				r := request(t, "GET", "/orders", name, "wonderland")
				r.RemoteAddr = tc.peer
				if tc.tls {
					r.TLS = &tls.ConnectionState{}
				}
				for i := 0; i < len(tc.header); i += 2 {
					r.Header.Add(tc.header[i], tc.header[i+1])
				}
				w := s.do(r)
				tr := s.ByTrace(s.last(t).TraceID)
				exposed := tr.Events[0].Attributes().Map()["auth.credentials.exposed"]
				if tc.secure {
					if want := map[string]int{"": 401, "alice": 200}[name]; w.Code != want || exposed != nil {
						t.Errorf("%q: %d, exposed %v", name, w.Code, exposed)
					}
					continue
				}
				got := s.last(t)
				if w.Code != 403 || w.Header()["Www-Authenticate"] != nil || got.ErrorType != attempt.InsecureTransport {
					t.Errorf("%q: %d %v", name, w.Code, w.Header())
				}
				p := problemOf(t, w.Body.String())
				if !strings.Contains(p.Detail, "dangerously allow plaintext from") || !strings.Contains(p.Detail, "trusted proxy") {
					t.Errorf("%q: the answer does not name a remedy: %s", name, p.Detail)
				}
				if (exposed == true) != (name != "") || strings.Contains(p.Detail, "sent in plaintext") != (name != "") {
					t.Errorf("%q: exposed %v, %s", name, exposed, p.Detail)
				}
				if got.UserName != "" || got.UserHash != "" || got.Cache != attempt.NotLooked {
					t.Errorf("%q: the credentials were verified: %+v", name, got)
				}
			}
			if n := store.times.Load(); (n > 0) != tc.secure {
				t.Errorf("the store was called %d times", n)
			}
		})
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, nil)
	path := filepath.Join(t.TempDir(), "s")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: s.handler}
	go func() { _ = srv.Serve(listener) }()
	t.Cleanup(func() { _ = srv.Close() })

	const head = "GET /orders HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: "
	resp, body := exchangeRaw(t, "unix", path, head+token("alice:wonderland")+"\r\n\r\n")
	if resp.StatusCode != 200 || body != "user=alice" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	got := s.last(t)
	if got.Client.IsValid() || got.Outcome != attempt.Success {
		t.Errorf("recorded %+v", got)
	}
	if s.mw.Untrusted(request(t, "GET", "/", "", "")) {
		t.Error("loopback is untrusted")
	}

	// A trusted proxy in front of the socket.
	trusting := newService(t, otelauth.Config{TrustUnixSocket: true}, nil)
	trustingPath := filepath.Join(t.TempDir(), "t")
	trustingListener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", trustingPath)
	if err != nil {
		t.Fatal(err)
	}
	trustingServer := &http.Server{Handler: trusting.handler}
	go func() { _ = trustingServer.Serve(trustingListener) }()
	t.Cleanup(func() { _ = trustingServer.Close() })
	for proto, want := range map[string]int{"https": 200, "http": 403} {
		resp, _ := exchangeRaw(t, "unix", trustingPath,
			head+token("alice:wonderland")+"\r\nX-Forwarded-For: 192.0.2.66\r\nX-Forwarded-Proto: "+proto+"\r\n\r\n")
		if got := trusting.last(t); resp.StatusCode != want || got.Client.String() != "192.0.2.66" {
			t.Errorf("%s: %d from %v", proto, resp.StatusCode, got.Client)
		}
	}

	// An unknown proxy in front of the socket: the client is not local, and the header is not
	// believed.
	resp, _ = exchangeRaw(t, "unix", path, head+token("alice:wonderland")+"\r\nX-Forwarded-For: 192.0.2.66\r\n\r\n")
	if resp.StatusCode != 403 {
		t.Errorf("behind an unknown proxy: %d", resp.StatusCode)
	}
	if got := s.last(t); got.Client.IsValid() || s.serverSpan(t, got.TraceID).Attribute("client.address") == "192.0.2.66" {
		t.Errorf("the forwarded address is believed: attempt %v, server span %q", got.Client, s.serverSpan(t, got.TraceID).Attribute("client.address"))
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, nil)
	srv := tlsServer(t, s.handler)
	r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("alice", "wonderland")
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
		t.Errorf("%s over %s", resp.Status, resp.Proto)
	}
}
