// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// Page is one window. Its methods wait for elements that are not there yet, and fail the test
// after [testkit.Patience].
type Page struct {
	t   testing.TB
	ctx context.Context //nolint:containedctx // the handle of chromedp

	mu       sync.Mutex
	requests []string
	problems []string

	pointer point // where the mouse is
}

// point is a place in the window, in CSS pixels.
type point struct{ X, Y float64 }

func run[T any](p *Page, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := p.within()
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("browser: %s: %v\n%s", what, err, strings.Join(p.Problems(), "\n"))
	}
	return value
}

func call[P, R any](p *Page, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := p.within()
	defer cancel()
	value, err := chromedp.Call(ctx, command, params)
	if err != nil {
		p.t.Fatalf("browser: %s: %v", command.Method, err)
	}
	return value
}

// Eval returns the value of a JavaScript expression. A promise is awaited.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return run(p, expression, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Await waits until a JavaScript expression is true.
func (p *Page) Await(expression string) {
	p.t.Helper()
	testkit.Eventually(p.t, expression, func() bool { return Eval[bool](p, "Boolean("+expression+")") })
}

// AwaitText waits until the first element of a CSS selector shows text that contains want.
func (p *Page) AwaitText(selector, want string) {
	p.t.Helper()
	p.Await(fmt.Sprintf("document.querySelector(%s)?.innerText.includes(%s)", quote(selector), quote(want)))
}

// Text returns what the first element of a CSS selector shows; "" without such an element.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	return Eval[string](p, fmt.Sprintf("document.querySelector(%s)?.innerText ?? ''", quote(selector)))
}

// Click scrolls to the first element of a CSS selector and clicks on it, once it is not covered.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Hold(selector)
	p.Release()
}

// Hold is the first half of a Click: it presses the button of the mouse, until Release.
func (p *Page) Hold(selector string) {
	p.t.Helper()
	testkit.Eventually(p.t, "click on "+selector, func() bool {
		if !p.aim(selector) {
			return false
		}
		p.mouse(input.DispatchMouseEventTypeMouseMoved)
		p.mouse(input.DispatchMouseEventTypeMousePressed)
		if p.isAt(selector) {
			return true
		}
		// The page has changed meanwhile. A release elsewhere is not a click.
		p.pointer = point{}
		p.mouse(input.DispatchMouseEventTypeMouseMoved)
		p.mouse(input.DispatchMouseEventTypeMouseReleased)
		return false
	})
}

// Release releases the button of the mouse.
func (p *Page) Release() {
	p.t.Helper()
	p.mouse(input.DispatchMouseEventTypeMouseReleased)
}

// aim sets the pointer to the middle of an element, and reports whether it is there to be clicked.
func (p *Page) aim(selector string) bool {
	p.t.Helper()
	p.pointer = Eval[point](p, fmt.Sprintf(`(() => {
		const element = document.querySelector(%s)
		element?.scrollIntoView({block: 'center', inline: 'nearest', behavior: 'instant'})
		const box = element?.getClientRects()[0] ?? {x: -1, y: -1, width: 0, height: 0}
		return {x: box.x + box.width / 2, y: box.y + box.height / 2}
	})()`, quote(selector)))
	return p.isAt(selector)
}

// isAt reports whether the pointer is on an element.
func (p *Page) isAt(selector string) bool {
	p.t.Helper()
	return Eval[bool](p, fmt.Sprintf("Boolean(document.querySelector(%s)?.contains(document.elementFromPoint(%f, %f)))", quote(selector), p.pointer.X, p.pointer.Y))
}

func (p *Page) mouse(kind input.DispatchMouseEventType) {
	p.t.Helper()
	params := input.DispatchMouseEventParams{Type: kind, X: p.pointer.X, Y: p.pointer.Y}
	if kind != input.DispatchMouseEventTypeMouseMoved {
		params.Button, params.ClickCount = input.MouseButtonLeft, 1
	}
	call(p, input.DispatchMouseEvent, params)
}

// Type types text into the first element of a CSS selector.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	run(p, "typing into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

var keys = map[string]string{
	"Tab": kb.Tab, "Enter": kb.Enter, "Escape": kb.Escape, "Space": " ", "Home": kb.Home, "End": kb.End,
	"ArrowUp": kb.ArrowUp, "ArrowDown": kb.ArrowDown, "ArrowLeft": kb.ArrowLeft, "ArrowRight": kb.ArrowRight,
	"PageUp": kb.PageUp, "PageDown": kb.PageDown,
}

// Press presses keys one after another: a character, or a name of KeyboardEvent.key such as
// "Enter". "Shift+" before a key holds the shift key.
func (p *Page) Press(names ...string) {
	p.t.Helper()
	for _, name := range names {
		var options []chromedp.KeyOption
		key, shift := strings.CutPrefix(name, "Shift+")
		if shift {
			options = append(options, chromedp.KeyModifiers(chromedp.ModifierShift))
		}
		if code, ok := keys[key]; ok {
			key = code
		}
		run(p, "key "+name, chromedp.KeyEvent(key, options...))
	}
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.t.Helper()
	run(p, "reload", chromedp.Reload())
}

// FirstPaint returns the time from the start of the navigation to the first text on the screen.
func (p *Page) FirstPaint() time.Duration {
	p.t.Helper()
	const entry = "performance.getEntriesByName('first-contentful-paint')[0]"
	p.Await(entry)
	return time.Duration(Eval[float64](p, entry+".startTime") * float64(time.Millisecond))
}

// Requests returns the URLs that the page has requested so far.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Problems returns uncaught exceptions, errors on the console, failed requests and violations of
// the Content-Security-Policy so far.
func (p *Page) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.problems)
}

// NoProblems fails the test for each of [Page.Problems].
func (p *Page) NoProblems() {
	p.t.Helper()
	for _, problem := range p.Problems() {
		p.t.Errorf("browser: problem of the page: %s", problem)
	}
}

//go:embed testdata/axe
var axePackage embed.FS

// axeSource installs axe once in a process.
var axeSource = func() func(t testing.TB) string {
	var mu sync.Mutex
	var source string
	return func(t testing.TB) string {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if source != "" {
			return source
		}
		files, err := fs.Sub(axePackage, "testdata/axe")
		if err != nil {
			t.Fatalf("browser: %v", err)
		}
		text, err := os.ReadFile(filepath.Join(testkit.NodeModules(t, files), "node_modules", "axe-core", "axe.min.js"))
		if err != nil {
			t.Fatalf("browser: %v", err)
		}
		source = string(text)
		return source
	}
}()

// Accessible fails the test for each violation that axe finds in what the page shows now: WCAG 2.2
// up to level AA, and the best practices of axe.
func (p *Page) Accessible() {
	p.t.Helper()
	if !Eval[bool](p, "'axe' in window") {
		Eval[any](p, axeSource(p.t)+";0")
	}
	violations := Eval[[]struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}](p, "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
	for _, v := range violations {
		for _, node := range v.Nodes {
			p.t.Errorf("browser: axe: %s: %s\n%s\n%s", v.ID, v.Help, node.HTML, node.FailureSummary)
		}
	}
}

// quote returns a JavaScript literal.
func quote(text string) string {
	literal, _ := json.Marshal(text) //nolint:errchkjson // a string
	return string(literal)
}
