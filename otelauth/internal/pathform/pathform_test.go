// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pathform_test

import (
	"net/url"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
)

func pattern(t testing.TB, text string) *pathform.Pattern {
	t.Helper()
	p, err := pathform.ParsePattern(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

func read(t testing.TB, target string) *pathform.Path {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	p := new(pathform.Path)
	p.Read(u)
	return p
}

// verdict returns how the example site of docs/paths.md treats a path.
func verdict(t *testing.T, target string) string {
	t.Helper()
	p := read(t, target)
	if p.Refusal != "" || p.Unusual != "" && !pattern(t, "/files/").MatchesSent(p) {
		return "400"
	}
	for _, text := range []string{"/admin/", "/u/me", "/files/{id}/secret"} {
		if r := pattern(t, text); r.Restricts(p) {
			return "restricted as " + text
		}
	}
	for _, text := range []string{"/static/", "/healthz", "/u/{id}"} {
		if pattern(t, text).Opens(p) {
			return "public"
		}
	}
	return "needs an account"
}

// The table of examples in docs/paths.md matches the code.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/paths.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 3 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`/") {
			continue
		}
		want := strings.ReplaceAll(strings.TrimSpace(cells[0]), "`", "")
		for cell := range strings.FieldsSeq(cells[1]) {
			rows++
			target := strings.Trim(cell, "`")
			if got := verdict(t, strings.ReplaceAll(target, "¦", "|")); got != want {
				t.Errorf("%s: %s, want %s", target, got, want)
			}
		}
	}
	if rows < 60 {
		t.Errorf("the page has %d examples", rows)
	}
}

// Exactly one spelling opens: other encodings of the same characters open nothing.
func TestOneSpellingOpens(t *testing.T) {
	t.Parallel()
	for text, spellings := range map[string][]string{
		"GET /a b/":     {"/a%20b/x"},
		"/é/":           {"/%C3%A9/x"},
		"/a+b/":         {"/a+b/x"},
		"/a%2Bb/":       {"/a+b/x"}, // a ServeMux decodes patterns
		"/index.php/a/": {"/index.php/a/x"},
		"/x.php/{$}":    {"/x.php/"},
	} {
		p := pattern(t, text)
		for _, s := range spellings {
			if !p.Opens(read(t, s)) {
				t.Errorf("%s does not open %s", text, s)
			}
		}
		for _, s := range []string{"/a+b/%78", "/a%2Bb/x", "/a%20b/%2e", "/%c3%a9/x", "/é/x", "/a%20b//x", "/index.php/%61/x", "/index.php/a/y.php/x", "/index.php/b"} {
			if p.Opens(read(t, s)) {
				t.Errorf("%s opens %s", text, s)
			}
		}
	}
}

// A pattern that no request can match is refused with a reason.
func TestParsePatternRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":          "ServeMux",
		"a":         "ServeMux",
		"/a/../b":   "dots, spaces",
		"/a;b":      "a semicolon",
		`/a\b`:      "backslash",
		"get /a":    "lower case",
		"/...":      "dots, spaces",
		"/\u200b/x": "dots, spaces",
		"/a\uff0fb": "read as a slash",
		"/a%2Fb":    "an encoded slash",
		"/a%2541":   "double percent-encoding",
		"/a%FFb":    "not UTF-8",
		"/%00":      "a NUL",
	} {
		if _, err := pathform.ParsePattern(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// The rules that are an exception from a restriction.
func TestLifts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		p, q string
		want bool
	}{
		{"/admin/help/", "/admin/", true},
		{"/admin/", "/admin/help/", false},
		{"/v1.1/", "/v1/", true},
		{"/v1/", "/v1.1/", false},
		{"/v1.1/", "/v1/x/", true},
		{"/Admin/", "/admin/", false},
		{"/api", "/api/", true},
		{"/api/", "/api", false},
		{"/api/{$}", "/api", true},
		{"/u/{id}", "/u/me", false},
		{"/u/me", "/u/{id}", true},
		{"/u/{id}", "/u/{id}/", true},
		{"/{a}/help/", "/admin/", false},
		{"GET /admin/", "/admin/", true},
		{"/admin/", "GET /admin/", false},
		{"HEAD /admin/", "GET /admin/", true},
		{"h.example/admin/", "/admin/", true},
		{"/admin/x", "h.example/admin/", false},
		{"OPTIONS /", "/admin/", false},
		{"/x", "/", true},
	} {
		if got := pattern(t, tc.p).Lifts(pattern(t, tc.q)); got != tc.want {
			t.Errorf("%s lifts %s: %v", tc.p, tc.q, got)
		}
	}
}

