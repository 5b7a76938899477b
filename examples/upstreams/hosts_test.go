// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"net/http"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// A Go service serves "SHOP.example" and "shop.example." from the site without a host, so the
// gateway must not take these hosts for the shop.
func TestHostSpellingsOnServeMux(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/", mark(restricted, "/"))
	mux.HandleFunc("/docs/", mark(restricted, "/docs/"))
	mux.HandleFunc("shop.example/", mark(protected, "shop.example/"))
	mux.HandleFunc("shop.example/docs/", mark(public, "shop.example/docs/"))
	f := behindGateway(t, served(t, "ServeMux", mux).addr, gateway.Config{Rules: []gateway.Rule{
		{Pattern: "/", Groups: []string{"ops"}}, {Pattern: "shop.example/"}, {Pattern: "shop.example/docs/", Access: gateway.Public},
	}})
	c := &client{front: f}
	defer c.close()
	for host, want := range map[string]int{"shop.example": 200, "shop.example:8080": 200, "SHOP.example": 401, "shop.example.": 401, "Shop.example:80": 401} {
		for _, who := range []account{anonymous, alice} {
			got, err := c.do(input{method: "GET", target: "/docs/x", host: host}, who)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{true: 403, false: want}[who == alice && want == 401]; got.status != want {
				t.Errorf("%s as %s: %d, want %d", host, who, got.status, want)
			}
			if k, line := got.marker(); forbidden(who, k) {
				t.Errorf("%s as %s: %q", host, who, line)
			}
		}
	}
}

// A router of the raw path takes an encoded slash for data, even if a name holds the next segment
// of the route.
func TestWildcardHoldsWordsOfTheRule(t *testing.T) {
	t.Parallel()
	for _, r := range []string{"/projects/a%2Fb/access/tokens", "/projects/a%2Faccess/access/tokens", "/projects/access%2Faccess/access/tokens"} {
		mux := http.NewServeMux()
		mux.HandleFunc("/projects/{id}/access/tokens", mark(restricted, "tokens"))
		f := behindGateway(t, served(t, "ServeMux", mux).addr, gateway.Config{
			Rules: []gateway.Rule{{Pattern: "/projects/{id}/access/tokens", Groups: []string{"ops"}}}, AllowRawPaths: []string{"/projects/"},
		})
		expect(t, f, alice, r, 403)
		expect(t, f, root, r, 200)
	}
}

// A lock on a folder locks everything beneath it, so it needs the permissions for that.
func TestLockOfFolderNeedsRulesBeneath(t *testing.T) {
	t.Parallel()
	dir := newFolder(t)
	c := &client{front: behindGateway(t, startApache(t, dir.dir, true), gateway.Config{Rules: davRules()})}
	defer c.close()
	lock := func(who account, target string, header ...string) int {
		t.Helper()
		got, err := c.do(input{method: "LOCK", target: target, host: "h", header: append(header, "Timeout: Second-600", "Content-Type: text/xml", "Content-Length: 0")}, who)
		if err != nil {
			t.Fatal(err)
		}
		return got.status
	}
	for _, target := range []string{"/files/", "/files", "/"} {
		if got := lock(alice, target); got != 403 {
			t.Errorf("LOCK %s: %d, want 403", target, got)
		}
	}
	if got := lock(alice, "/files/a"); got == 403 || got == 401 {
		t.Errorf("LOCK of a file: %d", got)
	}
}

// nginx chooses the server by the host of an absolute-form target, and passes on the Host field.
// If they differ, the gateway would judge another site than the one that answers.
func TestNginxRefusesTwoHosts(t *testing.T) {
	t.Parallel()
	f := behindNginx(t, served(t, "site", mark(public, "/")).addr, gateway.Config{Rules: []gateway.Rule{{Pattern: "shop.example/pub/", Access: gateway.Public}}})
	c := &client{front: f}
	defer c.close()
	for _, tt := range []struct {
		target, host string
		want         int
	}{
		{"/pub/x", "shop.example", 200},
		{"/pub/x", "shop.example:8443", 200},
		{"http://shop.example/pub/x", "shop.example", 200},
		{"http://SHOP.example:8443/pub/x", "shop.example", 200},
		{"http://admin.example/pub/x", "shop.example", 400},
		{"http://shop.example.evil/pub/x", "shop.example", 400},
		{"http://shop.example/pub/x", "admin.example", 400},
	} {
		got, err := c.do(input{method: "GET", target: tt.target, host: tt.host}, anonymous)
		if err != nil {
			t.Fatal(err)
		}
		if got.status != tt.want {
			t.Errorf("%s with Host %s: %d, want %d", tt.target, tt.host, got.status, tt.want)
		}
	}
	// HTTP/2 has its host in :authority.
	transport := &http.Transport{TLSClientConfig: f.tls.Clone(), ForceAttemptHTTP2: true}
	transport.TLSClientConfig.ServerName = "shop.example"
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+f.addr+"/pub/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop.example:8443"
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.ProtoMajor != 2 || res.StatusCode != 200 {
		t.Errorf("HTTP/%d: %d, want 200", res.ProtoMajor, res.StatusCode)
	}
}
