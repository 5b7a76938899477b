// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// expect sends a GET and compares the status. Content that the caller must not get is an error
// too.
func expect(t *testing.T, f front, who account, target string, want ...int) {
	t.Helper()
	c := &client{front: f}
	defer c.close()
	got, err := c.do(input{method: "GET", target: target}, who)
	if err != nil {
		t.Fatal(err)
	}
	ok := false
	for _, status := range want {
		ok = ok || got.status == status
	}
	if k, line := got.marker(); !ok || forbidden(who, k) {
		t.Errorf("%s: %s %s: %d %q, want %v", f.name, who, target, got.status, line, want)
	}
}

// served returns a front without a gateway: a handler on loopback.
func served(t *testing.T, name string, h http.Handler) front {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return front{name: name, addr: s.Listener.Addr().String(), host: "h"}
}

// The upstreams that route the path as it was sent, so that "/%68ealthz" is for their catch-all.
func rawUpstreams(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{"express": startExpress(t)}
	for _, r := range routers() {
		switch r.name {
		case "chi", "echo v4", "echo v5", "gorilla UseEncodedPath", "gin UseRawPath":
			site, _ := r.build(nil)
			found[r.name] = served(t, r.name, site).addr
		}
	}
	return found
}

var encodedUnreserved = []string{"/%68ealthz", "/%73tatic/x", "/static%2Fx", "/u%2F7", "/%75/7"}

// A public path in another spelling is not public: routers of the raw path take it for their
// catch-all.
func TestEncodedUnreservedOpensNoCatchAll(t *testing.T) {
	t.Parallel()
	t.Run("library", func(t *testing.T) {
		t.Parallel()
		for _, r := range routers() {
			for _, named := range []bool{true, false} {
				l, ok := newLibrary(t, r, named)
				if !ok {
					continue
				}
				f := served(t, l.name, l.handler)
				expect(t, f, anonymous, "/healthz", 200)
				for _, target := range encodedUnreserved {
					// a router may redirect before the middleware
					expect(t, f, anonymous, target, 401, 301, 307, 308)
				}
			}
		}
	})
	t.Run("gateway", func(t *testing.T) {
		t.Parallel()
		for name, upstream := range rawUpstreams(t) {
			f := behindGateway(t, upstream, gateway.Config{})
			f.name = name
			expect(t, f, anonymous, "/healthz", 200)
			for _, target := range encodedUnreserved {
				expect(t, f, anonymous, target, 401, 400)
			}
		}
	})
	for name, behind := range proxies {
		t.Run("forward-auth "+name, func(t *testing.T) {
			t.Parallel()
			f := behind(t, startExpress(t), gateway.Config{})
			expect(t, f, anonymous, "/healthz", 200)
			for _, target := range encodedUnreserved {
				expect(t, f, anonymous, target, 401, 400)
			}
		})
	}
}

// A rule that names a path letter by letter says nothing about another spelling of it: for a
// router of the raw path that is another route, with another rule.
func TestLiteralRuleLiftsNoOtherRule(t *testing.T) {
	t.Parallel()
	mux := chiRouter()
	mux.Handle("/report", mark(protected, "report"))
	mux.Handle("/{page}", mark(restricted, "page"))
	f := behindGateway(t, served(t, "chi", mux).addr, gateway.Config{Rules: []gateway.Rule{{Pattern: "/{page}", Groups: []string{"ops"}}, {Pattern: "/report"}}})
	expect(t, f, alice, "/report", 200)
	expect(t, f, alice, "/other", 403)
	expect(t, f, root, "/%72eport", 200)
	expect(t, f, alice, "/%72eport", 403)
	expect(t, f, alice, "/repor%74", 403)
}

// Beneath --allow-raw-path a dot segment is refused in every spelling: Apache and new URL()
// resolve segments that lie between encoded slashes in another way.
func TestRawPathHasNoDotSegment(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(testing.TB) string{
		"apache": startApacheSite, "node-url": startNodeURL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := behindGateway(t, begin(t), gateway.Config{
				AllowRawPaths: []string{"/files/"}, Rules: []gateway.Rule{{Pattern: "/admin/", Groups: []string{"ops"}}},
			})
			expect(t, f, root, "/admin/secret.txt", 200)
			for _, target := range []string{
				"/files/x%2fy/%2e%2e/%2e%2e/admin/secret.txt", "/files/x%2fy/../../admin/secret.txt", "/files/x%2Fy%2F..%2F../%2e%2e/admin/secret.txt",
				"/files/a%5cb/%2e%2e/%2e%2e/admin/secret.txt", "/files/%252e%252e/admin/secret.txt",
			} {
				expect(t, f, alice, target, 400)
				expect(t, f, root, target, 400)
			}
		})
	}
}

