// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// seed is an endpoint of the seeded site.
type seed struct {
	path   string
	groups []string
	access probe.Access
	// flaws are the names of planted flaws. Without one the endpoint is a look-alike: something
	// that resembles a flaw and is right.
	flaws []string
	// like names the look-alike.
	like string
}

// accounts are those of the site.
var accounts = map[string]string{"alice": "right-of-alice", "bob": "right-of-bob", "mallory": "right-of-mallory"}

// flaw is a way to plant a flaw.
type flaw struct {
	rule probe.Rule
	// admits lets a request in that has no valid credentials.
	admits func(r *http.Request) bool
	// spelled lets in each request for another spelling that becomes the path of the endpoint.
	spelled func(raw string) string
	// deny replaces the denial.
	deny func(w http.ResponseWriter, r *http.Request, s seed)
	// header is added to the protected answer.
	header [2]string
}

func authorization(r *http.Request) string { return r.Header.Get("Authorization") }

func decoded(r *http.Request) string {
	_, text, _ := strings.Cut(authorization(r), " ")
	b, _ := base64.StdEncoding.DecodeString(text)
	return string(b)
}

func isBasic(r *http.Request) bool { return strings.HasPrefix(authorization(r), "Basic ") }

func valid(user, password string) bool { return user != "" && accounts[user] == password }

func validToken(text string) bool {
	b, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(text), "Basic ")))
	user, password, _ := strings.Cut(string(b), ":")
	return valid(user, password)
}

func unescaped(raw string) string {
	p, err := url.PathUnescape(raw)
	if err != nil {
		return raw
	}
	return p
}

func with(rule probe.Rule, admits func(r *http.Request) bool) flaw {
	return flaw{rule: rule, admits: admits}
}

func spelled(f func(raw string) string) flaw { return flaw{rule: probe.RulePath, spelled: f} }

func has(name string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Header.Get(name) != "" }
}

