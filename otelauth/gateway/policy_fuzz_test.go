// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/internal/rawpath"
)

// fuzzRules have a restriction of each shape.
var fuzzRules = []Rule{
	{Pattern: "/admin/", Groups: []string{"ops"}},
	{Pattern: "/admin/help/", Access: Public},
	{Pattern: "/public/", Access: Public},
	{Pattern: "GET /{page}", Access: Public},
	{Pattern: "/secret", Accounts: []string{"root"}},
	{Pattern: "/u/{name}/keys", Groups: []string{"keys"}},
	{Pattern: "POST /orders", Groups: []string{"dev"}},
}

// An upstream's way with a path, written here once more in another way than in readings.go.
var upstreams = map[string]func(string) string{
	"net/url": func(s string) string {
		if p, err := url.PathUnescape(s); err == nil {
			return p
		}
		return s
	},
	"decode what can be decoded": func(s string) string {
		for i := 0; i+2 < len(s); i++ {
			if s[i] == '%' {
				if p, err := url.PathUnescape(s[i : i+3]); err == nil {
					s = s[:i] + p + s[i+3:]
				}
			}
		}
		return s
	},
	"path.Clean": func(s string) string {
		if strings.HasSuffix(s, "/") {
			return strings.TrimSuffix(path.Clean(s), "/") + "/"
		}
		return path.Clean(s)
	},
	"RFC 3986": func(s string) string {
		u, err := url.Parse("http://h/")
		if err != nil {
			return s
		}
		return u.ResolveReference(&url.URL{Path: s}).Path
	},
	"backslash": func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == '\\' {
				return '/'
			}
			return r
		}, s)
	},
	"servlet": func(s string) string {
		var b strings.Builder
		skip := false
		for _, c := range []byte(s) {
			if c == '/' {
				skip = false
			} else if c == ';' {
				skip = true
			}
			if !skip {
				b.WriteByte(c)
			}
		}
		return b.String()
	},
	"nginx": func(s string) string {
		var b []byte
		for _, c := range []byte(s) {
			if c == '/' && len(b) > 0 && b[len(b)-1] == '/' {
				continue
			}
			b = append(b, c)
		}
		return string(b)
	},
	"blanks": func(s string) string {
		parts := strings.Split(s, "/")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		return strings.Join(parts, "/")
	},
	"compatibility": norm.NFKC.String,
	"C string":      func(s string) string { s, _, _ = strings.Cut(s, "\x00"); return s },
	"query":         func(s string) string { s, _, _ = strings.Cut(s, "?"); return s },
	"lower":         strings.ToLower,
	"Windows": func(s string) string {
		parts := strings.Split(s, "/")
		for i := range parts {
			parts[i] = strings.TrimRight(parts[i], ". ")
		}
		return strings.Join(parts, "/")
	},
	"no slash at the end": func(s string) string {
		if len(s) > 1 {
			return strings.TrimSuffix(s, "/")
		}
		return s
	},
	"APPEND_SLASH": func(s string) string { return strings.TrimSuffix(s, "/") + "/" },
}

// chains are the orders in which an upstream may do what it does, three at most. What ends a chain (letter case, blanks,
// the last slash) is not followed by decoding.
func chains(start string, visit func(how, s string)) {
	final := map[string]bool{"lower": true, "Windows": true, "no slash at the end": true, "APPEND_SLASH": true}
	var walk func(how, s string, depth int, ended bool)
	walk = func(how, s string, depth int, ended bool) {
		visit(how, s)
		if depth == 0 {
			return
		}
		for name, f := range upstreams {
			if ended && !final[name] {
				continue
			}
			if next := f(s); next != s && next != "" {
				walk(how+" → "+name, next, depth-1, ended || final[name])
			}
		}
	}
	walk("as sent", start, 3, false)
}

// restricted asks a ServeMux of its own for each rule which of them a path, as the upstream has it, is under. Public help inside of
// the restricted area is the one exception.
func restricted(method, p string) (under []*Rule) {
	u := &url.URL{Path: p}
	if !rawpath.Normal(u) {
		return nil // it has not come to an end
	}
	r := &http.Request{Method: method, Host: "h", URL: u}
	help := false
	for i := range fuzzRules {
		if h, _ := fuzzMuxes[i].Handler(r); h == (marker{}) {
			if fuzzRules[i].Access == Required {
				under = append(under, &fuzzRules[i])
			}
			help = help || fuzzRules[i].Pattern == "/admin/help/"
		}
	}
	return slices.DeleteFunc(under, func(r *Rule) bool { return help && r.Pattern == "/admin/" })
}

var fuzzMuxes = func() (muxes []*http.ServeMux) {
	for i := range fuzzRules {
		mux := http.NewServeMux()
		mux.Handle(fuzzRules[i].Pattern, marker{})
		muxes = append(muxes, mux)
	}
	return muxes
}()

// parseTarget reads a request target as net/http does.
func parseTarget(raw string) *url.URL {
	u, err := url.ParseRequestURI(raw)
	if err != nil || u.Scheme != "" {
		return nil
	}
	return u
}

