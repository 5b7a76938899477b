// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package servers starts the real backends of telemetry, for the tests and measurements of the
// collector configuration: Prometheus, Alertmanager, Jaeger, VictoriaLogs and Loki; and a witness
// for the trail, omniwitness. Each runs on loopback, on free ports, in a directory of its own. It can
// be killed, frozen and started again with the same ports and data. The end of the test stops it by
// its own process id.
//
//	prom := servers.StartPrometheus(t, servers.PrometheusConfig{Scrape: []string{"127.0.0.1:8889"}})
//	servers.Eventually(t, time.Minute, "the series", func() error {
//		samples, err := prom.Query("up")
//		...
//	})
//
// The package looks for programs in $OTELAUTH_SERVERS, on the PATH, and in the cache of .ci/full.
// If a program is missing, its tests are skipped with the command that installs it. The package
// downloads and builds nothing.
package servers
