// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/exporters/stdout/stdoutlog"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// console exports spans and events like the stdout exporters, but groups them by trace. When a
// trace ends, it reports them with the metric points that have an exemplar of the trace.
type console struct {
	reader *sdkmetric.ManualReader
	report func(story)

	mu   sync.Mutex
	open map[trace.TraceID]*unfinished // one for each open request

	out     bytes.Buffer
	spans   *stdouttrace.Exporter
	metrics sdkmetric.Exporter
	logs    *stdoutlog.Exporter
}

type unfinished struct {
	spans []sdktrace.ReadOnlySpan
	event *sdklog.Record // nil: not an attempt
}

func newConsole(reader *sdkmetric.ManualReader, report func(story)) (*console, error) {
	c := &console{reader: reader, report: report, open: make(map[trace.TraceID]*unfinished)}
	var errSpans, errMetrics, errLogs error
	c.spans, errSpans = stdouttrace.New(stdouttrace.WithWriter(&c.out))
	c.metrics, errMetrics = stdoutmetric.New(stdoutmetric.WithWriter(&c.out))
	c.logs, errLogs = stdoutlog.New(stdoutlog.WithWriter(&c.out))
	return c, errors.Join(errSpans, errMetrics, errLogs)
}

func (c *console) trace(id trace.TraceID) *unfinished {
	u := c.open[id]
	if u == nil {
		u = new(unfinished)
		c.open[id] = u
	}
	return u
}

// Export implements a log exporter.
func (c *console) Export(_ context.Context, records []sdklog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range records {
		if isAttempt(&records[i]) {
			event := records[i].Clone()
			c.trace(event.TraceID()).event = &event
		}
	}
	return nil
}

// ExportSpans implements a span exporter. The server span ends last.
func (c *console) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		story, err := c.add(ctx, s)
		if err != nil {
			return err
		}
		if story != nil {
			c.report(*story)
		}
	}
	return nil
}

// add returns a story when s finishes it.
func (c *console) add(ctx context.Context, s sdktrace.ReadOnlySpan) (*story, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := s.SpanContext().TraceID()
	u := c.trace(id)
	u.spans = append(u.spans, s)
	if parent := s.Parent(); parent.IsValid() && !parent.IsRemote() {
		return nil, nil
	}
	delete(c.open, id)
	if u.event == nil {
		return nil, nil // a public endpoint without credentials: not an attempt
	}
	story := storyOf(u.event)
	var errSpans, errPoints, errEvent error
	story.exported.spans, errSpans = c.written(func() error { return c.spans.ExportSpans(ctx, u.spans) })
	story.exported.points, errPoints = c.written(func() error { return c.exportPoints(ctx, id) })
	story.exported.event, errEvent = c.written(func() error { return c.logs.Export(ctx, []sdklog.Record{*u.event}) })
	return &story, errors.Join(errSpans, errPoints, errEvent)
}

func (c *console) written(export func() error) ([]byte, error) {
	c.out.Reset()
	err := export()
	return bytes.Clone(c.out.Bytes()), err
}

// exportPoints exports the points of all metrics that have an exemplar of the trace.
func (c *console) exportPoints(ctx context.Context, id trace.TraceID) error {
	var all metricdata.ResourceMetrics
	if err := c.reader.Collect(ctx, &all); err != nil {
		return err
	}
	for i := range all.ScopeMetrics {
		scope := &all.ScopeMetrics[i]
		scope.Metrics = slices.DeleteFunc(scope.Metrics, func(m metricdata.Metrics) bool { return !leadsTo(id, m.Data) })
		for j := range scope.Metrics {
			scope.Metrics[j].Data = pointsOf(id, scope.Metrics[j].Data)
		}
	}
	all.ScopeMetrics = slices.DeleteFunc(all.ScopeMetrics, func(s metricdata.ScopeMetrics) bool { return len(s.Metrics) == 0 })
	return c.metrics.Export(ctx, &all)
}

func (c *console) ForceFlush(context.Context) error { return nil }
func (c *console) Shutdown(context.Context) error   { return nil }
