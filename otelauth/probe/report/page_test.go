// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/internal/testkit/browser"
	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/report"
)

var update = flag.Bool("update", false, "make the picture of docs/probe.md again")

// openReport writes the page to a disk and opens it from there.
func openReport(t *testing.T, b *browser.Browser, r *probe.Report, v browser.View) *browser.Page {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.WriteHTML(file, r, nil); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	p := b.Open(t, "file://"+path, v)
	p.Await("document.documentElement.dataset.ready")
	return p
}

// focused returns the label of the element with the focus.
func focused(p *browser.Page) string {
	return browser.Eval[string](p, "document.activeElement.getAttribute('aria-label') ?? document.activeElement.id")
}

func TestPage(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	b, r := browser.Start(t), sample(t)
	t.Run("search and keyboard", func(t *testing.T) {
		t.Parallel()
		readReport(t, openReport(t, b, r, browser.View{}))
	})
	t.Run("colours", func(t *testing.T) {
		t.Parallel()
		lookAtReport(t, b, r)
	})
	t.Run("hostile", func(t *testing.T) {
		t.Parallel()
		hostilePage(t, b)
	})
	t.Run("trace id", func(t *testing.T) {
		t.Parallel()
		findByTrace(openReport(t, b, r, browser.View{}), r)
	})
	t.Run("nothing found", func(t *testing.T) {
		t.Parallel()
		emptyPage(openReport(t, b, empty, browser.View{}))
	})
	t.Run("picture", func(t *testing.T) {
		t.Parallel()
		if *update {
			takePicture(t, openReport(t, b, r, browser.View{Width: 1400, Height: 820}))
		}
	})
}

var empty = &probe.Report{Target: "http://127.0.0.1:1", Complete: true}

// emptyPage reads a report without endpoints.
func emptyPage(p *browser.Page) {
	p.AwaitText("#view-findings", "No findings.")
	p.Press("2")
	p.AwaitText("#empty", "No endpoints.")
	p.Press("3")
	p.AwaitText("#view-gaps", "Nothing was left out.")
	p.NoProblems()
	p.Accessible()
}

