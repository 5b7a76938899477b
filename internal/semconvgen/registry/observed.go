// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Observed is a span, metric or event that was emitted.
type Observed struct {
	// Type is span, metric or event.
	Type string
	Name string
	// Own reports whether the scope is one of otelauth.
	Own bool
	// Kind is the kind of a span or the instrument of a metric.
	Kind string
	// Unit and Description are those of a metric.
	Unit, Description string
	// Severity is that of an event.
	Severity string
	// Types has the type of each attribute in the terms of format v1, by its key.
	Types map[string]string
}

// Find returns the group that declares o; nil if there is none.
func (r *Registry) Find(o Observed) *Group {
	var varies *Group
	for _, g := range r.Of(o.Type) {
		annotated := g.Annotations.Otelauth
		switch {
		case o.Type != "span" || !annotated.Added && annotated.Name != "" && annotated.Prefix == "":
			if g.Name() == o.Name {
				return g
			}
		case annotated.Prefix != "":
			if o.Own && strings.HasPrefix(o.Name, annotated.Prefix+" ") {
				return g
			}
		case annotated.Added != o.Own && g.SpanKind == o.Kind:
			varies = g
		}
	}
	return varies
}

// Check returns what o has and the registry does not declare. Of a signal of another
// instrumentation it checks only the attributes that otelauth defines.
func (r *Registry) Check(o Observed) (problems []string) {
	if !o.Own && o.Type != "span" {
		return nil
	}
	g := r.Find(o)
	if g == nil {
		g = &Group{ID: "(none)"}
		if o.Own {
			return []string{fmt.Sprintf("%s %s is not declared; add it to otelauth/semconv/registry", o.Type, o.Name)}
		}
	}
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s %s: ", o.Type, o.Name)+fmt.Sprintf(format, args...))
	}
	if o.Type == "metric" && (o.Kind != g.Instrument || o.Unit != g.Unit || o.Description == "") {
		problem("%s in %s (%q), but the registry declares %s in %s", o.Kind, o.Unit, o.Description, g.Instrument, g.Unit)
	}
	if o.Type == "event" && !slices.Contains(g.Annotations.Otelauth.Severity, o.Severity) {
		problem("severity %s, but the registry declares %v", o.Severity, g.Annotations.Otelauth.Severity)
	}
	declared := map[string]bool{}
	for _, a := range r.Resolved(g) {
		declared[a.Key()] = true
		if _, there := o.Types[a.Key()]; a.Requirement.Level == "required" && !there {
			problem("the required attribute %s is missing", a.Key())
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.Types)) {
		own := r.Own(key)
		if !o.Own && own == nil && !strings.HasPrefix(key, Prefix) {
			continue
		}
		if !declared[template(key)] {
			problem("attribute %s is not declared; add it to group %s in otelauth/semconv/registry", key, g.ID)
		} else if own != nil && !own.Type.accepts(o.Types[key]) {
			problem("attribute %s is a %s, but the registry declares %s", key, o.Types[key], own.Type.Name)
		}
	}
	return problems
}

// template returns the key of the template that key is an instance of, or key.
func template(key string) string {
	const header = "http.request.header"
	if strings.HasPrefix(key, header+".") {
		return header
	}
	return key
}

func (t Type) accepts(observed string) bool {
	return t.Name == observed || t.Name == "enum" && observed == "string"
}

// Unseen returns what the registry declares and all lacks. Groups for which skip returns true
// need not be there. An attribute of a span or metric must be on that span or metric, an
// attribute of an event on any event.
func (r *Registry) Unseen(all []Observed, skip func(*Group) bool) (problems []string) {
	type place struct{ group, key string }
	groups, seen, severities := map[string]bool{}, map[place]bool{}, map[place]bool{}
	for _, o := range all {
		g := r.Find(o)
		if g == nil {
			continue
		}
		groups[g.ID] = true
		severities[place{g.ID, o.Severity}] = true
		for key := range o.Types {
			seen[place{g.ID, template(key)}] = true
			seen[place{g.Type, template(key)}] = true
		}
	}
	for _, g := range r.Groups {
		if g.Type == "attribute_group" || skip(g) {
			continue
		}
		if !groups[g.ID] {
			problems = append(problems, "no "+g.ID+" was emitted")
			continue
		}
		for _, a := range r.Resolved(g) {
			where := g.ID
			if g.Type == "event" {
				where = g.Type
			}
			if !seen[place{where, a.Key()}] {
				problems = append(problems, "no "+where+" with attribute "+a.Key()+" was emitted")
			}
		}
		for _, s := range g.Annotations.Otelauth.Severity {
			if !severities[place{g.ID, s}] {
				problems = append(problems, "no "+g.ID+" with severity "+s+" was emitted")
			}
		}
	}
	return problems
}
