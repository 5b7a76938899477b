// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

func basic(name, pass string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+pass))
}

// Clients cannot set the identity of the caller: not in another spelling, not in a trailer, and
// not by naming the gateway's header in Connection.
func TestIdentityCannotBeForged(t *testing.T) {
	t.Parallel()
	var trailer http.Header
	s := newSite(t, gateway.Config{GroupsHeader: "X-Groups", Rules: siteRules}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailer = r.Trailer
	}))
	names := []string{
		"Remote-User", "REMOTE-USER", "remote-user", "Remote_User", "REMOTE_USER", "remote_user", "Remote.User", "X-Forwarded-User", "X_Forwarded_User",
		"x-forwarded_user", "X_FORWARDED-USER", "X-Groups", "X_Groups", "X-Remote-User", "Remote-Groups", "X-WebAuth-User", "X-Auth-Request-User", "X-Authenticated-User",
		"X-Forwarded-Email", "X-SSL-Client-S-DN", "Client-Cert", "X~Groups", "Remote!User", "Remote$User",
	}
	var forged strings.Builder
	for _, name := range names {
		forged.WriteString(name + ": root\r\n")
	}
	for _, extra := range []string{
		"", "Connection: Remote-User, X-Forwarded-User, X-Groups, X-Request-Id, X-Forwarded-For, Traceparent\r\n",
		"Connection: close, remote-user\r\nConnection: x-forwarded-user\r\n",
	} {
		answer := s.raw(t, "POST /orders/7 HTTP/1.1\r\nHost: h\r\nAuthorization: "+basic("dave", "jones")+"\r\n"+forged.String()+extra+
			"Connection: close\r\nTransfer-Encoding: chunked\r\nTrailer: Remote-User, X-Checksum\r\n\r\n1\r\nx\r\n0\r\nRemote-User: root\r\nX-Checksum: 7\r\n\r\n")
		if status(t, answer) != http.StatusOK {
			t.Fatalf("%q", answer)
		}
		got := s.last(t).Header
		equal(t, "Remote-User", got["Remote-User"], []string{"dave"})
		equal(t, "X-Forwarded-User", got["X-Forwarded-User"], []string{"dave"})
		equal(t, "X-Groups", got["X-Groups"], []string{"dev"})
		if got["X-Request-Id"] == nil || got["X-Forwarded-For"] == nil || got["Traceparent"] == nil {
			t.Errorf("Connection removed the gateway's header: %v", got)
		}
		for name, values := range got {
			if slices.Contains(values, "root") {
				t.Errorf("%s: root reached the upstream", name)
			}
		}
		equal(t, "trailers", trailer, http.Header{"X-Checksum": {"7"}})
	}
	// An anonymous caller of a public endpoint has no identity.
	s.raw(t, "GET /static/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+forged.String()+"\r\n")
	for name, values := range s.last(t).Header {
		if slices.Contains(values, "root") || name == "Remote-User" {
			t.Errorf("%s: %v reached the upstream", name, values)
		}
	}
}

// odd is a Verifier that accepts every caller, with groups of odd names.
type odd struct{}

func (odd) Verify(_ context.Context, name string, _ credential.Secret) (*verify.Account, error) {
	return &verify.Account{Name: name, Groups: []string{" ops", "ops\t", "a,b", "o\nps", "dev"}}, nil
}

// Spaces at the ends of a header are lost in transit: "root " would arrive as root.
func TestNamesArriveAsTheyAreOrNotAtAll(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{GroupsHeader: "X-Groups", Auth: otelauth.Config{Verifier: odd{}}}, nil)
	for _, name := range []string{"root ", " root"} {
		if res, _ := s.get(t, "/x", name, "x"); res.StatusCode != http.StatusForbidden {
			t.Errorf("%q: %d, Remote-User: %q", name, res.StatusCode, s.last(t).Header["Remote-User"])
		}
	}
	if res, _ := s.get(t, "/x", "zoë b", "x"); res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	equal(t, "Remote-User", s.last(t).Header["Remote-User"], []string{"zoë b"})
	equal(t, "X-Groups", s.last(t).Header["X-Groups"], []string{"dev"})
}

