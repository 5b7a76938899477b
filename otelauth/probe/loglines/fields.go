// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package loglines reads the log of a service as evidence: JSON lines and logfmt, with a small YAML
// file that says which field of a line is which attribute.
//
// [Shipped] returns the mappings that this module has: otelauth, ecs, ocsf and django. [Parse]
// reads another one. A [Reader] reads a stream, and [Follow] reads what is appended to a file.
package loglines

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// Fields says which field of a line is which attribute. A field in an object is written with dots
// between the names: "http.request.method". Of several fields the first that a line has is used.
type Fields struct {
	// Name, Time, TraceID, SpanID and Sampled are the fields with the name of the event, its time,
	// and its span. Sampled is a number of trace flags or a boolean.
	Name    []string `yaml:"name"`
	Time    []string `yaml:"time"`
	TraceID []string `yaml:"trace_id"`
	SpanID  []string `yaml:"span_id"`
	Sampled []string `yaml:"sampled"`
	// Attempts are the lines that are about an attempt; a line must match one of them.
	Attempts []Rule `yaml:"attempts"`
	// Attributes has the fields of each attribute of package semconv.
	Attributes map[string][]Source `yaml:"attributes"`
}

// Rule matches lines.
type Rule struct {
	// Name is the name of the event. "": any.
	Name string `yaml:"name"`
	// Match has values of fields. Of a list, one element must be equal.
	Match map[string]string `yaml:"match"`
	// Outcome is the value of auth.outcome for these lines, or several with commas between them.
	Outcome string `yaml:"outcome"`
}

// Source is a field, and what its values mean.
type Source struct {
	Field string `yaml:"field"`
	// Values replaces values. A value that is not listed is kept.
	Values map[string]string `yaml:"values"`
}

// UnmarshalYAML accepts the name of a field in the place of a Source.
func (s *Source) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&s.Field)
	}
	type plain Source
	return n.Decode((*plain)(s))
}

//go:embed fields/*.yaml
var shipped embed.FS

// Names returns the names of the mappings that [Shipped] has.
func Names() []string {
	entries, err := shipped.ReadDir("fields")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), path.Ext(e.Name())))
	}
	return names
}

// Shipped returns a mapping of this module by its name.
func Shipped(name string) (*Fields, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("loglines: no mapping has the name %q; use one of %s, or the path of a YAML file", name, strings.Join(Names(), ", "))
	}
	text, err := shipped.ReadFile("fields/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("loglines: %w", err)
	}
	return Parse(bytes.NewReader(text))
}

// maxMappingBytes bounds the file of a mapping.
const maxMappingBytes = 64 << 10

// Parse reads a mapping in YAML. The error says what is wrong with it.
func Parse(r io.Reader) (*Fields, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxMappingBytes+1))
	if err != nil {
		return nil, fmt.Errorf("loglines: %w", err)
	}
	if len(text) > maxMappingBytes {
		return nil, fmt.Errorf("loglines: the mapping has more than %d bytes", maxMappingBytes)
	}
	f := &Fields{}
	if err := yaml.Load(text, f, yaml.WithKnownFields()); err != nil {
		return nil, fmt.Errorf("loglines: the mapping is not what docs/probe-telemetry.md describes: %w", err)
	}
	return f, f.validate()
}

func (f *Fields) validate() error {
	var problems []error
	if len(f.Attempts) == 0 {
		problems = append(problems, errors.New(`loglines: the mapping has no attempts; add for example "attempts: [{name: login}]"`))
	}
	for i, r := range f.Attempts {
		if r.Name == "" && len(r.Match) == 0 {
			problems = append(problems, fmt.Errorf("loglines: attempts[%d] matches every line; set name or match", i))
		}
		if r.Name != "" && len(f.Name) == 0 {
			problems = append(problems, fmt.Errorf("loglines: attempts[%d] has a name, but the mapping does not say which field is the name", i))
		}
		if err := checkOutcome(r.Outcome); err != nil {
			problems = append(problems, fmt.Errorf("loglines: attempts[%d].outcome: %w", i, err))
		}
	}
	for key := range f.Attributes {
		if !slices.Contains(attributes, key) {
			problems = append(problems, fmt.Errorf("loglines: attributes: %q is not compared; use some of %s", key, strings.Join(attributes, ", ")))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// attributes are those that a mapping may have.
var attributes = []string{
	semconv.KeyOutcome, semconv.KeyScheme, semconv.KeyErrorType, semconv.KeyReason, semconv.KeyResponseElsewhere,
	semconv.KeyUserName, semconv.KeyUserHash, semconv.KeyClientAddress, semconv.KeyHTTPRequestMethod, semconv.KeyHTTPRoute,
	semconv.KeyURLPath, semconv.KeyHTTPResponseStatusCode, semconv.KeyUserAgentOriginal, semconv.KeyHTTPRequestHeader + ".x-request-id",
}

func checkOutcome(text string) error {
	if text == "" {
		return nil
	}
	known := []string{"success", "missing", "malformed", "failure", "throttled", "error"}
	for o := range strings.SplitSeq(text, ",") {
		if !slices.Contains(known, o) {
			return fmt.Errorf("%q is not an outcome; use %s", o, strings.Join(known, ", "))
		}
	}
	return nil
}
