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
	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// signals emits the gateway's own signals.
type signals struct {
	tracer trace.Tracer
	logger log.Logger
	now    func() time.Time

	upstreamErrors, streamsEnded, unparsedCount, certificates metric.Int64Counter

	failing  atomic.Bool   // whether the last request to the upstream failed
	failed   atomic.Uint64 // requests that it did not answer, or not to the end
	answered atomic.Int64  // when it last answered, in nanoseconds of the Unix time; 0: never
	mu       sync.Mutex
	since    time.Time // when failing last changed
	lastKind failure
	reported bool      // whether the last event says that the upstream fails
	lastDown time.Time // when the last such event was emitted

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
		tracer: traces.Tracer(ScopeName,
			trace.WithSchemaURL(authconv.SchemaURL), trace.WithInstrumentationVersion(authconv.Version())),
		logger: loggers.Logger(ScopeName,
			log.WithSchemaURL(authconv.SchemaURL), log.WithInstrumentationVersion(authconv.Version())),
		now: cfg.Auth.Now,
	}
	meter := meters.Meter(ScopeName,
		metric.WithSchemaURL(authconv.SchemaURL), metric.WithInstrumentationVersion(authconv.Version()))
	var errs []error
	counter := func(name string) metric.Int64Counter {
		c, err := meter.Int64Counter(name,
			metric.WithUnit(authconv.Unit(name)), metric.WithDescription(authconv.Description(name)))
		errs = append(errs, err)
		return c
	}
	s.upstreamErrors = counter(authconv.MetricGatewayUpstreamErrors)
	s.streamsEnded = counter(authconv.MetricGatewayStreamsEnded)
	s.unparsedCount = counter(authconv.MetricGatewayUnparsed)
	s.certificates = counter(authconv.MetricGatewayCertificateReloads)
	return s, errors.Join(errs...)
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
// failure, and UpstreamState has each change.
const minUpstreamInterval = time.Second

func (s *signals) upstreamFailed(ctx context.Context, kind failure) {
	if !kind.isUpstream() {
		return
	}
	s.failed.Add(1)
	s.upstreamErrors.Add(ctx, 1, metric.WithAttributes(semconv.ErrorTypeKey.String(string(kind))))
	s.mu.Lock()
	now := s.now()
	s.lastKind = kind
	if !s.failing.Load() {
		s.failing.Store(true)
		s.since = now
	}
	isNews := !s.reported && (s.lastDown.IsZero() || now.Sub(s.lastDown) >= minUpstreamInterval)
	if isNews {
		s.reported, s.lastDown = true, now
	}
	s.mu.Unlock()
	if isNews {
		s.emit(ctx, log.SeverityError, authconv.EventGatewayUpstream, "the upstream fails: check that the service behind the gateway runs, and the address of the upstream",
			semconv.ErrorTypeKey.String(string(kind)))
	}
}

func (s *signals) upstreamAnswered(ctx context.Context) {
	s.answered.Store(s.now().UnixNano())
	if !s.failing.Load() {
		return
	}
	s.mu.Lock()
	if s.failing.Load() {
		s.failing.Store(false)
		s.since = s.now()
	}
	isNews := s.reported
	s.reported = false
	s.mu.Unlock()
	if isNews {
		s.emit(ctx, log.SeverityInfo, authconv.EventGatewayUpstream, "the upstream answers again")
	}
}

func (s *signals) streamEnded(x *exchange) {
	ctx := x.watched.ctx
	s.streamsEnded.Add(ctx, 1)
	s.emit(ctx, log.SeverityWarn, authconv.EventGatewayStreamEnded, "a stream was cut: its account lost its access",
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
		s.emit(context.Background(), log.SeverityWarn, authconv.EventGatewayUnparsed, "connections ended without a request that could be parsed",
			semconv.NetworkPeerAddress(peer), attribute.Int(authconv.KeyGatewayUnparsedCount, n))
	}
}

func (s *signals) certificateRead(err error) {
	if err == nil {
		s.certificates.Add(context.Background(), 1)
		s.emit(context.Background(), log.SeverityInfo, authconv.EventGatewayCertificate, "the certificate was reloaded")
		return
	}
	s.certificates.Add(context.Background(), 1, metric.WithAttributes(semconv.ErrorTypeOther))
	s.emit(context.Background(), log.SeverityError, authconv.EventGatewayCertificate, attempt.Text("the certificate cannot be reloaded and the previous one stays in use: "+err.Error(), 512),
		semconv.ErrorTypeOther)
}
