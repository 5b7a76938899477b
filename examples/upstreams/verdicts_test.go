// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// verdict is the status that each caller gets.
type verdict struct{ anonymous, alice, root int }

var (
	isPublic     = verdict{200, 200, 200}
	isRefused    = verdict{400, 400, 400}
	needsAccount = verdict{401, 200, 200}
	isRestricted = verdict{401, 403, 200}
)

// verdictRules are those of the table.
func verdictRules() []gateway.Rule {
	return []gateway.Rule{
		{Pattern: "/static/", Access: gateway.Public},
		{Pattern: "/healthz", Access: gateway.Public},
		{Pattern: "/u/{id}", Access: gateway.Public},
		{Pattern: "/admin/", Groups: []string{"ops"}},
		{Pattern: "/u/me", Groups: []string{"ops"}},
		{Pattern: "/v1/", Groups: []string{"ops"}},
		{Pattern: "/v1.1/"},
		{Pattern: "/files/{id}/secret", Groups: []string{"ops"}},
	}
}

// verdicts is the table of expected verdicts.
var verdicts = []struct {
	verdict verdict
	prefix  string
	paths   []string
}{
	{isPublic, "/static/", []string{
		"", "a.css", "a%20b.css", "%E4%BD%A0.png", "%e4%bd%a0.png", "a!$&'()*+,=:@[1]", "%28%2B%40", "e%CC%81", "100%25.pdf", "What%3F.mp3", "C%23.pdf", ".well-known", "x/y.js",
	}},
	{isPublic, "", []string{"/healthz", "/healthz?x=/admin/", "/u/7", "/u/bob", "/u/metoo"}},
	{isRefused, "/static/", []string{
		"...", "%E2%80%A6", "..%3Fx", "..%20", "..:/", "%C0%AE", "%EF%BC%8E%EF%BC%8E", "a;b", "%2541", "5%25ad", "x%00", "../admin/", "%2e%2e/admin/", "..%2fadmin/", "..%5cadmin/", "a//b",
		"..;/admin/", "%20", "a%2Fb", `a\b`, ".",
	}},
	{isRefused, "", []string{"//h/admin", "//h/healthz", "/./healthz", "/%2e/healthz", "/healthz%2f", "/healthz;x", "/files/a%2Fb/secret", "/%c0%afadmin/"}},
	{needsAccount, "", []string{
		"/", "/orders", "/%68ealthz", "/HEALTHZ", "/healthz.json", "/healthz/", "/%73tatic/x", "/static", "/Static/x", "/static/%7Eu", "/static/a|b", "/static/x.php/", "/u/a%EF%BC%8Fb", "/u/", "/u/7/x", "/u/%37",
		"/admin-guide", "/administrator", "/v1.1/x", "/files/a",
	}},
	{isRestricted, "", []string{
		"/admin", "/admin/", "/admin.json", "/admin~", "/admin.", "/admin%20", "/admin::$DATA", "/index.php/admin/", "/adm%C3%ADn", "/admin/Login", "/ADMIN/x", "/%61dmin/x", "/admin,x", "/admin*",
		"/admin%3Fx", "/admin%23x", "/static/x.php/admin/", "/a/x.php/admin/x", "/ａdmin/", "/%EF%BD%81dmin/", "/ad%C2%ADmin/",
		"/u/me", "/u/ME", "/u/m%C3%A9", "/u/me.json", "/u/me%3Fx", "/u/me/", "/u/%6de",
		"/v1/x", "/v1.json", "/V1/x", "/v1.2/x",
	}},
}

