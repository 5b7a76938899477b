// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/collector-config/e2e/service"
)

// Passwords and tokens of the tests. No output may hold them.
const (
	rightPassword = "wonderland-8d1f0c5e77"
	wrongPassword = "looking-glass-41bb92ae03"
	namePassword  = "typed-into-the-name-field-9d27c1"
	bearerSecret  = "another-scheme-77ab10e4d5"
	querySecret   = "in-the-query-string-2c9f5b8e"
	siemToken     = "siem-token-58e2d10bb64f"
)

// rules is where the shipped alert rules are.
func rules() []string {
	return []string{filepath.Join(collectortest.ConfigDir(), "alerts", "rules", "*.yaml")}
}

// deadline bounds a wait that includes two evaluations of a group of rules, on a loaded machine.
const deadline = 3 * time.Minute

// rig is the collector with the shipped base, a recording backend for all signals, a recording
// SIEM for security events, and Debian's Prometheus and Alertmanager with the shipped rules.
type rig struct {
	collector    *collectortest.Collector
	backend      *collectortest.Sink
	siem         *collectortest.Sink
	prometheus   *servers.PrometheusServer
	alertmanager *servers.AlertmanagerServer
}

func newRig(t *testing.T, o collectortest.Options) *rig {
	t.Helper()
	r := &rig{backend: collectortest.NewSink(t), siem: collectortest.NewSink(t)}
	o.Dir = t.TempDir()
	authorization := filepath.Join(o.Dir, "siem")
	if err := os.WriteFile(authorization, []byte("Bearer "+siemToken), 0o600); err != nil {
		t.Fatal(err)
	}
	scrape := servers.FreeAddrs(t, 1)[0]
	_, port, _ := net.SplitHostPort(scrape)
	env := map[string]string{
		"OTLP_ENDPOINT":                r.backend.HTTP,
		"SIEM_OTLP_LOGS_ENDPOINT":      r.siem.HTTP + "/v1/logs",
		"SIEM_OTLP_AUTHORIZATION_FILE": authorization,
		"PROMETHEUS_SCRAPE_PORT":       port,
	}
	maps.Copy(env, o.Env)
	o.Env = env
	o.Configs = append([]string{"base.yaml", "backends/otlp.yaml", "backends/siem-otlp.yaml", "backends/prometheus-scrape.yaml"}, o.Configs...)
	r.collector = collectortest.Start(t, o)
	r.alertmanager = servers.StartAlertmanager(t, servers.AlertmanagerConfig{})
	r.prometheus = servers.StartPrometheus(t, servers.PrometheusConfig{
		Scrape: []string{scrape, r.collector.Address + ":" + collectortest.PortMetrics},
		Rules:  rules(), Alertmanagers: []string{r.alertmanager.Addr},
	})
	return r
}

func (r *rig) service(t *testing.T, cfg service.Config) *service.Service {
	t.Helper()
	cfg.Collector = "http://" + net.JoinHostPort(r.collector.Address, collectortest.PortHTTP)
	cfg.Token = r.collector.Token
	return service.Start(t, cfg)
}

// source lists alerts.
type source interface {
	Alerts() ([]servers.Alert, error)
}

// waitAlert waits until an alert with these labels fires.
func waitAlert(t *testing.T, from source, labels map[string]string) servers.Alert {
	t.Helper()
	var found servers.Alert
	servers.Eventually(t, deadline, fmt.Sprintf("the alert %v at %T", labels, from), func() error {
		alerts, err := from.Alerts()
		if err != nil {
			return err
		}
		for _, a := range alerts {
			if (a.State == "firing" || a.State == "active") && has(a.Labels, labels) {
				found = a
				return nil
			}
		}
		return fmt.Errorf("there are %s", names(alerts))
	})
	return found
}

func has(labels, want map[string]string) bool {
	for k, v := range want {
		if labels[k] != v {
			return false
		}
	}
	return true
}

func names(alerts []servers.Alert) []string {
	list := make([]string, 0, len(alerts))
	for _, a := range alerts {
		list = append(list, a.Labels["alertname"]+" "+a.Labels["signal"]+" ("+a.State+")")
	}
	return list
}

// client returns the address of the i-th of many clients that share no network.
func client(i int) string { return fmt.Sprintf("%d.%d.7.9", 20+i/250, i%250) }
