// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
)

// Credentials answer a challenge of HTTP authentication. The zero value cancels.
type Credentials struct{ User, Password string }

// OnChallenge answers the challenges of HTTP authentication from now on, as a person does who
// sees the browser ask. answer may be called from several goroutines.
func (p *Page) OnChallenge(answer func() Credentials) {
	p.t.Helper()
	// An error means that the request has ended; the page shows its own state then.
	err := chromedp.Listen(p.ctx, func(event any) {
		switch e := event.(type) {
		case *fetch.EventAuthRequired:
			go func() {
				r := &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseCancelAuth}
				if c := answer(); c != (Credentials{}) {
					r = &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseProvideCredentials, Username: c.User, Password: c.Password}
				}
				_, _ = chromedp.Call(p.ctx, fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{RequestID: e.RequestID, AuthChallengeResponse: r})
			}()
		case *fetch.EventRequestPaused:
			go func() {
				_, _ = chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
			}()
		}
	})
	if err != nil {
		p.t.Fatalf("browser: %v", err)
	}
	call(p, fetch.Enable, fetch.EnableParams{HandleAuthRequests: new(true)})
}
