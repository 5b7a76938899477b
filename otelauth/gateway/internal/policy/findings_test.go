// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway/internal/policy"
)

// What the callers of the tests below may do.
const (
	isRefused = "refused"
	isPublic  = "public"
	isAllowed = "allowed" // for any account
	isDenied  = "denied"  // to an account without groups
)

// ask returns what an account without groups may do. fields are pairs of a header.
func ask(t *testing.T, p *policy.Policy, method, host, target string, fields ...string) string {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: method, Host: host, URL: u, Header: http.Header{}}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	var d policy.Decision
	p.Decide(r, &d)
	switch {
	case d.Refusal.Status != 0:
		return isRefused
	case d.Allows(otelauth.User{}):
		return isPublic
	case d.Allows(otelauth.User{Name: "alice"}):
		return isAllowed
	}
	return isDenied
}

func newPolicy(t *testing.T, raw []string, rules ...policy.Rule) *policy.Policy {
	t.Helper()
	p, problems := policy.New(rules, raw)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return p
}

// ops restricts a pattern to a group.
func ops(pattern string) policy.Rule { return policy.Rule{Pattern: pattern, Groups: []string{"ops"}} }

// A wildcard stands for as many segments as the rest of the pattern needs, not for the fewest.
func TestWildcardOfSeveralSegmentsIsNotGreedy(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, []string{"/"}, ops("/projects/{id}/access/tokens"), ops("/x/{a}/y/{b}/z/secret"))
	for target, want := range map[string]string{
		"/projects/7/access/tokens":                   isDenied,
		"/projects/a%2Fb/access/tokens":               isDenied,
		"/projects/a%2Faccess/access/tokens":          isDenied,
		"/projects/access%2Faccess%2Fb/access/tokens": isDenied,
		"/projects/a%2Fb/issues":                      isAllowed,
		"/x/y%2Fz/y/z%2Fz/z/secret":                   isDenied,
		"/x/a%2Fy/y/z/z%2Fz/secret/":                  isDenied,
		"/x/a%2Fy/y/z/z%2Fz/public/":                  isAllowed,
	} {
		if got := ask(t, p, "GET", "h", target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

// A host counts as one of the rules in one spelling only. http.ServeMux and others compare hosts
// byte by byte, and show "SHOP.example" and "shop.example." the site without a host.
func TestHostIsComparedExactlyWhereItOpens(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, nil, ops("/"), policy.Rule{Pattern: "shop.example/"}, policy.Rule{Pattern: "shop.example/docs/", Public: true}, ops("admin.example/"))
	for host, want := range map[string][2]string{
		"shop.example":       {isAllowed, isPublic},
		"shop.example:8443":  {isAllowed, isPublic},
		"SHOP.example":       {isDenied, isDenied},
		"shop.example.":      {isDenied, isDenied},
		"shop.example.:8443": {isDenied, isDenied},
		"shop.example:":      {isDenied, isDenied},
		"other.example":      {isDenied, isDenied},
		"":                   {isDenied, isDenied},
	} {
		if got := [2]string{ask(t, p, "GET", host, "/x"), ask(t, p, "GET", host, "/docs/x")}; got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

// Servers such as sabre/dav ignore the host of a Destination, so another host there names none.
func TestDestinationNamesNoOtherHost(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, nil, ops("dav.example/private/"), policy.Rule{Pattern: "shop.example/"})
	for destination, want := range map[string]string{
		"/b":                               isAllowed,
		"http://dav.example/b":             isAllowed,
		"/private/b":                       isDenied,
		"http://dav.example/private/b":     isDenied,
		"http://shop.example/private/b":    isDenied,
		"http://dav.example.:80/private/b": isDenied,
	} {
		for _, method := range []string{"MOVE", "COPY", "PUT"} {
			if got := ask(t, p, method, "dav.example", "/a", "Destination", destination); got != want {
				t.Errorf("%s to %s: %s, want %s", method, destination, got, want)
			}
		}
	}
}

// What is beneath a program is the whole site.
func TestTreeOfProgramNeedsEveryRule(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, nil, ops("/files/private/"))
	for target, want := range map[string]string{
		"/":                  isDenied,
		"/server.php":        isDenied,
		"/server.php/":       isDenied,
		"/a/server.php":      isDenied,
		"/server.php/files/": isDenied,
		"/server.php/other/": isAllowed,
		"/other":             isAllowed,
	} {
		for _, method := range []string{"PROPFIND", "DELETE", "COPY"} {
			if got := ask(t, p, method, "h", target, "Destination", "/other"); got != want {
				t.Errorf("%s %s: %s, want %s", method, target, got, want)
			}
		}
	}
}

// Methods that work on a whole tree need every rule beneath it. Servers disagree about which of
// two Depth fields counts.
func TestTreeMethods(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, nil, ops("/files/private/"))
	for _, tt := range []struct {
		method string
		depth  []string
		want   string
	}{
		{"PROPFIND", nil, isDenied},
		{"PROPFIND", []string{"infinity"}, isDenied},
		{"PROPFIND", []string{"0"}, isAllowed},
		{"PROPFIND", []string{"1"}, isAllowed},
		{"PROPFIND", []string{"0", "infinity"}, isDenied},
		{"PROPFIND", []string{"1,infinity"}, isDenied},
		{"LOCK", nil, isDenied},
		{"LOCK", []string{"infinity"}, isDenied},
		{"LOCK", []string{"0"}, isAllowed},
		{"REPORT", []string{"infinity"}, isDenied},
		{"REPORT", []string{"1"}, isDenied}, // it shows what the children hold
		{"REPORT", nil, isAllowed},          // RFC 3253, section 3.6: without the field it is "0"
		{"SEARCH", nil, isDenied},
		{"UNLOCK", nil, isAllowed},
		{"MKCOL", nil, isAllowed},
	} {
		var fields []string
		for _, depth := range tt.depth {
			fields = append(fields, "Depth", depth)
		}
		if got := ask(t, p, tt.method, "h", "/files/", fields...); got != tt.want {
			t.Errorf("%s with Depth %q: %s, want %s", tt.method, tt.depth, got, tt.want)
		}
	}
}

