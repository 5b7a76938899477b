// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otlpreceiver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
	"github.com/otelauth/otelauth-go/internal/testkit"
)

const (
	protobuf = "application/x-protobuf"
	jsonType = "application/json"
)

// inbox keeps what a receiver takes.
type inbox struct {
	mu   sync.Mutex
	got  []*otlpreceiver.Export
	fail error
}

func (i *inbox) take(e *otlpreceiver.Export) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fail != nil {
		return i.fail
	}
	i.got = append(i.got, e)
	return nil
}

func post(r *otlpreceiver.Receiver, path, contentType, encoding string, body []byte) (int, string) {
	req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Content-Encoding", encoding)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

func zipped(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body)
	_ = z.Close()
	return b.Bytes()
}

func marshal(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// logs returns a request with n records.
func logs(n int) []byte {
	scope := &logspb.ScopeLogs{}
	for range n {
		scope.LogRecords = append(scope.LogRecords, &logspb.LogRecord{EventName: "auth.attempt"})
	}
	return marshal(&logspb.LogsData{ResourceLogs: []*logspb.ResourceLogs{{ScopeLogs: []*logspb.ScopeLogs{scope}}}})
}

// nested returns a request with a value that is nested deeply.
func nested(depth int) []byte {
	v := &commonpb.AnyValue{}
	for range depth {
		v = &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: []*commonpb.AnyValue{v}}}}
	}
	return marshal(&logspb.LogsData{ResourceLogs: []*logspb.ResourceLogs{{ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{{Body: v}}}}}}})
}

func TestRequests(t *testing.T) {
	t.Parallel()
	limits := otlpreceiver.Limits{RequestBytes: 1 << 16, Records: 100, Messages: 1000}
	for name, c := range map[string]struct {
		path, contentType, encoding string
		body                        []byte
		status                      int
		says                        string
	}{
		"protobuf":                {"/v1/logs", protobuf, "", logs(1), 200, ""},
		"with parameters":         {"/v1/logs", protobuf + "; charset=utf-8", "identity", logs(1), 200, ""},
		"gzip":                    {"/v1/logs", protobuf, "gzip", zipped(logs(1)), 200, ""},
		"nothing":                 {"/v1/traces", protobuf, "", nil, 200, ""},
		"JSON":                    {"/v1/logs", jsonType, "", []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"x"}]}]}]}`), 200, "{}"},
		"JSON, unknown field":     {"/v1/logs", jsonType, "gzip", zipped([]byte(`{"resourceLogs":[],"later":1}`)), 200, "{}"},
		"another compression":     {"/v1/logs", protobuf, "zstd", logs(1), 415, "set OTEL_EXPORTER_OTLP_COMPRESSION"},
		"no gzip":                 {"/v1/logs", protobuf, "gzip", logs(1), 400, "not gzip"},
		"a truncated gzip":        {"/v1/logs", protobuf, "gzip", zipped(logs(1))[:20], 400, "ended early"},
		"a bomb":                  {"/v1/logs", protobuf, "gzip", zipped(make([]byte, 64<<20)), 413, "more than 65536 bytes"},
		"a bomb in JSON":          {"/v1/logs", jsonType, "gzip", zipped(bytes.Repeat([]byte(" "), 1<<20)), 413, "more than 16384 bytes"},
		"a large body":            {"/v1/logs", protobuf, "", make([]byte, 1<<16+1), 413, "smaller batches"},
		"many records":            {"/v1/logs", protobuf, "", logs(101), 413, "100 records"},
		"many empty messages":     {"/v1/logs", protobuf, "", bytes.Repeat([]byte{0x0a, 0}, 1001), 413, "1000 values"},
		"many objects in JSON":    {"/v1/logs", jsonType, "", []byte(`{"resourceLogs":[` + strings.Repeat("{},", 1100) + "{}]}"), 413, "1000 objects"},
		"a deep value":            {"/v1/logs", protobuf, "", nested(60), 400, "nests values"},
		"no JSON":                 {"/v1/logs", jsonType, "", []byte(`{`), 400, "not JSON"},
		"two JSON values":         {"/v1/logs", jsonType, "", []byte(`{}{}`), 400, "after the JSON value"},
		"JSON of another kind":    {"/v1/logs", jsonType, "", []byte(`{"resourceLogs":7}`), 400, "not OTLP in JSON"},
		"a trace id that is none": {"/v1/traces", jsonType, "", []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}`), 400, "traceId is not hexadecimal"},
		"text":                    {"/v1/logs", "text/plain", "", logs(1), 415, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"no protobuf":             {"/v1/metrics", protobuf, "", []byte("\xff\xff\xff"), 400, "not OTLP in protobuf"},
		"no signal":               {"/v1/profiles", protobuf, "", nil, 404, "/v1/traces"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := &inbox{}
			r := otlpreceiver.New(otlpreceiver.Config{Sink: in.take, Limits: limits})
			status, answer := post(r, c.path, c.contentType, c.encoding, c.body)
			if status != c.status || !strings.Contains(answer, c.says) {
				t.Errorf("%d %q, want %d with %q", status, answer, c.status, c.says)
			}
			if taken := len(in.got) == 1; taken != (c.status == 200) {
				t.Errorf("%d requests were taken", len(in.got))
			}
			if counted := r.Refused() == 1; counted != (status == 400 || status == 413 || strings.Contains(answer, "COMPRESSION")) {
				t.Errorf("%d requests are counted as refused", r.Refused())
			}
		})
	}
	r := otlpreceiver.New(otlpreceiver.Config{Sink: (&inbox{}).take})
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/logs", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
}