// flaws are all kinds of planted flaws.
var flaws = map[string]flaw{
	"forgotten":      with(probe.RuleOpen, func(*http.Request) bool { return true }),
	"no header":      with(probe.RuleOpen, func(r *http.Request) bool { return authorization(r) == "" }),
	"any basic":      with(probe.RuleCredentials, func(r *http.Request) bool { return isBasic(r) && strings.Contains(decoded(r), ":") }),
	"empty password": with(probe.RuleCredentials, func(r *http.Request) bool { return strings.HasSuffix(decoded(r), ":") && len(decoded(r)) > 1 }),
	"empty user":     with(probe.RuleCredentials, func(r *http.Request) bool { return strings.HasPrefix(decoded(r), ":") }),
	"any bearer":     with(probe.RuleCredentials, func(r *http.Request) bool { return strings.HasPrefix(authorization(r), "Bearer ") }),
	"fails open":     with(probe.RuleCredentials, func(r *http.Request) bool { return isBasic(r) && decoded(r) == "" }),
	"no colon":       with(probe.RuleCredentials, func(r *http.Request) bool { return decoded(r) != "" && !strings.Contains(decoded(r), ":") }),
	"scheme in case": with(probe.RuleCredentials, func(r *http.Request) bool {
		return strings.EqualFold(authorization(r)[:min(6, len(authorization(r)))], "basic ") && !isBasic(r)
	}),
	"oversized":       with(probe.RuleCredentials, func(r *http.Request) bool { return len(authorization(r)) > 8192 }),
	"NUL in the name": with(probe.RuleCredentials, func(r *http.Request) bool { return strings.Contains(decoded(r), "\x00") }),
	"two fields":      with(probe.RuleCredentials, func(r *http.Request) bool { return len(r.Header["Authorization"]) > 1 }),
	"last field": with(probe.RuleAmbiguous, func(r *http.Request) bool {
		all := r.Header["Authorization"]
		return len(all) > 1 && validToken(all[len(all)-1])
	}),
	"last of a list": with(probe.RuleAmbiguous, func(r *http.Request) bool {
		i := strings.LastIndexByte(authorization(r), ',')
		return i > 0 && validToken(authorization(r)[i+1:])
	}),
	"every group":   with(probe.RuleGroup, func(r *http.Request) bool { user, password, _ := r.BasicAuth(); return valid(user, password) }),
	"case":          spelled(strings.ToLower),
	"slash":         spelled(func(raw string) string { return strings.TrimSuffix(raw, "/") }),
	"slashes":       spelled(func(raw string) string { return strings.ReplaceAll(raw, "//", "/") }),
	"parameters":    spelled(func(raw string) string { p, _, _ := strings.Cut(raw, ";"); return p }),
	"decodes":       spelled(unescaped),
	"decodes twice": spelled(func(raw string) string { return unescaped(unescaped(raw)) }),
	"dots":          spelled(path.Clean),
	"format":        spelled(func(raw string) string { return strings.TrimSuffix(raw, ".json") }),
	"static files":  spelled(func(raw string) string { return strings.TrimSuffix(raw, "/x.css") }),
	"absolute":      with(probe.RulePath, func(r *http.Request) bool { return strings.Contains(r.RequestURI, "://") }),
	"HEAD":          with(probe.RuleMethod, func(r *http.Request) bool { return r.Method == "HEAD" }),
	"other methods": with(probe.RuleMethod, func(r *http.Request) bool {
		return r.Method != "GET" && r.Method != "HEAD" && r.Method != "OPTIONS" && r.Method != "TRACE"
	}),
	"override":     with(probe.RuleMethod, func(r *http.Request) bool { return r.Header.Get("X-HTTP-Method-Override") == "GET" }),
	"loopback":     with(probe.RuleHeader, func(r *http.Request) bool { return r.Header.Get("X-Forwarded-For") == "127.0.0.1" }),
	"remote user":  with(probe.RuleHeader, has("X-Remote-User")),
	"subrequest":   with(probe.RuleHeader, has("X-Middleware-Subrequest")),
	"localhost":    with(probe.RuleHeader, func(r *http.Request) bool { return r.Host == "localhost" }),
	"original URL": {rule: probe.RuleHeader}, // in ServeHTTP
	"HTTP/1.0":     with(probe.RuleProtocol, func(r *http.Request) bool { return r.ProtoMinor == 0 }),
	"body with 302": {rule: probe.RuleOpen, deny: func(w http.ResponseWriter, _ *http.Request, s seed) {
		w.Header().Set("Location", "/login")
		write(w, 302, content(s))
	}},
	"body with 401": {rule: probe.RuleOpen, deny: func(w http.ResponseWriter, _ *http.Request, s seed) { challenge(w); write(w, 401, content(s)) }},
	"echoes": {rule: probe.RuleEcho, deny: func(w http.ResponseWriter, r *http.Request, _ seed) {
		challenge(w)
		write(w, 401, "<p>denied: "+decoded(r)+"</p>")
	}},
	"echoes a field": {rule: probe.RuleEcho, deny: func(w http.ResponseWriter, r *http.Request, _ seed) {
		w.Header().Set("X-Debug-Authorization", authorization(r))
		denied(w, r, seed{})
	}},
	"status by user": {rule: probe.RuleEnumeration, deny: func(w http.ResponseWriter, r *http.Request, _ seed) {
		if user, _, _ := r.BasicAuth(); accounts[user] != "" {
			write(w, 403, "<p>denied</p>")
			return
		}
		denied(w, r, seed{})
	}},
	"text by user": {rule: probe.RuleEnumeration, deny: func(w http.ResponseWriter, r *http.Request, _ seed) {
		challenge(w)
		if user, _, _ := r.BasicAuth(); accounts[user] != "" {
			write(w, 401, "<p>the password of this account is another one</p>")
			return
		}
		write(w, 401, "<p>there is no such account</p>")
	}},
	"no challenge": {rule: probe.RuleChallenge, deny: func(w http.ResponseWriter, _ *http.Request, _ seed) { write(w, 401, "<p>denied</p>") }},
	"crashes": {rule: probe.RuleError, deny: func(w http.ResponseWriter, r *http.Request, _ seed) {
		if authorization(r) != "" && decoded(r) == "" {
			write(w, 500, "<p>binascii.Error: Incorrect padding</p>")
			return
		}
		denied(w, r, seed{})
	}},
	"trace":         {rule: probe.RuleTrace}, // in ServeHTTP
	"public cache":  {rule: probe.RuleCache, header: [2]string{"Cache-Control", "public, max-age=3600"}},
	"shared maxage": {rule: probe.RuleCache, header: [2]string{"Cache-Control", "max-age=60, s-maxage=600"}},
}

