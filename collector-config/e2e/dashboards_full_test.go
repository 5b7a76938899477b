// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

// TestDashboardsLogQueriesAnswer runs every query of every log panel against a real Loki and a
// real VictoriaLogs, with the events of the story. TestQueriesFindRealEvents checks what the
// queries of alerts/queries must find.
func TestDashboardsLogQueriesAnswer(t *testing.T) {
	t.Parallel()
	s, loki, victoria := playInStores(t)
	values := map[string]string{"client": storyGuesser, "account": storyAccount, "trace": s.TraceID, "route": several("/orders/{id}"), "service": several("orders")}

	open := map[string]func() ([]string, error){}
	for _, b := range boards(t) {
		for _, v := range b.Templating.List {
			if query, ok := v.Query.(map[string]any); ok && query["label"] != nil {
				open[b.File+", variable "+v.Name] = func() ([]string, error) {
					samples, err := loki.QueryMetric(fmt.Sprintf(`sum by (%s) (count_over_time({%[1]s!=""}[30m]))`, query["label"]))
					return texts(samples), err
				}
			}
		}
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				expr := filled(q.Expr, values)
				name := b.File + ", " + p.Title
				switch {
				case q.Datasource.Type == "loki" && q.QueryType == "instant":
					open[name] = func() ([]string, error) {
						samples, err := loki.QueryMetric(expr)
						return texts(samples), err
					}
				case q.Datasource.Type == "loki":
					open[name] = func() ([]string, error) {
						lines, err := loki.Query(expr, 100)
						return texts(lines), err
					}
				case q.Datasource.Type == victoriaLogs:
					open[name] = func() ([]string, error) {
						rows, err := victoria.Query(expr, 100)
						return texts(rows), err
					}
				}
			}
		}
	}
	if len(open) < 30 {
		t.Fatalf("only %d queries were found", len(open))
	}
	errs := map[string]error{}
	for end := time.Now().Add(collectortest.Deadline); len(open) > 0 && time.Now().Before(end); {
		for name, ask := range open {
			rows, err := ask()
			if err == nil && len(rows) == 0 {
				err = errors.New("no answer")
			}
			if strings.Contains(strings.Join(rows, ""), storyCanary) {
				t.Fatalf("%s: a password in %s", name, rows)
			}
			if errs[name] = err; err == nil {
				delete(open, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(open)) {
		t.Errorf("%s: %v", name, errs[name])
	}
}

func texts[T any](rows []T) []string {
	var all []string
	for _, r := range rows {
		all = append(all, fmt.Sprint(r))
	}
	return all
}