// TestJSON compares ids, numbers and enumerations of OTLP/JSON with those of protobuf.
func TestJSON(t *testing.T) {
	t.Parallel()
	in := &inbox{}
	r := otlpreceiver.New(otlpreceiver.Config{Sink: in.take})
	status, answer := post(r, "/v1/traces", jsonType, "", []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{
		"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"",
		"name":"GET /","kind":2,"startTimeUnixNano":"1544712660000000001","flags":1,
		"attributes":[{"key":"traceId","value":{"stringValue":"not an id"}},{"key":"n","value":{"intValue":"7"}}],
		"links":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000002"}]}]}]}]}`))
	if status != 200 {
		t.Fatal(answer)
	}
	span := in.got[0].Traces.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]
	if hex.EncodeToString(span.GetTraceId()) != "5b8efff798038103d269b633813fc60c" || hex.EncodeToString(span.GetSpanId()) != "eee19b7ec3c1b174" ||
		span.GetKind() != tracepb.Span_SPAN_KIND_SERVER || span.GetStartTimeUnixNano() != 1544712660000000001 {
		t.Errorf("%v", span)
	}
	if a := span.GetAttributes(); a[0].GetKey() != "traceId" || a[0].GetValue().GetStringValue() != "not an id" || a[1].GetValue().GetIntValue() != 7 {
		t.Errorf("%v", a)
	}
	if l := span.GetLinks()[0]; l.GetTraceId()[15] != 1 || l.GetSpanId()[7] != 2 {
		t.Errorf("%v", l)
	}
}

func TestSinkFails(t *testing.T) {
	t.Parallel()
	in := &inbox{fail: errors.New("the disk is full")}
	r := otlpreceiver.New(otlpreceiver.Config{Sink: in.take})
	req := httptest.NewRequest(http.MethodPost, "/v1/logs", bytes.NewReader(logs(1)))
	req.Header.Set("Content-Type", protobuf)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v: the exporter must send the request again", w.Code, w.Header())
	}
	if r.Refused() != 0 {
		t.Error("a request that is sent again is counted as lost")
	}
}

// TestRoundTrip sends through the receiver as through a network.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	in := &inbox{}
	client := &http.Client{Transport: otlpreceiver.New(otlpreceiver.Config{Sink: in.take})}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://otlp.invalid/v1/logs", bytes.NewReader(logs(2)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", protobuf)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || len(body) != 0 || resp.Header.Get("Content-Type") != protobuf || len(in.got) != 1 {
		t.Errorf("%s %q, %d requests", resp.Status, body, len(in.got))
	}
}

// TestBusy holds the only slot, so that a second request waits until its client gives up.
func TestBusy(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	r := otlpreceiver.New(otlpreceiver.Config{
		Limits: otlpreceiver.Limits{Concurrent: 1},
		Sink:   func(*otlpreceiver.Export) error { close(entered); <-release; return nil },
	})
	done := make(chan error, 1)
	go func() { done <- r.Take(t.Context(), otlpreceiver.Logs, logs(1)) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var refused *otlpreceiver.Error
	if err := r.Take(ctx, otlpreceiver.Logs, logs(1)); !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable {
		t.Errorf("%v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestMemoryOfHostileRequests sends the requests that take most memory for their size.
func TestMemoryOfHostileRequests(t *testing.T) {
	if testkit.Race {
		return
	}
	const limit = 16 << 20
	deep := bytes.Repeat([]byte("["), limit/4-64)
	for name, c := range map[string]struct {
		contentType string
		body        []byte
	}{
		"a bomb of zeros":          {protobuf, make([]byte, 128<<20)},
		"empty messages":           {protobuf, bytes.Repeat([]byte{0x0a, 0}, limit/2)},
		"brackets":                 {jsonType, deep},
		"empty lists":              {jsonType, append(append([]byte("["), bytes.Repeat([]byte("[],"), limit/12-64)...), []byte("[]]")...)},
		"objects within the bound": {protobuf, bytes.Repeat([]byte{0x0a, 0}, 499_000)},
	} {
		body := zipped(c.body)
		r := otlpreceiver.New(otlpreceiver.Config{Sink: func(*otlpreceiver.Export) error { return nil }})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		status, answer := post(r, "/v1/logs", c.contentType, "gzip", body)
		runtime.ReadMemStats(&after)
		used := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%s: %d, %d MiB allocated in total, %s", name, status, used, strings.TrimSpace(answer[:min(len(answer), 90)]))
		if used > 320 {
			t.Errorf("%s: %d MiB were allocated for %d bytes", name, used, len(body))
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add("/v1/logs", protobuf, logs(2))
	f.Add("/v1/logs", jsonType, []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"00"}]}]}]}`))
	f.Add("/v1/traces", protobuf, nested(20))
	f.Add("/v1/metrics", jsonType, []byte(`{"resourceMetrics":[{}]}`))
	f.Fuzz(func(t *testing.T, path, contentType string, body []byte) {
		in := &inbox{}
		r := otlpreceiver.New(otlpreceiver.Config{Sink: in.take, Limits: otlpreceiver.Limits{RequestBytes: 1 << 16}})
		req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		req.URL.Path = path
		req.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if taken := len(in.got) == 1; taken != (w.Code == 200) {
			t.Errorf("status %d, %d requests taken", w.Code, len(in.got))
		}
	})
}
