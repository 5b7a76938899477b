// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/internal/wide"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// maxReports bounds the events that wait for the LoggerProvider. Further ones are only counted.
const maxReports = 256

// telemetry emits the metrics and events of a trail. Events are emitted by a goroutine of its own,
// so that a slow exporter does not delay a line.
type telemetry struct {
	dir    string
	logger log.Logger
	notify func(ctx context.Context, n attempt.Notice)
	now    func() time.Time

	lines, drops, refusals, anomalies metric.Int64Counter
	commits                           metric.Float64Histogram
	registration                      metric.Registration

	reports chan func()
	done    chan struct{}

	mu         sync.Mutex
	isClosed   bool
	checkpoint Checkpoint // the newest one on disk
	at         time.Time  // when it was emitted
}

// occupancy is what the gauges report.
type occupancy struct{ size, queued int64 }

func newTelemetry(cfg *Config, state func() occupancy) (*telemetry, error) {
	t := &telemetry{
		dir: cfg.Dir, notify: cfg.Notify, now: cfg.Now,
		logger: cfg.LoggerProvider.Logger(ScopeName,
			log.WithSchemaURL(semconv.SchemaURL), log.WithInstrumentationVersion(semconv.Version())),
		reports: make(chan func(), maxReports), done: make(chan struct{}),
	}
	meter := cfg.MeterProvider.Meter(ScopeName,
		metric.WithSchemaURL(semconv.SchemaURL), metric.WithInstrumentationVersion(semconv.Version()))
	if err := t.instruments(meter, cfg.Key.Origin(), state); err != nil {
		return nil, fmt.Errorf("trail: the MeterProvider refused an instrument, check its views: %w", err)
	}
	// A series that starts with its first increment hides that increment from rate().
	for _, c := range []metric.Int64Counter{t.lines, t.drops, t.refusals} {
		c.Add(context.Background(), 0)
	}
	go t.run()
	return t, nil
}

func (t *telemetry) instruments(meter metric.Meter, origin string, state func() occupancy) error {
	var errs []error
	counter := func(name string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithUnit(semconv.Unit(name)), metric.WithDescription(semconv.Description(name)))
		errs = append(errs, err)
		return c
	}
	t.lines, t.drops = counter(semconv.MetricTrailLines), counter(semconv.MetricTrailDropped)
	t.refusals, t.anomalies = counter(semconv.MetricTrailRefused), counter(semconv.MetricTrailAnomalies)
	var err error
	t.commits, err = meter.Float64Histogram(semconv.MetricTrailCommitDuration,
		metric.WithUnit(semconv.Unit(semconv.MetricTrailCommitDuration)),
		metric.WithDescription(semconv.Description(semconv.MetricTrailCommitDuration)),
		metric.WithExplicitBucketBoundaries(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5))
	errs = append(errs, err)
	gauge := func(name string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge(name, metric.WithUnit(semconv.Unit(name)), metric.WithDescription(semconv.Description(name)))
		errs = append(errs, err)
		return g
	}
	size, sealed, at := gauge(semconv.MetricTrailSize), gauge(semconv.MetricTrailCheckpointSize), gauge(semconv.MetricTrailCheckpointTime)
	queued, err := meter.Int64ObservableUpDownCounter(semconv.MetricTrailQueueCount,
		metric.WithUnit(semconv.Unit(semconv.MetricTrailQueueCount)),
		metric.WithDescription(semconv.Description(semconv.MetricTrailQueueCount)))
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	of := metric.WithAttributeSet(attribute.NewSet(attribute.String(semconv.KeyTrailOrigin, origin)))
	t.registration, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := state()
		o.ObserveInt64(size, s.size, of)
		o.ObserveInt64(queued, s.queued)
		t.mu.Lock()
		defer t.mu.Unlock()
		if !t.at.IsZero() {
			o.ObserveInt64(sealed, t.checkpoint.Size, of)
			o.ObserveInt64(at, t.at.Unix(), of)
		}
		return nil
	}, size, queued, sealed, at)
	return err
}

func (t *telemetry) run() {
	defer close(t.done)
	for report := range t.reports {
		report()
	}
}

// close emits what waits.
func (t *telemetry) close() {
	_ = t.registration.Unregister() // the providers may be shut down already
	t.mu.Lock()
	if !t.isClosed {
		t.isClosed = true
		close(t.reports)
	}
	t.mu.Unlock()
	<-t.done
}

// later runs report in the goroutine of the events.
func (t *telemetry) later(report func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed {
		return
	}
	select {
	case t.reports <- report:
	default:
	}
}

func (t *telemetry) written(n int64) { t.lines.Add(context.Background(), n) }
func (t *telemetry) dropped(n int64) { t.drops.Add(context.Background(), n) }
func (t *telemetry) refused(n int64) { t.refusals.Add(context.Background(), n) }
func (t *telemetry) committed(d time.Duration) {
	t.commits.Record(context.Background(), d.Seconds())
}

// anomaly counts a, emits its event and notifies.
func (t *telemetry) anomaly(a anomaly) {
	ctx := context.Background()
	t.anomalies.Add(ctx, 1, metric.WithAttributes(attribute.String(semconv.KeyTrailAnomalyKind, string(a.kind))))
	t.later(func() {
		severity := log.SeverityWarn
		if a.isError() {
			severity = log.SeverityError
		}
		var kv wide.Attributes
		a.attributes(&kv)
		t.emit(ctx, semconv.EventTrailAnomaly, severity, a.time, anomalyText[a.kind], kv.All())
		if t.notify != nil {
			t.notify(ctx, a.notice(t.dir))
		}
	})
}

// published emits the event of a checkpoint that is on disk.
func (t *telemetry) published(c Checkpoint) {
	now := t.now()
	t.mu.Lock()
	t.checkpoint, t.at = c, now
	t.mu.Unlock()
	t.later(func() {
		t.emit(context.Background(), semconv.EventTrailCheckpoint, log.SeverityInfo, now, "", []attribute.KeyValue{
			attribute.String(semconv.KeyTrailOrigin, c.Origin),
			attribute.Int64(semconv.KeyTrailSize, c.Size),
			attribute.String(semconv.KeyTrailRoot, c.Root.String()),
			attribute.String(semconv.KeyTrailNote, string(c.Note)),
		})
	})
}

// confirmInterval is how often the newest checkpoint is emitted again while no lines arrive.
const confirmInterval = time.Minute

// confirm emits the newest checkpoint again if it was emitted long ago.
func (t *telemetry) confirm(now time.Time) {
	t.mu.Lock()
	c, since := t.checkpoint, now.Sub(t.at)
	t.mu.Unlock()
	if c.Note != nil && since >= confirmInterval {
		t.published(c)
	}
}

func (t *telemetry) emit(
	ctx context.Context, name string, severity log.Severity, at time.Time, body string, attrs []attribute.KeyValue,
) {
	if !t.logger.Enabled(ctx, log.EnabledParameters{Severity: severity, EventName: name}) {
		return
	}
	var rec log.Record
	rec.SetEventName(name)
	rec.SetTimestamp(at)
	rec.SetSeverity(severity)
	rec.SetSeverityText(severity.String())
	if body != "" {
		rec.SetBody(attribute.StringValue(body))
	}
	rec.AddAttributes(attrs...)
	t.logger.Emit(ctx, rec)
}
