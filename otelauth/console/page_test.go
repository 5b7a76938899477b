// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/internal/testkit/browser"
)

// views are all views with something to see, once attacked has run.
var views = []string{
	"overview", "attempts", "episodes", "endpoints", "accounts", "acts", "process", "explain", "explain?account=alice&network=203.0.113.9",
	"attempt?trace=0123456789abcdef0123456789abcdef",
}

// open opens the page as root and waits until it is live.
func (s *service) open(b *browser.Browser) *browser.Page {
	s.t.Helper()
	return s.openAs(b, "root", "toor")
}

func (s *service) openAs(b *browser.Browser, user, pass string) *browser.Page {
	s.t.Helper()
	p := b.Open(s.t, s.page(user, pass), browser.View{})
	p.AwaitText("h1", "")
	p.Await("document.getElementById('live').dataset.state === 'live'")
	return p
}

// goTo shows a view.
func goTo(p *browser.Page, view string) {
	browser.Eval[string](p, fmt.Sprintf("location.hash = %q", "#/"+view))
	name, _, _ := strings.Cut(view, "?")
	p.Await("document.querySelector('.view-" + name + " h1')")
}

// attacked is what the pages show: normal traffic, a guesser of alice's password, a spray and a
// guesser of a name that does not exist.
func (s *service) attacked() {
	s.t.Helper()
	s.traffic()
	s.guess("203.0.113.9", "alice", 25)
	s.guess("203.0.113.77", "mallory@example.com", 14)
	s.spray("198.51.100.7")
}

// TestFromAttackToUndo is the work of an operator in one sitting.
func TestFromAttackToUndo(t *testing.T) {
	t.Parallel()
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	p.AwaitText("h1", "No attack is running.")
	p.AwaitText(".empty.first", "curl -i -u alice:wrong")

	s.attacked()
	p.AwaitText("h1", "One network tries passwords on many accounts.")
	p.AwaitText(".view-overview", "password_spray")
	p.AwaitText(".view-overview", "alice from 203.0.113.9")
	if got := s.try("203.0.113.9", http.MethodGet, "/orders", "alice", "wonderland"); got != http.StatusTooManyRequests {
		t.Fatalf("alice gets %d in the network of the guesser, want 429", got)
	}

	p.Press("/")
	p.Type("#find-text", "alice")
	p.Press("Enter")
	p.AwaitText(".sentence", "alice")
	p.Click(".view-explain .sentence")
	goTo(p, "explain?account=alice&network=203.0.113.9")
	p.AwaitText(".sentence", "too many wrong passwords")

	p.Click(".answer .verb.clear")
	p.AwaitText("dialog", "otelauth budgets clear alice --network 203.0.113.9")
	p.Type("dialog input", "alice called")
	p.Press("Enter")
	p.AwaitText("#toasts", "full again")
	p.AwaitText(".sentence", "Nothing blocks alice")
	if got := s.try("203.0.113.9", http.MethodGet, "/orders", "alice", "wonderland"); got != http.StatusOK {
		t.Errorf("alice gets %d after the unblock, want 200", got)
	}

	goTo(p, "explain?network=198.51.100.7")
	p.Click(".answer .verb.deny")
	p.Type("dialog input", "spray")
	p.Press("Enter")
	p.AwaitText(".sentence", "is blocked")
	if got := s.try("198.51.100.7", http.MethodGet, "/orders", "bob", "builder"); got != http.StatusTooManyRequests {
		t.Errorf("bob gets %d from the denied network, want 429", got)
	}

	goTo(p, "acts")
	p.AwaitText(".grid.history", "alice called")
	p.Click(".grid.history .verb.undo")
	p.Type("dialog input", "a customer's office")
	p.Press("Enter")
	p.AwaitText(".grid.history", "undone")
	p.Await("!document.querySelector('.grid.history .verb.undo')")
	if got := s.try("198.51.100.7", http.MethodGet, "/orders", "bob", "builder"); got != http.StatusOK {
		t.Errorf("bob gets %d after the undo, want 200", got)
	}
	p.NoProblems()
}

