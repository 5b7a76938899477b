// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// The gateway's own events. Package audit emits those of attempts.
const (
	// EventUpstream is emitted when the upstream begins to fail and when it answers again. The
	// spans and events of the requests record which of them failed.
	EventUpstream = attempt.Prefix + "gateway.upstream"
	// EventStreamEnded is emitted when a stream is cut because its account lost its access.
	EventStreamEnded = attempt.Prefix + "gateway.stream.ended"
	// EventUnparsed is emitted, at most once a second and with their number, when connections
	// end without a request that net/http can parse.
	EventUnparsed = attempt.Prefix + "gateway.unparsed"
	// EventCertificate is emitted when the certificate is reloaded, and when the reload fails.
	EventCertificate = attempt.Prefix + "gateway.certificate"
)

// The gateway's own metrics: counters, with error.type for failures.
const (
	MetricUpstreamErrors = attempt.Prefix + "gateway.upstream.errors"
	MetricStreamsEnded   = attempt.Prefix + "gateway.streams.ended"
	MetricUnparsed       = attempt.Prefix + "gateway.unparsed"
	MetricCertificates   = attempt.Prefix + "gateway.certificate.reloads"
)

// keyUnparsedCount is the number of connections that one EventUnparsed covers.
const keyUnparsedCount = attempt.Prefix + "gateway.unparsed.count"

// signals emits the gateway's own signals.
type signals struct {
	tracer trace.Tracer
	logger log.Logger
	now    func() time.Time

	upstreamErrors, streamsEnded, unparsedCount, certificates metric.Int64Counter

	failing atomic.Bool // whether the upstream fails
	mu      sync.Mutex
	changed time.Time // when failing became true

	unparsed      int // not emitted yet
	unparsedPeer  string
	unparsedTimer *time.Timer
}

func newSignals(cfg *Config) (*signals, error) {
	traces, meters, loggers := cfg.Auth.TracerProvider, cfg.Auth.MeterProvider, cfg.Auth.LoggerProvider
	switch {
	case cfg.Uninstrumented:
		traces, meters, loggers = tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider(), lognoop.NewLoggerProvider()
	default:
		if traces == nil {
			traces = otel.GetTracerProvider()
		}
		if meters == nil {
			meters = otel.GetMeterProvider()
		}
		if loggers == nil {
			loggers = otel.GetLoggerProvider()
		}
	}
	s := &signals{
		tracer: traces.Tracer(ScopeName, trace.WithSchemaURL(semconv.SchemaURL)),
		logger: loggers.Logger(ScopeName, log.WithSchemaURL(semconv.SchemaURL)),
		now:    cfg.Auth.Now,
	}
	meter := meters.Meter(ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
	var errs [4]error
	s.upstreamErrors, errs[0] = meter.Int64Counter(MetricUpstreamErrors, metric.WithUnit("{error}"),
		metric.WithDescription("Requests that the upstream did not answer, or whose response it broke off."))
	s.streamsEnded, errs[1] = meter.Int64Counter(MetricStreamsEnded, metric.WithUnit("{stream}"),
		metric.WithDescription("Streams that were cut because their account lost its access."))
	s.unparsedCount, errs[2] = meter.Int64Counter(MetricUnparsed, metric.WithUnit("{connection}"),
		metric.WithDescription("Connections that ended without a request that could be parsed."))
	s.certificates, errs[3] = meter.Int64Counter(MetricCertificates, metric.WithUnit("{reload}"),
		metric.WithDescription("Reloads of the certificate."))
	return s, errors.Join(errs[:]...)
}

func (s *signals) emit(ctx context.Context, severity log.Severity, name, body string, kv ...attribute.KeyValue) {
	if !s.logger.Enabled(ctx, log.EnabledParameters{Severity: severity, EventName: name}) {
		return
	}
	var rec log.Record
	rec.SetEventName(name)
	rec.SetTimestamp(s.now())
	rec.SetSeverity(severity)
	rec.SetSeverityText(severity.String())
	rec.SetBody(attribute.StringValue(body))
	rec.AddAttributes(kv...)
	s.logger.Emit(ctx, rec)
}

// minUpstreamInterval is the shortest time between two events about a failing upstream, so that
// an upstream that answers every other request does not fill a disk. The metric counts every
// failure.
const minUpstreamInterval = time.Second

func (s *signals) upstreamFailed(ctx context.Context, kind failure) {
	if !kind.isUpstream() {
		return
	}
	s.upstreamErrors.Add(ctx, 1, metric.WithAttributes(semconv.ErrorTypeKey.String(string(kind))))
	s.mu.Lock()
	now := s.now()
	reported := s.failing.Load() || now.Sub(s.changed) < minUpstreamInterval && !s.changed.IsZero()
	if !reported {
		s.failing.Store(true)
		s.changed = now
	}
	s.mu.Unlock()
	if !reported {
		s.emit(ctx, log.SeverityError, EventUpstream, "the upstream fails: check that the service behind the gateway runs, and Config.Upstream",
			semconv.ErrorTypeKey.String(string(kind)))
	}
}

func (s *signals) upstreamAnswered(ctx context.Context) {
	if s.failing.Load() && s.failing.CompareAndSwap(true, false) {
		s.emit(ctx, log.SeverityInfo, EventUpstream, "the upstream answers again")
	}
}

func (s *signals) streamEnded(x *exchange) {
	ctx := x.watched.ctx
	s.streamsEnded.Add(ctx, 1)
	s.emit(ctx, log.SeverityWarn, EventStreamEnded, "a stream was cut: its account lost its access",
		semconv.HTTPRoute(x.decision.Pattern), semconv.HTTPRequestHeader("x-request-id", x.id))
}

// unparsedInterval is the time whose unparsed connections one event covers.
const unparsedInterval = time.Second

// connectionUnparsed records a connection that ended after bytes that never became a request.
func (s *signals) connectionUnparsed(peer, kind string) {
	s.unparsedCount.Add(context.Background(), 1, metric.WithAttributes(semconv.ErrorTypeKey.String(kind)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unparsed++
	s.unparsedPeer = peer
	if s.unparsedTimer == nil {
		s.unparsedTimer = time.AfterFunc(unparsedInterval, s.flush)
	}
}

// flush emits the event about unparsed connections, if there are any.
func (s *signals) flush() {
	s.mu.Lock()
	n, peer := s.unparsed, s.unparsedPeer
	s.unparsed = 0
	if s.unparsedTimer != nil {
		s.unparsedTimer.Stop()
		s.unparsedTimer = nil
	}
	s.mu.Unlock()
	if n > 0 {
		s.emit(context.Background(), log.SeverityWarn, EventUnparsed, "connections ended without a request that could be parsed",
			semconv.NetworkPeerAddress(peer), attribute.Int(keyUnparsedCount, n))
	}
}

func (s *signals) certificateRead(err error) {
	if err == nil {
		s.certificates.Add(context.Background(), 1)
		s.emit(context.Background(), log.SeverityInfo, EventCertificate, "the certificate was reloaded")
		return
	}
	s.certificates.Add(context.Background(), 1, metric.WithAttributes(semconv.ErrorTypeOther))
	s.emit(context.Background(), log.SeverityError, EventCertificate, attempt.Text("the certificate cannot be reloaded and the previous one stays in use: "+err.Error(), 512),
		semconv.ErrorTypeOther)
}
