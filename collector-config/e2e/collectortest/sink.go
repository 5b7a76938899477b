// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package collectortest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // what exporters send
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A Mode is how a [Sink] answers.
type Mode int

// The modes of a sink.
const (
	Accept Mode = iota // record, answer success
	Refuse             // record nothing, answer 503 or UNAVAILABLE: try again
	Reject             // record nothing, answer 400 or INVALID_ARGUMENT: do not try again
	Hang               // record nothing, do not answer until the mode changes or the client goes
)

// A Sink is a backend that receives OTLP over gRPC and over HTTP and records it. It is safe for
// concurrent use. It is not internal/otlpreceiver, which has none of what these tests compare:
// zstd, the header and metadata of requests, and backends that refuse, reject or hang.
type Sink struct {
	GRPC string // host:port
	// URL without a path; any path that ends in /v1/traces, /v1/metrics or /v1/logs is served
	HTTP string

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever a field below changes
	mode     Mode
	tried    int
	requests []Request
	traces   []ptrace.Traces
	metrics  []pmetric.Metrics
	logs     []plog.Logs

	server *grpc.Server
	web    *http.Server
}

// A Request describes an accepted request, without its data.
type Request struct {
	Path     string              // as sent; of gRPC the method
	Header   map[string][]string // of gRPC the metadata; keys in lower case
	Encoding string              // Content-Encoding; HTTP only
	Bytes    int                 // of the body on the wire; HTTP only
}

// NewSink starts a sink on 127.0.0.1. It runs until the end of the test.
func NewSink(t testing.TB) *Sink {
	t.Helper()
	s := &Sink{changed: make(chan struct{})}
	s.GRPC, s.HTTP = "127.0.0.1:0", "http://127.0.0.1:0"
	s.Start(t)
	t.Cleanup(s.Stop)
	return s
}

// Start makes the sink listen. After [Sink.Stop] it uses the same ports as before.
func (s *Sink) Start(t testing.TB) {
	t.Helper()
	lg, lh := listen(t, s.GRPC), listen(t, strings.TrimPrefix(s.HTTP, "http://"))
	s.GRPC, s.HTTP = lg.Addr().String(), "http://"+lh.Addr().String()

	s.server = grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	ptraceotlp.RegisterGRPCServer(s.server, &grpcTraces{sink: s})
	pmetricotlp.RegisterGRPCServer(s.server, &grpcMetrics{sink: s})
	plogotlp.RegisterGRPCServer(s.server, &grpcLogs{sink: s})
	go func(server *grpc.Server) { _ = server.Serve(lg) }(s.server)

	s.web = &http.Server{Handler: s, ReadHeaderTimeout: Deadline}
	go func(web *http.Server) { _ = web.Serve(lh) }(s.web)
}

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	var l net.Listener
	Wait(t, func() bool {
		var err error
		l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		return err == nil
	}, "a listener on %s", address)
	return l
}

// Stop closes the sink: connections are refused until [Sink.Start]. It keeps what it has recorded.
func (s *Sink) Stop() {
	s.server.Stop()
	_ = s.web.Close()
}

// Set changes how the sink answers from now on.
func (s *Sink) Set(m Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = m
	s.change()
}

func (s *Sink) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// answer waits while the sink hangs, and returns how to answer.
func (s *Sink) answer(ctx context.Context) (Mode, error) {
	s.mu.Lock()
	s.tried++
	s.change()
	s.mu.Unlock()
	for {
		s.mu.Lock()
		mode, changed := s.mode, s.changed
		s.mu.Unlock()
		if mode != Hang {
			return mode, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Hang, ctx.Err()
		}
	}
}

func (s *Sink) record(r Request, keep func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keep()
	s.requests = append(s.requests, r)
	s.change()
}

