// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelenv_test

import (
	"testing"

	"github.com/otelauth/otelauth-go/examples/internal/otelenv"
)

func TestIsConfigured(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]bool{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318": true,
		"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://x":         true,
		"OTEL_METRICS_EXPORTER=prometheus":                  true,
		"OTEL_TRACES_EXPORTER=":                             false,
		"OTEL_SERVICE_NAME=orders":                          false,
		"EXPORTER=otlp":                                     false,
	} {
		if got := otelenv.IsConfigured([]string{"HOME=/", v}); got != want {
			t.Errorf("%s: configured is %t", v, got)
		}
	}
}

// TestBoundedSpans: the variables take precedence over the limits.
func TestBoundedSpans(t *testing.T) {
	for _, name := range []string{"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"} {
		t.Setenv(name, "")
	}
	if limits, batch := otelenv.BoundedSpans(); limits.AttributeValueLengthLimit != 512 || batch != 128 {
		t.Errorf("%d characters, %d spans; want 512 and 128", limits.AttributeValueLengthLimit, batch)
	}
	t.Setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "700")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "9")
	if limits, batch := otelenv.BoundedSpans(); limits.AttributeValueLengthLimit != 700 || batch != 9 {
		t.Errorf("%d characters, %d spans; want 700 and 9", limits.AttributeValueLengthLimit, batch)
	}
}
