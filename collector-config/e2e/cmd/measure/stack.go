// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"path/filepath"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/collector-config/e2e/service"
)

// stack is the collector with the shipped overlays, and the backends behind it. Signals that are
// not measured go to a sink that discards them.
type stack struct {
	collector    *collectortest.Collector
	prometheus   *servers.PrometheusServer
	alertmanager *servers.AlertmanagerServer
	jaeger       *servers.JaegerServer
	victoria     *servers.VictoriaLogsServer
	loki         *servers.LokiServer // nil unless asked for
}

func startStack(r *run, loki bool, env map[string]string) *stack {
	s := &stack{
		alertmanager: servers.StartAlertmanager(r, servers.AlertmanagerConfig{}),
		jaeger:       servers.StartJaeger(r, servers.JaegerConfig{Badger: true}),
		victoria:     servers.StartVictoriaLogs(r),
	}
	forgetful := forget(r)
	address := servers.FreeAddrs(r, 1)[0]
	all := map[string]string{
		"JAEGER_ENDPOINT":           "http://" + s.jaeger.OTLPHTTP,
		"PROMETHEUS_ENDPOINT":       "http://" + address + "/api/v1/otlp",
		"VICTORIA_LOGS_ENDPOINT":    s.victoria.OTLP,
		"VICTORIA_METRICS_ENDPOINT": forgetful,
		"VICTORIA_TRACES_ENDPOINT":  forgetful,
	}
	for k, v := range env {
		all[k] = v
	}
	configs := []string{"base.yaml", "backends/jaeger.yaml", "backends/prometheus.yaml", "backends/victoria.yaml"}
	if loki {
		s.loki = servers.StartLoki(r)
		all["LOKI_ENDPOINT"] = s.loki.OTLP
		all["TEMPO_ENDPOINT"], all["MIMIR_ENDPOINT"] = forgetful, forgetful
		configs = append(configs, "backends/lgtm.yaml")
	}
	s.collector = collectortest.Start(r, collectortest.Options{Configs: configs, Env: all})
	s.prometheus = servers.StartPrometheus(r, servers.PrometheusConfig{
		Program: servers.Prometheus3, Addr: address,
		Scrape:        []string{net.JoinHostPort(s.collector.Address, collectortest.PortMetrics)},
		Rules:         []string{filepath.Join(collectortest.ConfigDir(), "alerts", "rules", "*.yaml")},
		Alertmanagers: []string{s.alertmanager.Addr},
	})
	return s
}

func (s *stack) service(r *run, cfg service.Config) *service.Service {
	cfg.Collector = "http://" + net.JoinHostPort(s.collector.Address, collectortest.PortHTTP)
	cfg.Token = s.collector.Token
	return service.Start(r, cfg)
}
