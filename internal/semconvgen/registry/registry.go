// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package registry reads otelauth/semconv/registry, the declaration of every signal that otelauth
// emits. It is for go generate and for tests; no package that users build imports it.
package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// manifestFile is the name that OpenTelemetry Weaver looks for.
const manifestFile = "registry_manifest.yaml"

// Registry is a registry in format v1 of OpenTelemetry Weaver, checked as a whole.
type Registry struct {
	Manifest Manifest
	// Groups are in the order of the files' names and of the groups in them.
	Groups []*Group

	byID       map[string]*Group
	attributes map[string]*Attribute // own attributes, by id
}

// Manifest is registry_manifest.yaml.
type Manifest struct {
	Name           string       `yaml:"name"`
	Description    string       `yaml:"description"`
	SemconvVersion string       `yaml:"semconv_version"`
	SchemaBaseURL  string       `yaml:"schema_base_url"`
	Dependencies   []Dependency `yaml:"dependencies"`
}

// Dependency is a registry that this one refers to.
type Dependency struct {
	Name         string `yaml:"name"`
	RegistryPath string `yaml:"registry_path"`
}

// OfficialVersion returns the version of OpenTelemetry's own registry, such as "1.43.0"; "" when
// the manifest has none.
func (m *Manifest) OfficialVersion() string {
	for _, d := range m.Dependencies {
		_, tag, ok := strings.Cut(d.RegistryPath, "/tags/v")
		version, _, zip := strings.Cut(tag, ".zip")
		if d.Name == "otel" && ok && zip {
			return version
		}
	}
	return ""
}

// Group is an attribute group, a span, a metric or an event.
type Group struct {
	ID          string      `yaml:"id"`
	Type        string      `yaml:"type"`
	Brief       string      `yaml:"brief"`
	Note        string      `yaml:"note"`
	Stability   string      `yaml:"stability"`
	Extends     string      `yaml:"extends"`
	Attributes  []Attribute `yaml:"attributes"`
	Annotations Annotations `yaml:"annotations"`

	SpanKind string `yaml:"span_kind"` // of a span

	MetricName string `yaml:"metric_name"` // of a metric
	Instrument string `yaml:"instrument"`
	Unit       string `yaml:"unit"`

	EventName string `yaml:"name"` // of an event

	// File is the file that declares the group.
	File string `yaml:"-"`
}

// Annotations are what format v1 has no field for.
type Annotations struct {
	Otelauth struct {
		// Name is the name of a span; "" for a span whose name varies.
		Name string `yaml:"name"`
		// Prefix begins the names of a span whose name varies with the configuration.
		Prefix string `yaml:"prefix"`
		// Label is what docs/signals.md calls the span.
		Label string `yaml:"label"`
		// Added marks a span of another instrumentation that otelauth adds attributes to.
		Added bool `yaml:"added"`
		// Severity lists the severities of an event.
		Severity []string `yaml:"severity"`
	} `yaml:"otelauth"`
}

// Attribute is the definition of an attribute (ID is set) or a reference to one (Ref is set).
type Attribute struct {
	ID          string      `yaml:"id"`
	Ref         string      `yaml:"ref"`
	Type        Type        `yaml:"type"`
	Brief       string      `yaml:"brief"`
	Note        string      `yaml:"note"`
	Stability   string      `yaml:"stability"`
	Examples    []any       `yaml:"examples"`
	Requirement Requirement `yaml:"requirement_level"`
}

// Key returns the key of the attribute.
func (a *Attribute) Key() string { return a.ID + a.Ref }

// Type is the type of an attribute: a name, or "enum" and the members.
type Type struct {
	Name    string
	Members []Member
}

// Member is one value of an enumeration.
type Member struct {
	ID        string `yaml:"id"`
	Value     string `yaml:"value"`
	Brief     string `yaml:"brief"`
	Stability string `yaml:"stability"`
}

// UnmarshalYAML reads a name or a mapping with members.
func (t *Type) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		t.Name = node.Value
		return nil
	}
	var enum struct {
		Members []Member `yaml:"members"`
	}
	if err := node.Load(&enum, yaml.WithKnownFields()); err != nil {
		return err
	}
	t.Name, t.Members = "enum", enum.Members
	return nil
}

// Requirement is a requirement level and its condition. The zero Requirement is "recommended".
type Requirement struct {
	Level, Condition string
}

// UnmarshalYAML reads a level, or a mapping of one level to its condition.
func (r *Requirement) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		r.Level = node.Value
	} else if node.Kind == yaml.MappingNode && len(node.Content) == 2 {
		r.Level, r.Condition = node.Content[0].Value, node.Content[1].Value
	}
	conditional := r.Level == "conditionally_required"
	if !slices.Contains([]string{"required", "conditionally_required", "recommended", "opt_in"}, r.Level) || conditional == (r.Condition == "") {
		return fmt.Errorf("line %d: requirement_level is required, recommended, opt_in or {conditionally_required: condition}", node.Line)
	}
	return nil
}