func (s *Sink) grpcCall(ctx context.Context, method string, keep func()) error {
	mode, err := s.answer(ctx)
	if err != nil {
		return err
	}
	switch mode {
	case Refuse:
		return status.Error(codes.Unavailable, "the sink refuses for now")
	case Reject:
		return status.Error(codes.InvalidArgument, "the sink rejects this")
	}
	md, _ := metadata.FromIncomingContext(ctx)
	s.record(Request{Path: method, Header: md}, keep)
	return nil
}

type grpcTraces struct {
	ptraceotlp.UnimplementedGRPCServer
	sink *Sink
}

func (g *grpcTraces) Export(ctx context.Context, r ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	return ptraceotlp.NewExportResponse(), g.sink.grpcCall(ctx, "traces", func() { g.sink.traces = append(g.sink.traces, r.Traces()) })
}

type grpcMetrics struct {
	pmetricotlp.UnimplementedGRPCServer
	sink *Sink
}

func (g *grpcMetrics) Export(ctx context.Context, r pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	return pmetricotlp.NewExportResponse(), g.sink.grpcCall(ctx, "metrics", func() { g.sink.metrics = append(g.sink.metrics, r.Metrics()) })
}

type grpcLogs struct {
	plogotlp.UnimplementedGRPCServer
	sink *Sink
}

func (g *grpcLogs) Export(ctx context.Context, r plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	return plogotlp.NewExportResponse(), g.sink.grpcCall(ctx, "logs", func() { g.sink.logs = append(g.sink.logs, r.Logs()) })
}

// ServeHTTP implements OTLP over HTTP.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wire, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	body, err := decompress(r.Header.Get("Content-Encoding"), wire)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	keep, err := s.unmarshal(r.URL.Path, strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"), body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if keep == nil {
		http.NotFound(w, r)
		return
	}
	mode, err := s.answer(r.Context())
	if err != nil {
		return
	}
	switch mode {
	case Refuse:
		http.Error(w, "the sink refuses for now", http.StatusServiceUnavailable)
		return
	case Reject:
		http.Error(w, "the sink rejects this", http.StatusBadRequest)
		return
	}
	header := map[string][]string{}
	for k, v := range r.Header {
		header[strings.ToLower(k)] = v
	}
	s.record(Request{Path: r.URL.RequestURI(), Header: header, Encoding: r.Header.Get("Content-Encoding"), Bytes: len(wire)}, keep)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (s *Sink) unmarshal(path string, json bool, body []byte) (keep func(), err error) {
	switch {
	case strings.HasSuffix(path, "/v1/traces"):
		r := ptraceotlp.NewExportRequest()
		if json {
			err = r.UnmarshalJSON(body)
		} else {
			err = r.UnmarshalProto(body)
		}
		return func() { s.traces = append(s.traces, r.Traces()) }, err
	case strings.HasSuffix(path, "/v1/metrics"):
		r := pmetricotlp.NewExportRequest()
		if json {
			err = r.UnmarshalJSON(body)
		} else {
			err = r.UnmarshalProto(body)
		}
		return func() { s.metrics = append(s.metrics, r.Metrics()) }, err
	case strings.HasSuffix(path, "/v1/logs"):
		r := plogotlp.NewExportRequest()
		if json {
			err = r.UnmarshalJSON(body)
		} else {
			err = r.UnmarshalProto(body)
		}
		return func() { s.logs = append(s.logs, r.Logs()) }, err
	}
	return nil, nil //nolint:nilnil // no such path
}

func decompress(encoding string, wire []byte) ([]byte, error) {
	switch encoding {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(wire))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(wire))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return wire, nil
}

// Tried returns how many requests have arrived, answered or not.
func (s *Sink) Tried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried
}

// Requests describes the accepted requests.
func (s *Sink) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Traces returns the accepted traces, one for each request.
func (s *Sink) Traces() []ptrace.Traces {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.traces)
}

// Metrics returns the accepted metrics, one for each request.
func (s *Sink) Metrics() []pmetric.Metrics {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.metrics)
}

// Logs returns the accepted logs, one for each request.
func (s *Sink) Logs() []plog.Logs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.logs)
}

