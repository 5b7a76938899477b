// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package slogevent_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/internal/slogevent"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	attrs := []attribute.KeyValue{
		attribute.String("auth.outcome", "failure"), attribute.Int("http.response.status_code", 401),
		attribute.Bool("auth.credentials.exposed", true), attribute.Float64("ratio", 0.5), attribute.StringSlice("rules", []string{"a"}),
	}
	for name, tc := range map[string]struct {
		span trace.SpanContext
		want string
	}{
		"inside of a span": {span, `"trace_id":"01000000000000000000000000000000","span_id":"0200000000000000",`},
		"without a span":   {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if err := slogevent.Write(t.Context(), slog.NewJSONHandler(&out, nil), at, slog.LevelWarn, "auth.attempt", tc.span, attrs); err != nil {
				t.Fatal(err)
			}
			want := `{"time":"2026-01-01T00:00:00Z","level":"WARN","msg":"auth.attempt",` + tc.want +
				`"auth.outcome":"failure","http.response.status_code":401,"auth.credentials.exposed":true,"ratio":0.5,"rules":["a"]}` + "\n"
			if got := out.String(); got != want {
				t.Errorf("got  %swant %s", got, want)
			}
		})
	}
}
