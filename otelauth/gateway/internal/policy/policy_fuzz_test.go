// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway/internal/policy"
	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
)

// fuzzRules hold one restriction of each shape.
var fuzzRules = []policy.Rule{
	{Pattern: "/admin/", Groups: []string{"ops"}},
	{Pattern: "/admin/help/", Public: true},
	{Pattern: "/public/", Public: true},
	{Pattern: "GET /{page}", Public: true},
	{Pattern: "/secret", Accounts: []string{"root"}},
	{Pattern: "/u/{name}/keys", Groups: []string{"keys"}},
	{Pattern: "POST /orders", Groups: []string{"dev"}},
}

// upstreams are the transformations that servers, frameworks and file systems apply to a path.
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
	"spaces": func(s string) string {
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

// chains visits every order of at most three transformations. After a final one (letter case,
// spaces, the last slash) no decoding follows.
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

// restricted returns the rules that a ServeMux applies to the path that the upstream has read.
// The public help inside the restricted area is the only exception.
func restricted(method, p string) (under []*policy.Rule) {
	if !strings.HasPrefix(p, "/") || path.Clean(p) != p && path.Clean(p)+"/" != p || strings.ContainsAny(p, "%\\;") {
		return nil // not read to its end
	}
	r := &http.Request{Method: method, Host: "h", URL: &url.URL{Path: p}}
	help := false
	for i := range fuzzRules {
		if h, _ := fuzzMuxes[i].Handler(r); h == (marker{}) {
			if !fuzzRules[i].Public {
				under = append(under, &fuzzRules[i])
			}
			help = help || fuzzRules[i].Pattern == "/admin/help/"
		}
	}
	return slices.DeleteFunc(under, func(r *policy.Rule) bool { return help && r.Pattern == "/admin/" })
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

// FuzzPolicy checks that the caller of a permitted request satisfies the rule of every path that
// an upstream may read.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		"/admin/x", "/Admin/x", "/admin%2fx", "/%2e/admin/x", "/admin;/x", "/x/../admin/", "/public/..%2fadmin/", "/public/..;/admin/",
		"/public/%252e%252e/admin/", "//admin/", "/admin./x", "/admin /x", "/admin%20/x", "/secret/", "/SECRET.", "/secret%00.png", "/secret%3f",
		"/u/a%2fb/keys", "/u/x/KEYS/", `/public\..\admin/`, "/public/%5c..%5cadmin/", "/a%c0%afdmin", "/%c0%ae%c0%ae/admin/", "/public/%2e%2e%2fsecret",
		"/admin", "/admin/help", "/admin/help/../x", "/ſecret", "/ａdmin/", "/orders/", "/public/%u002e%u002e/admin/", "/.%09./secret", "/admin%0d%0a/",
		"/public/..%20/admin/", "/public/%20../secret", "/public/%E2%80%A5/admin/", "/public%EF%BC%8F..%EF%BC%8Fadmin%EF%BC%8F", "/public/%EF%BC%85%32e./secret", "/secret%EF%BC%9F",
		"/u/%EF%BC%8F/keys", "/u/a//b/keys", "/se%ffcret", "/s%e9cret", "/index.php/admin/x", "/secret.php/x",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	strict, problems := policy.New(fuzzRules, nil)
	if len(problems) > 0 {
		f.Fatal(problems)
	}
	lax, problems := policy.New(fuzzRules, []string{"/"})
	if len(problems) > 0 {
		f.Fatal(problems)
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
		for name, p := range map[string]*policy.Policy{"strict": strict, "lax": lax} {
			var d policy.Decision
			p.Decide(&http.Request{Method: method, Host: "h", URL: u}, &d)
			if d.Refusal.Status != 0 {
				continue
			}
			if d.Unusual && (name == "strict" || d.Public) {
				t.Fatalf("%s: %q passes, public %v", name, raw, d.Public)
			}
			if d.Public && canonicalRead(u) {
				continue // a rule names this spelling, and no server reads it differently
			}
			chains(u.EscapedPath(), func(how, s string) {
				for _, under := range restricted(method, s) {
					for _, user := range users {
						if d.Allows(user) && (user.Name == "" || !allows(under, user)) {
							t.Fatalf("%s: %s %q passes for %q, and an upstream (%s) serves %q of %s", name, method, raw, user.Name, how, s, under.Pattern)
						}
					}
				}
			})
		}
	})
}

// canonicalRead reports whether u is exactly beneath the public exception from a restriction.
func canonicalRead(u *url.URL) bool { return strings.HasPrefix(u.EscapedPath(), "/admin/help/") }

func allows(r *policy.Rule, u otelauth.User) bool {
	return len(r.Accounts)+len(r.Groups) == 0 || slices.Contains(r.Accounts, u.Name) || slices.ContainsFunc(r.Groups, u.In)
}

// FuzzPattern checks that the canonical spelling of a path opens a pattern exactly if
// http.ServeMux would choose it.
func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/x/c", "/b/", "/b/{x}", "/%C3%A9", "/a/b/c/d"} {
		f.Add(seed)
	}
	texts := []string{"/{$}", "/a", "/a/", "/a/b", "/a/{x}/c", "/a/b/c", "/a/{rest...}", "/b/{x}", "/é", "/c/{x}/{$}"}
	patterns := make([]*pathform.Pattern, 0, len(texts))
	for _, text := range texts {
		p, err := pathform.ParsePattern(text)
		if err != nil {
			f.Fatal(err)
		}
		patterns = append(patterns, p)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u := parseTarget(raw)
		if u == nil || u.EscapedPath() != raw {
			return
		}
		var read pathform.Path
		read.Read(u)
		for i, text := range texts {
			alone := http.NewServeMux()
			alone.Handle(text, marker{})
			h, _ := alone.Handler(&http.Request{Method: http.MethodGet, Host: "h", URL: u})
			_, want := h.(marker)
			if got := patterns[i].Opens(&read); got && !want {
				t.Errorf("%q opens %q, and a ServeMux does not", text, raw)
			} else if want && !got && isOrdinary(raw) {
				t.Errorf("%q does not open %q, and a ServeMux does", text, raw)
			}
		}
	})
}

// isOrdinary reports whether the path holds only letters, digits and slashes.
func isOrdinary(raw string) bool {
	return strings.Trim(raw, "/abcdefghijklmnopqrstuvwxyz0123456789") == "" && !strings.Contains(raw, "//") && len(raw) < 200
}

type marker struct{}

func (marker) ServeHTTP(http.ResponseWriter, *http.Request) {}
