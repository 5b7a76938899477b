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

// signals is what the gateway tells beside what otelauth tells.
type signals struct {
	tracer trace.Tracer
	logger log.Logger
	now    func() time.Time

	upstreamErrors, streamsEnded, unparsedCount, certificates metric.Int64Counter

	failing atomic.Bool // the upstream
	mu      sync.Mutex
	changed time.Time // of failing

	unparsed      int // not told yet
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
		tracer: traces.Tracer(ScopeName, trace.WithSchemaURL(authconv.SchemaURL), trace.WithInstrumentationVersion(authconv.Version())),
		logger: loggers.Logger(ScopeName, log.WithSchemaURL(authconv.SchemaURL), log.WithInstrumentationVersion(authconv.Version())),
		now:    cfg.Auth.Now,
	}
	meter := meters.Meter(ScopeName, metric.WithSchemaURL(authconv.SchemaURL), metric.WithInstrumentationVersion(authconv.Version()))
	var errs []error
	counter := func(name string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithUnit(authconv.Unit(name)), metric.WithDescription(authconv.Description(name)))
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

// leastChange keeps an upstream that answers every other request from filling a disk; every failure is counted.
const leastChange = time.Second

func (s *signals) upstreamFailed(ctx context.Context, kind failure) {
	if kind == left || kind == stalled || kind == revoked {
		return // not the upstream's fault
	}
	s.upstreamErrors.Add(ctx, 1, metric.WithAttributes(semconv.ErrorTypeKey.String(string(kind))))
	s.mu.Lock()
	now := s.now()
	told := s.failing.Load() || now.Sub(s.changed) < leastChange && !s.changed.IsZero()
	if !told {
		s.failing.Store(true)
		s.changed = now
	}
	s.mu.Unlock()
	if !told {
		s.emit(ctx, log.SeverityError, authconv.EventGatewayUpstream, "the upstream fails; see whether the service behind the gateway runs, and Config.Upstream",
			semconv.ErrorTypeKey.String(string(kind)))
	}
}

func (s *signals) upstreamAnswered(ctx context.Context) {
	if s.failing.Load() && s.failing.CompareAndSwap(true, false) {
		s.emit(ctx, log.SeverityInfo, authconv.EventGatewayUpstream, "the upstream answers again")
	}
}

func (s *signals) streamEnded(x *exchange) {
	ctx := x.watched.ctx
	s.streamsEnded.Add(ctx, 1)
	s.emit(ctx, log.SeverityWarn, authconv.EventGatewayStreamEnded, "a stream was cut: its account may no longer have it",
		semconv.HTTPRoute(x.decision.Pattern), semconv.HTTPRequestHeader("x-request-id", x.id))
}

// unparsedTellAfter folds the events of one second.
const unparsedTellAfter = time.Second

// connectionUnparsed is told of a connection that ended after octets that never became a request. net/http has answered them, or the
// client has gone.
func (s *signals) connectionUnparsed(peer, kind string) {
	s.unparsedCount.Add(context.Background(), 1, metric.WithAttributes(semconv.ErrorTypeKey.String(kind)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unparsed++
	s.unparsedPeer = peer
	if s.unparsedTimer == nil {
		s.unparsedTimer = time.AfterFunc(unparsedTellAfter, s.flush)
	}
}

// flush tells what is folded.
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
		s.emit(context.Background(), log.SeverityWarn, authconv.EventGatewayUnparsed, "what connections sent was no request, or ended before it was one",
			semconv.NetworkPeerAddress(peer), attribute.Int(authconv.KeyGatewayUnparsedCount, n))
	}
}

func (s *signals) certificateRead(err error) {
	if err == nil {
		s.certificates.Add(context.Background(), 1)
		s.emit(context.Background(), log.SeverityInfo, authconv.EventGatewayCertificate, "the certificate was read again")
		return
	}
	s.certificates.Add(context.Background(), 1, metric.WithAttributes(semconv.ErrorTypeOther))
	s.emit(context.Background(), log.SeverityError, authconv.EventGatewayCertificate, attempt.Text("the certificate could not be read, the former one is still served: "+err.Error(), 512),
		semconv.ErrorTypeOther)
}
