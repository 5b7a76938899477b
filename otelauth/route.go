// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
)

// Routes finds the endpoint of a request before it is served. *http.ServeMux implements it.
type Routes interface {
	// Handler returns the pattern that r matches, or "". The Middleware ignores the handler.
	Handler(r *http.Request) (h http.Handler, pattern string)
}

// RouteFunc adapts routers other than http.ServeMux. It returns the registered pattern, such as
// "/orders/{id}", never the path of the request: each path that a client invents would be a new
// time series.
type RouteFunc func(r *http.Request) (pattern string)

// Handler returns a nil handler and the result of f.
func (f RouteFunc) Handler(r *http.Request) (http.Handler, string) { return nil, f(r) }

// Endpoint is the result of [Config.Endpoint] for a request. The zero Endpoint requires
// credentials and has no route.
type Endpoint struct {
	// Pattern is the registered pattern, such as "GET /orders/{id}", never the path of the
	// request.
	Pattern string
	// Public opens the endpoint to requests without credentials.
	Public bool
	// Sensitive sets attempt.Request.Sensitive.
	Sensitive bool
	// AnsweredElsewhere means that a 2xx of the handler makes a proxy forward the request to the
	// service (forward-auth). It is recorded as attempt.Response.Elsewhere, without a status.
	AnsweredElsewhere bool
	// Refusal, when its Status is set, is the answer, and nothing is verified. The attempt is
	// recorded as malformed, with error.type malformed_request.
	Refusal Refusal
}

// Refusal is the answer to a request that is refused before verification, because a proxy and the
// service behind it may read it in two ways. The zero Refusal refuses nothing.
type Refusal struct {
	// Status is between 400 and 499, but not 401 or 407.
	Status int
	// Reason is the attribute auth.reason, from a closed set.
	Reason attempt.Reason
	// Detail is a sentence for the caller.
	Detail string
}

// routeOf returns the path of a ServeMux pattern, [METHOD ][HOST]/[PATH].
func routeOf(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i > 0 {
		return pattern[i:]
	}
	return pattern
}

// newPatterns parses the patterns of a field of Config. opensPaths is true for Public.
func newPatterns(problems *problems, field string, list []string, opensPaths bool) []*pathform.Pattern {
	var patterns []*pathform.Pattern
	for i, text := range list {
		p, err := pathform.ParsePattern(text)
		if err != nil {
			problems.add("Config.%s[%d] %q: %w", field, i, text, err)
			continue
		}
		if err := p.CheckPublic(); opensPaths && err != nil {
			problems.add("Config.%s[%d] %q %w, and do not wrap a handler that is entirely public", field, i, text, err)
		}
		patterns = append(patterns, p)
	}
	return patterns
}

// isPublic reports whether Config.Public opens the path of r, in its canonical spelling. A route
// that is more specific than the pattern is a separate endpoint.
func (c *core) isPublic(r *http.Request, a *arrival) bool {
	if c.cfg.Endpoint != nil {
		return a.endpoint.Public && a.endpoint.Refusal.Status == 0
	}
	if len(c.public) == 0 {
		return false
	}
	path := pathform.Get(r.URL)
	defer path.Free()
	for _, p := range c.public {
		if !opens(p, r) || !p.Opens(path) {
			continue
		}
		if route := c.pattern(r, a); route == "" || p.Covers(route) {
			return true
		}
	}
	return false
}

// isSensitive reports whether a router may serve r from an endpoint of Config.Sensitive.
func (c *core) isSensitive(r *http.Request) bool {
	if len(c.sensitive) == 0 {
		return false
	}
	path := pathform.Get(r.URL)
	defer path.Free()
	return slices.ContainsFunc(c.sensitive, func(p *pathform.Pattern) bool { return concerns(p, r) && p.Restricts(path) })
}

// concerns reports whether p matches the method and the host of r.
func concerns(p *pathform.Pattern, r *http.Request) bool {
	return p.MatchesMethod(r.Method) && (p.Host() == "" || p.Host() == pathform.CanonicalHost(r.Host))
}

// opens reports whether p names the method of r, and its host as it was sent. http.ServeMux looks
// for the route of CONNECT by the host with its port, so no pattern with a host opens there.
func opens(p *pathform.Pattern, r *http.Request) bool {
	return p.MatchesMethod(r.Method) && (p.Host() == "" || p.Host() == pathform.SentHost(r.Host) && r.Method != http.MethodConnect)
}
