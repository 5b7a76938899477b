// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"bytes"
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

var update = flag.Bool("update", false, "take the pictures of the documentation again")

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

var reference = regexp.MustCompile(`(?:src|href)="([0-9a-f]+/[^"]+)"`)

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
	loaded := map[string]bool{"index.html": true}
	for _, match := range reference.FindAllStringSubmatch(index.Body.String(), -1) {
		_, name, _ := strings.Cut(match[1], "/")
		if loaded[name] {
			continue
		}
		loaded[name] = true
		w := get(t, page, "/"+match[1], "Accept-Encoding", "gzip")
		total += w.Body.Len()
		h := w.Header()
		if w.Code != http.StatusOK || h.Get("Content-Encoding") != "gzip" || !strings.Contains(h.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: status %d, %v", match[1], w.Code, h)
		}
		if again := get(t, page, "/"+match[1], "If-None-Match", h.Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%s again: status %d, want 304", match[1], again.Code)
		}
	}
	files, err := fs.ReadDir(os.DirFS("page"), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !loaded[f.Name()] {
			t.Errorf("no browser loads page/%s", f.Name())
		}
	}
	t.Logf("%d bytes, compressed", total)
	if total > maxCompressedBytes {
		t.Errorf("the page has %d bytes, want at most %d", total, maxCompressedBytes)
	}
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

// ruleWords is what the page says of a rule.
type ruleWords struct {
	Severity  string `json:"severity"`
	Technique string `json:"technique"`
	Fires     string `json:"fires"`
}

// vocabulary is page/words.js.
type vocabulary struct {
	Outcomes map[string]string    `json:"outcomes"`
	Reasons  map[string]string    `json:"reasons"`
	Cache    map[string]string    `json:"cache"`
	Rules    map[string]ruleWords `json:"rules"`
}

// TestWords compares the words of the page with docs/signals.md and with the rules of detection,
// from which the dashboards have theirs too.
func TestWords(t *testing.T) {
	t.Parallel()
	want := vocabulary{meanings(t, "auth.outcome"), meanings(t, "auth.reason"), meanings(t, "auth.cache.result"), map[string]ruleWords{}}
	for _, r := range detect.Rules() {
		want.Rules[r.Name] = ruleWords{r.Severity.String(), r.Technique, r.Default}
	}
	text, err := os.ReadFile("page/words.js")
	if err != nil {
		t.Fatal(err)
	}
	var got vocabulary
	if err := json.Unmarshal(bytes.TrimPrefix(text, []byte("export default ")), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("page/words.js (-want +got):\n%s", diff)
	}
	// The order of the outcomes is that of the documentation.
	order := regexp.MustCompile(`(?s)"success".*"missing".*"malformed".*"failure".*"throttled".*"error"`)
	if !order.Match(text) {
		t.Error("page/words.js: the outcomes are in another order than in docs/signals.md")
	}
}

var meaning = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.*) \\|$")

// meanings returns the table of an attribute's values in docs/signals.md.
func meanings(t *testing.T, attribute string) map[string]string {
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
	all := make(map[string]string)
	for _, m := range meaning.FindAllStringSubmatch(part, -1) {
		all[m[1]] = m[2]
	}
	return all
}
