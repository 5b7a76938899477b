// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

var siteRules = []gateway.Rule{
	{Pattern: "OPTIONS /", Access: gateway.Public},
	{Pattern: "GET /{$}", Access: gateway.Public},
	{Pattern: "GET /static/", Access: gateway.Public},
	{Pattern: "/admin/", Groups: []string{"ops"}, Sensitive: true},
	{Pattern: "/admin/help/", Access: gateway.Public},
	{Pattern: "/reports/{id}", Accounts: []string{"alice"}, Groups: []string{"ops"}},
	{Pattern: "DELETE /orders/", Groups: []string{"ops"}},
	{Pattern: "GET /api", Access: gateway.Public},
	{Pattern: "/api/", Groups: []string{"dev"}},
}

// The rule that applies, the default for paths that no rule names, and the route of the event.
// ProtectOnly opens what it does not name. What it names is protected in every spelling, and so is
// a path in an unusual spelling.
func TestProtectOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{
		ProtectOnly: []string{"/admin/", "POST /orders"},
		Rules:       []gateway.Rule{{Pattern: "/admin/root", Groups: []string{"ops"}}},
	}, nil)
	for path, want := range map[string]int{
		"/": 200, "/orders": 200, "/index.html": 200, "/administrator": 200,
		"/admin": 401, "/admin/": 401, "/admin/x": 401, "/ADMIN/x": 401, "/%61dmin/x": 401, "/index.php/admin/": 401, "/adm%C3%ADn/": 401,
		"/%6Frders": 401, "/a/%2e%2e/admin/": 400, "//admin/": 400,
	} {
		res, _ := s.get(t, path, "", "")
		equal(t, path, res.StatusCode, want)
	}
	res, _ := s.do(t, s.request(t, "POST", "/orders", "", "", nil))
	equal(t, "POST /orders", res.StatusCode, http.StatusUnauthorized)
	res, _ = s.get(t, "/admin/root", "alice", "wonderland")
	equal(t, "a rule beneath", res.StatusCode, http.StatusForbidden)
	res, _ = s.get(t, "/admin/x", "alice", "wonderland")
	equal(t, "with a password", res.StatusCode, http.StatusOK)
}

func TestRules(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: siteRules}, nil)
	for _, tc := range []struct {
		method, path     string
		anonymous, alice int
		dave, root       int
		route            string
	}{
		{"GET", "/", 200, 200, 200, 200, "/{$}"},
		{"HEAD", "/static/a.js", 200, 200, 200, 200, "/static/"},
		{"POST", "/static/a.js", 401, 200, 200, 200, "/"},
		{"GET", "/static", 401, 200, 200, 200, "/"}, // no rule names it
		{"GET", "/orders/7", 401, 200, 200, 200, "/"},
		{"DELETE", "/orders/7", 401, 403, 403, 200, "/orders/"},
		{"DELETE", "/orders", 401, 403, 403, 200, "/orders/"}, // the upstream may add the slash
		{"GET", "/admin/", 401, 403, 403, 200, "/admin/"},
		{"GET", "/admin", 401, 403, 403, 200, "/admin/"},
		{"GET", "/admin/help/x", 200, 200, 200, 200, "/admin/help/"},
		{"GET", "/admin/help", 401, 403, 403, 200, "/admin/"},
		{"GET", "/reports/7", 401, 200, 403, 200, "/reports/{id}"},
		{"GET", "/reports/7/", 401, 200, 403, 200, "/reports/{id}"},
		{"GET", "/api", 200, 200, 200, 200, "/api"},
		{"GET", "/api/", 401, 403, 200, 200, "/api/"},
		{"POST", "/api", 401, 403, 200, 200, "/api/"},
		{"OPTIONS", "/orders/7", 200, 200, 200, 200, "/"},
		// neither is more specific: both hold
		{"OPTIONS", "/admin/", 401, 403, 403, 200, "/admin/"},
	} {
		for _, who := range []struct {
			name, pass string
			want       int
		}{{"", "", tc.anonymous}, {"alice", "wonderland", tc.alice}, {"dave", "jones", tc.dave}, {"root", "toor", tc.root}} {
			before := len(s.attempts())
			res, _ := s.do(t, s.request(t, tc.method, tc.path, who.name, who.pass, nil))
			if res.StatusCode != who.want {
				t.Errorf("%s %s by %q: %d, want %d", tc.method, tc.path, who.name, res.StatusCode, who.want)
			}
			recorded := s.attempts()[before:]
			if who.want == http.StatusOK && who.name == "" {
				continue // no attempt; counted
			}
			if len(recorded) != 1 {
				t.Fatalf("%s %s by %q: %d events", tc.method, tc.path, who.name, len(recorded))
			}
			equal(t, tc.method+" "+tc.path+" http.route", recorded[0].Attribute("http.route"), tc.route)
			equal(t, "status of the event", recorded[0].Attribute("http.response.status_code"), fmt.Sprint(who.want))
		}
	}
}

