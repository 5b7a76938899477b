// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/internal/testkit/browser"
)

// TestConsole opens the page of a real gateway in a real browser, while a client guesses.
func TestConsole(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	up := newUpstream(t, nil)
	p := start(t, nil, gatewayArgs(up.url, usersFile(t), "--operator-listen", "none", "--admin-listen", "127.0.0.1:0",
		"--groups", fileOf(t, "groups", "ops: alice\n"), "--operator-group", "ops", "--console",
		"--console-trace-link", "https://backend.example/trace/{trace_id}")...)
	address := p.address("gateway.console")
	if resp := ask(t, address, "", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the page without credentials: %d, want 401", resp.StatusCode)
	}
	page := browser.Start(t).Open(t, strings.Replace(address, "://", "://alice:"+canaryNew+"@", 1), browser.View{})
	page.AwaitText("h1", "No attack is running.")
	page.Await("document.getElementById('live').dataset.state === 'live'")
	ask(t, "http://"+p.address("gateway.listening")+"/orders", "alice", "wrong")
	page.AwaitText(".grid.attempts", "wrong_password")
	page.Click(".grid.attempts .body .row a")
	page.AwaitText(".view-attempt", "The password is not that of the account.")
	if link := browser.Eval[string](page, "document.querySelector('.title a.button').href"); !strings.HasPrefix(link, "https://backend.example/trace/") {
		t.Errorf("the link to the backend is %s", link)
	}
	page.Press("7") // the process
	page.AwaitText(".view-process", "operator-group")
	page.AwaitText(".view-process", "not permitted")
	page.NoProblems()
}