// rawVerdicts are those beneath an AllowRawPaths of "/files/".
var rawVerdicts = []struct {
	verdict verdict
	paths   []string
}{
	{isRestricted, []string{"/files/a%2Fb/secret", "/files/a/secret", "/files/a%252Fb/secret", `/files/a\b/secret`, "/files/a%5cb/secret", "/files/a//b/secret", "/files/a;x/secret", "/files/a/secret;x"}},
	{isRefused, []string{
		"/files/%E2%80%8B/secret", "/files/../admin/", "/files/%2e%2e/admin/", "/files/x%2f..%2f../admin/", "/files/x%2fy/%2e%2e/%2e%2e/admin/secret.txt", "/files/..%5cadmin/", "/files/..;/admin/",
		"/files/%252e%252e/admin/", "/files/x%00", "/files/%c0%ae%c0%ae/admin/", "/files/a;b%2fc", "//h/files/x", "/x/a%2fb", "/files/%EF%BC%8E%EF%BC%8E/admin/", "/files/%20/x",
	}},
	{needsAccount, []string{"/files/a", "/files/a%2Fb", "/files/a;x", "/files/a//b", "/files/%E9t%E9", "/files/a%252Fb", "/files/a%09b"}},
}

// The gateway answers as the table says, end to end.
func TestVerdictsOfGateway(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(mark(public, ""))
	t.Cleanup(upstream.Close)
	addr := upstream.Listener.Addr().String()
	strict := behindGateway(t, addr, gateway.Config{Rules: verdictRules()})
	raw := behindGateway(t, addr, gateway.Config{Rules: verdictRules(), AllowRawPaths: []string{"/files/"}})
	eachVerdict(func(target string, allowRaw bool, want verdict) {
		c := &client{front: strict}
		if allowRaw {
			c = &client{front: raw}
		}
		defer c.close()
		var got verdict
		for who, status := range map[account]*int{anonymous: &got.anonymous, alice: &got.alice, root: &got.root} {
			a, err := c.do(input{method: "GET", target: target}, who)
			if err != nil {
				t.Fatal(err)
			}
			*status = a.status
		}
		if got != want {
			t.Errorf("raw %v: %s: %v, want %v", allowRaw, target, got, want)
		}
	})
}

// Forward-auth gives the same verdicts.
func TestVerdictsOfForwardAuth(t *testing.T) {
	t.Parallel()
	strict := newGateway(t, gateway.Config{Rules: verdictRules(), ForwardAuth: gateway.Nginx})
	raw := newGateway(t, gateway.Config{Rules: verdictRules(), ForwardAuth: gateway.Nginx, AllowRawPaths: []string{"/files/"}})
	eachVerdict(func(target string, allowRaw bool, want verdict) {
		policy := strict
		if allowRaw {
			policy = raw
		}
		in := input{method: "GET", target: target}
		got := verdict{ask(policy, in, anonymous), ask(policy, in, alice), ask(policy, in, root)}
		if got != want {
			t.Errorf("raw %v: %s: %v, want %v", allowRaw, target, got, want)
		}
	})
}

// eachVerdict visits the table: once as it is, and once more where raw paths are allowed
// elsewhere, which changes nothing.
func eachVerdict(visit func(target string, allowRaw bool, want verdict)) {
	for _, row := range verdicts {
		for _, path := range row.paths {
			visit(row.prefix+path, false, row.verdict)
			if !strings.HasPrefix(path, "/files/") {
				visit(row.prefix+path, true, row.verdict)
			}
		}
	}
	for _, row := range rawVerdicts {
		for _, path := range row.paths {
			visit(path, true, row.verdict)
		}
	}
}

// What is public for the gateway is public for the library in front of and inside of each
// router, and nothing else is. What the table restricts besides "/u/me" is for the service to
// restrict.
func TestVerdictsOfLibrary(t *testing.T) {
	t.Parallel()
	for _, r := range routers() {
		for _, named := range []bool{true, false} {
			l, ok := newLibrary(t, r, named)
			if !ok {
				continue
			}
			t.Run(strings.ReplaceAll(l.name, " ", "_"), func(t *testing.T) {
				t.Parallel()
				s := httptest.NewServer(l.handler)
				t.Cleanup(s.Close)
				c := &client{front: front{addr: s.Listener.Addr().String(), host: "h"}}
				defer c.close()
				for _, row := range verdicts {
					for _, path := range row.paths {
						if target := row.prefix + path; isForLibrary(target, row.verdict, named) {
							libraryVerdict(t, c, target, row.verdict == isPublic)
						}
					}
				}
			})
		}
	}
}

