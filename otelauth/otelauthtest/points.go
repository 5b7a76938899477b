// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
)

// Point is one point of one metric: the current value of a time series.
type Point struct {
	Scope       string
	Name        string
	Unit        string
	Description string
	// Kind is "counter", "updowncounter", "histogram" or "gauge".
	Kind       string
	Attributes Attributes
	// Value is the value of a counter, updowncounter or gauge, and the sum of a histogram.
	Value float64
	// Count and Bounds are those of a histogram.
	Count  uint64
	Bounds []float64
	// Exemplars are the spans of the exemplars of the point.
	Exemplars []trace.SpanContext
}

// Metrics collects the metrics and returns every point.
func (r *Recorder) Metrics() []Point {
	r.t.Helper()
	var all []Point
	for _, sm := range r.collect().ScopeMetrics {
		for _, m := range sm.Metrics {
			p := Point{Scope: sm.Scope.Name, Name: m.Name, Unit: m.Unit, Description: m.Description}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				all = append(all, points(p, sumKind(data.IsMonotonic), data.DataPoints)...)
			case metricdata.Sum[float64]:
				all = append(all, points(p, sumKind(data.IsMonotonic), data.DataPoints)...)
			case metricdata.Gauge[int64]:
				all = append(all, points(p, "gauge", data.DataPoints)...)
			case metricdata.Gauge[float64]:
				all = append(all, points(p, "gauge", data.DataPoints)...)
			case metricdata.Histogram[int64]:
				all = append(all, histograms(p, data.DataPoints)...)
			case metricdata.Histogram[float64]:
				all = append(all, histograms(p, data.DataPoints)...)
			}
		}
	}
	return all
}

// Sum returns the sum of the Values of all points of the metric name that have all attrs; 0
// without points. For a histogram it is the number of measurements.
func (r *Recorder) Sum(name string, attrs ...attribute.KeyValue) float64 {
	r.t.Helper()
	var sum float64
	for _, p := range r.Metrics() {
		if p.Name != name || !p.Attributes.contains(attrs) {
			continue
		}
		if p.Kind == "histogram" {
			sum += float64(p.Count)
		} else {
			sum += p.Value
		}
	}
	return sum
}

func sumKind(monotonic bool) string {
	if monotonic {
		return "counter"
	}
	return "updowncounter"
}

func points[N int64 | float64](p Point, kind string, data []metricdata.DataPoint[N]) []Point {
	var all []Point
	p.Kind = kind
	for _, d := range data {
		p.Attributes, p.Value, p.Exemplars = d.Attributes.ToSlice(), float64(d.Value), exemplars(d.Exemplars)
		all = append(all, p)
	}
	return all
}

func histograms[N int64 | float64](p Point, data []metricdata.HistogramDataPoint[N]) []Point {
	var all []Point
	p.Kind = "histogram"
	for _, d := range data {
		p.Attributes, p.Value, p.Exemplars = d.Attributes.ToSlice(), float64(d.Sum), exemplars(d.Exemplars)
		p.Count, p.Bounds = d.Count, d.Bounds
		all = append(all, p)
	}
	return all
}

func exemplars[N int64 | float64](data []metricdata.Exemplar[N]) []trace.SpanContext {
	var all []trace.SpanContext
	for _, e := range data {
		if len(e.TraceID) != 16 || len(e.SpanID) != 8 {
			continue
		}
		all = append(all, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID(e.TraceID), SpanID: trace.SpanID(e.SpanID),
		}))
	}
	return all
}