// Spellings of "/admin/" and of dot segments that servers of Windows, PHP and Python understand.
func TestSpellingsOfMoreUpstreams(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, nil, ops("/admin/"), ops("/app/admin/"), policy.Rule{Pattern: "/static/", Public: true}, policy.Rule{Pattern: "/u/{id}", Public: true})
	for target, want := range map[string]string{
		// urldecode of PHP and unquote_plus of Python make a space of "+", which is trimmed at the
		// end.
		"/admin+/x":           isDenied,
		"/admin+":             isDenied,
		"/static/..+/admin/x": isRefused,
		"/static/+../admin/x": isRefused,
		"/.+/admin":           isRefused,
		"/static/+/x":         isRefused, // Gitiles needs AllowRawPaths
		"/static/++/x":        isRefused,
		"/static/c++":         isPublic,
		"/static/a+b.css":     isPublic,
		"/u/+":                isRefused,
		"/u/+1":               isPublic,
		// WSGI and Windows have programs too.
		"/app.wsgi/admin/":   isDenied,
		"/static/app.wsgi/x": isAllowed,
		"/x.psgi/admin/":     isDenied,
		"/x.php81/admin/":    isDenied,
		// ASP.NET takes sessions out of the path.
		"/(S(lit3py55t21z5v55vlm25s55))/admin/x": isRefused,
		"/(A(x)F(y))/admin/x":                    isRefused,
		"/app/(S(x))/admin/x":                    isRefused,
		"/(S(x))/(F(y))/admin/x":                 isRefused,
		"/%28S%28x%29%29/admin/x":                isRefused,
		"/static/(S(x))/a.css":                   isRefused,
		"/static/(1)/a(b).css":                   isPublic,
		"/static/Photo%20(1).jpg":                isPublic,
		// The code pages of Windows have a slash or a backslash for these.
		"/static/..%E2%88%95admin%E2%88%95x": isRefused,
		"/static/..%E2%81%84admin":           isRefused,
		"/static/..%E2%88%96admin":           isRefused,
		"/static/..%C2%A5admin":              isRefused,
		"/static/..%E2%82%A9admin":           isRefused,
		"/admin%E2%88%95x":                   isDenied,
		"/static/1%C2%BD.png":                isPublic, // one half
	} {
		if got := ask(t, p, "GET", "h", target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

// Where unusual paths are admitted, a session of ASP.NET leads to the same rules as the path
// without it.
func TestSessionInPath(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, []string{"/"}, ops("/admin/"), ops("/app/admin/"), policy.Rule{Pattern: "/static/", Public: true})
	for target, want := range map[string]string{
		"/(S(lit3py55t21z5v55vlm25s55))/admin/x": isDenied,
		"/(A(x)F(y))/admin/x":                    isDenied,
		"/app/(S(x))/admin/x":                    isDenied,
		"/(S(x))/(F(y))/ADMIN/x":                 isDenied,
		"/%28S%28x%29%29/admin/x":                isDenied,
		"/(S(x))/orders":                         isAllowed,
		"/static/(S(x))/a.css":                   isAllowed,
	} {
		if got := ask(t, p, "GET", "h", target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

// A proxy that asks may hide the Destination field, as ext_authz of Envoy does by default. COPY
// and MOVE need one.
func TestCopyWithoutDestinationIsRefused(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, nil, ops("/files/private/"))
	for _, method := range []string{"COPY", "MOVE"} {
		if got := ask(t, p, method, "h", "/copy/a"); got != isRefused {
			t.Errorf("%s without a Destination: %s", method, got)
		}
		if got := ask(t, p, method, "h", "/copy/a", "Destination", "/copy/b"); got != isAllowed {
			t.Errorf("%s: %s", method, got)
		}
	}
	if got := ask(t, p, "DELETE", "h", "/copy/a"); got != isAllowed {
		t.Errorf("DELETE: %s", got)
	}
}

// Paths that applications use are admitted, and are public beneath a public pattern.
func TestHonestPaths(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, nil, ops("/admin/"), policy.Rule{Pattern: "/pub/", Public: true})
	for _, path := range []string{
		".well-known/acme-challenge/x_Y-z", ".git/config", "@user", "@user@host.example", "a:b", "urn:isbn:0451450523", "v1/books:batchGet", "v1/{id}",
		"pkg.Service/Method", "grpc.health.v1.Health/Check", "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
		"files/My%20Doc.v2.pdf", "Report%20(final).docx", "a%20%26%20b.txt", "50%25%20off.html", "Q%26A.html", "C%23/intro.html", "who%3F.txt", "a%2Bb.txt", "a+b.txt", "c++",
		"~user/", "x~1", "file.txt~", "x.tar.gz", "x.php", "x.action", "index.jsp", "a,b,c", "k=v", "k=v&x=y", "a!b", "it's", "(1)", "a(1).pdf", "[1]", "%5B1%5D", "$metadata", "Products(1)", "Products(Id=1,Code='x')", "*", "a*b",
		"%E6%96%87%E4%BB%B6.pdf", "%D8%B9%D8%B1%D8%A8%D9%8A.txt", "%D7%A9%D7%9C%D7%95%D7%9D", "%F0%9F%98%80.png", "%F0%9F%91%A8%E2%80%8D%F0%9F%91%A9%E2%80%8D%F0%9F%91%A7.png", "%F0%9F%87%A9%F0%9F%87%AA.svg", "cafe%CC%81.html", "caf%C3%A9.html", "%E0%A4%B9%E0%A4%BF%E0%A4%A8%E0%A5%8D%E0%A4%A6%E0%A5%80",
		"%ED%95%9C%EA%B8%80.txt", "%EF%BC%88%E7%A8%BF%EF%BC%89.txt", "1%C2%BD.png", "%E2%82%AC.txt", "%C2%A9.txt", "%E2%80%9Cquote%E2%80%9D.txt", "en%E2%80%93dash.pdf", "a%20b/", "%D0%98%D0%BC%D1%8F.doc",
		"org/apache/maven/maven-core/3.9.6/maven-core-3.9.6.jar.sha1", "com/x/1.0-SNAPSHOT/x-1.0-20240101.000000-1.pom", "@scope/name/-/name-1.0.0.tgz", "github.com/!azure/sdk/@v/v1.2.3+incompatible.zip", "github.com/x/y/@latest",
		"v2/library/alpine/manifests/sha256:0123456789abcdef", "v2/library/alpine/blobs/uploads/uuid", "simple/my-pkg/", "bucket/2024/01/01/key=part-0000.snappy.parquet", "bucket/a%3Db", "dt%3D2024-01-01/x",
		"repo.git/info/refs", "repo.git/git-upload-pack", "principals/users/a%40b.example/", "calendars/user/x.ics", "3/movie/11-star-wars", "0", "-", "_", "__init__.py", "_next/static/chunks/%5Bid%5D-abc.js",
		"2024-01-01T00:00:00Z", "2024-01-01T00%3A00%3A00Z", "52.5200,13.4050", "map/12/2200/1343@2x.png", "a%20b%20c%20d", "%28x%29", "%40user", "%2Bx", "x%7C", "%7B%7D", "%22x%22", "a%60b", "%5Ex", "a%3Cb%3E",
	} {
		if got := ask(t, p, "GET", "h", "/pub/"+path); got != isPublic && !strings.Contains(path, "{") {
			t.Errorf("/pub/%s: %s", path, got)
		}
		if got := ask(t, p, "GET", "h", "/"+path); got != isAllowed {
			t.Errorf("/%s: %s", path, got)
		}
	}
	// What a server may cut off needs an account, and the rules of what is left.
	matrix := newPolicy(t, nil, ops("/r"), ops("/u/me"), policy.Rule{Pattern: "/u/{id}", Public: true}, policy.Rule{Pattern: "/pub/", Public: true})
	for target, want := range map[string]string{
		"/_matrix/client/v3/directory/room/%23general%3Aexample.org": isAllowed, "/_matrix/client/v3/join/%23general:example.org": isAllowed,
		"/pub/%23x": isAllowed, "/u/%23x": isAllowed, "/u/me/%23x": isDenied, "/r/%23x": isDenied, "/r/%23x/y": isDenied, "/r/x": isAllowed, "/%23x": isRefused, "/u/.%23x": isRefused, "/u/%20%23x": isRefused, "/u/%3Fx": isRefused,
	} {
		if got := ask(t, matrix, "GET", "h", target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	npm := newPolicy(t, []string{"/npm/"}, ops("/npm/{package}/access"))
	for target, want := range map[string]string{
		"/npm/@scope%2fname": isAllowed, "/npm/@scope%2Fname/-/x.tgz": isAllowed, "/npm/@scope%2fname/access": isDenied, "/npm/name/access": isDenied, "/npm2/@scope%2fname": isRefused,
	} {
		if got := ask(t, npm, "GET", "h", target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