// evasions are paths with which an account without groups may try to reach "/admin/x".
var evasions = []string{
	"/admin%2fx", "/admin%2Fx", "/%2e/admin/x", "/./admin/x", "/x/../admin/x", "/x/%2e%2e/admin/x", "/x/..%2fadmin/x", "/x/%2e%2e%2fadmin%2fx",
	"/admin;/x", "/admin;a=b/x", "/;/admin/x", "/x/..;/admin/x", "//admin/x", "/admin//x", "///admin///x", "/admin/./x", "/admin/x/..",
	"/%61dmin%252fx", "/x/%252e%252e/admin/x", "/x/%25252e%25252e/admin/x", "/admin%5cx", `/admin\x`, `/\admin/x`, `/x/..\admin/x`, "/x/..%5cadmin%5cx",
	"/admin%00/x", "/admin/x%00.css", "/static/..%00/admin/x", "/admin%09/x", "/admin%0a/x", "/%0d%0a/admin/x", "/admin%7f/x", "/adm%c0%afin/x",
	"/%c0%aeadmin/x", "/x/%c0%ae%c0%ae/admin/x", "/%e0%80%aeadmin/x", "/admin%ff/x", "/static/%2e%2e/admin/x", "/static/..%2f..%2fadmin/x", "/static/..;/..;/admin/x",
	"/static/%u002e%u002e/admin/x", "/static/%2e%2e;/admin/x", "/%2e%2e/%2e%2e/admin/x", "/admin/x;.css", "/admin/x%3b.css", "/admin/x/%2e",
	// Dots with spaces, and Unicode forms of dots and percent signs.
	"/static/..%20/admin/x", "/static/%20../admin/x", "/static/.%E2%80%8B./admin/x", "/static/%EF%BC%8E%EF%BC%8E/admin/x", "/static/%E2%80%A5/admin/x",
	"/static/%EF%BC%8E./%EF%BC%A1dmin/x", "/static%EF%BC%8F%EF%BC%8E%EF%BC%8E%EF%BC%8Fadmin/x", "/static/..%C2%A0/admin", "/x/..%EF%BC%BCadmin%EF%BC%BCx",
	"/static/%EF%BC%85%32e./admin/x", "/static/..%3Fx/admin", "/static/..:/admin/x", "/x/%E2%80%8B/admin", "/a.php/b.php/c.php/d.php/admin",
}

// lenient are paths in the usual form that an upstream may nevertheless read as "/admin/x".
var lenient = []string{
	"/Admin/x", "/ADMIN/x", "/aDmIn/x", "/%41dmin/x", "/admin./x", "/admin../x", "/admin%20/x", "/%20admin/x", "/admin.%20./x",
	"/admin", "/Admin", "/ADMIN.", "/admin%3fx", "/admin/x%3f", "/admin%23x", "/admin.json", "/admin~", "/admin::$DATA", "/index.php/admin/x",
	"/a/b/app.py/Admin", "/%EF%BC%A1dmin/x", "/a%E2%80%8Bdmin/x", "/adm%C4%B1n/x", "/adm%C3%ADn", "/admi%CC%88n/x",
	"/admin%EF%BC%8Fx", "/admin%EF%BC%9Bx/y", "/admin%EF%BC%9Fx", "/%61%64%6d%69%6e/x", "/admin/x", "/admin/", "/admin/help.html/x", "/admin/Help/x",
}

