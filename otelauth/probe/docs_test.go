// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// TestRulesInDocs compares the table of docs/probe.md with the rules.
func TestRulesInDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/probe.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, r := range probe.Rules() {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %d | %s |\n", r.Rule, r.Severity, r.Title, r.CWE, r.ASVS)
	}
	if !strings.Contains(string(page), want.String()) {
		t.Errorf("docs/probe.md has another table of rules than\n%s", want.String())
	}
}

// TestEveryProbeHasARule: the finding of each probe is described, and the names are unique.
func TestEveryProbeHasARule(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, p := range probe.Probes() {
		if seen[p.Name] {
			t.Errorf("two probes have the name %s", p.Name)
		}
		seen[p.Name] = true
		if text := p.Rule.Text(); p.Rule != "" && (text.CWE == 0 || text.ASVS == "" || text.Mend == "") {
			t.Errorf("the rule %s of %s is not described", p.Rule, p.Name)
		}
	}
}