// Dir returns the directory of the registry in the source tree that this package was compiled
// from.
func Dir() string { return filepath.Join(Root(), "otelauth", "semconv", "registry") }

// Root returns the root of the source tree that this package was compiled from.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Open reads the registry in [Dir].
func Open() (*Registry, error) { return Load(os.DirFS(Dir())) }

// Load reads and checks a registry: its manifest and every other *.yaml. It returns all errors,
// joined; unknown keys are errors.
func Load(fsys fs.FS) (*Registry, error) {
	r := &Registry{byID: map[string]*Group{}, attributes: map[string]*Attribute{}}
	if err := decode(fsys, manifestFile, &r.Manifest); err != nil {
		return nil, err
	}
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if file == manifestFile {
			continue
		}
		var content struct {
			Groups []*Group `yaml:"groups"`
		}
		if err := decode(fsys, file, &content); err != nil {
			return nil, err
		}
		for _, g := range content.Groups {
			g.File = path.Base(file)
		}
		r.Groups = append(r.Groups, content.Groups...)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

func decode(fsys fs.FS, file string, into any) error {
	text, err := fs.ReadFile(fsys, file)
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	if err := yaml.Load(text, into, yaml.WithKnownFields()); err != nil {
		return fmt.Errorf("registry: %s: %w; see format v1 of OpenTelemetry Weaver", file, err)
	}
	return nil
}

// Of returns the groups of a type: attribute_group, span, metric or event.
func (r *Registry) Of(groupType string) []*Group {
	var all []*Group
	for _, g := range r.Groups {
		if g.Type == groupType {
			all = append(all, g)
		}
	}
	return all
}

// Own returns the definition of an attribute of otelauth; nil for an attribute of OpenTelemetry's
// registry.
func (r *Registry) Own(key string) *Attribute { return r.attributes[key] }

// Resolved returns the attributes of g, those that it extends first. Text that a reference leaves
// out is that of the definition, or of the first reference that has it.
func (r *Registry) Resolved(g *Group) []Attribute {
	var all []Attribute
	if base := r.byID[g.Extends]; base != nil {
		all = r.Resolved(base)
	}
	for _, a := range g.Attributes {
		if a.Brief == "" {
			described := r.describe(a.Key())
			a.Type, a.Brief, a.Note = described.Type, described.Brief, described.Note
		}
		all = append(all, a)
	}
	return all
}

func (r *Registry) describe(key string) Attribute {
	if own := r.attributes[key]; own != nil {
		return *own
	}
	for _, g := range r.Groups {
		for _, a := range g.Attributes {
			if a.Ref == key && a.Brief != "" {
				return a
			}
		}
	}
	return Attribute{}
}

// Name returns the name of the signal that g declares; "" for an attribute group and for a span
// whose name varies.
func (g *Group) Name() string { return g.MetricName + g.EventName + g.Annotations.Otelauth.Name }

// Keys returns the key of every attribute that the registry defines or refers to, sorted.
func (r *Registry) Keys() []string {
	var keys []string
	for _, g := range r.Groups {
		for _, a := range g.Attributes {
			keys = append(keys, a.Key())
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// problems collects errors about one group each.
type problems []error

func (p *problems) add(g *Group, format string, args ...any) {
	*p = append(*p, fmt.Errorf("registry: %s: group %s: %s", g.File, g.ID, fmt.Sprintf(format, args...)))
}

func (r *Registry) check() error {
	var p problems
	if r.Manifest.OfficialVersion() == "" {
		p = append(p, fmt.Errorf("registry: %s: no dependency otel with a version; add one", manifestFile))
	}
	names := map[string]bool{}
	for _, g := range r.Groups {
		if r.byID[g.ID] != nil {
			p.add(g, "the id is taken; choose another")
		}
		r.byID[g.ID] = g
		if named := g.Type + " " + g.Name(); g.Name() != "" {
			if names[named] {
				p.add(g, "the name %s is taken; choose another", g.Name())
			}
			names[named] = true
		}
		for i := range g.Attributes {
			a := &g.Attributes[i]
			if a.ID == "" {
				continue
			}
			if r.attributes[a.ID] != nil {
				p.add(g, "attribute %s is defined twice; use ref", a.ID)
			}
			r.attributes[a.ID] = a
		}
	}
	for _, g := range r.Groups {
		r.checkGroup(&p, g)
	}
	return errors.Join(p...)
}