// A LogRecord is one log record with its resource and scope.
type LogRecord struct {
	plog.LogRecord
	Resource map[string]any
	Scope    string
}

// LogRecords returns the accepted log records.
func (s *Sink) LogRecords() []LogRecord {
	var all []LogRecord
	for _, logs := range s.Logs() {
		for _, rl := range logs.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, record := range sl.LogRecords().All() {
					all = append(all, LogRecord{record, rl.Resource().Attributes().AsRaw(), sl.Scope().Name()})
				}
			}
		}
	}
	return all
}

// A Span is one span with its resource and scope.
type Span struct {
	ptrace.Span
	Resource map[string]any
	Scope    string
}

// Spans returns the accepted spans.
func (s *Sink) Spans() []Span {
	var all []Span
	for _, traces := range s.Traces() {
		for _, rs := range traces.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					all = append(all, Span{span, rs.Resource().Attributes().AsRaw(), ss.Scope().Name()})
				}
			}
		}
	}
	return all
}

// A Metric is one metric with its resource and scope.
type Metric struct {
	pmetric.Metric
	Resource map[string]any
	Scope    string
}

// AllMetrics returns the accepted metrics one by one.
func (s *Sink) AllMetrics() []Metric {
	var all []Metric
	for _, metrics := range s.Metrics() {
		for _, rm := range metrics.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					all = append(all, Metric{m, rm.Resource().Attributes().AsRaw(), sm.Scope().Name()})
				}
			}
		}
	}
	return all
}

// Bytes returns everything that was accepted, as uncompressed OTLP in protobuf. Tests search it
// for secrets.
func (s *Sink) Bytes(t testing.TB) []byte {
	t.Helper()
	var all []byte
	add := func(b []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	for _, x := range s.Traces() {
		add((&ptrace.ProtoMarshaler{}).MarshalTraces(x))
	}
	for _, x := range s.Metrics() {
		add((&pmetric.ProtoMarshaler{}).MarshalMetrics(x))
	}
	for _, x := range s.Logs() {
		add((&plog.ProtoMarshaler{}).MarshalLogs(x))
	}
	return all
}

// WaitLogs waits until at least n log records have been accepted, and returns all of them.
func (s *Sink) WaitLogs(t testing.TB, n int) []LogRecord {
	t.Helper()
	var got []LogRecord
	s.wait(t, func() bool { got = s.LogRecords(); return len(got) >= n }, func() string { return counted(len(got), n, "log records") })
	return got
}

// WaitSpans waits until at least n spans have been accepted, and returns all of them.
func (s *Sink) WaitSpans(t testing.TB, n int) []Span {
	t.Helper()
	var got []Span
	s.wait(t, func() bool { got = s.Spans(); return len(got) >= n }, func() string { return counted(len(got), n, "spans") })
	return got
}

// WaitMetric waits until a metric of that name has been accepted, and returns the last one.
func (s *Sink) WaitMetric(t testing.TB, name string) Metric {
	t.Helper()
	var found Metric
	names := map[string]bool{}
	s.wait(t, func() bool {
		ok := false
		for _, m := range s.AllMetrics() {
			names[m.Name()] = true
			if m.Name() == name {
				found, ok = m, true
			}
		}
		return ok
	}, func() string {
		return "no metric " + name + " among " + strings.Join(slices.Sorted(maps.Keys(names)), " ")
	})
	return found
}

// WaitTried waits until at least n requests have arrived, answered or not.
func (s *Sink) WaitTried(t testing.TB, n int) {
	t.Helper()
	s.wait(t, func() bool { return s.Tried() >= n }, func() string { return counted(s.Tried(), n, "requests") })
}

func (s *Sink) wait(t testing.TB, condition func() bool, missing func() string) {
	t.Helper()
	deadline := time.After(Deadline)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if condition() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the sink, after %v: %s", Deadline, missing())
		}
	}
}
