// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package servers starts the real backends of telemetry, for the tests and measurements of the
// collector configuration: Prometheus, Alertmanager, Jaeger, VictoriaLogs and Loki; and a witness
// for the trail, omniwitness. Each runs on loopback, on free ports, in a directory of its own. It
// can be killed, frozen and started again with the same ports and data. The end of the test stops
// it by its own process id.
package servers
