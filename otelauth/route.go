// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
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

// normal reports whether a path means the same to everybody who may look at it: to the mux, to the handler, and
// to a proxy or framework behind. An encoded slash, backslash, dot or percent sign, a dot segment, an empty segment, a
// parameter, a control character or octets that are not UTF-8 each have made two of them disagree.
func normal(u *url.URL) bool {
	if u.Path == "" || u.Path[0] != '/' || !utf8.ValidString(u.Path) {
		return false
	}
	start := 1
	for i := 1; i <= len(u.Path); i++ {
		if i < len(u.Path) {
			switch c := u.Path[i]; {
			case c == '\\', c == '%', c == ';', c < 0x20, c == 0x7f:
				return false
			case c != '/':
				continue
			}
		}
		segment := u.Path[start:i]
		if segment == "." || segment == ".." || segment == "" && i < len(u.Path) {
			return false
		}
		start = i + 1
	}
	// url.URL keeps RawPath where the path was encoded in another way than its own.
	for i := 0; i+2 < len(u.RawPath); i++ {
		if u.RawPath[i] == '%' {
			switch strings.ToLower(u.RawPath[i+1 : i+3]) {
			case "2f", "5c", "2e", "25":
				return false
			}
		}
	}
	return true
}
