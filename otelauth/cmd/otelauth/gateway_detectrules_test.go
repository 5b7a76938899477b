// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestGatewayDetectRules checks that a rule of the operator fires, that SIGHUP reads the file
// again, and that a file with an error leaves the rules in force.
func TestGatewayDetectRules(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil)
	file := fileOf(t, "rules.yaml", "rules:\n  - name: first_rule\n    match: {account: alice, outcome: success}\n")
	p := start(t, nil, gatewayArgs(up.url, usersFile(t), "--detect-rules", file)...)
	url := "http://" + p.address("gateway.listening")
	login := func() {
		t.Helper()
		if resp := ask(t, url, "alice", canaryNew); resp.StatusCode != 200 {
			t.Fatalf("alice: %d", resp.StatusCode)
		}
	}
	login()
	p.event("auth.detection", map[string]any{"security_rule.name": "first_rule", "auth.detection.phase": "start"})

	if err := os.WriteFile(file, []byte("rules:\n  - name: second_rule\n    match: {acount: alice}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.line("error of the rules", func(l string) bool { return strings.Contains(l, file+`:3: match has no key "acount"`) })
	p.event("gateway.reload_failed", nil)

	if err := os.WriteFile(file, []byte("rules:\n  - name: second_rule\n    match: {account: alice}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.event("auth.detection", map[string]any{"security_rule.name": "first_rule", "auth.detection.phase": "end"})
	login()
	p.event("auth.detection", map[string]any{"security_rule.name": "second_rule", "auth.detection.phase": "start"})
}