func TestIdentityHeadersAreConfigurable(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{IdentityHeaders: []string{"X-WebAuth-User"}, StripHeaders: []string{"X-Internal-*", "X-Debug"}}, nil)
	r := s.request(t, "GET", "/x", "alice", "wonderland", nil)
	r.Header.Set("Remote-User", "root")
	r.Header.Set("X-Forwarded-User", "root")
	r.Header.Set("X-Internal-Token", "root")
	r.Header.Set("X-Debug", "root")
	s.do(t, r)
	got := s.last(t).Header
	equal(t, "X-Webauth-User", got["X-Webauth-User"], []string{"alice"})
	for _, name := range []string{"Remote-User", "X-Forwarded-User", "X-Internal-Token", "X-Debug"} {
		if got[name] != nil {
			t.Errorf("%s reached the upstream", name)
		}
	}
	silent := newSite(t, gateway.Config{IdentityHeaders: []string{}}, nil)
	silent.get(t, "/x", "alice", "wonderland")
	if h := silent.last(t).Header; h["Remote-User"] != nil || h["X-Forwarded-User"] != nil {
		t.Error("no identity header was asked for")
	}
}

// Headers that show the upstream another path, host, method or client than the gateway judged do
// not reach it.
func TestOverrideHeadersAreStripped(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Auth: otelauth.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}, nil)
	r := s.request(t, "GET", "/x", "alice", "wonderland", nil)
	names := []string{
		"X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Uri",
		"X-Forwarded-Port", "X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Method", "X-Original-Host", "X-Original-Method", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP",
		"X-Host", "X-Script-Name", "X-Envoy-Original-Path", "Forwarded", "Proxy", "Front-End-Https", "X-HTTP-Host-Override",
		"X-Sendfile-Type", "X-Accel-Mapping", "X-Middleware-Subrequest",
	}
	for _, name := range names {
		r.Header.Set(name, "/admin/")
		r.Header[strings.ReplaceAll(name, "-", "_")] = []string{"/admin/"}
	}
	r.Header.Set("X-Forwarded-For", "127.0.0.1")
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("X-Forwarded-Host", "evil.example")
	r.Header.Set("Cookie", "kept=1")
	r.Header.Set("Accept-Encoding", "br")
	s.do(t, r)
	got := s.last(t).Header
	for name, values := range got {
		if slices.Contains(values, "/admin/") || strings.Contains(name, "_") {
			t.Errorf("%s reached the upstream", name)
		}
	}
	equal(t, "Cookie", got["Cookie"], []string{"kept=1"})
	equal(t, "Accept-Encoding", got["Accept-Encoding"], []string{"br"})
	equal(t, "X-Forwarded-Host", got["X-Forwarded-Host"], []string{s.addr})
}

// X-Forwarded-* carry what the gateway knows about the client; behind a trusted proxy, what the
// proxy reports.
func TestForwardedHeaders(t *testing.T) {
	t.Parallel()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, tc := range []struct {
		name    string
		proxies []netip.Prefix
		header  http.Header
		client  string
		proto   string
	}{
		{"direct", nil, nil, "127.0.0.1", "http"},
		{"behind a proxy", loopback, http.Header{"X-Forwarded-For": {"198.51.100.1, 192.0.2.7"}, "X-Forwarded-Proto": {"https"}}, "192.0.2.7", "https"},
	} {
		s := newSite(t, gateway.Config{Auth: otelauth.Config{TrustedProxies: tc.proxies}}, nil)
		r := s.request(t, "GET", "/x", "alice", "wonderland", nil)
		for name, values := range tc.header {
			r.Header[name] = values
		}
		r.Host = "orders.example:8443"
		if tc.proxies != nil && tc.header == nil {
			r.Header.Set("X-Forwarded-Proto", "https")
		}
		if res, body := s.do(t, r); res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", tc.name, res.StatusCode, body)
		}
		got := s.last(t)
		equal(t, tc.name+": X-Forwarded-For", got.Header["X-Forwarded-For"], []string{tc.client})
		equal(t, tc.name+": X-Forwarded-Proto", got.Header["X-Forwarded-Proto"], []string{tc.proto})
		equal(t, tc.name+": X-Forwarded-Host", got.Header["X-Forwarded-Host"], []string{"orders.example:8443"})
		equal(t, tc.name+": Host", got.Host, "orders.example:8443")
	}
}