// No spelling of the path evades the rule of a group, however the upstream reads it.
func TestLowPrivilegeEvasion(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: siteRules}, nil)
	for _, path := range evasions {
		before := len(s.attempts())
		for _, form := range []string{"", "http://" + s.addr} {
			got := status(t, s.raw(t, "GET "+form+path+" HTTP/1.1\r\nHost: "+s.addr+"\r\nAuthorization: "+basic("alice", "wonderland")+"\r\nConnection: close\r\n\r\n"))
			if got != http.StatusBadRequest {
				t.Errorf("%s%s: %d, want 400", form, path, got)
			}
		}
		if path == "/admin\\x" || strings.Contains(path, "%u") {
			continue // net/http itself may refuse it
		}
		for _, e := range s.attempts()[before:] {
			equal(t, path+": error.type", e.Attribute("error.type"), "malformed_request")
			equal(t, path+": auth.reason", e.Attribute("auth.reason"), "raw_path")
			equal(t, path+": status", e.Attribute("http.response.status_code"), "400")
		}
		if n := len(s.attempts()) - before; n != 2 {
			t.Errorf("%s: %d events of 2 requests", path, n)
		}
	}
	for _, path := range lenient {
		res, _ := s.get(t, path, "alice", "wonderland")
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", path, res.StatusCode)
		}
	}
	if n := len(s.reached()); n > 0 {
		t.Errorf("%d requests reached the upstream, the first for %q", n, s.reached()[0].URL)
	}
}

// A path opens a public endpoint in its canonical spelling only.
func TestPublicIsExact(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: []gateway.Rule{
		{Pattern: "GET /wiki/", Access: gateway.Public}, {Pattern: "GET /書/", Access: gateway.Public}, {Pattern: "/healthz", Access: gateway.Public},
	}}, nil)
	for path, want := range map[string]int{
		"/wiki/%E4%BD%95%EF%BC%9F":           200, // a full-width question mark
		"/%E6%9B%B8/%E4%BD%95%EF%BC%9F":      200,
		"/%e6%9b%b8/x":                       401, // the name itself is compared byte by byte
		"/wiki/a%20/b.":                      200,
		"/wiki/caf%C3%A9":                    200,
		"/healthz":                           200,
		"/%68ealthz":                         401,
		"/healthz/":                          401,
		"/healthz.json":                      401,
		"/%77iki/x":                          401,
		"/wiki/%7Eu":                         401,
		"/wiki/a%EF%BC%8Fb":                  401, // a full-width solidus
		"/wiki/x.php/y":                      401,
		"/wiki/..%20/secret":                 400,
		"/wiki/%E2%80%A5/secret":             400,
		"/wiki/%EF%BC%8E%EF%BC%8E%EF%BC%8Fx": 400,
		// each character decomposes into 18 letters
		"/wiki/" + strings.Repeat("%EF%B7%BA", 100):           400,
		"/wiki/" + strings.Repeat("/a", 300):                  400,
		"/wiki/" + strings.Repeat("a", 8<<10-len("/wiki/")):   200,
		"/wiki/" + strings.Repeat("a", 8<<10-len("/wiki/")+1): 414,
	} {
		before := len(s.attempts())
		if got := status(t, s.raw(t, "GET "+path+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")); got != want {
			t.Errorf("%.60s: %d, want %d", path, got, want)
		}
		if want != http.StatusOK {
			attempts := s.attempts()[before:]
			if len(attempts) != 1 {
				t.Fatalf("%.60s: %d events of a refusal", path, len(attempts))
			}
			equal(t, "status of the event", attempts[0].Attribute("http.response.status_code"), fmt.Sprint(want))
		}
	}
}

// A rule for "/" restricts everything that no other rule names exactly, so no spelling needs to
// be foreseen.
func TestDefaultRule(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: []gateway.Rule{
		{Pattern: "/", Groups: []string{"ops"}}, {Pattern: "/orders/"}, {Pattern: "GET /healthz", Access: gateway.Public},
	}}, nil)
	for path, want := range map[string]int{
		"/orders/7": 200, "/healthz": 200, "/%68ealthz": 403, "/Orders/7": 403, "/orders.json": 403, "/orders": 403, "/index.php/orders/7": 403, "/x": 403, "/": 403,
	} {
		if res, _ := s.get(t, path, "alice", "wonderland"); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
}