// TestStory follows one attempt from the list to its story and on to the backend.
func TestStory(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	s.attacked()
	goTo(p, "attempts?outcome=throttled")
	p.Click(".grid.attempts .body .row a")
	p.AwaitText(".steps", "A budget of guesses was empty")
	p.AwaitText(".steps", "429")
	link := browser.Eval[string](p, "document.querySelector('.title a.button').href")
	trace := browser.Eval[string](p, "new URLSearchParams(location.hash.split('?')[1]).get('trace')")
	if link != "https://backend.example/trace/"+trace || len(trace) != 32 {
		t.Errorf("the link to the backend of trace %s is %s", trace, link)
	}
	p.Type("#find-text", "0123456789abcdef0123456789ABCDEF")
	p.Press("Enter")
	p.AwaitText(".view-attempt", "No attempt with this trace id")
	goTo(p, "episodes")
	p.Click(".grid.episodes .body .row a")
	p.AwaitText(".view-episode", "198.51.100.0/24")
	p.Click(".view-episode .evidence code")
	p.AwaitText(".steps", "The password is not that of the account.")
	p.NoProblems()
}

// TestHostileNames looks for markup and for characters that change the direction of text.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	s.guess("203.0.113.66", hostile, 12)
	s.guess("203.0.113.66", "<b>nobody</b>", 12)
	escaped := "<img src=x onerror=alert(1)>\u27e8U+202E\u27e9gnp.exe"
	for _, view := range []string{"overview", "attempts", "accounts"} {
		goTo(p, view)
		p.AwaitText("main", "<img src=x onerror=alert(1)>")
	}
	p.Click(".view-accounts .grid.budgets a")
	p.AwaitText("main", escaped)
	p.Click(".answer .verb.deny")
	p.AwaitText("dialog h2", escaped)
	p.Type("dialog input", "<script>alert(2)</script> and \u2066more")
	p.Press("Enter")
	p.AwaitText("#toasts", "is blocked")
	goTo(p, "acts")
	p.AwaitText("main", "<script>alert(2)</script> and")
	for _, forbidden := range []string{"main img", "main script", "main b b", "dialog script", "#toasts script"} {
		if n := browser.Eval[int](p, fmt.Sprintf("document.querySelectorAll(%q).length", forbidden)); n != 0 {
			t.Errorf("the page has %d elements %q, made of what a client sent", n, forbidden)
		}
	}
	if text := browser.Eval[string](p, "document.body.textContent"); strings.ContainsAny(text, "\u202e\u2066") {
		t.Error("the page has a bidirectional control character as it was sent")
	}
	p.NoProblems()
}

// TestAccessible looks at each view, empty and full, in both colour schemes, on a screen and on a
// phone.
func TestAccessible(t *testing.T) {
	t.Parallel()
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	for _, isAttacked := range []bool{false, true} {
		if isAttacked {
			s.attacked()
			p.AwaitText("#views", "2")
			goTo(p, "explain?account=bob")
			p.Click(".answer .verb.deny")
			p.AwaitText("dialog", "even with the right password")
			p.Accessible()
			p.Type("dialog input", "on leave")
			p.Press("Enter")
			p.AwaitText("#toasts", "bob")
		}
		for _, v := range []browser.View{{}, {Dark: true}, {Phone: true}, {Phone: true, Dark: true}}[:testkit.Repeats(1, 4)] {
			p.View(v)
			for _, view := range views {
				goTo(p, view)
				if view == "episodes" && isAttacked {
					p.Click(".grid.episodes .body .row a")
					p.AwaitText(".view-episode", "What it means")
					p.Accessible()
					goTo(p, view)
				}
				p.Accessible()
				if wide := browser.Eval[int](p, "document.scrollingElement.scrollWidth - innerWidth"); wide > 0 {
					t.Errorf("%+v: %s is %d pixels wider than the window", v, view, wide)
				}
			}
		}
	}
	p.View(browser.View{})
	p.Click("#help")
	p.AwaitText("dialog.help", "What the words mean")
	p.Accessible()
	p.NoProblems()
}

// TestKeyboard unblocks an account without a mouse.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	s.guess("203.0.113.9", "alice", 12)
	p.Press("5") // accounts
	p.AwaitText(".grid.budgets", "alice")
	tabTo(p, ".grid.budgets .verb.clear")
	p.Press("Enter")
	p.AwaitText("dialog", "Reason")
	p.Press("c", "a", "l", "l", "Enter")
	p.AwaitText("#toasts", "full again")
	p.AwaitText(".view-accounts", "No one is blocked.")
	p.Press("2") // attempts
	tabTo(p, ".grid.attempts .body .row a")
	p.Press("ArrowDown", "ArrowDown")
	if got := browser.Eval[string](p, "document.activeElement.closest('.row').getAttribute('aria-rowindex')"); got != "4" {
		t.Errorf("two arrows down from the first row lead to row %s, want 4", got)
	}
	p.Press("?")
	p.AwaitText("dialog.help", "Keys")
	p.Press("Escape")
	p.Await("!document.querySelector('dialog')")
	p.NoProblems()
}

