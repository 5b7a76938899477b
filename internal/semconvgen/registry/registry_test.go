// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	r, err := registry.Open()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Of("span")) == 0 || len(r.Of("metric")) == 0 || len(r.Of("event")) == 0 || r.Own("auth.outcome") == nil {
		t.Errorf("the registry has %d groups", len(r.Groups))
	}
}

const manifest = `name: test
dependencies:
  - {name: otel, registry_path: "https://example.com/archive/refs/tags/v1.2.3.zip[model]"}
`

// valid is a registry of one attribute, one metric, one event and one span.
const valid = `groups:
  - id: registry.test
    type: attribute_group
    brief: Attributes.
    attributes:
      - {id: auth.size, type: int, stability: development, brief: A size., examples: [1]}
  - {id: metric.auth.uses, type: metric, metric_name: auth.uses, instrument: counter, unit: "{use}", stability: development, brief: Uses.}
  - id: event.auth.use
    type: event
    name: auth.use
    stability: development
    brief: A use.
    annotations: {otelauth: {severity: [INFO]}}
    attributes: [{ref: auth.size, requirement_level: required}]
  - {id: span.auth.use, type: span, span_kind: internal, stability: development, brief: A use., annotations: {otelauth: {name: use, label: use span}}}
`

func TestLoad(t *testing.T) {
	t.Parallel()
	load := func(text string) error {
		_, err := registry.Load(fstest.MapFS{"registry_manifest.yaml": {Data: []byte(manifest)}, "test.yaml": {Data: []byte(text)}})
		return err
	}
	if err := load(valid); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, old, new, want string }{
		{"unknown key of a group", "    name: auth.use\n", "    name: auth.use\n    title: x\n", "title"},
		{"unknown key of an annotation", "severity:", "severities:", "severities"},
		{"unknown requirement level", "requirement_level: required", "requirement_level: needed", "requirement_level"},
		{"condition left out", "requirement_level: required", "requirement_level: conditionally_required", "requirement_level"},
		{"unknown type of a group", "type: event", "type: evnt", "type is"},
		{"unknown type of an attribute", "type: int,", "type: integer,", "type is"},
		{"reference to nothing", "ref: auth.size", "ref: auth.sise", "not defined"},
		{"metric without a unit", `unit: "{use}", `, "", "unit"},
		{"event without a severity", "severity: [INFO]", "severity: []", "severity"},
		{"id that is not that of the name", "id: event.auth.use", "id: event.auth.used", "the id must be event.auth.use"},
		{"name outside of the prefix", "id: auth.size", "id: size", "needs a name"},
		{"no examples", ", examples: [1]", "", "examples"},
		{"brief without a period", "brief: Uses.", "brief: Uses", "period"},
		{"defined twice", "attributes: [{ref", "attributes: [{ref: auth.size}, {ref", "listed twice"},
	} {
		text := strings.Replace(valid, tc.old, tc.new, 1)
		if err := load(text); text == valid || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
}
