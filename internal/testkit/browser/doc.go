// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package browser drives a headless Chromium in tests of pages: mouse, keyboard, dark and light
// scheme, phone width, screenshots, paint times, and the accessibility rules of axe.
//
//	b := browser.Start(t)
//	page := b.Open(t, url, browser.View{Dark: true})
//	page.AwaitText("h1", "Overview")
//	page.Press("Tab")
//	page.NoProblems()
//	page.Accessible()
//
// The sandbox of Chromium is off, because it needs rights that containers lack. Open only pages
// that the test itself serves.
package browser
