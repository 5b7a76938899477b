// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package report writes the report of a probe for readers: a page for people, SARIF for code
// scanning and JUnit for pipelines.
//
//	err := report.WriteHTML(file, result, nil)
//
// Each function writes as it reads: of the rows, one is in memory at a time. A run that hands its
// rows to [probe.Config.Each] passes a sequence that reads them again.
//
// Text of the target, of its telemetry and of the list of endpoints is data in each format. It
// never becomes markup, and control characters and marks of writing direction are made visible.
package report
