// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// The bounds on what the service, and not a client, chooses. They also hold for a service that
// passes on what its clients sent.
const (
	// MaxRoutes is the number of distinct routes that have series of their own. The others, and
	// routes longer than 1024 bytes, share the route _OTHER. A route costs about 1.5 kB, and 1 kB
	// for each combination of scheme, method, outcome and error.type seen on it, the SDK's share
	// included. The SDK has a limit of its own, 2000 series an instrument by default.
	MaxRoutes = 1000
	// MaxSchemes is the number of distinct values of auth.scheme and of auth.password.scheme. The
	// others are "other".
	MaxSchemes = 16

	maxRouteBytes  = 1024
	maxSchemeBytes = 64
	other          = "_OTHER"
)

// The attribute sets of all measurements are made once and kept: a prepared option costs no
// allocation in the SDK, a list of attributes four.

// scheme has the sets that depend on auth.scheme alone.
type scheme struct {
	name     attribute.KeyValue
	duration [attempt.OutcomeCount][attempt.CacheResultCount][]metric.RecordOption
}

func newScheme(name string) (string, *scheme) {
	name = strings.Clone(name)
	s := &scheme{name: attribute.String(semconv.KeyScheme, attempt.Text(name, maxSchemeBytes))}
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

// hash has the sets that depend on auth.password.scheme alone.
type hash [attempt.OutcomeCount][]metric.RecordOption

func newHash(name string) (string, *hash) {
	name = strings.Clone(name)
	h := &hash{}
	for _, o := range attempt.Outcomes() {
		h[o] = record(attribute.String(semconv.KeyPasswordScheme, attempt.Text(name, maxSchemeBytes)), outcome(o))
	}
	return name, h
}

// endpoint has the sets of one route.
type endpoint struct {
	route    attribute.KeyValue // invalid for the empty route
	attempts cow[attemptKey, []metric.AddOption]
	public   cow[int, []metric.AddOption]
	denied   cow[int, []metric.AddOption] // by the service
	refused  cow[int, []metric.AddOption] // by a rule
	// routeOnly is the set without any other attribute.
	routeOnly []metric.AddOption
}

type attemptKey struct {
	scheme  *scheme
	method  string // a known method, "_OTHER" or ""
	outcome attempt.Outcome
	err     attempt.ErrorType
}

// maxSets is the number of combinations of the closed sets, so no endpoint exceeds it. There are
// 11 methods.
const maxSets = (MaxSchemes + 1) * 11 * attempt.OutcomeCount * attempt.ErrorTypeCount

func newEndpoint(route string) (string, *endpoint) {
	// A route may be a part of a larger string, which must not stay in memory.
	route = strings.Clone(route)
	e := &endpoint{}
	if route != "" {
		e.route = attribute.String(semconv.KeyHTTPRoute, attempt.Text(route, maxRouteBytes))
	}
	_, e.routeOnly = e.newStatus(0, nil)
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
		kv = append(kv, attribute.String(semconv.KeyHTTPRequestMethod, k.method))
	}
	return k, add(kv...)
}

// finding returns the set of a finding about the route. Findings are rare, so it is not kept.
func (e *endpoint) finding(f attempt.CoverageFinding) []metric.AddOption {
	kv := []attribute.KeyValue{attribute.String(semconv.KeyCoverageFinding, attempt.Text(string(f), maxSchemeBytes))}
	if e.route.Valid() {
		kv = append(kv, e.route)
	}
	return add(kv...)
}

func (e *endpoint) status(
	sets *cow[int, []metric.AddOption], code int, more ...attribute.KeyValue,
) []metric.AddOption {
	if code < 100 || code > 599 {
		code = 0 // not a status of HTTP: a handler may choose any number
	}
	opts, ok := sets.load(code)
	if !ok {
		opts, _ = sets.make(code, 501, func(code int) (int, []metric.AddOption) { return e.newStatus(code, more) })
	}
	return opts
}

func (e *endpoint) newStatus(code int, more []attribute.KeyValue) (int, []metric.AddOption) {
	kv := slices.Clone(more)
	if e.route.Valid() {
		kv = append(kv, e.route)
	}
	if code != 0 {
		kv = append(kv, attribute.Int(semconv.KeyHTTPResponseStatusCode, code))
	}
	return code, add(kv...)
}

// What answered an authenticated user with 401 or 403.
var (
	deniedByRule    = attribute.String(semconv.KeyResponseDeniedBy, "rule")
	deniedByService = attribute.String(semconv.KeyResponseDeniedBy, "service")
)

func outcome(o attempt.Outcome) attribute.KeyValue {
	return attribute.String(semconv.KeyOutcome, o.String())
}

func errorType(e attempt.ErrorType) attribute.KeyValue {
	return attribute.String(semconv.KeyErrorType, e.String())
}

func cacheResult(c attempt.CacheResult) attribute.KeyValue {
	return attribute.String(semconv.KeyCacheResult, c.String())
}

func add(kv ...attribute.KeyValue) []metric.AddOption {
	return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(kv...))}
}

func record(kv ...attribute.KeyValue) []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(kv...))}
}
