// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pathform

import (
	"net/http"
	"strings"
)

// IsWithin reports whether every request that p matches exactly matches q too.
func (p *Pattern) IsWithin(q *Pattern) bool {
	if !p.isFor(q) || len(p.segments) < len(q.segments) {
		return false
	}
	for i := range q.segments {
		a, b := &p.segments[i], &q.segments[i]
		if b.any && !a.any && a.sent == "" || !b.any && (a.any || a.sent != b.sent) {
			return false
		}
	}
	if q.rest {
		return p.rest || len(p.segments) > len(q.segments)
	}
	return !p.rest && len(p.segments) == len(q.segments)
}

// isFor reports whether the methods and hosts of p are among those of q.
func (p *Pattern) isFor(q *Pattern) bool {
	return (q.host == "" || q.host == p.host) && (q.method == "" || p.method != "" && q.MatchesMethod(p.method))
}

// Precedes reports whether p is more specific than q. http.ServeMux prefers every pattern with a
// host to patterns without one. Here "shop.example/" would then lift the rule "/admin/", so both
// apply.
func (p *Pattern) Precedes(q *Pattern) bool { return p.IsWithin(q) && !q.IsWithin(p) }

// Lifts reports whether p, which opens a path, is an exception from the restriction q: p is more
// specific, or p names a longer segment of which q matches only the begin ("/v1.1/" beside
// "/v1/").
func (p *Pattern) Lifts(q *Pattern) bool {
	if !p.isFor(q) {
		return false
	}
	narrower := q.rest && !p.rest || len(p.segments) > len(q.segments) || q.host != p.host || q.method != p.method
	for i := range q.segments {
		if i >= len(p.segments) {
			return false
		}
		switch a, b := &p.segments[i], &q.segments[i]; {
		case b.any:
			narrower = narrower || !a.any
		case a.any:
			return false
		case a.sent != b.sent:
			longer := segment{text: []byte(a.skeleton)}
			return len(a.skeleton) > len(b.skeleton) && longer.matches(b.skeleton)
		}
	}
	return narrower
}

// Covers reports whether p, which opens the path of a request, also names the route that will
// run. It does not if the route names a host that p does not, or a literal segment where p has a
// wildcard: "/u/{id}" does not cover "/u/me". route is a pattern of http.ServeMux or of another
// router.
func (p *Pattern) Covers(route string) bool {
	method, rest, found := strings.Cut(route, " ")
	if !found {
		method, rest = "", route
	}
	rest = strings.TrimLeft(rest, " \t")
	if p.isEverything() && method != http.MethodOptions {
		return true // CORS preflight of every endpoint
	}
	slash := max(strings.IndexByte(rest, '/'), 0)
	if host := CanonicalHost(rest[:slash]); host != "" && host != p.host {
		return false
	}
	parts := strings.Split(strings.TrimPrefix(rest[slash:], "/"), "/")
	for i, part := range parts {
		switch {
		case isWild(part):
		case i >= len(p.segments), p.segments[i].any:
			return false
		}
	}
	return true
}

// isWild reports whether a segment of a route names nothing. "admin-{id}" and "{id}.json" name
// something.
func isWild(part string) bool {
	if part == "" || part[0] == ':' || part[0] == '*' {
		return true
	}
	return part[0] == '{' && (strings.HasSuffix(part, "}") || !strings.Contains(part, "}"))
}
