// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package collectortest

import (
	"crypto/rand"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// ServiceName is the service.name of the data in this file.
const ServiceName = "collectortest"

// TraceID returns a random trace id.
func TraceID() pcommon.TraceID {
	var id pcommon.TraceID
	_, _ = rand.Read(id[:])
	return id
}

// SpanID returns a random span id.
func SpanID() pcommon.SpanID {
	var id pcommon.SpanID
	_, _ = rand.Read(id[:])
	return id
}

// Events returns n log records with that event name. Attribute test.seq counts them from 0.
func Events(name string, n int) plog.Logs {
	logs := plog.NewLogs()
	rl := logs.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", ServiceName)
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName("github.com/otelauth/otelauth-go/otelauth/audit")
	for i := range n {
		r := sl.LogRecords().AppendEmpty()
		r.SetEventName(name)
		r.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		r.SetObservedTimestamp(r.Timestamp())
		r.SetSeverityNumber(plog.SeverityNumberWarn)
		r.SetTraceID(TraceID())
		r.SetSpanID(SpanID())
		r.Attributes().PutStr("auth.outcome", "failure")
		r.Attributes().PutInt("test.seq", int64(i))
	}
	return logs
}

// Seq returns how often each test.seq of records from [Events] occurs.
func Seq(records []LogRecord) map[int]int {
	seen := map[int]int{}
	for _, r := range records {
		if v, ok := r.Attributes().Get("test.seq"); ok {
			seen[int(v.Int())]++
		}
	}
	return seen
}

// Trace returns one trace with a server span and a child, the auth span. The attributes go on the
// auth span; values are strings.
func Trace(attributes map[string]string) ptrace.Traces {
	traces := ptrace.NewTraces()
	rs := traces.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", ServiceName)
	ss := rs.ScopeSpans().AppendEmpty()
	ss.Scope().SetName("github.com/otelauth/otelauth-go/spans")
	end := time.Now()
	server := ss.Spans().AppendEmpty()
	server.SetTraceID(TraceID())
	server.SetSpanID(SpanID())
	server.SetName("GET /orders/{id}")
	server.SetKind(ptrace.SpanKindServer)
	server.SetStartTimestamp(pcommon.NewTimestampFromTime(end.Add(-2 * time.Millisecond)))
	server.SetEndTimestamp(pcommon.NewTimestampFromTime(end))
	auth := ss.Spans().AppendEmpty()
	auth.SetTraceID(server.TraceID())
	auth.SetParentSpanID(server.SpanID())
	auth.SetSpanID(SpanID())
	auth.SetName("authenticate basic")
	auth.SetKind(ptrace.SpanKindInternal)
	auth.SetStartTimestamp(server.StartTimestamp())
	auth.SetEndTimestamp(server.EndTimestamp())
	for k, v := range attributes {
		auth.Attributes().PutStr(k, v)
	}
	return traces
}

// Counter returns one cumulative sum of that name with the attributes.
func Counter(name string, value int64, attributes map[string]string) pmetric.Metrics {
	metrics := pmetric.NewMetrics()
	rm := metrics.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", ServiceName)
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("github.com/otelauth/otelauth-go/metrics")
	m := sm.Metrics().AppendEmpty()
	m.SetName(name)
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := sum.DataPoints().AppendEmpty()
	p.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(-time.Minute)))
	p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	p.SetIntValue(value)
	for k, v := range attributes {
		p.Attributes().PutStr(k, v)
	}
	return metrics
}

// Name returns a numbered name.
func Name(prefix string, i int) string { return prefix + strconv.Itoa(i) }
