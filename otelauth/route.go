// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
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

// patterns is a set of ServeMux patterns; nil is the empty set. Most often it is one mux; patterns that one mux
// cannot hold, because it would not know which of two to choose ("OPTIONS /" and "/static/"), are no conflict in a set and
// stand in several.
type patterns struct {
	muxes []*http.ServeMux
}

// listed is what a path that is in the set is handled by, and what tells it from a redirect or a 404 of the mux itself.
type listed struct{}

func (listed) ServeHTTP(http.ResponseWriter, *http.Request) {}

// newPatterns reports every pattern that http.ServeMux would panic at.
func newPatterns(field string, list []string, opens bool) (*patterns, error) {
	if len(list) == 0 {
		return nil, nil
	}
	set := &patterns{}
	var faults []error
	for i, p := range list {
		if err := set.add(p); err != nil {
			faults = append(faults, fmt.Errorf("otelauth: Config.%s[%d] %q: %w", field, i, p, err))
			continue
		}
		if opens && everything(routeOf(p)) && !strings.HasPrefix(p, http.MethodOptions+" ") {
			faults = append(faults, fmt.Errorf(
				"otelauth: Config.%s[%d] %q opens every path; write %q for the root page, and do not wrap what is public as a whole",
				field, i, p, strings.TrimSuffix(p, routeOf(p))+"/{$}"))
		}
	}
	return set, errors.Join(faults...)
}

// everything reports whether the path of a pattern matches all paths: "/", and "/{name...}" as well.
func everything(path string) bool {
	return path == "/" || strings.HasPrefix(path, "/{") && strings.HasSuffix(path, "...}") && strings.Count(path, "/") == 1
}

func (p *patterns) add(pattern string) error {
	alone := http.NewServeMux()
	if err := handle(alone, pattern); err != nil {
		return err
	}
	for _, mux := range p.muxes {
		if handle(mux, pattern) == nil {
			return nil
		}
	}
	p.muxes = append(p.muxes, alone)
	return nil
}

// handle returns what http.ServeMux panics with.
func handle(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("not a pattern of http.ServeMux: %v", fault)
		}
	}()
	mux.Handle(pattern, listed{})
	return nil
}

func (p *patterns) match(r *http.Request) bool {
	if p == nil {
		return false
	}
	for _, mux := range p.muxes {
		h, _ := mux.Handler(r)
		if _, ok := h.(listed); ok {
			return true
		}
	}
	return false
}
