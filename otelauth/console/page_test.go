// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/internal/testkit/browser"
	"github.com/otelauth/otelauth-go/otelauth/detect"
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

// confirm sends the open dialog with a reason and waits until it is closed: the lists may show the
// act before, while the page behind the dialog still takes no click.
func confirm(p *browser.Page, reason string) {
	p.Type("dialog input", reason)
	p.Press("Enter")
	p.Await("!document.querySelector('dialog')")
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
	confirm(p, "alice called")
	p.AwaitText("#toasts", "full again")
	p.AwaitText(".sentence", "Nothing blocks alice")
	if got := s.try("203.0.113.9", http.MethodGet, "/orders", "alice", "wonderland"); got != http.StatusOK {
		t.Errorf("alice gets %d after the unblock, want 200", got)
	}

	goTo(p, "explain?network=198.51.100.7")
	p.Click(".answer .verb.deny")
	confirm(p, "spray")
	p.AwaitText(".sentence", "is blocked")
	if got := s.try("198.51.100.7", http.MethodGet, "/orders", "bob", "builder"); got != http.StatusTooManyRequests {
		t.Errorf("bob gets %d from the denied network, want 429", got)
	}

	goTo(p, "acts")
	p.AwaitText(".grid.history", "alice called")
	p.Click(".grid.history .verb.undo")
	confirm(p, "a customer's office")
	p.AwaitText(".grid.history", "undone")
	// That of the unblock is left.
	p.Await("document.querySelectorAll('.grid.history .verb.undo').length === 1")
	if got := s.try("198.51.100.7", http.MethodGet, "/orders", "bob", "builder"); got != http.StatusOK {
		t.Errorf("bob gets %d after the undo, want 200", got)
	}
	p.Click(".grid.history .verb.undo")
	p.AwaitText("dialog", "Charges the guesses again")
	confirm(p, "the caller was not alice")
	p.Await("!document.querySelector('.grid.history .verb.undo')")
	goTo(p, "explain?account=alice&network=203.0.113.9")
	p.AwaitText(".meters", "of 10 guesses left")
	p.Await("!document.querySelector('.meters').innerText.includes('10 of 10 guesses left')")
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
	for _, want := range []string{
		"198.51.100.7\n20 attempts", "/admin\n20 attempts", "Go-http-client/1.1", "20 × 401", "Confidence", "otelauth budgets deny --network 198.51.100.0/24 --for 24h --reason ",
		"password_spray continues: one network tries passwords on many accounts; 20 attempts since ",
	} {
		p.AwaitText(".view-episode .detail", want)
	}
	p.Click(".view-episode .evidence code")
	p.AwaitText(".steps", "The password is not that of the account.")
	p.NoProblems()
}

// TestHostileNames looks for markup and for characters that change the direction of text.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	s.guess("203.0.113.66", hostile, 12)
	s.guess("203.0.113.66", "<b>nobody</b>", 12)
	escaped := "<img src=x onerror=alert(1)>\u27e8U+202E\u27e9gnp.exe"
	for _, view := range []string{"overview", "attempts", "accounts"} {
		goTo(p, view)
		p.AwaitText("main", "<img src=x onerror=alert(1)>")
	}
	s.hostileEpisode()
	goTo(p, "episode?id=00000000000000ff")
	p.AwaitText(".view-episode .detail", "User agents")
	for _, part := range []string{"Endpoints", "User agents"} {
		p.AwaitText(".detail section[aria-label='"+part+"']", escaped)
	}
	p.AwaitText(".view-episode", "<b>origin</b>")
	if n := browser.Eval[int](p, "document.querySelectorAll('.detail a[href^=javascript], .detail section section').length"); n != 0 {
		t.Errorf("%d links or sections are made of what an event says", n)
	}
	isPlain(t, p)
	goTo(p, "accounts")
	p.Click(".view-accounts .grid.budgets a")
	p.AwaitText("main", escaped)
	p.Click(".answer .verb.deny")
	p.AwaitText("dialog h2", escaped)
	confirm(p, "<script>alert(2)</script> and \u2066more")
	p.AwaitText("#toasts", "is blocked")
	goTo(p, "acts")
	p.AwaitText("main", "<script>alert(2)</script> and")
	isPlain(t, p)
	p.NoProblems()
}

// isPlain fails if what a client sent became an element, or has bidirectional controls.
func isPlain(t *testing.T, p *browser.Page) {
	t.Helper()
	for _, forbidden := range []string{"main img", "main script", "main b b", "dialog script", "#toasts script"} {
		if n := browser.Eval[int](p, fmt.Sprintf("document.querySelectorAll(%q).length", forbidden)); n != 0 {
			t.Errorf("the page has %d elements %q, made of what a client sent", n, forbidden)
		}
	}
	if text := browser.Eval[string](p, "document.body.textContent"); strings.ContainsAny(text, "\u202e\u2066") {
		t.Error("the page has a bidirectional control character as it was sent")
	}
}