// readReport reads the report with the keyboard only.
func readReport(t *testing.T, p *browser.Page) {
	t.Helper()
	p.AwaitText("#view-findings", "Answers without credentials")
	p.AwaitText("#view-findings", "CWE-306 · OWASP ASVS 5.0, 8.2.1")
	p.AwaitText("#view-findings", "How to mend: Put the endpoint behind authentication")
	p.AwaitText("#view-findings", "the cache is private")

	p.Press("/")
	p.Type("#query", "export")
	p.AwaitText("#found", "1 found")
	p.Press("Enter") // to the first finding
	p.Press("Enter") // opens it
	p.AwaitText("#pane h2", "no credentials")
	p.AwaitText("#pane", "curl --include --path-as-is")
	p.AwaitText("#pane", "Ada Lovelace")
	p.Press("Escape")
	p.Await("document.getElementById('pane').hidden")
	p.Await("document.activeElement.matches('.item .endpoint')")

	p.Press("2", "/")
	p.Type("#query", " GET")
	p.Press("Enter")
	if got := focused(p); !strings.HasPrefix(got, "control: accepted") {
		t.Errorf("the focus is on %q, want the first cell", got)
	}
	p.Press("n")
	if got := focused(p); !strings.HasPrefix(got, "none: opened, finding") {
		t.Errorf("n leads to %q, want the first finding", got)
	}
	p.Press("Escape", "/", "Escape", "Enter", "Home")
	p.AwaitText("#cells", "/settings")
	p.Press("ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "Enter")
	p.AwaitText("#pane", "an unknown user")
	p.Await("document.activeElement.matches('#pane h2')")
	p.Press("Escape")
	if got := focused(p); !strings.HasPrefix(got, "unknown-user: ") {
		t.Errorf("the focus is on %q, want the cell that was open", got)
	}
	p.Press("End")
	if got := focused(p); !strings.HasPrefix(got, "folded-header: ") {
		t.Errorf("End leads to %q, want the last probe", got)
	}

	p.Press("3")
	p.AwaitText("#view-telemetry", "nothing was recorded of the attempt")
	p.AwaitText("#view-telemetry", "12 ms in the median")
	p.AwaitText("#view-telemetry", "not counted")
	p.Press("4")
	p.AwaitText("#view-gaps", "an unsafe method: --unsafe-methods allows it")
	p.AwaitText("#view-gaps", "DELETE /orders/17")
	p.Press("5")
	p.AwaitText("#view-run", "matches no finding: remove it")
	p.NoProblems()
	if got := p.Requests(); len(got) > 1 && !allData(got[1:]) {
		t.Errorf("the page made requests: %q", got)
	}
}

func allData(urls []string) bool {
	for _, u := range urls {
		if !strings.HasPrefix(u, "data:") {
			return false
		}
	}
	return true
}

// lookAtReport runs axe on each part in both schemes and at the width of a phone.
func lookAtReport(t *testing.T, b *browser.Browser, r *probe.Report) {
	t.Helper()
	for _, v := range []browser.View{{}, {Dark: true}, {Phone: true}} {
		p := openReport(t, b, r, v)
		for _, hash := range []string{"findings", "map", "map/2/unknown-user", "telemetry", "gaps", "run"} {
			browser.Eval[string](p, fmt.Sprintf("location.hash = %q", hash))
			view, _, cell := strings.Cut(hash, "/")
			p.Await(fmt.Sprintf("!document.getElementById('view-%s').hidden", view))
			if cell {
				p.Await("!document.getElementById('pane').hidden")
			}
			p.Accessible()
			if wide := browser.Eval[float64](p, "document.documentElement.scrollWidth - innerWidth"); wide > 0 {
				t.Errorf("%+v %s: the page is %.0f pixels wider than the window", v, hash, wide)
			}
		}
		browser.Eval[any](p, "(document.querySelector('#legend select').value = 'telemetry', document.querySelector('#legend select').dispatchEvent(new Event('change')), 0)")
		p.NoProblems()
	}
}

// hostilePage sees that text of a target does nothing and is shown as it is.
func hostilePage(t *testing.T, b *browser.Browser) {
	t.Helper()
	p := openReport(t, b, hostileReport(hostile), browser.View{})
	for _, hash := range []string{"findings", "map", "map/0/" + "x", "gaps", "run"} {
		browser.Eval[string](p, fmt.Sprintf("location.hash = %q", hash))
	}
	p.Press("2")
	p.AwaitText("#cells", "<img src=x onerror=alert(1)>")
	p.Click("[role=gridcell]")
	p.AwaitText("#pane", "<img src=x onerror=alert(1)>U+202Egnp.exeU+2069")
	p.AwaitText("#pane", "U+001B[31mU+0000")
	for _, selector := range []string{"img", "#main a[href*=evil]", "b b"} {
		if n := browser.Eval[int](p, fmt.Sprintf("document.querySelectorAll(%q).length", selector)); n > 0 {
			t.Errorf("text became markup: %d × %s", n, selector)
		}
	}
	if browser.Eval[bool](p, `/[\u202a-\u202e\u2066-\u2069\u0000\u001b]/.test(document.getElementById('app').innerText + document.title)`) {
		t.Error("a character that changes the direction is shown as it is")
	}
	p.NoProblems()
}

// findByTrace opens the cell of a trace id from a log.
func findByTrace(p *browser.Page, r *probe.Report) {
	a := r.Rows[3].Attempts[4]
	p.Type("#query", a.TraceID)
	p.AwaitText("#pane", "an unknown user")
	p.AwaitText("#found", a.ID)
	p.NoProblems()
}

// takePicture makes the picture of docs/probe.md.
func takePicture(t *testing.T, p *browser.Page) {
	t.Helper()
	browser.Eval[string](p, "location.hash = 'map/2/unknown-user'")
	p.AwaitText("#pane", "http.route")
	if err := os.WriteFile("../../../docs/images/probe.webp", p.Screenshot("webp"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestLargePage opens the report of 1,000 endpoints and measures it. The figures are in
// docs/probe.md.
func TestLargePage(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	r := largeReport(t, 1000)
	b := browser.Start(t)
	start := time.Now()
	size := len(page(t, r))
	t.Logf("%d bytes, written in %v", size, time.Since(start))
	p := openReport(t, b, r, browser.View{})
	t.Logf("ready after %s ms", browser.Eval[string](p, "document.documentElement.dataset.ready"))
	t.Logf("first paint: %v", p.FirstPaint())
	p.Press("2")
	p.AwaitText("#cells", "/service-0001/export")
	t.Logf("frames without scrolling: %s", frames(p, 0))
	t.Logf("frames while scrolling by eleven rows each: %s", frames(p, 240))
	if n := browser.Eval[int](p, "document.querySelectorAll('#cells .row').length"); n > 80 {
		t.Errorf("%d rows are drawn, want those in sight", n)
	}
	search := browser.Eval[float64](p, `new Promise(done => {
		const q = document.getElementById('query'), start = performance.now()
		q.value = 'service-0041'
		q.dispatchEvent(new Event('input'))
		const wait = () => document.getElementById('found').textContent ? requestAnimationFrame(() => done(performance.now() - start)) : setTimeout(wait, 1)
		wait()
	})`)
	t.Logf("search: %.0f ms", search)
	opened := browser.Eval[float64](p, `new Promise(done => {
		const start = performance.now()
		document.querySelector('[role=gridcell]').click()
		const wait = () => document.getElementById('pane').hidden ? setTimeout(wait, 1) : done(performance.now() - start)
		wait()
	})`)
	t.Logf("open a cell: %.0f ms", opened)
	p.NoProblems()
	p.Accessible()
}

// frames returns how long 90 frames take while the map scrolls.
func frames(p *browser.Page, pixels int) string {
	return browser.Eval[string](p, fmt.Sprintf(`new Promise(done => {
		const box = document.getElementById('scroller'), times = []
		let last = 0
		const step = now => {
			if (last) times.push(now - last)
			last = now
			box.scrollTop += %d
			if (times.length < 90) return requestAnimationFrame(step)
			times.sort((a, b) => a - b)
			done('median ' + times[45].toFixed(0) + ' ms, 95 %% in ' + times[85].toFixed(0) + ' ms, longest ' + times[89].toFixed(0) + ' ms')
		}
		requestAnimationFrame(step)
	})`, pixels))
}

// largeReport has n endpoints: those of the sample, again and again.
func largeReport(t testing.TB, n int) *probe.Report {
	t.Helper()
	r := sample(t)
	rows, findings := r.Rows, r.Findings
	r.Rows, r.Findings = nil, nil
	for i := range n {
		row := rows[i%len(rows)]
		prefix := fmt.Sprintf("/service-%04d", i/len(rows))
		row.Endpoint.Path = prefix + row.Endpoint.Path
		row.Endpoint.Route = prefix + row.Endpoint.Route
		r.Rows = append(r.Rows, row)
		for _, f := range findings {
			if prefix+f.Endpoint.Path == row.Endpoint.Path && f.Endpoint.Method == row.Endpoint.Method {
				f.Endpoint = row.Endpoint
				f.ID = string(f.Rule) + " " + row.Endpoint.String()
				r.Findings = append(r.Findings, f)
			}
		}
	}
	r.Sort()
	return r
}