// tabTo presses Tab until an element has the focus.
func tabTo(p *browser.Page, selector string) {
	for range 60 {
		p.Press("Tab")
		if browser.Eval[bool](p, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
	}
	p.Await(fmt.Sprintf("document.activeElement.matches(%q)", selector))
}

// TestTwoOperators lets two operators act on the same subject.
func TestTwoOperators(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{}), browser.Start(t)
	root, eve := s.open(b), s.openAs(b, "eve", "adam")
	s.attacked()
	for _, p := range []*browser.Page{root, eve} {
		goTo(p, "explain?network=198.51.100.7")
		p.Click(".answer .verb.deny")
	}
	eve.Type("dialog input", "spray")
	eve.Press("Enter")
	root.AwaitText("dialog .problem", "Meanwhile eve did: deny. Reason: spray")
	root.Press("Escape")
	for _, p := range []*browser.Page{root, eve} {
		goTo(p, "acts")
		p.Click(".grid.history .verb.undo")
	}
	root.Type("dialog input", "wrong network")
	root.Press("Enter")
	eve.AwaitText(".grid.history", "undone")
	eve.Type("dialog input", "over")
	eve.Press("Enter")
	eve.AwaitText("dialog .problem", "another operator was faster")
	root.NoProblems()
}

// TestRestart keeps a page open while the process is replaced.
func TestRestart(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	address := testkit.FreeAddress(t)
	s, b := start(t, options{address: address}), browser.Start(t)
	p := s.open(b)
	s.attacked()
	goTo(p, "explain?account=bob")
	p.Click(".answer .verb.deny")
	p.AwaitText("dialog", "Reason")
	s.stop()
	p.AwaitText("#live", "Reconnecting")
	p.AwaitText("#live", "The process does not answer.")

	s = start(t, options{address: address})
	s.guess("203.0.113.9", "alice", 3)
	p.AwaitText("#notices", "The process was restarted")
	p.Await("document.getElementById('live').dataset.state === 'live'")
	p.Press("Escape")
	goTo(p, "attempts?outcome=failure")
	p.AwaitText(".found", "3 of ")
	goTo(p, "overview")
	p.AwaitText("h1", "No attack is running.")
}

// TestStaleAct sends an act that was decided on what another process had shown.
func TestStaleAct(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	status := browser.Eval[int](p, `fetch(location.origin + location.pathname + 'v1/acts', {method: 'POST', body: '{"verb":"deny","account":"bob","reason":"x"}',
		headers: {'Content-Type': 'application/json', 'X-Otelauth-Act': '1', 'X-Otelauth-Instance': 'another'}}).then(r => r.status)`)
	if status != http.StatusConflict {
		t.Errorf("a stale act gets %d, want 409", status)
	}
	if got := s.try("192.0.2.11", http.MethodGet, "/orders", "bob", "builder"); got != http.StatusOK {
		t.Errorf("bob gets %d, want 200: a stale act had an effect", got)
	}
}

// TestReadOnly has no button that would be refused.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{readOnly: true}), browser.Start(t)
	p := s.open(b)
	s.guess("203.0.113.9", "alice", 12)
	goTo(p, "accounts")
	p.AwaitText(".grid.budgets", "alice")
	goTo(p, "acts")
	p.AwaitText("main", "read-only")
	goTo(p, "explain?account=alice&network=203.0.113.9")
	p.AwaitText(".sentence", "too many wrong passwords")
	if n := browser.Eval[int](p, "document.querySelectorAll('.verb').length"); n != 0 {
		t.Errorf("%d buttons of acts in a read-only page", n)
	}
	p.NoProblems()
}

// TestNoOutsideRequest opens every view and looks where the requests went.
func TestNoOutsideRequest(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	s.attacked()
	for _, view := range views {
		goTo(p, view)
	}
	host := strings.TrimPrefix(s.url, "http://")
	if outside := slices.DeleteFunc(p.Requests(), func(url string) bool { return strings.Contains(url, host+"/console/") }); len(outside) > 0 {
		t.Errorf("requests outside of the page: %q", outside)
	}
	p.NoProblems()
}