// With AllowRawPaths, a path that may be the restricted one is restricted, and it is never public.
func TestAllowedRawPaths(t *testing.T) {
	t.Parallel()
	rules := append([]gateway.Rule{{Pattern: "/repos/", Access: gateway.Public}, {Pattern: "/repos/private/", Groups: []string{"dev"}}}, siteRules...)
	s := newSite(t, gateway.Config{Rules: rules, AllowRawPaths: []string{"/repos/", "/admin/"}}, nil)
	for _, tc := range []struct {
		path                         string
		anonymous, alice, dave, root int
	}{
		{"/repos/a/b", 200, 200, 200, 200},
		{"/repos/a%2fb", 401, 200, 200, 200},
		{"/repos/a//b", 401, 200, 200, 200},
		{"/repos/a;v=1", 401, 200, 200, 200},
		{"/repos/private%2fb", 401, 403, 200, 200},
		{"/repos/%70rivate%252fb", 401, 403, 200, 200},
		{"/repos/x%2fPRIVATE%2fy", 401, 200, 200, 200}, // private is not its first segment
		{"/repos/..%2fadmin%2fx", 400, 400, 400, 400},
		{"/repos/private%2f..%2f..%2fadmin%2fx", 400, 400, 400, 400},
		{"/repos/..;/admin/x", 400, 400, 400, 400},
		{"/repos/a;x%2fb", 400, 400, 400, 400},
		{"/repos/%c0%ae%c0%ae/ADMIN./x", 400, 400, 400, 400},
		{"/admin/help/%2e%2e/x", 400, 400, 400, 400},
		{"/repos/%E2%80%A5%2fadmin%2fx", 400, 400, 400, 400},
		{"/repos/..%20%2fadmin%2fx", 400, 400, 400, 400},
		{"/repos/..%0d%0a%2fadmin", 400, 400, 400, 400},
		{"/repos/%00", 400, 400, 400, 400},
		{"/repos/priv%FFate/x", 401, 403, 200, 200}, // a server may leave out what is not UTF-8
		{"/repos/priv%E1te/x", 401, 403, 200, 200},  // or read it as Latin-1
		{"/repos/private%0d%0ax/y", 401, 403, 200, 200},
		{"/repos/priv%0aate/y", 401, 403, 200, 200},
		{"/repos/private;x/y", 401, 403, 200, 200},
		// an exception from a restriction is as exact as what opens
		{"/admin/help/a%2fb", 401, 403, 403, 200},
		{"/other/a%2fb", 400, 400, 400, 400},
		// percent signs, and no encoding of anything
		{"/repos/" + strings.Repeat("%25", 1500), 200, 200, 200, 200},
		{"/repos/" + strings.Repeat("%25", 3000), 414, 414, 414, 414},
	} {
		for _, who := range []struct {
			name, pass string
			want       int
		}{{"", "", tc.anonymous}, {"alice", "wonderland", tc.alice}, {"dave", "jones", tc.dave}, {"root", "toor", tc.root}} {
			auth := ""
			if who.name != "" {
				auth = "Authorization: " + basic(who.name, who.pass) + "\r\n"
			}
			got := status(t, s.raw(t, "GET "+tc.path+" HTTP/1.1\r\nHost: h\r\n"+auth+"Connection: close\r\n\r\n"))
			if got != who.want {
				t.Errorf("%.80s by %q: %d, want %d", tc.path, who.name, got, who.want)
			}
		}
	}
	if got := s.last(t).RequestURI; !strings.Contains(got, "%") {
		t.Errorf("the upstream got %q, want the path as it was sent", got)
	}
}

