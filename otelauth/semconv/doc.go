// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package semconv has the name of every span, metric, event and attribute that otelauth emits,
// and the units and descriptions of the metrics. It imports the standard library only.
//
// The constants are generated from the directory registry, which is in the format of
// OpenTelemetry Weaver, as is docs/signals.md. To add a signal or an attribute, declare it there
// and run
//
//	go generate ./otelauth/semconv
package semconv

//go:generate go run ../../internal/semconvgen