// FuzzPolicy: whatever the upstream makes of the path of a request that is passed on, the rule of what it arrives at was
// asked.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		"/admin/x", "/Admin/x", "/admin%2fx", "/%2e/admin/x", "/admin;/x", "/x/../admin/", "/public/..%2fadmin/", "/public/..;/admin/",
		"/public/%252e%252e/admin/", "//admin/", "/admin./x", "/admin /x", "/admin%20/x", "/secret/", "/SECRET.", "/secret%00.png", "/secret%3f",
		"/u/a%2fb/keys", "/u/x/KEYS/", `/public\..\admin/`, "/public/%5c..%5cadmin/", "/a%c0%afdmin", "/%c0%ae%c0%ae/admin/", "/public/%2e%2e%2fsecret",
		"/admin", "/admin/help", "/admin/help/../x", "/ſecret", "/ａdmin/", "/orders/", "/public/%u002e%u002e/admin/", "/.%09./secret", "/admin%0d%0a/",
		"/public/..%20/admin/", "/public/%20../secret", "/public/%E2%80%A5/admin/", "/public%EF%BC%8F..%EF%BC%8Fadmin%EF%BC%8F", "/public/%EF%BC%85%32e./secret", "/secret%EF%BC%9F",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	strict, faults := newPolicy(fuzzRules, nil)
	if len(faults) > 0 {
		f.Fatal(faults)
	}
	lax, faults := newPolicy(fuzzRules, []string{"/"})
	if len(faults) > 0 {
		f.Fatal(faults)
	}
	users := []otelauth.User{{}, {Name: "alice"}, {Name: "dave", Groups: []string{"dev"}}, {Name: "olga", Groups: []string{"ops"}}, {Name: "root"}, {Name: "kim", Groups: []string{"keys", "ops"}}}
	f.Fuzz(func(t *testing.T, raw string, post bool) {
		u := parseTarget(raw)
		if u == nil || len(raw) > 200 || !strings.HasPrefix(raw, "/") {
			return
		}
		method := http.MethodGet
		if post {
			method = http.MethodPost
		}
		for name, p := range map[string]*policy{"strict": strict, "lax": lax} {
			var d decision
			p.decide(&http.Request{Method: method, Host: "h", URL: u}, &d)
			if d.refusal.Status != 0 {
				continue
			}
			if name == "strict" && !rawpath.Normal(u) {
				t.Fatalf("%q passes, and is not in normal form", raw)
			}
			if !rawpath.Normal(u) && d.public {
				t.Fatalf("%q is public, and not in normal form", raw)
			}
			sent := u.EscapedPath()
			chains(sent, func(how, s string) {
				if exactlyNamed(method, u) {
					return
				}
				for _, under := range restricted(method, s) {
					r := rule{Rule: *under}
					for _, user := range users {
						if d.allows(user) && (user.Name == "" || !r.allows(user)) {
							t.Fatalf("%s: %s %q passes for %q, and an upstream (%s) serves %q of %s", name, method, raw, user.Name, how, s, under.Pattern)
						}
					}
				}
			})
		}
	})
}

// exactlyNamed reports whether a rule names the path letter by letter.
func exactlyNamed(method string, u *url.URL) bool {
	return rawpath.Normal(u) && (u.Path == "/secret" || u.Path == "/orders" && method == http.MethodPost)
}

// FuzzPattern: on paths in normal form a rule holds exactly where http.ServeMux would choose its pattern.
func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/x/c", "/b/", "/b/{x}", "/é", "/a/b/c/d"} {
		f.Add(seed, "GET")
		f.Add(seed, "HEAD")
		f.Add(seed, "POST")
	}
	patterns := []string{"/{$}", "/a", "/a/", "GET /a/b", "/a/b", "/a/{x}/c", "/a/b/c", "POST /a/{rest...}", "/b/{x}", "HEAD /b/{x}", "GET /b/", "/é", "/c/{x}/{$}"}
	var rules []*rule
	for _, text := range patterns {
		r, err := newRule(Rule{Pattern: text})
		if err != nil {
			f.Fatal(err)
		}
		rules = append(rules, r)
	}
	m := newMatcher(rules)
	f.Fuzz(func(t *testing.T, raw, method string) {
		u := parseTarget(raw)
		if u == nil || !rawpath.Normal(u) || refuseMethod(method).Status != 0 {
			return
		}
		req := &http.Request{Method: method, Host: "h", URL: u}
		found := m.match(method, "h", split(u.Path, nil), nil)
		got := map[string]bool{}
		for _, r := range found {
			got[r.text] = true
		}
		for i, text := range patterns {
			alone := http.NewServeMux()
			alone.Handle(text, marker{})
			h, _ := alone.Handler(req)
			_, want := h.(marker)
			if rules[i].matchMethod(method) && rules[i].matchPath(split(u.Path, nil)) != want {
				t.Errorf("%s %q matches %q: %v, ServeMux says %v", method, raw, text, !want, want)
			}
			if !want && got[text] {
				t.Errorf("%s %q: %q holds and does not match", method, raw, text)
			}
		}
		// Of each pair that ServeMux can hold, it serves the one that goes first here, unless it redirects.
		for i, a := range patterns {
			for j, b := range patterns[:i] {
				both := http.NewServeMux()
				if handle(both, a) != nil || handle(both, b) != nil {
					continue
				}
				both = http.NewServeMux()
				both.Handle(a, marker{})
				both.Handle(b, marker{})
				h, pattern := both.Handler(req)
				if _, served := h.(marker); !served {
					continue
				}
				pair := newMatcher([]*rule{rules[i], rules[j]})
				if won := pair.match(method, "h", split(u.Path, nil), nil); len(won) != 1 || won[0].text != pattern {
					t.Errorf("%s %q: of %q and %q %d hold, ServeMux takes %q", method, raw, a, b, len(won), pattern)
				}
			}
		}
	})
}

type marker struct{}

func (marker) ServeHTTP(http.ResponseWriter, *http.Request) {}
