// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package recorded compares what an otelauthtest.Recorder holds with the registry of signals, for
// tests.
package recorded

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"

	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

const module = "github.com/otelauth/otelauth-go/"

// Signals returns everything that rec holds.
func Signals(rec *otelauthtest.Recorder) (all []registry.Observed) {
	for _, s := range rec.Spans() {
		all = append(all, registry.Observed{
			Type: "span", Name: s.Name, Own: isOwn(s.InstrumentationScope.Name), Kind: s.SpanKind.String(), Types: typesOf(s.Attributes),
		})
	}
	for _, e := range rec.Events() {
		all = append(all, registry.Observed{
			Type: "event", Name: e.Name(), Own: isOwn(e.InstrumentationScope().Name), Severity: e.Severity().String(), Types: typesOf(e.Attributes()),
		})
	}
	for _, p := range rec.Metrics() {
		all = append(all, registry.Observed{
			Type: "metric", Name: p.Name, Own: isOwn(p.Scope), Kind: p.Kind, Unit: p.Unit, Description: p.Description, Types: typesOf(p.Attributes),
		})
	}
	return all
}

// Check fails t for everything that rec holds and the registry does not declare, and for a scope
// of otelauth without the version of the module and the schema URL. It returns the registry and
// everything that rec holds.
func Check(t testing.TB, rec *otelauthtest.Recorder) (*registry.Registry, []registry.Observed) {
	t.Helper()
	r, err := registry.Open()
	if err != nil {
		t.Fatal(err)
	}
	all := Signals(rec)
	reported := map[string]bool{}
	for _, o := range all {
		for _, problem := range r.Check(o) {
			if !reported[problem] {
				reported[problem] = true
				t.Error(problem)
			}
		}
	}
	scopes := map[instrumentation.Scope]bool{}
	for _, s := range rec.Spans() {
		scopes[s.InstrumentationScope] = true
	}
	for _, e := range rec.Events() {
		scopes[e.InstrumentationScope()] = true
	}
	for s := range scopes {
		if isOwn(s.Name) && (s.Version != semconv.Version() || s.SchemaURL != semconv.SchemaURL) {
			t.Errorf("scope %s has version %q and schema URL %q", s.Name, s.Version, s.SchemaURL)
		}
	}
	return r, all
}

func isOwn(scope string) bool { return strings.HasPrefix(scope, module) }

func typesOf(attributes []attribute.KeyValue) map[string]string {
	names := map[attribute.Type]string{
		attribute.STRING: "string", attribute.INT64: "int", attribute.FLOAT64: "double", attribute.BOOL: "boolean",
		attribute.STRINGSLICE: "string[]", attribute.INT64SLICE: "int[]", attribute.FLOAT64SLICE: "double[]", attribute.BOOLSLICE: "boolean[]",
	}
	types := map[string]string{}
	for _, kv := range attributes {
		types[string(kv.Key)] = names[kv.Value.Type()]
	}
	return types
}
