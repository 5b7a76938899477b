// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// TestGatewayDetectRules checks that a rule of the operator fires, that SIGHUP reads the file
// again, and that a file with an error leaves the rules in force. The operator's API and "otelauth
// status --settings" list what is in force.
func TestGatewayDetectRules(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil)
	file := fileOf(t, "rules.yaml", "rules:\n  - name: first_rule\n    match: {account: alice, outcome: success}\n")
	socket := filepath.Join(t.TempDir(), "op.sock")
	p := start(t, nil, gatewayArgs(up.url, usersFile(t), "--detect-rules", file, "--operator-listen", "unix:"+socket)...)
	url := "http://" + p.address("gateway.listening")
	login := func() {
		t.Helper()
		if resp := ask(t, url, "alice", canaryNew); resp.StatusCode != 200 {
			t.Fatalf("alice: %d", resp.StatusCode)
		}
	}
	// listed checks that rule alone, and exceptions from the rules in except, are listed.
	listed := func(rule string, except ...string) {
		t.Helper()
		var s operator.Status
		if err := json.Unmarshal([]byte(mustOperate(t, socket, []string{"status", "-o", "json"})), &s); err != nil {
			t.Fatal(err)
		}
		if len(s.DetectionRules) != 1 || s.DetectionRules[0].Name != rule || s.DetectionRules[0].Fires != "1 attempts that match, within 1h" {
			t.Errorf("the API lists the rules %+v", s.DetectionRules)
		}
		var from []string
		for _, x := range s.DetectionExceptions {
			from = append(from, x.Rule)
		}
		if !slices.Equal(from, except) {
			t.Errorf("the API lists exceptions from %q, want %q", from, except)
		}
		mustOperate(t, socket, []string{"status", "--settings"}, append([]string{"detect-rules", file, rule, "1 attempts that match, within 1h"}, except...)...)
	}
	listed("first_rule")
	login()
	p.event("auth.detection", map[string]any{"security_rule.name": "first_rule", "auth.detection.phase": "start"})

	if err := os.WriteFile(file, []byte("rules:\n  - name: second_rule\n    match: {acount: alice}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.line("error of the rules", func(l string) bool { return strings.Contains(l, file+`:3: match has no key "acount"`) })
	p.event("gateway.reload_failed", nil)
	listed("first_rule")

	if err := os.WriteFile(file, []byte("rules:\n  - name: second_rule\n    match: {account: alice}\n"+
		"exceptions:\n  - rule: unusual_hour\n    account: bob\n    until: 2099-12-31\n    why: shift work\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.event("auth.detection", map[string]any{"security_rule.name": "first_rule", "auth.detection.phase": "end"})
	listed("second_rule", "unusual_hour")
	mustOperate(t, socket, []string{"status", "--settings"}, "bob", "2099-12-31", "shift work")
	login()
	p.event("auth.detection", map[string]any{"security_rule.name": "second_rule", "auth.detection.phase": "start"})
}

// TestGatewayDetectOn checks that detect-on and detect-off reach the detector as a flag, a variable
// and a key of the file: a rule that is on has a series from the start. The operator's API and
// "otelauth status --settings" list the rules that are off.
func TestGatewayDetectOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env, args []string
		off       []string
	}{
		"neither":   {off: []string{"unusual_hour"}},
		"flags":     {args: []string{"--detect-on", "unusual_hour", "--detect-off", "new_network"}, off: []string{"new_network"}},
		"variables": {env: []string{"OTELAUTH_DETECT_ON=unusual_hour", "OTELAUTH_DETECT_OFF=new_network"}, off: []string{"new_network"}},
		"file":      {args: []string{"--config", configOf(t, "detect-on: [unusual_hour]\n")}, off: []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, up, socket := newCollector(t), newUpstream(t, nil), filepath.Join(t.TempDir(), "op.sock")
			env := append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, test.env...)
			p := start(t, env, gatewayArgs(up.url, usersFile(t), append(test.args, "--operator-listen", "unix:"+socket)...)...)
			p.address("gateway.listening")
			var s operator.Status
			if err := json.Unmarshal([]byte(mustOperate(t, socket, []string{"status", "-o", "json"})), &s); err != nil {
				t.Fatal(err)
			}
			if s.DetectionOff == nil || !slices.Equal(s.DetectionOff, test.off) {
				t.Errorf("the API lists %q as off, want %q", s.DetectionOff, test.off)
			}
			line := "Rules of detection that are off: " + strings.Join(test.off, ", ") + "\n"
			if out := mustOperate(t, socket, []string{"status", "--settings"}); strings.Contains(out, line) != (len(test.off) > 0) {
				t.Errorf("want the line %q in\n%s", line, out)
			}
			p.signal(syscall.SIGTERM)
			if code := p.ended(); code != exitDone {
				t.Errorf("exit code %d", code)
			}
			for _, rule := range []string{"unusual_hour", "new_network", "brute_force"} {
				if on := strings.Contains(c.body("/v1/metrics"), rule); on == slices.Contains(test.off, rule) {
					t.Errorf("%s has a series: %t; off: %q", rule, on, test.off)
				}
			}
		})
	}
}

// TestOptionalRulesInHelp checks that the flags that turn a rule on name the rules that are off by
// default.
func TestOptionalRulesInHelp(t *testing.T) {
	t.Parallel()
	var rules []string
	for _, r := range detect.Rules() {
		if r.Optional {
			rules = append(rules, r.Name)
		}
	}
	want := "of those that are off unless they are listed here: " + strings.Join(rules, ", ") + ". "
	for of, field := range map[reflect.Type]string{reflect.TypeFor[detectFlags](): "DetectOn", reflect.TypeFor[detectReplay](): "On"} {
		f, _ := of.FieldByName(field)
		if help := f.Tag.Get("help"); !strings.Contains(help, want) {
			t.Errorf("the help of %v.%s must contain %q: %s", of, field, want, help)
		}
	}
}
