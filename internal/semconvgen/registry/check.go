// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"regexp"
	"slices"
	"strings"
)

// Prefix begins every name that otelauth defines itself.
const Prefix = "auth."

var (
	ownName       = regexp.MustCompile(`^auth(\.[a-z][a-z0-9_]*)+$`)
	attributeKind = regexp.MustCompile(`^(string|int|double|boolean)(\[\])?$`)
	stabilities   = []string{"development", "alpha", "beta", "release_candidate", "stable"}
	severities    = []string{"INFO", "WARN", "ERROR"}
)

func (r *Registry) checkGroup(p *problems, g *Group) {
	if !isSentence(g.Brief) {
		p.add(g, "brief is not a sentence that ends with a period: %q", g.Brief)
	}
	if g.Extends != "" && r.byID[g.Extends] == nil {
		p.add(g, "extends %s, which is not declared", g.Extends)
	}
	if g.Type != "attribute_group" && !slices.Contains(stabilities, g.Stability) {
		p.add(g, "stability is %q; use one of %v", g.Stability, stabilities)
	}
	annotated := g.Annotations.Otelauth
	switch g.Type {
	case "attribute_group":
	case "span":
		if !slices.Contains([]string{"client", "server", "internal"}, g.SpanKind) || annotated.Label == "" {
			p.add(g, "a span needs span_kind and annotations.otelauth.label")
		}
	case "metric":
		if !slices.Contains([]string{"counter", "histogram", "updowncounter", "gauge"}, g.Instrument) || g.Unit == "" || !ownName.MatchString(g.MetricName) {
			p.add(g, "a metric needs metric_name (%s…), instrument and unit", Prefix)
		}
	case "event":
		if !ownName.MatchString(g.EventName) || len(annotated.Severity) == 0 {
			p.add(g, "an event needs name (%s…) and annotations.otelauth.severity", Prefix)
		}
		for _, s := range annotated.Severity {
			if !slices.Contains(severities, s) {
				p.add(g, "severity is %q; use one of %v", s, severities)
			}
		}
	default:
		p.add(g, "type is %q; use attribute_group, span, metric or event", g.Type)
	}
	if name := g.Name(); strings.HasPrefix(name, Prefix) && g.ID != g.Type+"."+name {
		p.add(g, "the id must be %s", g.Type+"."+name)
	}
	seen := map[string]bool{}
	for _, a := range r.Resolved(g) {
		if seen[a.Key()] {
			p.add(g, "attribute %s is listed twice", a.Key())
		}
		seen[a.Key()] = true
		r.checkAttribute(p, g, &a)
	}
}

func (r *Registry) checkAttribute(p *problems, g *Group, a *Attribute) {
	own := strings.HasPrefix(a.Key(), Prefix)
	switch {
	case a.ID != "" && a.Ref != "" || a.Key() == "":
		p.add(g, "an attribute needs an id or a ref: %+v", a)
	case a.Ref != "" && own && r.attributes[a.Ref] == nil:
		p.add(g, "ref %s is not defined; add it to an attribute_group", a.Ref)
	case a.Ref != "" && a.Stability != "":
		p.add(g, "ref %s must not have a stability", a.Ref)
	case a.ID != "" && (!ownName.MatchString(a.ID) || g.Type != "attribute_group" || !slices.Contains(stabilities, a.Stability)):
		p.add(g, "attribute %s needs a name %s…, a stability and an attribute_group", a.ID, Prefix)
	}
	if !isSentence(a.Brief) && !regexp.MustCompile("^`[a-z]+`$").MatchString(a.Brief) {
		p.add(g, "attribute %s: brief is not a sentence that ends with a period: %q", a.Key(), a.Brief)
	}
	if a.ID == "" {
		return
	}
	switch {
	case a.Type.Name == "enum" && len(a.Type.Members) == 0, a.Type.Name != "enum" && !attributeKind.MatchString(a.Type.Name):
		p.add(g, "attribute %s: type is %q; use a type of format v1", a.ID, a.Type.Name)
	case a.Type.Name != "enum" && a.Type.Name != "boolean" && len(a.Examples) == 0:
		p.add(g, "attribute %s needs examples", a.ID)
	}
	for _, m := range a.Type.Members {
		if m.ID == "" || m.Value == "" || !slices.Contains(stabilities, m.Stability) {
			p.add(g, "attribute %s: member %q needs id, value and stability", a.ID, m.ID)
		}
	}
}

func isSentence(s string) bool {
	s = strings.TrimSpace(s)
	return s != "" && strings.HasSuffix(s, ".") && strings.ToUpper(s[:1]) == s[:1]
}
