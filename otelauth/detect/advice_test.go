// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// TestEveryRuleHasAdvice names the rows that are missing in advices.
func TestEveryRuleHasAdvice(t *testing.T) {
	t.Parallel()
	for id, a := range advices {
		if a.benign == "" || a.next == "" || !strings.HasPrefix(a.command, "otelauth ") {
			t.Errorf("advice.go has no complete row for %s", rules[id].Name)
		}
	}
}

// advicePage returns the sections of docs/detections.md.
func advicePage() string {
	var b strings.Builder
	for id, r := range described {
		a := advices[id]
		fmt.Fprintf(&b, "### %s\n\n%s. Severity %s, ATT&CK %s.\n\n", r.Name, sentence(r.Summary), r.Severity, r.Technique)
		if r.Optional {
			fmt.Fprintf(&b, "It is off by default. Turn it on with `--detect-on %s`, or in Go with `detect.Config{On: []string{%q}}`.\n"+
				"What it needs is learned while it is off too. With `--detect-file` or Redis it fires at once after the restart that turns it on.\n\n", r.Name, r.Name)
		}
		fmt.Fprintf(&b, "- **Fires at:** %s.\n- **The same without an attack:** %s.\n- **Next step:** %s.\n- **Command:** `%s`\n\n",
			r.Default, a.benign, a.next, a.command)
	}
	b.WriteString("## An example\n\nThis is the start of an attack, as JSON:\n\n```json\n" + exampleEvent() + "```\n\n")
	return b.String()
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// exampleEvent returns the event that the start of an attack leaves, for docs/detections.md.
func exampleEvent() string {
	cfg := Config{}
	_ = cfg.complete() // the zero Config is valid
	var found []*Detection
	e := newEngine(&cfg, sip{1, 2}, func(d *Detection) { found = append(found, d) }, func(ruleID, uint64, *sample) {})
	e.base = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for i := range 12 {
		s := sample{
			at: e.base.Add(time.Duration(i) * time.Minute), client: netip.AddrFrom4([4]byte{203, 0, 113, byte(7 + i%2)}),
			name:  []string{"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy"}[i%10],
			route: "/orders/{id}", fingerprint: uint64(i + 1), trace: trace.TraceID{15: byte(i + 1)}, proven: true, refused: i == 5,
		}
		s.hash = "k1:" + s.name
		s.agent.set("python-requests/2.32")
		e.take(&s)
	}
	event := map[string]any{"body": found[0].Message(), "trace_id": found[0].Trace.String()}
	for _, kv := range found[0].attributes() {
		event[string(kv.Key)] = kv.Value.AsInterface()
	}
	text, _ := json.MarshalIndent(event, "", "  ")
	return string(text) + "\n"
}