// Routes of several routers that a pattern does not name.
func TestCovers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		p, route string
		want     bool
	}{
		{"/u/{id}", "/u/{id}", true},
		{"/u/{id}", "GET /u/{id}", true},
		{"/u/{id}", "/u/:id", true},
		{"/u/{id}", "/u/{id:[0-9]+}", true},
		{"/u/{id}", "/u/*", true},
		{"/u/{id}", "/u/me", false},
		{"/u/{id}", "GET /u/me", false},
		{"/u/{id}", "/", true},
		{"/health", "/health", true},
		{"/health", "POST /health", true},
		{"/health", "admin.example/health", false},
		{"admin.example/health", "admin.example/health", true},
		{"/static/", "/static/{file...}", true},
		{"/static/", "/static/*filepath", true},
		{"/static/", "/static/keys/", false},
		{"/static/css/", "/static/", true},
		{"OPTIONS /", "/admin/", true},
		{"OPTIONS /", "OPTIONS /admin/", false},
	} {
		if got := pattern(t, tc.p).Covers(tc.route); got != tc.want {
			t.Errorf("%s covers %s: %v", tc.p, tc.route, got)
		}
	}
}

// The patterns that a WebDAV method on a tree concerns.
func TestBeneath(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		p, path string
		want    bool
	}{
		{"/files/private/", "/files/", true},
		{"/files/private/", "/Files", true},
		{"/files/private/", "/", true},
		{"/files/private/", "/index.php/files", true},
		{"/files/private/", "/files/private/", false},
		{"/files/private/", "/files/other/", false},
		{"/files/{id}/secret", "/files/7", true},
		{"/files/{id}/secret", "/files/a%2Fb", true},
		{"/files/", "/files/x", false},
	} {
		if got := pattern(t, tc.p).Beneath(read(t, tc.path)); got != tc.want {
			t.Errorf("%s beneath %s: %v", tc.p, tc.path, got)
		}
	}
}

// Reading a path again allocates nothing: a Path keeps its memory, which is bounded.
func TestReadDoesNotAllocate(t *testing.T) {
	u, err := url.ParseRequestURI("/reports/2026/%E4%BD%A0/caf%C3%A9.html")
	if err != nil {
		t.Fatal(err)
	}
	var p pathform.Path
	p.Read(u)
	if n := testing.AllocsPerRun(100, func() { p.Read(u) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A path without a RawPath is encoded as net/url encodes it, so that a pattern compares the
// bytes that were sent.
func TestSentAsNetURLWritesIt(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		if c == '/' || c == '.' || c == '%' {
			continue
		}
		u := &url.URL{Path: "/a" + string([]byte{byte(c)}) + "b"}
		sent, err := url.ParseRequestURI(u.EscapedPath())
		if err != nil {
			t.Fatal(err)
		}
		var p pathform.Path
		p.Read(sent)
		if pattern(t, "/{x}").Opens(&p) != (p.Unusual == "" && p.Refusal == "" && sent.RawPath == "") {
			t.Errorf("%q: opens %v, unusual %q, refused %q", u.EscapedPath(), pattern(t, "/{x}").Opens(&p), p.Unusual, p.Refusal)
		}
	}
}

// FuzzRead checks that a pattern that opens a path also restricts it, that a refused path opens
// nothing, and that texts are bounded.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"/static/a%20b.css", "/%2e%2e/x", "/a%2fb", "/%u0041", "/a%25%32%35", "/\xc0\xae", "/é/ß/％41", "/a;b/c", "/x.php/y", "//h", "/\\x", "/%F0%80%80%80", "/ﷺ",
	} {
		f.Add(seed)
	}
	texts := []string{"/", "/static/", "/healthz", "/u/{id}", "/{a}/b", "/a/{b}/c", "/é/", "/x.php/y"}
	patterns := make([]*pathform.Pattern, 0, len(texts))
	for _, text := range texts {
		patterns = append(patterns, pattern(f, text))
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Scheme != "" {
			return
		}
		var p pathform.Path
		p.Read(u)
		for _, pattern := range patterns {
			if !pattern.Opens(&p) {
				continue
			}
			if p.Refusal != "" || p.Unusual != "" || !utf8.ValidString(u.Path) {
				t.Errorf("%s opens %q, which is refused: %s%s", pattern, target, p.Refusal, p.Unusual)
			}
			if !pattern.Restricts(&p) {
				t.Errorf("%s opens %q and does not restrict it", pattern, target)
			}
		}
	})
}
