// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
)

// Routes names the endpoint of a request before it is served. *http.ServeMux implements it.
type Routes interface {
	// Handler returns the pattern that r matches, "" when none does. The handler is not used.
	Handler(r *http.Request) (h http.Handler, pattern string)
}

// RouteFunc names endpoints for routers other than http.ServeMux. It returns the registered pattern, such as
// "/orders/{id}", never the path of the request: a path would mint a time series for each that a client can think of.
type RouteFunc func(r *http.Request) (pattern string)

// Handler returns the pattern that f names.
func (f RouteFunc) Handler(r *http.Request) (http.Handler, string) { return nil, f(r) }

// Endpoint is what [Config.Endpoint] says of a request before it is judged. The zero Endpoint requires credentials and has
// no route.
type Endpoint struct {
	// Pattern is the registered pattern, such as "GET /orders/{id}", never the path of the request.
	Pattern string
	// Public endpoints need no credentials.
	Public bool
	// Sensitive marks attempt.Request.Sensitive.
	Sensitive bool
	// AnsweredElsewhere says that a 2xx of the handler is no answer to the request but tells a proxy to let it pass to the service
	// (forward-auth): it is told as attempt.Response.Elsewhere, without a status.
	AnsweredElsewhere bool
	// Refusal, when its Status is set, is the answer, and nothing is verified. The attempt is told as malformed, with
	// error.type malformed_request.
	Refusal Refusal
}

// Refusal is the answer to a request that is not judged, whoever sends it: one that a proxy and the service behind it may read
// in two ways. The zero Refusal refuses nothing.
type Refusal struct {
	// Status is between 400 and 499, and neither 401 nor 407.
	Status int
	// Reason is the attribute auth.reason, of a closed set.
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

// newPatterns returns the patterns of a list and everything that is wrong with them.
func newPatterns(field string, list []string, opens bool) ([]*pathform.Pattern, error) {
	var patterns []*pathform.Pattern
	var problems []error
	for i, text := range list {
		p, err := pathform.ParsePattern(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("otelauth: Config.%s[%d] %q: %w", field, i, text, err))
			continue
		}
		if opens && p.IsEverything() && p.Method() != http.MethodOptions {
			problems = append(problems, fmt.Errorf(
				"otelauth: Config.%s[%d] %q opens every path; write %q for the root page, and do not wrap what is public as a whole",
				field, i, text, strings.TrimSuffix(text, p.Route())+"/{$}"))
		}
		patterns = append(patterns, p)
	}
	return patterns, errors.Join(problems...)
}

// isPublic reports whether Config.Public opens the endpoint, which is exactly the path of r, in its canonical spelling. A route that
// is more specific than the pattern is an endpoint of its own.
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

// isSensitive reports whether a server may take r for a request to an endpoint of Config.Sensitive.
func (c *core) isSensitive(r *http.Request) bool {
	if len(c.sensitive) == 0 {
		return false
	}
	path := pathform.Get(r.URL)
	defer path.Free()
	return slices.ContainsFunc(c.sensitive, func(p *pathform.Pattern) bool { return concerns(p, r) && p.Restricts(path) })
}

// concerns reports whether p names the method and the host of r.
func concerns(p *pathform.Pattern, r *http.Request) bool {
	return p.MatchesMethod(r.Method) && (p.Host() == "" || p.Host() == pathform.CanonicalHost(r.Host))
}

// opens reports whether p names the method of r, and its host as it was sent. http.ServeMux looks for the route of CONNECT by the
// host with its port, so no pattern with a host opens there.
func opens(p *pathform.Pattern, r *http.Request) bool {
	return p.MatchesMethod(r.Method) && (p.Host() == "" || p.Host() == pathform.SentHost(r.Host) && r.Method != http.MethodConnect)
}
