// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

type ruleGroup struct {
	File     string `yaml:"-"`
	Name     string
	Interval model.Duration
	Rules    []rule
}

type rule struct {
	Alert, Record, Expr string
	For                 *model.Duration
	Labels, Annotations map[string]string
}

func alertsDir() string { return filepath.Join(collectortest.ConfigDir(), "alerts") }

func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(alertsDir(), pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(names), err)
	}
	return names
}

func decode(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func ruleGroups(t *testing.T) []ruleGroup {
	t.Helper()
	var all []ruleGroup
	for _, path := range files(t, "rules/*.yaml") {
		var file struct{ Groups []ruleGroup }
		decode(t, path, &file)
		for _, g := range file.Groups {
			g.File = filepath.Base(path)
			all = append(all, g)
		}
	}
	return all
}

func run(t *testing.T, pkg, program string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is missing: apt-get install %s", program, pkg)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

func TestRulesAreValid(t *testing.T) {
	t.Parallel()
	args := append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, files(t, "rules/*.yaml")...)
	run(t, "prometheus", "promtool", args...)
}

func TestRulesFireAndKeepSilent(t *testing.T) {
	t.Parallel()
	for _, path := range files(t, "tests/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			run(t, "prometheus", "promtool", "test", "rules", path)
		})
	}
}

const runbook = "https://github.com/otelauth/otelauth-go/blob/main/collector-config/alerts/runbook.md#"