func TestUpstreamHost(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{UpstreamHost: "orders.internal"}, nil)
	s.get(t, "/x", "alice", "wonderland")
	equal(t, "Host", s.last(t).Host, "orders.internal")
	equal(t, "X-Forwarded-Host", s.last(t).Header.Get("X-Forwarded-Host"), s.addr)
}

// The password does not reach the upstream, except where PassAuthorization names the endpoint.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{PassAuthorization: []string{"GET /own/"}}, nil)
	for path, pass := range map[string]bool{"/x": false, "/own/x": true, "/own/%78": false} {
		r := s.request(t, "GET", path, "alice", "wonderland", nil)
		r.Header.Set("Proxy-Authorization", basic("alice", "wonderland"))
		r.Header.Set("Connection", "Authorization, Remote-User")
		s.do(t, r)
		got := s.last(t).Header
		var want []string
		if pass {
			want = []string{basic("alice", "wonderland")}
		}
		equal(t, "Authorization", got["Authorization"], want)
		if got["Proxy-Authorization"] != nil {
			t.Error("Proxy-Authorization reached the upstream")
		}
	}
}

// Credentials of another scheme are not for the gateway: they reach the upstream at public
// endpoints. Basic credentials in any disguise do not.
func TestOtherSchemesAtPublicEndpoints(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: []gateway.Rule{{Pattern: "/api/", Access: gateway.Public}}}, nil)
	for value, pass := range map[string]bool{
		"Bearer abc.def": true, "Digest username=\"a\", realm=\"b\"": true, "Token 0123": true,
		basic("alice", "wonderland"): false, "bAsIc YTpi": false, "Basic\tYTpi": false, "Basic": false, "Basic YTpi, Bearer x": false,
	} {
		r := s.request(t, "GET", "/api/x", "", "", nil)
		r.Header.Set("Authorization", value)
		s.do(t, r)
		var want []string
		if pass {
			want = []string{value}
		}
		equal(t, value, s.last(t).Header["Authorization"], want)
	}
	r := s.request(t, "GET", "/api/x", "", "", nil)
	r.Header["Authorization"] = []string{"Bearer x", basic("alice", "wonderland")}
	s.do(t, r)
	equal(t, "two fields", s.last(t).Header["Authorization"], []string(nil))
}