func libraryVerdict(t *testing.T, c *client, target string, open bool) {
	t.Helper()
	got, err := c.do(input{method: "GET", target: target}, anonymous)
	if err != nil {
		t.Fatal(err)
	}
	k, _ := got.marker()
	if open && (got.status != http.StatusOK || k != public) || !open && k != "" {
		t.Errorf("%s: %d %q, want public: %v", target, got.status, k, open)
	}
}

// isForLibrary reports whether a row of the table holds for the library. "/u/{id}" is public
// only where Config.Routes knows that "/u/me" is another route, and the router alone says what
// "/u/ME" is.
func isForLibrary(target string, want verdict, named bool) bool {
	if !strings.HasPrefix(target, "/u/") {
		return true
	}
	return named && (want != isRestricted || target == "/u/me" || target == "/u/%6de")
}

// Requests that are unusual in another part than the path.
func TestVerdictsOfOtherForms(t *testing.T) {
	t.Parallel()
	upstream := startMirrors(t)
	f := behindGateway(t, upstream, gateway.Config{AllowRawPaths: []string{"/files/"}})
	c := &client{front: f}
	defer c.close()
	for _, tt := range []struct {
		in   input
		who  account
		want []int
	}{
		{input{method: "GET", target: "http://h/healthz"}, anonymous, []int{200}},
		{input{method: "GET", target: "http://h/admin/"}, alice, []int{403}},
		{input{method: "GET", target: "http://h/%68ealthz"}, anonymous, []int{401}},
		{input{method: "GET", target: "http://h//admin/"}, alice, []int{400}},
		{input{method: "GET", target: "http://h/static/../admin/"}, alice, []int{400}},
		{input{method: "GET", target: "/admin/", host: "unknown.example"}, alice, []int{403}},
		{input{method: "GET", target: "/healthz", host: "unknown.example"}, anonymous, []int{200}},
		{input{method: "GET", target: "/healthz#x"}, anonymous, []int{400, 401}},
		{input{method: "GET", target: "/admin/#/../static/a.css"}, alice, []int{400, 403}},
		{input{method: "GET", target: "/static/x#/../../admin/"}, alice, []int{400, 403}},
		{input{method: "GET", target: "/admin#x"}, alice, []int{400, 403}},
		{input{method: "OPTIONS", target: "*"}, anonymous, []int{400, 401}},
		{input{method: "POST", target: "/healthz"}, anonymous, []int{401}},
		{input{method: "POST", target: "/healthz?_method=GET"}, anonymous, []int{401}},
		{input{method: "HEAD", target: "/healthz"}, anonymous, []int{200}},
		{input{method: "GET", target: "/healthz", header: []string{"X-Original-URL: /admin/", "X-Rewrite-URL: /admin/"}}, anonymous, []int{200}},
		{input{method: "GET", target: "/static/" + strings.Repeat("a", 9000)}, anonymous, []int{414}},
		{input{method: "GET", target: "/files/" + strings.Repeat("%2f", 3000)}, alice, []int{414}},
	} {
		got, err := c.do(tt.in, tt.who)
		if err != nil {
			t.Fatal(err)
		}
		ok := false
		for _, want := range tt.want {
			ok = ok || got.status == want
		}
		if k, line := got.marker(); !ok || forbidden(tt.who, k) {
			t.Errorf("%s: %.80s: %d %q, want %v", tt.who, tt.in.line(), got.status, line, tt.want)
		}
	}
}

// ask returns the status that nginx is asked to answer.
func ask(policy http.Handler, in input, who account) int {
	question := parse(input{method: http.MethodGet, target: "/", host: "h"}, who)
	host := in.host
	if host == "" {
		host = "h"
	}
	for name, value := range map[string]string{
		"X-Original-Method": in.method, "X-Original-Uri": in.target, "X-Original-Host": host,
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https",
	} {
		question.Header[name] = []string{value}
	}
	var w capture
	policy.ServeHTTP(&w, question)
	if status, err := strconv.Atoi(w.Header().Get("X-Auth-Status")); err == nil {
		return status
	}
	return w.status
}
