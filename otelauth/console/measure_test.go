// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/internal/testkit/browser"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestTimings measures what docs/console.md reports. It fails only where a figure does not depend
// on the load of the machine:
//
//	go test -tags long ./otelauth/console -run TestTimings -v
func TestTimings(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{}), browser.Start(t)
	var empty, first, again []time.Duration
	for range paints {
		p := b.Open(t, strings.Replace(s.page("root", "toor"), "/console/", "/empty/", 1), browser.View{})
		empty = append(empty, p.FirstPaint())
		leave(p)
		p = s.open(b)
		first = append(first, p.FirstPaint())
		if n := browser.Eval[int](p, "performance.getEntriesByType('resource').filter(e => e.renderBlockingStatus === 'blocking').length"); n != 0 {
			t.Errorf("the first paint waits for %d further requests", n)
		}
		p.Reload()
		again = append(again, p.FirstPaint())
		leave(p)
	}
	for _, visits := range []struct {
		name  string
		times []time.Duration
	}{{"an empty page of the same service", empty}, {"first visits", first}, {"later visits", again}} {
		slices.Sort(visits.times)
		t.Logf("first paint of %d × %s: median %v, slowest %v; median %.1f × that of the empty page", paints, visits.name,
			visits.times[paints/2].Round(time.Millisecond), visits.times[paints-1].Round(time.Millisecond), float64(visits.times[paints/2])/float64(empty[paints/2]))
	}

	p := s.open(b)
	goTo(p, "attempts")
	var seen []time.Duration
	for i := range 20 {
		client := fmt.Sprintf("198.51.100.%d", i+1)
		began := time.Now()
		s.try(client, http.MethodGet, "/orders", "alice", "wonderland")
		p.Await(fmt.Sprintf("document.querySelector('.grid.attempts .from').innerText && document.querySelector('.grid.attempts .body').innerText.includes('%s\\n') ", client))
		seen = append(seen, time.Since(began))
	}
	slices.Sort(seen)
	t.Logf("from the request to the row, 20 attempts: median %v, slowest %v", seen[10].Round(time.Millisecond), seen[19].Round(time.Millisecond))
}

// paints is how many visits TestTimings measures of each kind.
const paints = 9

// leave ends what a page does, so that it does not disturb the next one.
func leave(p *browser.Page) { browser.Eval[int](p, "(location.href = 'about:blank', 1)") }

// scroll scrolls through all rows of a list, one screen for each frame and at most 20 s, and
// returns the times of the frames and the greatest number of rows in the document.
const scroll = `new Promise(done => {
	const body = document.querySelector('%s .body'), frames = []
	const began = performance.now()
	let rows = 0, last = began
	const step = now => {
		frames.push(now - last)
		last = now
		rows = Math.max(rows, body.querySelectorAll('.row').length)
		if (body.scrollTop + body.clientHeight >= body.scrollHeight - 1 || now - began > 20000) return done({rows, frames, drawn: body.innerText !== ''})
		body.scrollTop += body.clientHeight
		requestAnimationFrame(step)
	}
	requestAnimationFrame(step)
})`

// scrolled is the result of scroll.
type scrolled struct {
	Rows   int
	Drawn  bool
	Frames []float64
}

func (s scrolled) check(t *testing.T) {
	t.Helper()
	if s.Rows > 120 || !s.Drawn {
		t.Errorf("the document has up to %d rows, want only those in sight", s.Rows)
	}
	slices.Sort(s.Frames)
	n := len(s.Frames)
	t.Logf("%d rows in the document; %d frames: median %.1f ms, 95th percentile %.1f ms", s.Rows, n, s.Frames[n/2], s.Frames[n*95/100])
}

