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

// The gateway's own events. Attempts are told by otelauth.
const (
	// EventUpstream: the upstream has begun to fail, or answers again. Which requests it failed is said by their spans and events.
	EventUpstream = attempt.Prefix + "gateway.upstream"
	// EventStreamEnded: a stream was cut because its account may no longer have it.
	EventStreamEnded = attempt.Prefix + "gateway.stream.ended"
	// EventUnparsed: connections sent what net/http could not make a request of; at most one event a second, with their number.
	EventUnparsed = attempt.Prefix + "gateway.unparsed"
	// EventCertificate: the certificate was read again, or could not be.
	EventCertificate = attempt.Prefix + "gateway.certificate"
)

// The gateway's own instruments, counters with error.type where something failed.
const (
	MetricUpstreamErrors = attempt.Prefix + "gateway.upstream.errors"
	MetricStreamsEnded   = attempt.Prefix + "gateway.streams.ended"
	MetricUnparsed       = attempt.Prefix + "gateway.unparsed"
	MetricCertificates   = attempt.Prefix + "gateway.certificate.reloads"
)

// keyUnparsedCount is how many an EventUnparsed stands for.
const keyUnparsedCount = attempt.Prefix + "gateway.unparsed.count"

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
		tracer: traces.Tracer(ScopeName, trace.WithSchemaURL(semconv.SchemaURL)),
		logger: loggers.Logger(ScopeName, log.WithSchemaURL(semconv.SchemaURL)),
		now:    cfg.Auth.Now,
	}
	meter := meters.Meter(ScopeName, metric.WithSchemaURL(semconv.SchemaURL))
	var errs [4]error
	s.upstreamErrors, errs[0] = meter.Int64Counter(MetricUpstreamErrors, metric.WithUnit("{error}"),
		metric.WithDescription("Requests that the upstream did not answer, or not to the end."))
	s.streamsEnded, errs[1] = meter.Int64Counter(MetricStreamsEnded, metric.WithUnit("{stream}"),
		metric.WithDescription("Streams that were cut because their account may no longer have them."))
	s.unparsedCount, errs[2] = meter.Int64Counter(MetricUnparsed, metric.WithUnit("{connection}"),
		metric.WithDescription("Connections that sent what could not be made a request of."))
	s.certificates, errs[3] = meter.Int64Counter(MetricCertificates, metric.WithUnit("{reload}"),
		metric.WithDescription("Times the certificate was read again."))
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
		s.emit(ctx, log.SeverityError, EventUpstream, "the upstream fails; see whether the service behind the gateway runs, and Config.Upstream",
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
	s.emit(ctx, log.SeverityWarn, EventStreamEnded, "a stream was cut: its account may no longer have it",
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
		s.emit(context.Background(), log.SeverityWarn, EventUnparsed, "what connections sent was no request, or ended before it was one",
			semconv.NetworkPeerAddress(peer), attribute.Int(keyUnparsedCount, n))
	}
}

func (s *signals) certificateRead(err error) {
	if err == nil {
		s.certificates.Add(context.Background(), 1)
		s.emit(context.Background(), log.SeverityInfo, EventCertificate, "the certificate was read again")
		return
	}
	s.certificates.Add(context.Background(), 1, metric.WithAttributes(semconv.ErrorTypeOther))
	s.emit(context.Background(), log.SeverityError, EventCertificate, attempt.Text("the certificate could not be read, the former one is still served: "+err.Error(), 512),
		semconv.ErrorTypeOther)
}
