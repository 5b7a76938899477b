// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package servers starts the real programs that telemetry ends in, for the tests and measurements
// of the collector configuration: Prometheus, Alertmanager, Jaeger, VictoriaLogs and Loki. Each
// runs on loopback, on free ports, over a directory of its own, and can be killed, frozen and
// started again on the same ports and data. It is ended by its own process id when the test ends.
//
//	prom := servers.StartPrometheus(t, servers.PrometheusConfig{Scrape: []string{"127.0.0.1:8889"}})
//	servers.Eventually(t, time.Minute, "the series", func() error {
//		samples, err := prom.Query("up")
//		...
//	})
//
// A program is looked for in $OTELAUTH_SERVERS, on the PATH, and where .ci/full puts what it
// builds. A test whose program is missing is skipped, and says how to install it. The package
// downloads and builds nothing.
package servers