// Methods that no rule can name are refused, and headers that override the method change nothing.
func TestMethods(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: siteRules}, nil)
	auth := "Authorization: " + basic("alice", "wonderland") + "\r\nConnection: close\r\n\r\n"
	for request, want := range map[string]int{
		"CONNECT upstream.internal:80 HTTP/1.1\r\nHost: upstream.internal:80\r\n":  400,
		"CONNECT /admin/x HTTP/1.1\r\nHost: h\r\n":                                 400,
		"TRACE / HTTP/1.1\r\nHost: h\r\n":                                          400,
		"TRACK / HTTP/1.1\r\nHost: h\r\n":                                          400,
		"delete /orders/7 HTTP/1.1\r\nHost: h\r\n":                                 400,
		"Delete /orders/7 HTTP/1.1\r\nHost: h\r\n":                                 400,
		"OPTIONS * HTTP/1.1\r\nHost: h\r\n":                                        400,
		"GET * HTTP/1.1\r\nHost: h\r\n":                                            400,
		"GET http:admin HTTP/1.1\r\nHost: h\r\n":                                   400,
		"GET http://root:toor@h/admin/x HTTP/1.1\r\nHost: h\r\n":                   403,
		"GET https://elsewhere/admin/x HTTP/1.1\r\nHost: h\r\n":                    403,
		"DELETE /orders/7 HTTP/1.1\r\nHost: h\r\n":                                 403,
		"POST /orders/7 HTTP/1.1\r\nHost: h\r\nX-HTTP-Method-Override: DELETE\r\n": 200,
		"POST /orders/7 HTTP/1.1\r\nHost: h\r\nX-HTTP-Method: DELETE\r\n":          200,
		"POST /orders/7 HTTP/1.1\r\nHost: h\r\nX_Method_Override: DELETE\r\n":      200,
		"PROPFIND /orders/7 HTTP/1.1\r\nHost: h\r\n":                               200,
	} {
		before := len(s.attempts())
		if got := status(t, s.raw(t, request+auth)); got != want {
			t.Errorf("%.60q: %d, want %d", request, got, want)
		}
		if n := len(s.attempts()) - before; n != 1 {
			t.Errorf("%.60q: %d events, want 1", request, n)
		}
	}
	for _, r := range s.reached() {
		for name := range r.Header {
			if strings.Contains(strings.ToLower(name), "method") {
				t.Errorf("%s reached the upstream", name)
			}
		}
	}
}

// COPY and MOVE also need what their destination needs.
func TestDestination(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: append([]gateway.Rule{
		{Pattern: "COPY /static/", Access: gateway.Public}, {Pattern: "PUT /files/kept/", Groups: []string{"dev"}},
	}, siteRules...)}, nil)
	for _, tc := range []struct {
		method, path, destination    string
		anonymous, alice, dave, root int
	}{
		{"MOVE", "/files/a", "/files/b", 401, 200, 200, 200},
		{"MOVE", "/files/a", "http://h/files/b?x#y", 401, 200, 200, 200},
		{"MOVE", "/files/a", "/admin/x", 401, 403, 403, 200},
		{"COPY", "/files/a", "http://other.example/Admin./x", 401, 403, 403, 200},
		{"COPY", "/static/a", "/admin/x", 401, 403, 403, 200},
		{"COPY", "/static/a", "/files/b", 401, 200, 200, 200},
		// what may not be put may not be copied there
		{"COPY", "/files/a", "/files/kept/b", 401, 403, 200, 200},
		{"GET", "/static/a", "/admin/x", 401, 403, 403, 200},
		{"MOVE", "/files/a", "/x/..%2fadmin/x", 400, 400, 400, 400},
		{"MOVE", "/files/a", "/files/b#/../../admin/x", 400, 400, 400, 400},
		{"MOVE", "/files/a", "admin/x", 400, 400, 400, 400},
		{"MOVE", "/files/a", "//h/admin/x", 400, 400, 400, 400},
		{"MOVE", "/files/a", "http:admin/x", 400, 400, 400, 400},
		{"MOVE", "/files/a", "", 400, 400, 400, 400},
		{"MOVE", "/files/a", "/files/b\r\nDestination: /admin/x", 400, 400, 400, 400},
		{"MOVE", "/files/a" + strings.Repeat("%20", 2000), "/files/" + strings.Repeat("b", 2500), 414, 414, 414, 414},
	} {
		for _, who := range []struct {
			name, pass string
			want       int
		}{{"", "", tc.anonymous}, {"alice", "wonderland", tc.alice}, {"dave", "jones", tc.dave}, {"root", "toor", tc.root}} {
			auth := ""
			if who.name != "" {
				auth = "Authorization: " + basic(who.name, who.pass) + "\r\n"
			}
			got := status(t, s.raw(t, tc.method+" "+tc.path+" HTTP/1.1\r\nHost: h\r\nDestination: "+tc.destination+"\r\n"+auth+"Connection: close\r\n\r\n"))
			if got != who.want {
				t.Errorf("%s %s to %q by %q: %d, want %d", tc.method, tc.path, tc.destination, who.name, got, who.want)
			}
		}
	}
}