// With --allow-raw-path / an empty first segment is refused: new URL() and parse_url take what
// follows for a host.
func TestRawPathHasNoEmptyFirstSegment(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(testing.TB) string{
		"node-url": startNodeURL, "php-fpm": startPHP,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := behindGateway(t, begin(t), gateway.Config{AllowRawPaths: []string{"/"}})
			expect(t, f, root, "/admin/", 200)
			for _, target := range []string{"//anyhost/admin/", `/\anyhost/admin/`, "/%2fanyhost/admin/", "///anyhost/admin/", "/%5canyhost/admin/", "//anyhost/u/me"} {
				expect(t, f, alice, target, 400)
			}
		})
	}
}

// A front controller routes by what follows the script, so a rule holds there too.
func TestRuleHoldsBehindScript(t *testing.T) {
	t.Parallel()
	f := behindGateway(t, startPHP(t), gateway.Config{})
	for _, target := range []string{
		"/index.php/admin/", "/index.php/admin", "/index.php/admin/x", "/x.php/admin/", "/INDEX.PHP/admin/", "/a/b.php/u/me", "/index.php/index.php/admin/", "/index%2Ephp/admin/",
		"/index.php/Admin/", "/index.php/files/private/x",
	} {
		expect(t, f, alice, target, 403, 400)
	}
	expect(t, f, root, "/index.php/admin/", 200)
	expect(t, f, alice, "/index.php/orders", 200)
	for _, target := range []string{"/static/x.php/admin/", "/static/x.php/orders", "/static/x.php/", "/u/x.php/orders"} {
		expect(t, f, anonymous, target, 401)
	}
	expect(t, f, anonymous, "/static/x.php", 200)
}

// A script also runs for what follows its name, so a rule that names a script holds there too.
func TestRuleOfScriptHoldsForItsPathInfo(t *testing.T) {
	t.Parallel()
	runs := func(w http.ResponseWriter, r *http.Request) {
		k := protected
		if script, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); script == "admin.php" {
			k = restricted
		}
		mark(k, r.URL.Path)(w, r)
	}
	f := behindGateway(t, served(t, "scripts", http.HandlerFunc(runs)).addr, gateway.Config{Rules: []gateway.Rule{{Pattern: "/admin.php", Groups: []string{"ops"}}}})
	expect(t, f, alice, "/orders.php/x", 200)
	expect(t, f, root, "/admin.php/x", 200)
	for _, target := range []string{"/admin.php", "/admin.php/", "/admin.php/x", "/admin.php/x/y.css"} {
		expect(t, f, alice, target, 403)
	}
}

// With Routes, the route that runs must itself be public, not a less specific one.
func TestMoreSpecificRouteIsNotPublic(t *testing.T) {
	t.Parallel()
	mux := serveMux()
	mux.Handle("/health", mark(public, "health"))
	mux.Handle("admin.example/health", mark(restricted, "health of the other host"))
	mux.Handle("POST /static/upload", mark(restricted, "upload"))
	cfg := auth()
	cfg.Routes, cfg.Public = mux, []string{"GET /u/{id}", "/health", "/static/"}
	mw, err := otelauth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mw.Close() })
	f := served(t, "ServeMux", mw.Wrap(mux))
	expect(t, f, anonymous, "/u/7", 200)
	expect(t, f, anonymous, "/health", 200)
	expect(t, f, anonymous, "/static/a", 200)
	expect(t, f, anonymous, "/u/me", 401)
	expect(t, f, root, "/u/me", 200)
	c := &client{front: f}
	defer c.close()
	for _, in := range []input{
		{method: "GET", target: "/health", host: "admin.example"},
		{method: "GET", target: "/health", host: "ADMIN.example:8080"},
		{method: "GET", target: "http://admin.example/health"},
		{method: "POST", target: "/static/upload"},
	} {
		got, err := c.do(in, anonymous)
		if err != nil {
			t.Fatal(err)
		}
		if k, line := got.marker(); k == restricted || got.status != http.StatusUnauthorized && k != public {
			t.Errorf("%s: %d %q, want 401", in.line(), got.status, line)
		}
	}
}

// Rules also apply to a path after full case folding and the removal of accents.
func TestFoldedLettersAreRestricted(t *testing.T) {
	t.Parallel()
	folds := func(w http.ResponseWriter, r *http.Request) {
		path := strings.ReplaceAll(dropMarks(foldCase(norm.NFKD.String(r.URL.Path))), "ı", "i")
		mark(kindOf(path), path)(w, r)
	}
	f := behindGateway(t, served(t, "folds", http.HandlerFunc(folds)).addr, gateway.Config{})
	expect(t, f, alice, "/orders", 200)
	for _, target := range []string{
		"/acce%C3%9F/x", "/acce%E1%BA%9E/x", "/ACCE%C3%9F/x", "/acc%C3%A9ss/x", "/a%CC%81dmin/", "/adm%C3%ADn/", "/adm%C4%B1n/", "/ADM%C4%B0N/", "/u/m%C3%AA", "/acce%C5%BF%C5%BF/x",
		"/%E2%93%90dmin/", "/%F0%9D%90%9Admin/",
	} {
		expect(t, f, alice, target, 403, 400)
		expect(t, f, anonymous, target, 401, 400)
	}
}
