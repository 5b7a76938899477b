// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// explaining are the attributes that the page shows of spans and metric points.
var explaining = []attribute.Key{
	semconv.HTTPRouteKey, semconv.HTTPResponseStatusCodeKey, authconv.KeyOutcome, semconv.ErrorTypeKey,
	authconv.KeyCacheResult, authconv.KeyPasswordScheme,
}

// writePage prints the telemetry of one attempt as aligned text.
func (b *board) writePage(s *story) {
	fmt.Fprintf(b.out, "\n%s %s\n", b.bold("Trace"), s.trace)
	b.writeTree(s.exported.spans)
	fmt.Fprintf(b.out, "\n%s so far, whose exemplars lead to this trace\n", b.bold("Metric points"))
	writePoints(b.out, &s.exported.points)
	event := s.exported.event
	fmt.Fprintf(b.out, "\n%s %s %s\n", b.bold("Event"), event.EventName(), event.SeverityText())
	w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', 0)
	event.WalkAttributes(func(kv attribute.KeyValue) bool {
		fmt.Fprintf(w, "  %s\t%s\n", kv.Key, kv.Value.String())
		return true
	})
	_ = w.Flush() // the output reports its errors itself
}

// writeTree prints each span below its parent, with its duration.
func (b *board) writeTree(spans []sdktrace.ReadOnlySpan) {
	children := make(map[trace.SpanID][]sdktrace.ReadOnlySpan)
	var root sdktrace.ReadOnlySpan
	for _, s := range spans {
		if parent := s.Parent(); parent.IsValid() && !parent.IsRemote() {
			children[parent.SpanID()] = append(children[parent.SpanID()], s)
		} else {
			root = s
		}
	}
	var branch func(s sdktrace.ReadOnlySpan, first, rest string)
	branch = func(s sdktrace.ReadOnlySpan, first, rest string) {
		duration := fmt.Sprintf("%.1f ms", s.EndTime().Sub(s.StartTime()).Seconds()*1000)
		fmt.Fprintf(b.out, "  %-34s %9s  %s\n", first+s.Name(), duration, explained(attribute.NewSet(s.Attributes()...)))
		next := children[s.SpanContext().SpanID()]
		slices.SortFunc(next, func(x, y sdktrace.ReadOnlySpan) int { return x.StartTime().Compare(y.StartTime()) })
		for i, child := range next {
			if i == len(next)-1 {
				branch(child, rest+"└─ ", rest+"   ")
			} else {
				branch(child, rest+"├─ ", rest+"│  ")
			}
		}
	}
	branch(root, "", "")
}

// explained returns the attributes that explain a span or a point.
func explained(set attribute.Set) string {
	var all []string
	for _, key := range explaining {
		if v, ok := set.Value(key); ok {
			all = append(all, fmt.Sprintf("%s=%s", key, v.String()))
		}
	}
	return strings.Join(all, " ")
}

// point is a line about one metric point.
type point struct{ name, value, attributes string }

func writePoints(out io.Writer, all *metricdata.ResourceMetrics) {
	var points []point
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			points = append(points, pointsIn(m)...)
		}
	}
	slices.SortStableFunc(points, func(x, y point) int { return cmp.Compare(x.name, y.name) })
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range points {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", p.name, p.value, p.attributes)
	}
	_ = w.Flush() // the output reports its errors itself
}

// pointsIn returns the points of one metric. The mean of a histogram of one measurement is that
// measurement.
func pointsIn(m metricdata.Metrics) (points []point) {
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			points = append(points, point{m.Name, fmt.Sprint(p.Value), explained(p.Attributes)})
		}
	case metricdata.Histogram[int64]:
		for _, p := range d.DataPoints {
			points = append(points, point{m.Name, mean(float64(p.Sum), p.Count, m.Unit), explained(p.Attributes)})
		}
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			points = append(points, point{m.Name, mean(p.Sum, p.Count, m.Unit), explained(p.Attributes)})
		}
	}
	return points
}

func mean(sum float64, count uint64, unit string) string {
	value := fmt.Sprintf("%.0f %s", sum/float64(count), unit)
	if unit == "s" {
		value = fmt.Sprintf("%.1f ms", 1000*sum/float64(count))
	}
	return fmt.Sprintf("%d × %s", count, value)
}