// TestEveryAlertIsComplete checks that each alert has what the operator on call needs.
func TestEveryAlertIsComplete(t *testing.T) {
	t.Parallel()
	book, err := os.ReadFile(filepath.Join(alertsDir(), "runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	paragraphs := map[string]string{}
	for _, p := range strings.Split(string(book), "\n### ")[1:] {
		title, text, _ := strings.Cut(p, "\n")
		paragraphs[strings.ToLower(title)] = text
	}
	queries := map[string]bool{}
	for _, q := range logQueries(t) {
		queries[q.Name] = true
	}

	fires, silent := map[string]bool{}, map[string]bool{}
	for _, path := range files(t, "tests/*.yaml") {
		var file struct {
			Tests []struct {
				AlertRuleTest []struct {
					Alertname string
					ExpAlerts []any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		decode(t, path, &file)
		for _, test := range file.Tests {
			for _, c := range test.AlertRuleTest {
				if len(c.ExpAlerts) > 0 {
					fires[c.Alertname] = true
				} else {
					silent[c.Alertname] = true
				}
			}
		}
	}

	severities := []string{"critical", "warning", "info", "none"}
	known := map[string]bool{}
	for _, g := range ruleGroups(t) {
		if g.Interval == 0 {
			t.Errorf("group %s says no interval", g.Name)
		}
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			if known[r.Alert] {
				t.Errorf("%s stands twice", r.Alert)
			}
			known[r.Alert] = true
			if r.For == nil || !slices.Contains(severities, r.Labels["severity"]) || r.Annotations["summary"] == "" {
				t.Errorf("%s: for, a severity of %v and a summary must be set", r.Alert, severities)
			}
			if !strings.Contains(r.Annotations["description"], "$value") && r.Alert != "AuthHeartbeat" {
				t.Errorf("%s: the description holds no value", r.Alert)
			}
			anchor := strings.ToLower(r.Alert)
			if r.Annotations["runbook_url"] != runbook+anchor {
				t.Errorf("%s: runbook_url is %q", r.Alert, r.Annotations["runbook_url"])
			}
			text := paragraphs[anchor]
			delete(paragraphs, anchor)
			for _, part := range []string{"**Means**", "**Look**", "**Do**", "**Do not**"} {
				if !strings.Contains(text, part) {
					t.Errorf("runbook.md, %s: no %s", r.Alert, part)
				}
			}
			if !fires[r.Alert] || !silent[r.Alert] {
				t.Errorf("%s: the cases in tests/ must have it firing (%v) and silent (%v)", r.Alert, fires[r.Alert], silent[r.Alert])
			}
		}
	}
	for title := range paragraphs {
		t.Errorf("runbook.md: %s is not an alert", title)
	}
	for _, m := range regexp.MustCompile("query `([a-z_]+)`").FindAllStringSubmatch(string(book), -1) {
		if !queries[m[1]] {
			t.Errorf("runbook.md: there is no query %s", m[1])
		}
	}
}

// TestSeveritiesAreThoseOfTheRules compares the mapping in detection.yaml with the library.
func TestSeveritiesAreThoseOfTheRules(t *testing.T) {
	t.Parallel()
	want, got := map[string]string{}, map[string]string{}
	for _, r := range detect.Rules() {
		want[r.Name] = r.Severity.String()
	}
	for _, g := range ruleGroups(t) {
		for _, r := range g.Rules {
			if r.Record == "otelauth:security_rule:severity" {
				got[r.Labels["security_rule_name"]] = r.Labels["security_rule_severity"]
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("detection.yaml (-library +rules):\n%s", d)
	}
}

// TestDetectionPagesInTime compares the delay between a detection's sample and the page with
// README.md.
func TestDetectionPagesInTime(t *testing.T) {
	t.Parallel()
	const budget = 25 * time.Second
	var config struct {
		Route struct {
			Routes []struct {
				Matchers  []string
				GroupWait model.Duration `yaml:"group_wait"`
			}
		}
	}
	decode(t, filepath.Join(alertsDir(), "alertmanager.yaml"), &config)
	wait := time.Duration(-1)
	for _, r := range config.Route.Routes {
		if slices.Contains(r.Matchers, `severity="critical"`) {
			wait = time.Duration(r.GroupWait)
		}
	}
	for _, g := range ruleGroups(t) {
		for _, r := range g.Rules {
			if r.Alert != "AuthDetectionHigh" {
				continue
			}
			if got := time.Duration(g.Interval) + time.Duration(*r.For) + wait; wait < 0 || got > budget {
				t.Errorf("interval %v, for %v and group_wait %v are %v, more than %v", g.Interval, r.For, wait, got, budget)
			}
			readme, err := os.ReadFile(filepath.Join(alertsDir(), "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(readme), fmt.Sprintf("%.0f s", budget.Seconds())) {
				t.Errorf("README.md does not say %v", budget)
			}
			return
		}
	}
	t.Error("no AuthDetectionHigh")
}

func TestAlertmanagerExample(t *testing.T) {
	t.Parallel()
	config := filepath.Join(alertsDir(), "alertmanager.yaml")
	run(t, "prometheus-alertmanager", "amtool", "check-config", config)
	for labels, receiver := range map[string]string{
		"alertname=AuthDetectionHigh severity=critical": "pager",
		"alertname=AuthFailureSpike severity=warning":   "tickets",
		"alertname=AuthDetectionLow severity=info":      "log",
		"alertname=AuthHeartbeat severity=none":         "heartbeat",
	} {
		args := append([]string{"config", "routes", "test", "--config.file=" + config, "--verify.receivers=" + receiver}, strings.Fields(labels)...)
		run(t, "prometheus-alertmanager", "amtool", args...)
	}
	// An inhibition that names an alert which no longer exists has no effect.
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	alerts := map[string]bool{}
	for _, g := range ruleGroups(t) {
		for _, r := range g.Rules {
			alerts[r.Alert] = true
		}
	}
	for _, name := range regexp.MustCompile(`\bAuth[A-Z][A-Za-z]+(?:\.\*)?`).FindAllString(string(b), -1) {
		pattern := regexp.MustCompile("^" + name + "$")
		if !slices.ContainsFunc(slices.Collect(maps.Keys(alerts)), pattern.MatchString) {
			t.Errorf("alertmanager.yaml: %s is not an alert", name)
		}
	}
}
