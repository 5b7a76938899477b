// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
)

// what each query must find in the story: a text in a row, "" for any row.
var found = map[string]string{
	"denials_by_client":         storySprayer,
	"denials_by_reason":         "unknown_user",
	"clients_by_accounts_tried": storySprayer,
	"accounts_of_client":        "carol",
	"clients_of_account":        storyGuesser,
	"account_timeline":          storyGuesser,
	"success_after_failures":    storyAccount,
	"detections_timeline":       "password_spray",
	"refused_users":             "bob",
	"trace":                     storyAccount,
	"folded_by_network":         storySprayer,
	"verifier_errors":           "no route to the directory",
	"account_reloads":           "no colon",
	"throttle_state":            "redisstore: no answer",
}

// ofMetrics distinguishes LogQL that returns numbers from LogQL that returns lines.
var ofMetrics = regexp.MustCompile(`_over_time\(`)

func TestQueriesFindRealEvents(t *testing.T) {
	t.Parallel()
	rest := collectortest.NewSink(t)
	loki, victoria := servers.StartLoki(t), servers.StartVictoriaLogs(t)
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/lgtm.yaml", "backends/victoria.yaml"},
		Env: map[string]string{
			"LOKI_ENDPOINT": loki.OTLP, "TEMPO_ENDPOINT": rest.HTTP, "MIMIR_ENDPOINT": rest.HTTP,
			"VICTORIA_LOGS_ENDPOINT": victoria.OTLP, "VICTORIA_METRICS_ENDPOINT": rest.HTTP, "VICTORIA_TRACES_ENDPOINT": rest.HTTP,
		},
	})
	s := newStory(t, c.HTTP().URL, c.Token)
	s.play(t)
	fill := strings.NewReplacer("$client", storyGuesser, "$account", storyAccount, "$trace", s.TraceID)
	for _, q := range logQueries(t) {
		want, ok := found[q.Name]
		if !ok {
			t.Errorf("query %s: add what it must find to this test", q.Name)
			continue
		}
		servers.Eventually(t, collectortest.Deadline, "Loki to answer "+q.Name, func() error {
			var rows []string
			query := fill.Replace(q.LogQL)
			if ofMetrics.MatchString(query) {
				samples, err := loki.QueryMetric(query)
				if err != nil {
					return err
				}
				for _, s := range samples {
					rows = append(rows, fmt.Sprint(s.Labels, s.Value))
				}
			} else {
				lines, err := loki.Query(query, 100)
				if err != nil {
					return err
				}
				for _, l := range lines {
					rows = append(rows, fmt.Sprint(l.Line, l.Labels))
				}
			}
			return holds(rows, want)
		})
		servers.Eventually(t, collectortest.Deadline, "VictoriaLogs to answer "+q.Name, func() error {
			answer, err := victoria.Query(fill.Replace(q.LogsQL), 100)
			if err != nil {
				return err
			}
			var rows []string
			for _, r := range answer {
				rows = append(rows, fmt.Sprint(r))
			}
			return holds(rows, want)
		})
	}
}

func holds(rows []string, want string) error {
	for _, r := range rows {
		if strings.Contains(r, storyCanary) {
			return fmt.Errorf("a password in %s", r)
		}
	}
	for _, r := range rows {
		if strings.Contains(r, want) {
			return nil
		}
	}
	return fmt.Errorf("%q is not in %d rows: %.2000s", want, len(rows), strings.Join(rows, "\n"))
}