// flawed are 30 endpoints with 40 flaws.
var flawed = []seed{
	{path: "/export/customers", flaws: []string{"forgotten"}},
	{path: "/api/v1/prices", flaws: []string{"no header"}},
	{path: "/reports/after-redirect", flaws: []string{"body with 302"}},
	{path: "/reports/with-401", flaws: []string{"body with 401"}},
	{path: "/stub/login", flaws: []string{"any basic"}},
	{path: "/ldap/bind", flaws: []string{"empty password"}},
	{path: "/ldap/anonymous", flaws: []string{"empty user"}},
	{path: "/tokens/any", flaws: []string{"any bearer", "shared maxage"}},
	{path: "/parser/open", flaws: []string{"fails open"}},
	{path: "/parser/colon", flaws: []string{"no colon"}},
	{path: "/parser/scheme", flaws: []string{"scheme in case", "no challenge"}},
	{path: "/parser/long", flaws: []string{"oversized"}},
	{path: "/parser/nul", flaws: []string{"NUL in the name", "crashes"}},
	{path: "/parser/last", flaws: []string{"last field", "last of a list", "echoes"}},
	{path: "/admin/panel", groups: []string{"admin"}, flaws: []string{"every group"}},
	{path: "/router/case", flaws: []string{"case", "status by user"}},
	{path: "/router/slash", flaws: []string{"slash", "text by user"}},
	{path: "/router/slashes", flaws: []string{"slashes", "HEAD"}},
	{path: "/router/parameters", flaws: []string{"parameters"}},
	{path: "/router/decodes", flaws: []string{"decodes", "trace"}},
	{path: "/router/twice", flaws: []string{"decodes twice"}},
	{path: "/router/dots", flaws: []string{"dots"}},
	{path: "/router/format", flaws: []string{"format", "other methods"}},
	{path: "/router/static", flaws: []string{"static files"}},
	{path: "/router/absolute", flaws: []string{"absolute"}},
	{path: "/verbs/override", flaws: []string{"override"}},
	{path: "/proxy/loopback", flaws: []string{"loopback"}},
	{path: "/proxy/user", flaws: []string{"remote user"}},
	{path: "/proxy/rewrite", flaws: []string{"original URL"}},
	{path: "/proxy/old", flaws: []string{"HTTP/1.0"}},
}

// alike are 30 endpoints that resemble flaws and are right.
var alike = []seed{
	{path: "/home", access: probe.Optional, like: "optional authentication, declared"},
	{path: "/welcome", like: "optional authentication, not declared"},
	{path: "/account/orders", like: "redirect to a login page"},
	{path: "/account/profile", like: "login page with 200"},
	{path: "/api/v2/orders", like: "error as JSON with 200"},
	{path: "/account/basket", like: "error in the template with 200"},
	{path: "/internal/hidden", like: "404 for hidden"},
	{path: "/internal/forbidden", like: "403 without challenge"},
	{path: "/static/site.css", access: probe.Public, like: "public"},
	{path: "/static/logo", access: probe.Public, like: "public with a shared cache"},
	{path: "/private/cache", like: "private cache"},
	{path: "/private/store", like: "no-store beside public"},
	{path: "/loose/case", like: "case is ignored, authentication too"},
	{path: "/loose/slash", like: "slash is redirected"},
	{path: "/loose/dots", like: "dots are redirected"},
	{path: "/loose/spa", like: "each other path is the index page"},
	{path: "/dynamic/page", like: "content changes"},
	{path: "/tiny/status", like: "few words"},
	{path: "/tiny/empty", like: "no content"},
	{path: "/template/heavy", like: "denial has most words of the control"},
	{path: "/group/denied", groups: []string{"admin"}, like: "group: 403"},
	{path: "/group/asked", groups: []string{"admin"}, like: "group: a page with 200 that asks for access"},
	{path: "/group/hidden", groups: []string{"admin"}, like: "group: 404"},
	{path: "/group/both", groups: []string{"admin", "staff"}, like: "group: both may"},
	{path: "/verbs/preflight", like: "OPTIONS is answered to all"},
	{path: "/verbs/first", like: "405 before authentication"},
	{path: "/parser/strict", like: "400 for what is malformed"},
	{path: "/errors/quote", like: "error page that quotes path and user name"},
	{path: "/errors/nonce", like: "denial with a nonce"},
	{path: "/proxy/ignored", like: "denial that shows forwarding headers"},
}

