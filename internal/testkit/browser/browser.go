// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"context"
	"os/exec"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// Browser is a running Chromium. It ends with the test that started it.
type Browser struct {
	ctx context.Context //nolint:containedctx // the handle of chromedp
}

// Start starts a Chromium, and skips the test without one. Share it between the subtests of a
// test: a start takes about a second, a page a tenth of that.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is missing: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the end of the process
		cancel()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("browser: start of %s: %v", path, err)
	}
	return &Browser{ctx}
}

// View is how a person looks at a page. The zero value is a window of 1280 × 800 in light colours.
type View struct {
	Width, Height int
	// Dark prefers dark colours.
	Dark bool
	// Phone has touch instead of a mouse. Its default size is 375 × 667.
	Phone bool
	// Scale is the number of device pixels for each CSS pixel. The default is 1.
	Scale float64
}

func (v View) withDefaults() View {
	switch {
	case v.Width == 0 && v.Phone:
		v.Width, v.Height = 375, 667
	case v.Width == 0:
		v.Width, v.Height = 1280, 800
	}
	if v.Scale == 0 {
		v.Scale = 1
	}
	return v
}

// Open opens url in a window of its own, without cookies or storage of other windows, and waits
// until the page is loaded. The window closes with the test.
func (b *Browser) Open(t testing.TB, url string, v View) *Page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &Page{t: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("browser: new window: %v", err)
	}
	if err := chromedp.Listen(ctx, p.record); err != nil {
		t.Fatalf("browser: %v", err)
	}
	run(p, "enable of the network events", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
		return err
	}))
	p.View(v)
	run(p, "load of "+url, chromedp.Navigate(url))
	return p
}

// View changes the window of a page.
func (p *Page) View(v View) {
	p.t.Helper()
	v = v.withDefaults()
	options := []chromedp.EmulateViewportOption{chromedp.EmulateScale(v.Scale)}
	if v.Phone {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	run(p, "size of the window", chromedp.EmulateViewport(int64(v.Width), int64(v.Height), options...))
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// record collects requests and problems. chromedp calls it for one event after another.
func (p *Page) record(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += ": " + x.Description
		}
		p.problems = append(p.problems, text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			p.problems = append(p.problems, e.Entry.Text+" "+e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			text := "console.error"
			for _, arg := range e.Args {
				text += " " + string(arg.Value) + arg.Description
			}
			p.problems = append(p.problems, text)
		}
	}
}

// Screenshot returns a picture of what the window shows, in the format png or webp.
func (p *Page) Screenshot(format string) []byte {
	p.t.Helper()
	params := page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormat(format)}
	if format == "webp" {
		params.Quality = new(int64(80))
	}
	return call(p, page.CaptureScreenshot, params).Data
}

// within bounds an action with [testkit.Patience].
func (p *Page) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, testkit.Patience)
}
