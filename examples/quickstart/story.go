// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// story is what was told of one attempt: the event has all that the table shows.
type story struct {
	attempt string // what was tried; the request line, when nobody knows better
	status  string
	outcome string
	user    string
	cache   string
	trace   trace.TraceID
	agent   string

	exported exported // empty when telemetry goes elsewhere
}

// exported is what the exporters for standard output made of an attempt: JSON documents, one behind the other.
type exported struct {
	spans, points, event []byte
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
		s.user = attrs[semconv.UserHashKey] // of a name that is no account only the hash is told
	}
	return s
}
