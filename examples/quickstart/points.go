// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"slices"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
)

// pointsOf returns data without the points that have no exemplar of the trace.
func pointsOf(id trace.TraceID, data metricdata.Aggregation) metricdata.Aggregation {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		d.DataPoints = slices.DeleteFunc(d.DataPoints, func(p metricdata.DataPoint[int64]) bool { return !leads(id, p.Exemplars) })
		return d
	case metricdata.Histogram[int64]:
		d.DataPoints = slices.DeleteFunc(d.DataPoints, func(p metricdata.HistogramDataPoint[int64]) bool { return !leads(id, p.Exemplars) })
		return d
	case metricdata.Histogram[float64]:
		d.DataPoints = slices.DeleteFunc(d.DataPoints, func(p metricdata.HistogramDataPoint[float64]) bool { return !leads(id, p.Exemplars) })
		return d
	}
	return data
}

// leadsTo reports whether a point of data has an exemplar of the trace. Points of observable
// instruments have none.
func leadsTo(id trace.TraceID, data metricdata.Aggregation) bool {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		return slices.ContainsFunc(d.DataPoints, func(p metricdata.DataPoint[int64]) bool { return leads(id, p.Exemplars) })
	case metricdata.Histogram[int64]:
		return slices.ContainsFunc(d.DataPoints, func(p metricdata.HistogramDataPoint[int64]) bool { return leads(id, p.Exemplars) })
	case metricdata.Histogram[float64]:
		return slices.ContainsFunc(d.DataPoints, func(p metricdata.HistogramDataPoint[float64]) bool { return leads(id, p.Exemplars) })
	}
	return false
}

func leads[N int64 | float64](id trace.TraceID, exemplars []metricdata.Exemplar[N]) bool {
	return slices.ContainsFunc(exemplars, func(e metricdata.Exemplar[N]) bool { return bytes.Equal(e.TraceID, id[:]) })
}
