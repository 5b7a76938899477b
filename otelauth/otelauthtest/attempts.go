// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest

import (
	"net/netip"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/spans"
)

// Attempt is one attempt as recorded in its telemetry.
type Attempt struct {
	TraceID trace.TraceID
	// Time is the time of the decision.
	Time      time.Time
	Scheme    attempt.Scheme
	Outcome   attempt.Outcome
	ErrorType attempt.ErrorType
	Reason    attempt.Reason
	Cache     attempt.CacheResult
	UserName  string
	UserHash  string
	Client    netip.Addr
	Route     string
	Method    string
	// Path and Status are from the event; unset without an event.
	Path   string
	Status int
}

// Attempts returns the attempts in the order of their events, followed by those of traces with an
// auth span and no event.
func (r *Recorder) Attempts() []Attempt {
	var all []Attempt
	hasEvent := map[trace.TraceID]bool{}
	for _, e := range r.Events() {
		if e.Name() != semconv.EventAttempt {
			continue
		}
		a := read(e.Attributes())
		a.TraceID, a.Time = e.TraceID(), e.Timestamp()
		hasEvent[a.TraceID] = true
		all = append(all, a)
	}
	for _, s := range r.Spans() {
		if isAuth(s) && !hasEvent[s.SpanContext.TraceID()] {
			a := read(s.Attributes)
			a.TraceID, a.Time = s.SpanContext.TraceID(), s.EndTime
			all = append(all, a)
		}
	}
	return all
}

func isAuth(s Span) bool {
	return s.InstrumentationScope.Name == spans.ScopeName && strings.HasPrefix(s.Name, semconv.SpanAuthenticate+" ")
}

func read(attrs []attribute.KeyValue) Attempt {
	kv := Attributes(attrs)
	a := Attempt{
		Scheme:   attempt.Scheme(kv.Text(semconv.KeyScheme)),
		Reason:   attempt.Reason(kv.Text(semconv.KeyReason)),
		UserName: kv.Text(semconv.KeyUserName),
		UserHash: kv.Text(semconv.KeyUserHash),
		Route:    kv.Text(semconv.KeyHTTPRoute),
		Method:   kv.Text(semconv.KeyHTTPRequestMethod),
		Path:     kv.Text(semconv.KeyURLPath),
	}
	a.Client, _ = netip.ParseAddr(kv.Text(semconv.KeyClientAddress))
	if status := kv.Get(semconv.KeyHTTPResponseStatusCode); status.Type() == attribute.INT64 {
		a.Status = int(status.AsInt64())
	}
	for _, o := range attempt.Outcomes() {
		if o.String() == kv.Text(semconv.KeyOutcome) {
			a.Outcome = o
		}
	}
	for _, e := range attempt.ErrorTypes() {
		if e.String() == kv.Text(semconv.KeyErrorType) {
			a.ErrorType = e
		}
	}
	for _, c := range attempt.CacheResults() {
		if c.String() == kv.Text(semconv.KeyCacheResult) {
			a.Cache = c
		}
	}
	return a
}

// Trace is all telemetry with one trace id.
type Trace struct {
	ID       trace.TraceID
	Spans    []Span
	Events   []Event
	Attempts []Attempt
	// Metrics are the points that have an exemplar of the trace.
	Metrics []Point
}

// ByTrace returns all telemetry with the trace id.
func (r *Recorder) ByTrace(id trace.TraceID) Trace {
	r.t.Helper()
	tr := Trace{ID: id}
	for _, s := range r.Spans() {
		if s.SpanContext.TraceID() == id {
			tr.Spans = append(tr.Spans, s)
		}
	}
	for _, e := range r.Events() {
		if e.TraceID() == id {
			tr.Events = append(tr.Events, e)
		}
	}
	for _, a := range r.Attempts() {
		if a.TraceID == id {
			tr.Attempts = append(tr.Attempts, a)
		}
	}
	for _, p := range r.Metrics() {
		for _, x := range p.Exemplars {
			if x.TraceID() == id {
				tr.Metrics = append(tr.Metrics, p)
				break
			}
		}
	}
	return tr
}