// TestAccessible looks at each view, empty and full, in both colour schemes, on a screen and on a
// phone.
func TestAccessible(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
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
			confirm(p, "on leave")
			p.AwaitText("#toasts", "bob")
		}
		for _, v := range []browser.View{{}, {Dark: true}, {Phone: true}, {Phone: true, Dark: true}}[:testkit.Repeats(1, 4)] {
			p.View(v)
			for _, view := range views {
				goTo(p, view)
				if view == "episodes" && isAttacked {
					p.Click(".grid.episodes .body .row a")
					p.AwaitText(".view-episode .detail", "What it means")
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
	p.Await("!document.querySelector('dialog')")
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

// TestUpdateDuringClick presses a button, lets an update replace its row, and releases.
func TestUpdateDuringClick(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	s.guess("203.0.113.9", "alice", 12)
	goTo(p, "accounts")
	p.AwaitText(".grid.budgets", "alice")
	const refused = "document.querySelector('.grid.budgets .body .number').innerText"
	before := browser.Eval[string](p, refused)
	p.Hold(".grid.budgets .verb.clear")
	s.guess("203.0.113.9", "alice", 7)
	// The page has the new list and does not show it.
	browser.Eval[any](p, "fetch(location.origin + location.pathname + 'v1/budgets').then(() => new Promise(done => setTimeout(done, 1000))).then(() => 0)")
	if now := browser.Eval[string](p, refused); now != before {
		t.Errorf("the list was updated from %s to %s refusals under the pressed button", before, now)
	}
	p.Release()
	p.AwaitText("dialog", "Unblock alice")
	p.Await(refused + " !== '" + before + "'")
	p.Press("Escape")
	p.Await("!document.querySelector('dialog')")
	p.NoProblems()
}

// TestPasswordAgain acts when the password was checked too long ago, so that the browser asks.
func TestPasswordAgain(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	var later, asked atomic.Int64
	s, b := start(t, options{now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}), browser.Start(t)
	p := s.open(b)
	var knows atomic.Bool
	p.OnChallenge(func() browser.Credentials {
		asked.Add(1)
		if !knows.Load() {
			return browser.Credentials{}
		}
		return browser.Credentials{User: "root", Password: "toor"}
	})
	goTo(p, "explain?account=bob")
	later.Store(int64(6 * time.Minute))
	p.Click(".answer .verb.deny")
	p.Type("dialog input", "on leave")
	p.Press("Enter") // and cancel
	p.AwaitText("dialog .problem", "your password was checked too long ago")
	if asked.Load() == 0 {
		t.Error("the browser did not ask for the password")
	}
	if got := s.try("192.0.2.11", http.MethodGet, "/orders", "bob", "builder"); got != http.StatusOK {
		t.Errorf("bob gets %d, want 200: the act had an effect without the password", got)
	}
	before := asked.Load()
	knows.Store(true)
	// The next request is hashed.
	browser.Eval[int](p, "fetch(location.origin + location.pathname + 'v1/status').then(r => r.status)")
	later.Add(int64(6 * time.Minute))
	p.Press("Enter")
	p.Await("!document.querySelector('dialog')")
	p.AwaitText("#toasts", "is blocked")
	if asked.Load() == before {
		t.Error("the browser did not ask for the password again")
	}
	if got := s.try("192.0.2.11", http.MethodGet, "/orders", "bob", "builder"); got != http.StatusTooManyRequests {
		t.Errorf("bob gets %d, want 429", got)
	}
}

// TestCoverageGaps lets a day pass in which no caller was authenticated at an endpoint.
func TestCoverageGaps(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	var later atomic.Int64
	s, b := start(t, options{now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }}), browser.Start(t)
	s.try("192.0.2.11", http.MethodGet, "/orders", "bob", "builder")
	p := s.open(b)
	goTo(p, "endpoints")
	p.AwaitText("main", "No endpoint is in doubt.")
	p.AwaitText("main", "1 of 2 registered endpoints has served an authenticated caller")
	later.Store(int64(25 * time.Hour))
	p.Reload()
	p.AwaitText("#notices", "ahead of that of this computer")
	p.AwaitText("main", "GET /admin · never_authenticated · The route is registered, and served no authenticated caller for a day.")
	p.Accessible()
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
	confirm(eve, "spray")
	root.AwaitText("dialog .problem", "Meanwhile eve did: deny. Reason: spray")
	root.Press("Escape")
	for _, p := range []*browser.Page{root, eve} {
		goTo(p, "acts")
		p.Click(".grid.history .verb.undo")
	}
	confirm(root, "wrong network")
	eve.AwaitText(".grid.history", "undone")
	eve.Type("dialog input", "over")
	eve.Press("Enter")
	eve.AwaitText("dialog .problem", "another operator was faster")
	// The sentence stays while the page learns more.
	goTo(root, "explain?network=203.0.113.77")
	root.Click(".answer .verb.deny")
	confirm(root, "guesser")
	eve.AwaitText(".grid.history", "203.0.113.77")
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

// TestRulesThatAreOff: without an episode, the view lists all rules and which are off, and counts
// those that are on.
func TestRulesThatAreOff(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s, b := start(t, options{}), browser.Start(t)
	p := s.open(b)
	goTo(p, "episodes")
	on := 0
	for _, r := range detect.Rules() {
		state := "off"
		if !r.Optional {
			state = "on"
			on++
		}
		p.Await(fmt.Sprintf("[...document.querySelectorAll('.view-episodes tbody tr')].some(tr => tr.cells[0].textContent === %q && tr.cells[1].textContent === %q)",
			r.Name, state))
	}
	p.AwaitText(".view-episodes", fmt.Sprintf("It looks for %d patterns", on))
	goTo(p, "overview")
	p.AwaitText(".view-overview", fmt.Sprintf("It watches for %d patterns of guessing", on))
	p.NoProblems()
}
