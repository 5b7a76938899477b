// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"bytes"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit/browser"
)

const sound = `<!doctype html><html lang="en"><title>Page</title>
<style>body { color: black; background: white } @media (prefers-color-scheme: dark) { body { color: white; background: black } }</style>
<main><h1>Hello</h1><label>Name <input id="name"></label> <button id="go" type="button">Go</button><p id="out">-</p></main>
<script src="/page.js"></script>`

const script = `const out = document.getElementById('out')
document.getElementById('go').onclick = () => { out.textContent = 'clicked by ' + document.getElementById('name').value }
document.onkeydown = e => { if (e.key === 'Escape') out.textContent = 'escaped' }`

const unsound = `<!doctype html><title>Page</title><h1>Hello</h1><img src="http://127.0.0.1:1/x.png"><input id="name">
<script>throw new Error('inline')</script><script src="/bad.js"></script>`

func serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	for path, text := range map[string]string{"/sound": sound, "/unsound": unsound, "/page.js": script, "/bad.js": "throw new Error('bad')"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", map[bool]string{true: "text/html", false: "text/javascript"}[r.URL.Path == "/sound" || r.URL.Path == "/unsound"])
			if path == "/unsound" {
				w.Header().Set("Content-Security-Policy", "default-src 'self'")
			}
			fmt.Fprint(w, text)
		})
	}
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestPage(t *testing.T) {
	t.Parallel()
	url, b := serve(t), browser.Start(t)
	page := b.Open(t, url+"/sound", browser.View{Dark: true})
	page.AwaitText("h1", "Hello")
	page.Type("#name", "alice")
	page.Click("#go")
	page.AwaitText("#out", "clicked by alice")
	page.Press("Escape")
	page.AwaitText("#out", "escaped")
	page.Press("Shift+Tab")
	if got := browser.Eval[string](page, "document.activeElement.id"); got != "name" {
		t.Errorf("shift and tab lead to %q, want the field before the button", got)
	}
	if got := browser.Eval[string](page, "getComputedStyle(document.body).backgroundColor"); got != "rgb(0, 0, 0)" {
		t.Errorf("dark: the background is %s", got)
	}
	page.View(browser.View{Phone: true, Scale: 2})
	image, err := png.Decode(bytes.NewReader(page.Screenshot("png")))
	if err != nil {
		t.Fatal(err)
	}
	if got := image.Bounds().Dx(); got != 750 {
		t.Errorf("a phone at scale 2 is %d pixels wide, want 750", got)
	}
	if page.FirstPaint() <= 0 {
		t.Error("no first paint")
	}
	page.NoProblems()
	page.Accessible()
}

// recorder counts errors instead of failing.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Errorf(string, ...any) { r.errors++ }

func TestProblemsAreReported(t *testing.T) {
	t.Parallel()
	url, b := serve(t), browser.Start(t)
	r := &recorder{TB: t}
	page := b.Open(r, url+"/unsound", browser.View{})
	page.AwaitText("h1", "Hello")
	page.NoProblems()
	if r.errors < 3 {
		t.Errorf("%d problems, want an exception and two violations of the policy: %q", r.errors, page.Problems())
	}
	r.errors = 0
	page.Accessible()
	if r.errors < 3 {
		t.Errorf("axe reports %d violations, want those of language, picture and label", r.errors)
	}
	for _, want := range []string{url + "/unsound", url + "/bad.js"} {
		if !slices.Contains(page.Requests(), want) {
			t.Errorf("the requests %q lack %s", page.Requests(), want)
		}
	}
}
