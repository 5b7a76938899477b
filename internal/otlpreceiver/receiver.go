// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package otlpreceiver receives OTLP: traces, metrics and logs, as protobuf or JSON, with or
// without gzip. It is the one receiver of this module, for tests, examples and the command.
//
// A [Receiver] is an http.Handler and, for exporters in the same process, an http.RoundTripper. It
// opens no socket. Package otlpserver listens on TCP, also for gRPC.
package otlpreceiver

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Signal is a kind of telemetry. The zero Signal is none.
type Signal string

// The signals. Each is the end of its path.
const (
	Traces  Signal = "traces"
	Metrics Signal = "metrics"
	Logs    Signal = "logs"
)

// Export is one request of an exporter. Exactly one of Traces, Metrics and Logs is set.
type Export struct {
	Signal Signal
	// Body is the uncompressed request as it was sent. It must not be changed.
	Body []byte
	// Arrived is when the whole request had been read.
	Arrived time.Time

	Traces  *tracepb.TracesData
	Metrics *metricspb.MetricsData
	Logs    *logspb.LogsData
}

// Limits bounds what one sender can make the receiver do. The memory that requests take is at most
// Concurrent times (RequestBytes + about 200 bytes for each of Messages).
type Limits struct {
	// RequestBytes bounds one request, uncompressed. Default: 16 MiB. A request in JSON may have a
	// quarter of it, because it takes more memory.
	RequestBytes int
	// Records bounds the spans, data points and log records of one request. Default: 100,000.
	Records int
	// Messages bounds the protobuf messages of one request: records, attributes and values.
	// Default: 500,000.
	Messages int
	// Concurrent is how many requests are read at once. Others wait. Default: 2.
	Concurrent int
}

func (l *Limits) setDefaults() {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.RequestBytes, 16 << 20}, {&l.Records, 100_000}, {&l.Messages, 500_000}, {&l.Concurrent, 2}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
}

// Config configures a [Receiver].
type Config struct {
	// Sink gets each request that could be read. Limits.Concurrent calls may run at once. An error
	// makes the exporter send the request again. Required.
	Sink func(*Export) error
	// Limits bounds requests.
	Limits Limits
	// Now returns the time of arrival. Default: time.Now.
	Now func() time.Time
}

// Receiver receives OTLP. Create it with [New]. It is safe for concurrent use.
type Receiver struct {
	cfg     Config
	slots   chan struct{}
	refused atomic.Int64
}

// New returns a Receiver for cfg.
func New(cfg Config) *Receiver {
	cfg.Limits.setDefaults()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Receiver{cfg: cfg, slots: make(chan struct{}, cfg.Limits.Concurrent)}
}

// Refused returns how many requests were refused because they exceeded a limit or could not be
// read. Their telemetry is lost.
func (r *Receiver) Refused() int64 { return r.refused.Load() }

// Lost counts a request that was refused before the receiver could see it, such as a message that
// is too large for gRPC.
func (r *Receiver) Lost() { r.refused.Add(1) }

// Error is a request that was refused.
type Error struct {
	// Status is the HTTP status of the answer.
	Status int
	// Problem says what is wrong and what to do.
	Problem string
}

func (e *Error) Error() string { return "otlpreceiver: " + e.Problem }

func refuse(status int, format string, args ...any) *Error {
	return &Error{Status: status, Problem: fmt.Sprintf(format, args...)}
}

const (
	protobuf = "application/x-protobuf"
	jsonType = "application/json"
)

// ServeHTTP receives /v1/traces, /v1/metrics and /v1/logs.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	contentType, err := r.serve(req)
	var refused *Error
	switch {
	case errors.As(err, &refused):
		if refused.Status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, err.Error(), refused.Status)
	case err != nil: // of the sink: try again
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case contentType == jsonType:
		w.Header().Set("Content-Type", jsonType)
		_, _ = io.WriteString(w, "{}")
	default: // an empty response message
		w.Header().Set("Content-Type", protobuf)
		w.WriteHeader(http.StatusOK)
	}
}

func (r *Receiver) serve(req *http.Request) (contentType string, err error) {
	var signal Signal
	switch req.URL.Path {
	case "/v1/traces":
		signal = Traces
	case "/v1/metrics":
		signal = Metrics
	case "/v1/logs":
		signal = Logs
	default:
		return "", refuse(http.StatusNotFound, "no signal has the path %q; OTLP uses /v1/traces, /v1/metrics and /v1/logs", short(req.URL.Path))
	}
	if req.Method != http.MethodPost {
		return "", refuse(http.StatusMethodNotAllowed, "OTLP requires POST")
	}
	contentType, _, _ = mime.ParseMediaType(req.Header.Get("Content-Type"))
	if contentType != protobuf && contentType != jsonType {
		return "", refuse(http.StatusUnsupportedMediaType, "the content type is neither %s nor %s; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", protobuf, jsonType)
	}
	leave, err := r.enter(req.Context())
	if err != nil {
		return "", err
	}
	defer leave()
	body, err := r.read(req, contentType)
	if err != nil {
		r.refused.Add(1)
		return "", err
	}
	return contentType, r.take(signal, contentType, body)
}

func short(s string) string { return s[:min(len(s), 64)] }

// enter waits for a slot.
func (r *Receiver) enter(ctx context.Context) (leave func(), err error) {
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, nil
	case <-ctx.Done():
		return nil, refuse(http.StatusServiceUnavailable, "the receiver was busy until the request ended")
	}
}

// read returns the uncompressed body.
func (r *Receiver) read(req *http.Request, contentType string) ([]byte, error) {
	limit := r.cfg.Limits.RequestBytes
	if contentType == jsonType {
		limit /= 4
	}
	in := io.Reader(req.Body)
	if req.Body == nil {
		in = http.NoBody
	}
	switch encoding := req.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		unzipped, err := gzip.NewReader(io.LimitReader(in, int64(limit)))
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "the request is not gzip: %v", err)
		}
		in = unzipped
	default:
		return nil, refuse(http.StatusUnsupportedMediaType, "the compression %q is not supported; set OTEL_EXPORTER_OTLP_COMPRESSION to gzip or none", short(encoding))
	}
	body, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the request ended early: %v", err)
	}
	if len(body) > limit {
		return nil, refuse(http.StatusRequestEntityTooLarge, "the request has more than %d bytes; export smaller batches", limit)
	}
	return body, nil
}

// Take receives one request in protobuf, such as a message of gRPC. An error is an [*Error], or
// that of the sink.
func (r *Receiver) Take(ctx context.Context, signal Signal, body []byte) error {
	leave, err := r.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return r.take(signal, protobuf, body)
}

// Limit returns the longest request in bytes.
func (r *Receiver) Limit() int { return r.cfg.Limits.RequestBytes }

func (r *Receiver) take(signal Signal, contentType string, body []byte) error {
	e := &Export{Signal: signal, Body: body, Arrived: r.cfg.Now()}
	if err := e.decode(contentType, r.cfg.Limits); err != nil {
		r.refused.Add(1)
		return err
	}
	return r.cfg.Sink(e)
}

// RoundTrip receives the request of an exporter in the same process. Nothing leaves the process.
func (r *Receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	w := &answer{header: http.Header{}, status: http.StatusOK}
	r.ServeHTTP(w, req)
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: req,
	}, nil
}

// answer is the response to a request in the same process.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
