// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"sync"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// console is an exporter of spans and events that groups them by trace. When a trace ends, it
// reports them with the metric points that have an exemplar of the trace.
type console struct {
	reader *sdkmetric.ManualReader
	report func(story)

	mu   sync.Mutex
	open map[trace.TraceID]*exported // one for each open request
}

func newConsole(reader *sdkmetric.ManualReader, report func(story)) *console {
	return &console{reader: reader, report: report, open: make(map[trace.TraceID]*exported)}
}

func (c *console) trace(id trace.TraceID) *exported {
	x := c.open[id]
	if x == nil {
		x = new(exported)
		c.open[id] = x
	}
	return x
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
	x := c.trace(id)
	x.spans = append(x.spans, s)
	if parent := s.Parent(); parent.IsValid() && !parent.IsRemote() {
		return nil, nil
	}
	delete(c.open, id)
	if x.event == nil {
		return nil, nil // a public endpoint without credentials: not an attempt
	}
	story := storyOf(x.event)
	story.exported = *x
	var err error
	story.exported.points, err = c.points(ctx, id)
	return &story, err
}

// points returns the points of all metrics that have an exemplar of the trace.
func (c *console) points(ctx context.Context, id trace.TraceID) (all metricdata.ResourceMetrics, err error) {
	if err := c.reader.Collect(ctx, &all); err != nil {
		return all, err
	}
	for i := range all.ScopeMetrics {
		scope := &all.ScopeMetrics[i]
		scope.Metrics = slices.DeleteFunc(scope.Metrics, func(m metricdata.Metrics) bool { return !leadsTo(id, m.Data) })
		for j := range scope.Metrics {
			scope.Metrics[j].Data = pointsOf(id, scope.Metrics[j].Data)
		}
	}
	all.ScopeMetrics = slices.DeleteFunc(all.ScopeMetrics, func(s metricdata.ScopeMetrics) bool { return len(s.Metrics) == 0 })
	return all, nil
}

func (c *console) ForceFlush(context.Context) error { return nil }
func (c *console) Shutdown(context.Context) error   { return nil }