// Every header of the list is removed, in every spelling that CGI or WSGI read as the same, and
// in trailers.
func TestDefaultStripHeaders(t *testing.T) {
	t.Parallel()
	var trailer http.Header
	// an X-Forwarded-For of another peer is refused
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s := newSite(t, gateway.Config{Auth: otelauth.Config{TrustedProxies: proxies}}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailer = r.Trailer
	}))
	// Further names, besides the list itself.
	names := []string{
		"Client-Ip", "Forwarded-For", "Wl-Proxy-Client-Ip", "X-Scheme", "Sm-User", "Iv-User", "Oidc-Claim-Sub", "OIDC_CLAIM_sub",
		"X-Consumer-Username", "Tailscale-User-Login", "X-WebAuth-User", "X-Authenticated-User", "X-Client-Cert", "X-SSL-Client-Verify",
		"Cf-Access-Jwt-Assertion", "X-Goog-Authenticated-User-Email", "X-Amzn-Oidc-Identity", "X-MS-CLIENT-PRINCIPAL-NAME", "True-Client-IP",
		"X-Remote-Extra-Scopes", "X-Forwarded-Anything", "X-Original-Anything", "Remote-Anything",
	}
	for _, name := range gateway.DefaultStripHeaders() {
		if plain, isPattern := strings.CutSuffix(name, "*"); isPattern {
			name = plain + "Zz"
		}
		names = append(names, name, strings.ReplaceAll(name, "-", "_"), strings.ToUpper(name), strings.Replace(name, "-", "_", 1))
	}
	// In portions: net/http reads trailers of 4 KiB at most.
	for portion := range slices.Chunk(names, 60) {
		var head, tail strings.Builder
		for _, name := range portion {
			// the trusted proxy's: root is no protocol
			if !strings.EqualFold(name, "X-Forwarded-Proto") {
				head.WriteString(name + ": root\r\n")
			}
			tail.WriteString(name + ": root\r\n")
		}
		answer := s.raw(t, "POST /x HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\nX-Kept: 1\r\nConnection: close\r\nAuthorization: "+basic("alice", "wonderland")+"\r\n"+head.String()+
			"Transfer-Encoding: chunked\r\nTrailer: X-Checksum, "+strings.Join(portion, ", ")+"\r\n\r\n1\r\nx\r\n0\r\nX-Checksum: 7\r\n"+tail.String()+"\r\n")
		if status(t, answer) != http.StatusOK {
			t.Fatalf("%.300q", answer)
		}
		for name, values := range s.last(t).Header {
			if slices.Contains(values, "root") {
				t.Errorf("%s reached the upstream", name)
			}
		}
		equal(t, "X-Kept", s.last(t).Header["X-Kept"], []string{"1"})
		equal(t, "trailers", trailer, http.Header{"X-Checksum": {"7"}})
	}
}

// The query arrives unchanged, whatever it holds.
func TestQuery(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: siteRules}, nil)
	for _, query := range []string{"a=1&a=2", "a;b", "x=%zz", "next=/admin/", "_method=DELETE", "a=%2e%2e%2f", "?", ""} {
		s.raw(t, "GET /orders?"+query+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: "+basic("alice", "wonderland")+"\r\n\r\n")
		equal(t, "request target", s.last(t).RequestURI, "/orders?"+query)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "of-the-upstream")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, r.Header.Get("X-Request-Id"))
	}))
	ids := map[string]bool{}
	for _, tc := range []struct {
		sent []string
		kept bool
	}{
		{[]string{"abc-123_4.5:6/7+8=@"}, true},
		{nil, false},
		{[]string{""}, false},
		{[]string{"a", "b"}, false},
		{[]string{"a b"}, false},
		{[]string{"a\"b"}, false},
		{[]string{strings.Repeat("a", 128)}, true},
		{[]string{strings.Repeat("a", 129)}, false},
	} {
		for _, name := range []string{"alice", ""} {
			r := s.request(t, "GET", "/x", name, "wonderland", nil)
			r.Header["X-Request-Id"] = tc.sent
			before := len(s.attempts())
			res, body := s.do(t, r)
			got := res.Header["X-Request-Id"]
			if len(got) != 1 {
				t.Fatalf("%q: the response has %q", tc.sent, got)
			}
			if tc.kept && got[0] != tc.sent[0] || !tc.kept && (len(got[0]) != 32 || ids[got[0]]) {
				t.Errorf("%q became %q", tc.sent, got[0])
			}
			ids[got[0]] = true
			if name != "" {
				equal(t, "X-Request-Id at the upstream", body, got[0])
			}
			equal(t, "on the event", s.attempts()[before].Attributes().Map()["http.request.header.x-request-id"], any([]string{got[0]}))
		}
	}
}
