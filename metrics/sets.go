// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// The bounds of what code, not clients, chooses. A service that hands on what its clients sent stays within them too.
const (
	// MaxRoutes is how many distinct routes get series of their own; the rest, and routes longer than 1024 bytes,
	// share the route _OTHER. A route costs about 1.5 kB, and 1 kB for each combination of scheme, method, outcome
	// and error.type seen on it, the SDK's share included. The SDK has a limit of its own, 2000 series an instrument
	// by default.
	MaxRoutes = 1000
	// MaxSchemes is how many distinct values auth.scheme and auth.password.scheme have each; the rest are "other".
	MaxSchemes = 16

	maxRouteBytes  = 1024
	maxSchemeBytes = 64
	other          = "_OTHER"
)

// The attribute sets of all measurements are made once and kept: handing the SDK a prepared option costs no
// allocation, handing it attributes four.

// scheme holds the sets that depend on auth.scheme alone.
type scheme struct {
	name     attribute.KeyValue
	duration [outcomes][caches][]metric.RecordOption
}

const (
	outcomes = int(attempt.Throttled) + 1
	caches   = int(attempt.Coalesced) + 1
	errTypes = int(attempt.Other) + 1
)

func newScheme(name string) (string, *scheme) {
	name = strings.Clone(name)
	s := &scheme{name: attribute.String(attempt.KeyScheme, attempt.Text(name, maxSchemeBytes))}
	for _, o := range attempt.Outcomes() {
		for _, c := range attempt.CacheResults() {
			kv := []attribute.KeyValue{s.name, outcome(o)}
			if c != attempt.NotLooked {
				kv = append(kv, cacheResult(c))
			}
			s.duration[o][c] = record(kv...)
		}
	}
	return name, s
}

// hash holds the sets that depend on auth.password.scheme alone.
type hash [outcomes][]metric.RecordOption

func newHash(name string) (string, *hash) {
	name = strings.Clone(name)
	h := &hash{}
	for _, o := range attempt.Outcomes() {
		h[o] = record(attribute.String(attempt.KeyPasswordScheme, attempt.Text(name, maxSchemeBytes)), outcome(o))
	}
	return name, h
}

// endpoint holds the sets that name one route.
type endpoint struct {
	route    attribute.KeyValue // invalid for the empty route
	attempts cow[attemptKey, []metric.AddOption]
	public   cow[int, []metric.AddOption]
	denied   cow[int, []metric.AddOption]
	// routeOnly has no other attribute.
	routeOnly []metric.AddOption
}

type attemptKey struct {
	scheme  *scheme
	method  string // a known method, "_OTHER" or ""
	outcome attempt.Outcome
	err     attempt.ErrorType
}

// maxSets is above what the closed sets can make, so no endpoint reaches it: 16 schemes, 11 methods,
// 6 outcomes, 12 error types.
const maxSets = MaxSchemes * 11 * outcomes * errTypes

func newEndpoint(route string) (string, *endpoint) {
	// Cloned: a route may be a piece of something larger, which must not be kept alive for ever.
	route = strings.Clone(route)
	e := &endpoint{}
	if route != "" {
		e.route = semconv.HTTPRoute(attempt.Text(route, maxRouteBytes))
	}
	_, e.routeOnly = e.newStatus(0)
	return route, e
}

func (e *endpoint) attempt(k attemptKey) []metric.AddOption {
	opts, ok := e.attempts.load(k)
	if !ok {
		opts, _ = e.attempts.make(k, maxSets, e.newAttempt)
	}
	return opts
}

func (e *endpoint) newAttempt(k attemptKey) (attemptKey, []metric.AddOption) {
	kv := []attribute.KeyValue{k.scheme.name, outcome(k.outcome)}
	if k.err != attempt.NoError {
		kv = append(kv, errorType(k.err))
	}
	if e.route.Valid() {
		kv = append(kv, e.route)
	}
	if k.method != "" {
		kv = append(kv, semconv.HTTPRequestMethodKey.String(k.method))
	}
	return k, add(kv...)
}

func (e *endpoint) status(sets *cow[int, []metric.AddOption], code int) []metric.AddOption {
	if code < 100 || code > 599 {
		code = 0 // not a status of HTTP: handlers choose it, and not all look
	}
	opts, ok := sets.load(code)
	if !ok {
		opts, _ = sets.make(code, 501, e.newStatus)
	}
	return opts
}

func (e *endpoint) newStatus(code int) (int, []metric.AddOption) {
	var kv []attribute.KeyValue
	if e.route.Valid() {
		kv = append(kv, e.route)
	}
	if code != 0 {
		kv = append(kv, semconv.HTTPResponseStatusCode(code))
	}
	return code, add(kv...)
}

func outcome(o attempt.Outcome) attribute.KeyValue {
	return attribute.String(attempt.KeyOutcome, o.String())
}

func errorType(e attempt.ErrorType) attribute.KeyValue {
	return semconv.ErrorTypeKey.String(e.String())
}

func cacheResult(c attempt.CacheResult) attribute.KeyValue {
	return attribute.String(attempt.KeyCacheResult, c.String())
}

func add(kv ...attribute.KeyValue) []metric.AddOption {
	return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(kv...))}
}

func record(kv ...attribute.KeyValue) []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(kv...))}
}
