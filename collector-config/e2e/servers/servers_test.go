// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package servers_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
)

func TestAnAlertOfPrometheusReachesAlertmanager(t *testing.T) {
	t.Parallel()
	alertmanager := servers.StartAlertmanager(t, servers.AlertmanagerConfig{})
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	const text = "groups: [{name: g, rules: [{alert: Always, expr: vector(1), annotations: {summary: it is}}]}]\n"
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	prometheus := servers.StartPrometheus(t, servers.PrometheusConfig{Rules: []string{rules}, Alertmanagers: []string{alertmanager.Addr}})
	named := func(alerts []servers.Alert, err error) error {
		if err == nil && !slices.ContainsFunc(alerts, func(a servers.Alert) bool { return a.Labels["alertname"] == "Always" }) {
			err = fmt.Errorf("alerts are %v", alerts)
		}
		return err
	}
	servers.Eventually(t, time.Minute, "the alert in Prometheus", func() error { return named(prometheus.Alerts()) })
	servers.Eventually(t, time.Minute, "the alert in Alertmanager", func() error { return named(alertmanager.Alerts()) })
	if errs, n, err := prometheus.RuleHealth(); err != nil || n != 1 || len(errs) > 0 {
		t.Errorf("RuleHealth() = %v, %d, %v", errs, n, err)
	}
}

func TestRestartKeepsPortAndData(t *testing.T) {
	t.Parallel()
	self := servers.FreeAddrs(t, 1)
	prometheus := servers.StartPrometheus(t, servers.PrometheusConfig{Scrape: self})
	up := func() error {
		samples, err := prometheus.Query("count_over_time(up[1h])")
		if err == nil && len(samples) == 0 {
			err = fmt.Errorf("no sample of up")
		}
		return err
	}
	servers.Eventually(t, time.Minute, "a scrape", up)
	before, err := prometheus.Query("timestamp(up) or vector(0)")
	if err != nil {
		t.Fatal(err)
	}
	first := prometheus.PID()
	prometheus.Stop(t)
	if _, err := prometheus.Query("up"); err == nil {
		t.Fatal("a stopped server answers")
	}
	prometheus.Restart(t)
	if prometheus.PID() == first {
		t.Error("the process is the same")
	}
	series, err := prometheus.QueryRange("up", before[0].Time.Add(-10*time.Second), before[0].Time, time.Second)
	if err != nil || len(series) != 1 {
		t.Errorf("data from before the restart: %v, %v", series, err)
	}
	prometheus.Kill()
	prometheus.Restart(t)
}

func TestFindSaysHowToInstall(t *testing.T) {
	t.Setenv("PATH", "")
	t.Setenv("OTELAUTH_SERVERS", t.TempDir())
	t.Setenv("CI_CACHE", t.TempDir())
	for name, want := range map[string]string{
		servers.Prometheus2:  "servers: prometheus is missing: apt-get install prometheus",
		servers.Alertmanager: "servers: alertmanager is missing: apt-get install prometheus-alertmanager",
		servers.Jaeger:       "servers: jaeger is missing: run .ci/full build jaeger",
	} {
		if _, err := servers.Find(name); err == nil || err.Error() != want {
			t.Errorf("Find(%q) says %v, want %s", name, err, want)
		}
	}
}
