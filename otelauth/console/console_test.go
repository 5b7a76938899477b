// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/console"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

var update = flag.Bool("update", false, "write page/words.js, and take the pictures of the documentation again")

func ExampleNew() {
	op, err := operator.New(operator.Config{})
	if err != nil {
		panic(err)
	}
	page, err := console.New(console.Config{API: op, TraceLink: "https://backend.example/trace/{trace_id}"})
	if err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}

func get(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// maxCompressedBytes bounds what a browser loads at the first visit.
const maxCompressedBytes = 150_000

var (
	reference = regexp.MustCompile(`(?:src|href)="([0-9a-f]+/)([^"]+)"`)
	scripts   = regexp.MustCompile(`<meta name="otelauth-scripts" content="([^"]+)">`)
)

// filesOf returns the folder of the files that a page loads, and their names.
func filesOf(index string) (folder string, names []string) {
	for _, match := range reference.FindAllStringSubmatch(index, -1) {
		folder, names = match[1], append(names, match[2])
	}
	if match := scripts.FindStringSubmatch(index); match != nil {
		names = append(names, strings.Fields(match[1])...)
	}
	return folder, names
}

// TestFiles loads what a browser loads.
func TestFiles(t *testing.T) {
	t.Parallel()
	page, err := console.New(console.Config{API: http.NotFoundHandler(), TraceLink: traceLink + "?a=1&b=\""})
	if err != nil {
		t.Fatal(err)
	}
	index := get(t, page, "/")
	if !strings.Contains(index.Body.String(), `content="https://backend.example/trace/{trace_id}?a=1&amp;b=&#34;"`) {
		t.Error("the page lacks the escaped link")
	}
	if strings.Contains(index.Body.String(), "{{") {
		t.Error("the page has a placeholder")
	}
	total := get(t, page, "/", "Accept-Encoding", "gzip, br").Body.Len()
	loaded := map[string]bool{"index.html": true, "style.css": isInline(t, index)}
	folder, files := filesOf(index.Body.String())
	for _, name := range files {
		if loaded[name] {
			continue
		}
		loaded[name] = true
		w := get(t, page, "/"+folder+name, "Accept-Encoding", "gzip")
		total += w.Body.Len()
		h := w.Header()
		if w.Code != http.StatusOK || h.Get("Content-Encoding") != "gzip" || !strings.Contains(h.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: status %d, %v", name, w.Code, h)
		}
		if again := get(t, page, "/"+folder+name, "If-None-Match", h.Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%s again: status %d, want 304", name, again.Code)
		}
	}
	entries, err := fs.ReadDir(os.DirFS("page"), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range entries {
		if !loaded[f.Name()] {
			t.Errorf("no browser loads page/%s", f.Name())
		}
	}
	t.Logf("%d bytes, compressed", total)
	if total > maxCompressedBytes {
		t.Errorf("the page has %d bytes, want at most %d", total, maxCompressedBytes)
	}
}

var inline = regexp.MustCompile(`(?s)<style>(.*)</style>`)

// isInline reports whether the page holds its style sheet and its policy permits that one only.
func isInline(t *testing.T, index *httptest.ResponseRecorder) bool {
	t.Helper()
	text, err := os.ReadFile("page/style.css")
	if err != nil {
		t.Fatal(err)
	}
	found := inline.FindSubmatch(index.Body.Bytes())
	if found == nil || string(found[1]) != strings.TrimSpace(string(text)) {
		return false
	}
	sum := sha256.Sum256(found[1])
	return strings.Contains(index.Header().Get("Content-Security-Policy"), "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';")
}

// TestPolicy compares the headers by which a browser refuses what would be markup.
func TestPolicy(t *testing.T) {
	t.Parallel()
	page, err := console.New(console.Config{API: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	h := get(t, page, "/").Header()
	for _, directive := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"} {
		if !strings.Contains(h.Get("Content-Security-Policy"), directive) {
			t.Errorf("the policy lacks %s", directive)
		}
	}
	if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
		t.Error("the policy has an exception")
	}
	if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers: %v", h)
	}
	if got := get(t, page, "/words.js").Code; got != http.StatusNotFound {
		t.Errorf("a file outside of its folder: status %d, want 404", got)
	}
}

// TestNoMarkup looks for the calls that parse markup, and for addresses of other hosts.
func TestNoMarkup(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|\beval\(|new Function|https?://[^w]`)
	files, err := fs.Glob(os.DirFS("page"), "*.*s")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile("page/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if found := forbidden.Find(text); found != nil {
			t.Errorf("page/%s has %s", name, found)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if _, err := console.New(console.Config{}); !errors.Is(err, console.ErrAPI) {
		t.Errorf("without an API: %v", err)
	}
	for _, link := range []string{"javascript:alert({trace_id})", "/trace/{trace_id}", "https://backend.example/", "https:///{trace_id}", "data:text/html,{trace_id}"} {
		if _, err := console.New(console.Config{API: http.NotFoundHandler(), TraceLink: link}); !errors.Is(err, console.ErrTraceLink) {
			t.Errorf("%s: %v", link, err)
		}
	}
}

// table is the names and the meanings of a table, in its order.
type table []row

type row struct {
	name    string
	meaning any
}

// MarshalJSON returns an object whose keys have the order of the table.
func (t table) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, r := range t {
		b.WriteString([]string{"{", ","}[min(i, 1)])
		if err := errors.Join(encode(&b, r.name), b.WriteByte(':'), encode(&b, r.meaning)); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode writes JSON for a script, in which < and & are not escaped.
func encode(b *bytes.Buffer, value any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

// TestWords compares page/words.js with docs/signals.md and with the rules of detection, from
// which the dashboards have their words too. With -update it writes the file.
func TestWords(t *testing.T) {
	t.Parallel()
	var rules table
	for _, r := range detect.Rules() {
		rules = append(rules, row{r.Name, table{{"severity", r.Severity.String()}, {"technique", r.Technique}, {"fires", r.Default}}})
	}
	var b bytes.Buffer
	b.WriteString("export default ")
	err := encode(&b, table{
		{"outcomes", meanings(t, "auth.outcome")}, {"reasons", meanings(t, "auth.reason")}, {"cache", meanings(t, "auth.cache.result")},
		{"findings", meanings(t, "auth.coverage.finding")}, {"rules", rules},
	})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("page/words.js", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("page/words.js")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(have)); diff != "" {
		t.Errorf("page/words.js is not current: run go generate ./otelauth/console\n%s", diff)
	}
}

var meaning = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.*) \\|$")

// meanings returns the table of an attribute's values in docs/signals.md.
func meanings(t *testing.T, attribute string) table {
	t.Helper()
	text, err := os.ReadFile("../../docs/signals.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n### `"+attribute+"`\n")
	if !ok {
		t.Fatalf("docs/signals.md has no table of %s", attribute)
	}
	part, _, _ := strings.Cut(rest, "\n### ")
	var all table
	for _, m := range meaning.FindAllStringSubmatch(part, -1) {
		all = append(all, row{m[1], m[2]})
	}
	return all
}