// A WebDAV method acts on everything beneath a path, so it needs what every rule there needs.
func TestWebDAVTrees(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: []gateway.Rule{
		{Pattern: "/files/private/", Groups: []string{"ops"}}, {Pattern: "GET /reports/internal/", Groups: []string{"ops"}},
		{Pattern: "DELETE /kept/{id}", Groups: []string{"ops"}}, {Pattern: "COPY /public/", Access: gateway.Public}, {Pattern: "/public/keys/", Groups: []string{"ops"}},
	}}, nil)
	for _, tc := range []struct {
		method, path, destination string
		header                    string
		anonymous, alice, root    int
	}{
		{"COPY", "/files/", "/copy/", "", 401, 403, 200},
		{"COPY", "/Files", "/copy/", "", 401, 403, 200},
		{"COPY", "/", "/copy/", "", 401, 403, 200},
		{"MOVE", "/files/", "/copy/", "", 401, 403, 200},
		{"MOVE", "/new/", "/files/", "", 401, 403, 200}, // would replace what is there
		{"DELETE", "/files/", "", "", 401, 403, 200},
		{"COPY", "/files/open/", "/copy/", "", 401, 200, 200},
		// what may not be read may not be copied
		{"COPY", "/reports/", "/copy/", "", 401, 403, 200},
		{"DELETE", "/reports/", "", "", 401, 200, 200},
		{"MOVE", "/kept/", "/copy/", "", 401, 403, 200},
		{"COPY", "/kept/", "/copy/", "", 401, 200, 200},
		{"PROPFIND", "/files/", "", "", 401, 403, 200}, // its depth is infinity
		{"PROPFIND", "/files/", "", "Depth: infinity\r\n", 401, 403, 200},
		{"PROPFIND", "/files/", "", "Depth: 1\r\n", 401, 200, 200},
		{"COPY", "/public/", "/public/x", "", 401, 403, 200},
		{"COPY", "/public/a", "/public/b", "", 401, 200, 200}, // public to copy, and not to put
	} {
		for _, who := range []struct {
			name, pass string
			want       int
		}{{"", "", tc.anonymous}, {"alice", "wonderland", tc.alice}, {"root", "toor", tc.root}} {
			fields := tc.header
			if who.name != "" {
				fields += "Authorization: " + basic(who.name, who.pass) + "\r\n"
			}
			if tc.destination != "" {
				fields += "Destination: " + tc.destination + "\r\n"
			}
			got := status(t, s.raw(t, tc.method+" "+tc.path+" HTTP/1.1\r\nHost: h\r\n"+fields+"Connection: close\r\n\r\n"))
			if got != who.want {
				t.Errorf("%s %s to %q by %q: %d, want %d", tc.method, tc.path, tc.destination, who.name, got, who.want)
			}
		}
	}
}

// A rule with a host applies to all spellings of the host, and to hosts that no rule names: only
// the upstream knows which site it serves for them.
func TestHosts(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: []gateway.Rule{
		{Pattern: "admin.example/", Groups: []string{"ops"}},
		{Pattern: "GET www.example/news/", Access: gateway.Public},
		{Pattern: "GET /static/", Access: gateway.Public},
		{Pattern: "/billing/", Groups: []string{"dev"}},
	}}, nil)
	for _, tc := range []struct {
		host, path       string
		anonymous, alice int
	}{
		{"admin.example", "/x", 401, 403},
		{"ADMIN.example", "/x", 401, 403},
		{"admin.example.", "/x", 401, 403},
		{"admin.example:8443", "/x", 401, 403},
		{"admin.example", "/static/x", 401, 403}, // both hold
		{"www.example", "/x", 401, 200},
		{"www.example:443", "/x", 401, 200},
		{"www.example:admin.example", "/news/x", 401, 403}, // no port
		{"www.example", "/news/x", 200, 200},
		{"www.example", "/static/x", 200, 200},
		{"www.example", "/billing/x", 401, 403},
		{"other.example", "/news/x", 401, 403},
		{"other.example", "/static/x", 401, 403},
		{"", "/x", 401, 403},
		{"127.0.0.1", "/x", 401, 403},
	} {
		for name, want := range map[string]int{"": tc.anonymous, "alice": tc.alice} {
			auth := ""
			if name != "" {
				auth = "Authorization: " + basic(name, "wonderland") + "\r\n"
			}
			got := status(t, s.raw(t, "GET "+tc.path+" HTTP/1.1\r\nHost: "+tc.host+"\r\n"+auth+"Connection: close\r\n\r\n"))
			if got != want {
				t.Errorf("%s%s by %q: %d, want %d", tc.host, tc.path, name, got, want)
			}
		}
	}
}
