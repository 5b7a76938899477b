// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
)

// counted is the number of attempts that a query must count in the row that found names. Most of
// the attempts are folded: the story has folding after 5.
var counted = map[string]string{
	"denials_by_client":  "17",
	"denials_by_reason":  "3",
	"accounts_of_client": "10",
	"folded_by_network":  "9",
}

// what each query must find in the story: a text in a row, "" for any row.
var found = map[string]string{
	"denials_by_client":         storySprayer,
	"denials_by_reason":         "unknown_user",
	"clients_by_accounts_tried": storySprayer,
	"accounts_of_client":        "failure",
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
	"trail_checkpoints":         storyTrail,
	"trail_anomalies":           "appended",
}

// ofMetrics distinguishes LogQL that returns numbers from LogQL that returns lines.
var ofMetrics = regexp.MustCompile(`_over_time\(`)

// playInStores plays the story for a collector that exports its events to Loki and VictoriaLogs.
func playInStores(t *testing.T) (*story, *servers.LokiServer, *servers.VictoriaLogsServer) {
	t.Helper()
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
	return s, loki, victoria
}

func TestQueriesFindRealEvents(t *testing.T) {
	t.Parallel()
	s, loki, victoria := playInStores(t)
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
					rows = append(rows, fmt.Sprint(s.Labels, " counts:", s.Value, " "))
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
			return holds(rows, want, counted[q.Name])
		})
		servers.Eventually(t, collectortest.Deadline, "VictoriaLogs to answer "+q.Name, func() error {
			answer, err := victoria.Query(fill.Replace(q.LogsQL), 100)
			if err != nil {
				return err
			}
			var rows []string
			for _, r := range answer {
				rows = append(rows, fmt.Sprint(r, " counts:", r["attempts"], " "))
			}
			return holds(rows, want, counted[q.Name])
		})
	}
}

// TestBackendsKeepCheckpoints: otelauth trail verify finds the checkpoints in what Loki and
// VictoriaLogs answer. The story's trail has a line of another program, so it does not verify; the
// checkpoints do.
func TestBackendsKeepCheckpoints(t *testing.T) {
	t.Parallel()
	s, loki, victoria := playInStores(t)
	public := filepath.Join(t.TempDir(), "public")
	if err := os.WriteFile(public, []byte(s.Key.Public()), 0o600); err != nil {
		t.Fatal(err)
	}
	queries := map[string]logQuery{}
	for _, q := range logQueries(t) {
		queries[q.Name] = q
	}
	for name, address := range map[string]string{
		"Loki":         loki.URL + "/loki/api/v1/query_range?limit=100&query=" + url.QueryEscape(queries["trail_checkpoints"].LogQL),
		"VictoriaLogs": victoria.URL + "/select/logsql/query?limit=100&query=" + url.QueryEscape(queries["trail_checkpoints"].LogsQL),
	} {
		servers.Eventually(t, collectortest.Deadline, name+" to have checkpoints", func() error {
			cmd := exec.CommandContext(t.Context(), "go", "run", "./otelauth/cmd/otelauth", "trail", "verify", "--json",
				"--public-key", public, "--checkpoints", "-", s.Trail)
			cmd.Dir = filepath.Join(collectortest.ConfigDir(), "..")
			cmd.Stdin = strings.NewReader(get(t, address, "application/json"))
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, _ := cmd.Output() // the exit code is that of a trail that does not verify
			var report struct {
				Checkpoints int
				Problems    []struct{ Kind string }
			}
			if err := json.Unmarshal(out, &report); err != nil {
				return fmt.Errorf("%w: %s", err, stderr.String())
			}
			for _, p := range report.Problems {
				if p.Kind == "checkpoint_invalid" || p.Kind == "fork" || p.Kind == "too_short" {
					return fmt.Errorf("a checkpoint does not verify: %s", out)
				}
			}
			if report.Checkpoints < 2 {
				return fmt.Errorf("%d checkpoints", report.Checkpoints)
			}
			return nil
		})
	}
}

// holds reports an error unless a row holds the text and, if it is not "", the count.
func holds(rows []string, want, count string) error {
	for _, r := range rows {
		if strings.Contains(r, storyCanary) {
			return fmt.Errorf("a password in %s", r)
		}
	}
	for _, r := range rows {
		if strings.Contains(r, want) && (count == "" || strings.Contains(r, " counts:"+count+" ")) {
			return nil
		}
	}
	return fmt.Errorf("%q, counted %q times, is not in %d rows: %.2000s", want, count, len(rows), strings.Join(rows, "\n"))
}