// content is what only users may see.
func content(s seed) string {
	name := strings.NewReplacer("/", " ", "-", " ").Replace(s.path)
	var rows strings.Builder
	for i, word := range strings.Fields(name) {
		for j := range 5 {
			fmt.Fprintf(&rows, "<tr><td>%s%cx%c</td></tr>", word, 'a'+byte(j), 'k'+byte(i))
		}
	}
	return "<table>" + rows.String() + "</table>"
}

// write answers in the template of the site.
func write(w http.ResponseWriter, status int, body string) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html><title>The shop</title><nav>Start Orders Customers Reports Help</nav><main>%s</main><footer>Contact Imprint Privacy</footer>", body)
}

func challenge(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="shop", charset="UTF-8"`)
}

func denied(w http.ResponseWriter, _ *http.Request, _ seed) {
	challenge(w)
	write(w, http.StatusUnauthorized, "<p>An account is required.</p>")
}

// site is the seeded site.
type site struct{ seeds []seed }

func rawPath(r *http.Request) string {
	raw := r.RequestURI
	if _, rest, found := strings.Cut(raw, "://"); found {
		_, raw, _ = strings.Cut(rest, "/")
		raw = "/" + raw
	}
	raw, _, _ = strings.Cut(raw, "?")
	return raw
}

// find returns the endpoint of a request, and whether its path is spelled as another one.
func (x site) find(r *http.Request) (s seed, bypass, found bool) {
	raw := rawPath(r)
	for _, s := range x.seeds {
		if s.path == raw {
			return s, false, true
		}
		for _, name := range s.flaws {
			if f := flaws[name]; f.spelled != nil && f.spelled(raw) == s.path {
				return s, true, true
			}
			if name == "original URL" && r.Header.Get("X-Original-URL") == s.path {
				return s, true, true
			}
		}
		if s.path == "/loose/case" && strings.EqualFold(raw, s.path) {
			return s, false, true
		}
	}
	return seed{}, false, false
}

func (x site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if to := path.Clean(rawPath(r)); to != rawPath(r) && (to == "/loose/slash" || to == "/loose/dots") {
		http.Redirect(w, r, to, http.StatusMovedPermanently)
		return
	}
	// The rewriting proxy looks at the header after authentication of the path that was sent.
	s, bypass, found := x.find(r)
	if original := r.Header.Get("X-Original-URL"); original != "" && rawPath(r) != original {
		for _, other := range x.seeds {
			if other.path == original && len(other.flaws) == 1 && other.flaws[0] == "original URL" {
				s, bypass, found = other, true, true
			}
		}
	}
	if !found {
		x.absent(w, r)
		return
	}
	user, password, _ := r.BasicAuth()
	isUser := valid(user, password) && len(r.Header["Authorization"]) == 1
	allowed := isUser && (len(s.groups) == 0 || user == "alice" || len(s.groups) > 1)
	deny := denied
	for _, name := range s.flaws {
		f := flaws[name]
		if f.admits != nil && f.admits(r) {
			bypass = true
		}
		if f.deny != nil {
			deny = f.deny
		}
		if f.header[0] != "" {
			w.Header().Set(f.header[0], f.header[1])
		}
		if name == "trace" && r.Method == "TRACE" {
			w.Header().Set("Content-Type", "message/http")
			fmt.Fprintf(w, "TRACE %s HTTP/1.1\r\n", r.RequestURI)
			_ = r.Header.Write(w)
			return
		}
	}
	switch {
	case s.like != "":
		resemble(w, r, s, user, isUser, allowed)
	case allowed || bypass:
		write(w, http.StatusOK, content(s))
	case isUser:
		write(w, http.StatusForbidden, "<p>not for this account</p>")
	default:
		deny(w, r, s)
	}
}

func (x site) absent(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(rawPath(r), "loose/spa") || strings.Contains(rawPath(r), "LOOSE/SPA") {
		write(w, http.StatusOK, "<div id=app></div><script src=/static/app.js></script>")
		return
	}
	write(w, http.StatusNotFound, "<p>There is no page "+r.RequestURI+" here.</p>")
}

// resemble answers as a look-alike.
func resemble(w http.ResponseWriter, r *http.Request, s seed, user string, isUser, allowed bool) {
	body := content(s)
	switch s.like {
	case "optional authentication, declared", "optional authentication, not declared":
		switch {
		case isUser:
			write(w, 200, body+"<p>signed in as "+user+"</p>")
		case authorization(r) == "":
			write(w, 200, body+"<p>welcome, guest</p>")
		default:
			denied(w, r, s)
		}
		return
	case "public":
		write(w, 200, "body { margin: 0 }")
		return
	case "public with a shared cache":
		w.Header().Set("Cache-Control", "public, max-age=86400")
		write(w, 200, "<svg/>")
		return
	case "405 before authentication":
		if r.Method != "GET" && r.Method != "HEAD" {
			w.Header().Set("Allow", "GET, HEAD")
			write(w, 405, "<p>method not allowed</p>")
			return
		}
	case "OPTIONS is answered to all":
		if r.Method == "OPTIONS" {
			w.Header().Set("Allow", "GET, HEAD, OPTIONS")
			w.WriteHeader(204)
			return
		}
	case "400 for what is malformed":
		if a := r.Header["Authorization"]; len(a) > 1 || len(a) == 1 && (len(a[0]) > 1000 || !strings.Contains(decoded(r), ":")) {
			write(w, 400, "<p>bad request</p>")
			return
		}
	case "private cache":
		w.Header().Set("Cache-Control", "private, s-maxage=600")
	case "no-store beside public":
		w.Header().Set("Cache-Control", "public, no-store")
	case "content changes":
		body += "<p>" + rand.Text() + " " + rand.Text() + "</p>"
	case "few words":
		body = `{"ok": true}`
	}
	switch {
	case allowed && s.like == "no content":
		w.WriteHeader(204)
	case allowed:
		write(w, 200, body)
	case isUser:
		resembleGroup(w, s)
	default:
		resembleDenial(w, r, s)
	}
}

func resembleGroup(w http.ResponseWriter, s seed) {
	switch s.like {
	case "group: a page with 200 that asks for access":
		write(w, 200, "<p>You need the group admin. <a href=/ask>Ask for access</a></p>"+content(s)[:len("<table><tr><td>groupaxk</td></tr>")])
	case "group: 404":
		write(w, 404, "<p>There is no page here.</p>")
	default:
		write(w, 403, "<p>not for this account</p>")
	}
}

func resembleDenial(w http.ResponseWriter, r *http.Request, s seed) {
	switch s.like {
	case "redirect to a login page":
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.Path), http.StatusFound)
	case "login page with 200":
		write(w, 200, `<form><input name=user><input type="password" name=p></form>`)
	case "error as JSON with 200":
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"error": {"code": 401, "message": "unauthorized"}}`)
	case "error in the template with 200":
		write(w, 200, "<p>Sorry, this page is for customers.</p>")
	case "404 for hidden":
		write(w, 404, "<p>There is no page "+r.RequestURI+" here.</p>")
	case "403 without challenge":
		write(w, 403, "<p>forbidden</p>")
	case "few words":
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"ok": false}`)
	case "denial has most words of the control":
		challenge(w)
		write(w, 401, strings.Replace(content(s), "<td>template", "<td>locked", 1)[:80])
	case "error page that quotes path and user name":
		user, _, _ := r.BasicAuth()
		challenge(w)
		write(w, 401, "<p>"+r.RequestURI+" is not for "+user+"</p>")
	case "denial with a nonce":
		w.Header().Set("WWW-Authenticate", `Digest realm="shop", nonce="`+rand.Text()+`", Basic realm="shop"`)
		write(w, 401, "<p>denied, incident "+rand.Text()+" "+words()+"</p>")
	case "denial that shows forwarding headers":
		challenge(w)
		write(w, 401, "<p>denied for "+r.Header.Get("X-Forwarded-For")+r.Header.Get("X-Remote-User")+"</p>")
	default:
		denied(w, r, s)
	}
}

// words returns a few words that differ each time.
func words() string {
	all := []string{"amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath"}
	b := make([]byte, 3)
	_, _ = rand.Read(b)
	return all[b[0]%8] + " " + all[b[1]%8] + " " + all[b[2]%8]
}
