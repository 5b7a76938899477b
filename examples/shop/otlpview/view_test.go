// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otlpview_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/otelauth/otelauth-go/examples/shop/otlpview"
)

func Example() {
	ctx := context.Background()
	view := otlpview.New()
	server := httptest.NewServer(view)
	defer server.Close()
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(server.URL+"/v1/traces"))
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("orders"))))
	_, span := provider.Tracer("example").Start(ctx, "GET /orders")
	span.End()

	for _, s := range view.Trace(span.SpanContext().TraceID()).Spans {
		fmt.Println(s.Service, s.Name)
	}
	// Output: orders GET /orders
}

func logRequest(n int, name string) []byte {
	record := &logs.LogRecord{
		// half a span id
		EventName: name, SeverityNumber: 13, TraceId: bytes.Repeat([]byte{7}, 16), SpanId: []byte{1, 2},
		Attributes: []*common.KeyValue{
			{Key: "b", Value: &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}},
			{Key: "a", Value: &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{
				{Value: &common.AnyValue_IntValue{IntValue: 1}}, {Value: &common.AnyValue_StringValue{StringValue: "x"}}, {Value: &common.AnyValue_DoubleValue{DoubleValue: .5}},
			}}}}},
			{Key: "c"}, nil,
		},
	}
	records := make([]*logs.LogRecord, n)
	for i := range records {
		records[i] = record
	}
	body, err := proto.Marshal(&logspb.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource:  &resourcepb.Resource{},
		ScopeLogs: []*logs.ScopeLogs{{LogRecords: records}},
	}}})
	if err != nil {
		panic(err)
	}
	return body
}

func post(view *otlpview.View, path, contentType, encoding string, body []byte) int {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Content-Encoding", encoding)
	w := httptest.NewRecorder()
	view.ServeHTTP(w, r)
	return w.Code
}

func TestRequests(t *testing.T) {
	t.Parallel()
	view := otlpview.New()
	const protobuf = "application/x-protobuf"
	zip := func(body []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(body)
		_ = z.Close()
		return b.Bytes()
	}
	for what, c := range map[string]struct {
		path, contentType, encoding string
		body                        []byte
		status                      int
	}{
		"plain":               {"/v1/logs", protobuf, "", logRequest(1, "plain"), 200},
		"gzip":                {"/v1/logs", protobuf, "gzip", zip(logRequest(1, "gzip")), 200},
		"nothing":             {"/v1/traces", protobuf, "", nil, 200},
		"another compression": {"/v1/logs", protobuf, "zstd", logRequest(1, "zstd"), 415},
		"no gzip":             {"/v1/logs", protobuf, "gzip", logRequest(1, "torn"), 400},
		"a truncated gzip":    {"/v1/logs", protobuf, "gzip", zip(logRequest(1, "torn"))[:20], 400},
		"JSON":                {"/v1/logs", "application/json", "", []byte("{}"), 200},
		"no protobuf":         {"/v1/metrics", protobuf, "", []byte("\xff\xff\xff"), 400},
		"no signal":           {"/v1/profiles", protobuf, "", nil, 404},
	} {
		if got := post(view, c.path, c.contentType, c.encoding, c.body); got != c.status {
			t.Errorf("%s: status %d, want %d", what, got, c.status)
		}
	}
	w := httptest.NewRecorder()
	view.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/logs", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
	for _, name := range []string{"plain", "gzip"} {
		events := view.Events(name)
		if len(events) != 1 || events[0].Severity != "WARN" {
			t.Fatalf("%s: %v", name, events)
		}
		if diff := cmp.Diff("=" /* the nil attribute */ +" a=1,x,0.5 b=true c=", events[0].Attributes.String()); diff != "" {
			t.Error(diff)
		}
	}
	if got := view.Events("torn"); len(got) > 0 {
		t.Error(got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	view := otlpview.New()
	for range 6 {
		post(view, "/v1/logs", "application/x-protobuf", "", logRequest(otlpview.MaxItems/4, "flood"))
	}
	post(view, "/v1/logs", "application/x-protobuf", "", logRequest(1, "latest"))
	if n := len(view.Events("flood")); n > otlpview.MaxItems || n < otlpview.MaxItems/4 {
		t.Errorf("%d events are kept", n)
	}
	if len(view.Events("latest")) != 1 {
		t.Error("the latest event was dropped")
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	view := otlpview.New()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := view.Wait(ctx, func() bool { return len(view.Events("late")) > 0 }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	received := make(chan string, 1)
	view.OnEvent(func(e otlpview.Event) { received <- e.Name })
	waited := make(chan error, 1)
	go func() {
		waited <- view.Wait(t.Context(), func() bool { return len(view.Events("late")) > 0 })
	}()
	post(view, "/v1/logs", "application/x-protobuf", "", logRequest(1, "late"))
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if name := <-received; !strings.HasPrefix(name, "late") {
		t.Error(name)
	}
}
