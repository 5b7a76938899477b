// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

// logQuery is one query of alerts/queries/queries.yaml.
type logQuery struct {
	Name   string
	Why    string
	Fields []string // the fields of events that it reads, in OpenTelemetry's spelling
	LogQL  string   `yaml:"logql"`
	LogsQL string   `yaml:"logsql"`
}

func logQueries(t *testing.T) []logQuery {
	t.Helper()
	var queries []logQuery
	b, err := os.ReadFile(filepath.Join(collectortest.ConfigDir(), "alerts", "queries", "queries.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &queries); err != nil {
		t.Fatal(err)
	}
	return queries
}

var (
	quoted     = regexp.MustCompile(`"[^"]*"`)
	template   = regexp.MustCompile(`\{\{[^}]*\}\}`)
	templated  = regexp.MustCompile(`\.(\w+)`)
	underlined = regexp.MustCompile(`\b[a-z]+(?:_[a-z]+)+\b`)
	dotted     = regexp.MustCompile(`\b[a-z_]+(?:\.[a-z_]+)+\b`)
)

// distinguishing are the labels by which LogQL identifies an event, whose name Loki does not keep.
var distinguishing = []string{"auth_outcome", "auth_events_suppressed_count", "security_rule_name"}

// fieldsOfLogQL returns the labels in a query, without functions and Loki's own labels.
func fieldsOfLogQL(q string) []string {
	var names []string
	for _, tmpl := range template.FindAllString(q, -1) {
		for _, m := range templated.FindAllStringSubmatch(tmpl, -1) {
			names = append(names, m[1])
		}
	}
	names = append(names, underlined.FindAllString(quoted.ReplaceAllString(q, `""`), -1)...)
	names = slices.DeleteFunc(names, func(n string) bool {
		return slices.Contains([]string{"count_over_time", "sum_over_time", "line_format", "label_format", "service_name", "__line__"}, n)
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// fieldsOfLogsQL returns the fields with a dot in a query. Names of events have a dot too.
func fieldsOfLogsQL(q string, events []string) []string {
	names := dotted.FindAllString(quoted.ReplaceAllString(q, `""`), -1)
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(events, n) })
	slices.Sort(names)
	return slices.Compact(names)
}

// TestQueriesNameFieldsOfRealEvents finds a field that is renamed in the library, or misspelt in a
// query, without a server.
func TestQueriesNameFieldsOfRealEvents(t *testing.T) {
	t.Parallel()
	sink := collectortest.NewSink(t)
	s := newStory(t, sink.HTTP, "")
	s.play(t)
	exported := map[string]bool{"event_name": true, "trace_id": true}
	var events []string
	for _, r := range sink.LogRecords() {
		events = append(events, r.EventName())
		for k := range r.Attributes().All() {
			exported[k] = true
		}
	}
	for _, name := range []string{"auth.attempt", "auth.detection", "auth.events.suppressed", "auth.account.reload", "auth.throttle.store", "auth.trail.checkpoint", "auth.trail.anomaly"} {
		if !slices.Contains(events, name) {
			t.Errorf("the library has not emitted %s", name)
		}
	}
	events = append(events, "auth.throttle.snapshot", "auth.detection.snapshot", "auth.detection.memory")
	underscored := map[string]bool{}
	for f := range exported {
		underscored[strings.ReplaceAll(f, ".", "_")] = true
	}

	queries := logQueries(t)
	if len(queries) < 10 {
		t.Fatalf("only %d queries", len(queries))
	}
	seen := map[string]bool{}
	for _, q := range queries {
		if q.Name == "" || q.Why == "" || q.LogQL == "" || q.LogsQL == "" || len(q.Fields) == 0 || seen[q.Name] {
			t.Errorf("query %q: name, why, fields, logql and logsql must be set, and the name must be unique", q.Name)
		}
		seen[q.Name] = true
		declared := map[string]bool{}
		for _, f := range q.Fields {
			if !exported[f] {
				t.Errorf("query %s: no event that the library exported has the field %s", q.Name, f)
			}
			declared[f], declared[strings.ReplaceAll(f, ".", "_")] = true, true
		}
		for _, f := range fieldsOfLogQL(q.LogQL) {
			if !declared[f] && !slices.Contains(distinguishing, f) {
				t.Errorf("query %s: logql reads %s, which is missing in fields", q.Name, f)
			}
		}
		for _, f := range fieldsOfLogsQL(q.LogsQL, events) {
			if !declared[f] {
				t.Errorf("query %s: logsql reads %s, which is missing in fields", q.Name, f)
			}
		}
		if !strings.Contains(q.LogQL, `{service_name=~".+"}`) {
			t.Errorf("query %s: logql must select streams by service_name", q.Name)
		}
		if !strings.HasPrefix(q.LogsQL, "_time:24h ") {
			t.Errorf("query %s: logsql must begin with its time", q.Name)
		}
	}
	for _, f := range distinguishing {
		if !underscored[f] {
			t.Errorf("no event has %s, by which LogQL distinguishes events", f)
		}
	}
}
