// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// story is one attempt as its event records it.
type story struct {
	attempt string // the name of the step, or the request line
	status  string
	outcome string
	user    string
	cache   string
	trace   trace.TraceID
	agent   string

	exported exported // empty when telemetry goes elsewhere
}

// exported is the telemetry of one attempt.
type exported struct {
	spans  []sdktrace.ReadOnlySpan // in the order in which they ended
	points metricdata.ResourceMetrics
	event  *sdklog.Record
}

func isAttempt(r *sdklog.Record) bool { return r.EventName() == authconv.EventAttempt }

func storyOf(r *sdklog.Record) story {
	attrs := make(map[attribute.Key]string, r.AttributesLen())
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		attrs[kv.Key] = kv.Value.String()
		return true
	})
	s := story{
		attempt: attrs[semconv.HTTPRequestMethodKey] + " " + attrs[semconv.URLPathKey],
		status:  attrs[semconv.HTTPResponseStatusCodeKey],
		outcome: attrs[authconv.KeyOutcome],
		user:    attrs[semconv.UserNameKey],
		cache:   attrs[authconv.KeyCacheResult],
		trace:   r.TraceID(),
		agent:   attrs[semconv.UserAgentOriginalKey],
	}
	if s.user == "" {
		// a name that is not an account is recorded as a hash only
		s.user = attrs[semconv.UserHashKey]
	}
	return s
}