// TestTenThousandRows scrolls through 10,000 attempts while further ones arrive.
func TestTenThousandRows(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{attempts: 64 << 10}), browser.Start(t)
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			for range 2600 {
				s.try(fmt.Sprintf("192.0.2.%d", 20+i), http.MethodGet, "/orders/7", "alice", "wonderland")
			}
		})
	}
	clients.Wait()
	p := s.open(b)
	goTo(p, "attempts")
	p.AwaitText(".found", "of 10,000 attempts")
	rowsOfList := browser.Eval[int](p, "+document.querySelector('.grid.attempts').getAttribute('aria-rowcount')")
	if rowsOfList < 9_900 {
		t.Errorf("the list has %d rows, want about 10,000", rowsOfList)
	}
	browser.Eval[scrolled](p, fmt.Sprintf(scroll, ".grid.attempts")).check(t)

	browser.Eval[int](p, "document.querySelector('.grid.attempts .body').scrollTop = 36000")
	p.Await("Math.abs(document.querySelector('.grid.attempts .body .row').getAttribute('aria-rowindex') - 1000) < 40")
	// The link of the row at the upper edge of the list.
	const reading = `(() => {
		const body = document.querySelector('.grid.attempts .body')
		const isUpper = row => parseFloat(row.style.top) <= body.scrollTop && body.scrollTop < parseFloat(row.style.top) + row.offsetHeight
		return [...body.querySelectorAll('.row')].find(isUpper).querySelector('a').href
	})()`
	first := browser.Eval[string](p, reading)
	s.try("192.0.2.99", http.MethodGet, "/orders", "alice", "wonderland")
	p.AwaitText(".more", "1 new")
	if now := browser.Eval[string](p, reading); now != first {
		t.Errorf("a new attempt moved what the operator reads:\n%q\n%q", first, now)
	}
	p.Click(".more")
	p.AwaitText(".grid.attempts .body", "192.0.2.99")
	p.NoProblems()
}

// TestTenThousandEpisodes scrolls through 10,000 running episodes while many of them change.
func TestTenThousandEpisodes(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{}), browser.Start(t)
	report := func(episode int, attempts uint64) {
		s.op.Detection(detect.Detection{
			Rule: detect.Rules()[episode%4], Episode: uint64(episode + 1), Time: time.Now(), First: time.Now(), Last: time.Now(), Attempts: attempts,
			Accounts: []string{"alice"}, AccountCount: 1, Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, NetworkCount: 1,
		})
	}
	for i := range 10_000 {
		report(i, 30)
	}
	p := s.open(b)
	goTo(p, "episodes")
	p.AwaitText(".found", "10,000 running")
	stop := make(chan struct{})
	var attack sync.WaitGroup
	attack.Go(func() { // 200 reports a second, on which the page must not hang
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
				report(i*37%10_000, 31)
			}
		}
	})
	result := browser.Eval[scrolled](p, fmt.Sprintf(scroll, ".grid.episodes"))
	close(stop)
	attack.Wait()
	result.check(t)
	report(4711, 987_654)
	browser.Eval[int](p, "document.querySelector('.grid.episodes .body').scrollTop = 0")
	p.AwaitText(".grid.episodes .body", "987,654")
	p.NoProblems()
}

// TestPictures takes the pictures of the documentation with -update, and otherwise looks whether
// they are there.
func TestPictures(t *testing.T) {
	t.Parallel()
	pictures := []struct {
		name, view string
		v          browser.View
	}{
		{"console", "overview", browser.View{Width: 1280, Height: 860}},
		{"console-dark", "attempts", browser.View{Width: 1280, Height: 720, Dark: true}},
		{"console-episode", "episodes", browser.View{Width: 1280, Height: 1060}},
		{"console-explain", "explain?account=alice&network=203.0.113.9", browser.View{Width: 1280, Height: 720}},
		{"console-phone", "accounts", browser.View{Phone: true, Scale: 2}},
	}
	file := func(name string) string { return "../../docs/images/" + name + ".webp" }
	if !*update {
		for _, picture := range pictures {
			if _, err := os.Stat(file(picture.name)); err != nil {
				t.Error(err)
			}
		}
		return
	}
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	for range 9 {
		s.traffic()
		<-time.After(9 * time.Second)
	}
	s.attacked()
	p.AwaitText("#views", "2")
	for _, picture := range pictures {
		p.View(picture.v)
		goTo(p, picture.view)
		if picture.view == "episodes" {
			p.Click(".grid.episodes .body .row a")
		}
		<-time.After(2 * time.Second)
		if err := os.WriteFile(file(picture.name), p.Screenshot("webp"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
