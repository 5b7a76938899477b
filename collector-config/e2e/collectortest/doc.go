// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package collectortest runs the real OpenTelemetry Collector with the files that this directory
// ships, and records what it exports.
//
//	func TestMain(m *testing.M) { collectortest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		sink := collectortest.NewSink(t)
//		c := collectortest.Start(t, collectortest.Options{
//			Configs: []string{"base.yaml", "backends/otlp.yaml"},
//			Env:     map[string]string{"OTLP_ENDPOINT": sink.HTTP},
//		})
//		c.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 10))
//		sink.WaitLogs(t, 10)
//	}
//
// A collector is a process of its own: the test binary, run a second time. So the environment, the
// command line, the exit status and kill -9 are the real ones, and tests can run in parallel. Each
// collector listens on the ports in the files, on a loopback address of its own (127.0.0.0/8 on
// Linux; elsewhere add the addresses to the loopback interface first). It accepts everything that
// the real collector accepts, and mocks nothing.
package collectortest
