// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
)

// coverageAfter is how long a registered route may serve no authenticated caller before that is
// reported: a day, because some routes are used at night only.
const coverageAfter = 24 * time.Hour

// maxServedRoutes bounds the routes that are remembered because they served a caller without
// credentials. Routes are patterns, so no client adds to them.
const maxServedRoutes = 1024

// coverage records which routes authenticate. It adds no allocation to a request, except to the
// first one of a route.
type coverage struct {
	public     []*pathform.Pattern
	registered []*registeredRoute
	byRoute    map[string][]*registeredRoute
	began      time.Time
	isDue      atomic.Bool // coverageAfter has passed and was reported

	mu     sync.Mutex
	served atomic.Pointer[map[string]opening] // patterns that served a caller without credentials
}

// opening is the first response of a route to a caller without credentials.
type opening struct {
	method string
	at     time.Time
}

// registeredRoute is one pattern of Config.Registered.
type registeredRoute struct {
	pattern         *pathform.Pattern
	isAuthenticated atomic.Bool
	isReported      atomic.Bool
}

// newCoverage returns the coverage of a configuration. What previous has recorded is kept.
func newCoverage(registered, public []*pathform.Pattern, now time.Time, previous *coverage) *coverage {
	c := &coverage{public: public, byRoute: make(map[string][]*registeredRoute, len(registered)), began: now}
	known := map[string]*registeredRoute{}
	if previous != nil {
		c.served.Store(previous.served.Load())
		for _, r := range previous.registered {
			known[r.pattern.String()] = r
		}
	}
	isSame := previous != nil
	for _, p := range registered {
		r := known[p.String()]
		if r == nil {
			r, isSame = &registeredRoute{pattern: p}, false
		}
		c.registered = append(c.registered, r)
		c.byRoute[p.Route()] = append(c.byRoute[p.Route()], r)
	}
	if isSame { // otherwise each route has its day
		c.began = previous.began
	}
	return c
}

// authenticated records that a route served an authenticated caller.
func (c *coverage) authenticated(route, method string) {
	for _, r := range c.byRoute[route] {
		if r.pattern.MatchesMethod(method) && !r.isAuthenticated.Load() {
			r.isAuthenticated.Store(true)
		}
	}
}

// isNewOpening reports whether a route that just served a caller without credentials is not
// public. It reports each route once.
func (c *coverage) isNewOpening(pattern, method string, at time.Time) bool {
	if pattern == "" {
		return false
	}
	if served := c.served.Load(); served != nil {
		if _, known := (*served)[pattern]; known || len(*served) >= maxServedRoutes {
			return false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[string]opening{}
	if served := c.served.Load(); served != nil {
		if _, known := (*served)[pattern]; known || len(*served) >= maxServedRoutes {
			return false
		}
		maps.Copy(next, *served)
	}
	next[strings.Clone(pattern)] = opening{strings.Clone(method), at}
	c.served.Store(&next)
	return !c.isPublic(pattern, method)
}

func (c *coverage) isPublic(pattern, method string) bool {
	return slices.ContainsFunc(c.public, func(p *pathform.Pattern) bool { return p.MatchesMethod(method) && p.Covers(pattern) })
}

// Coverage is what a [Middleware] knows about the protection of routes.
type Coverage struct {
	// Registered is the number of routes of Config.Registered, and Authenticated that of those
	// that have served an authenticated caller since Since.
	Registered, Authenticated int
	Since                     time.Time
	// Gaps are the routes whose protection is in doubt now, by finding and route.
	Gaps []CoverageGap
}

// CoverageGap is a route whose protection is in doubt.
type CoverageGap struct {
	Finding       attempt.CoverageFinding
	Method, Route string
	// Since is when the route first served a caller without credentials, or since when it has
	// served no authenticated caller.
	Since time.Time
}

// state returns what is known now. A gap ends when the configuration or a caller closes it.
func (c *coverage) state(now time.Time) Coverage {
	all := Coverage{Registered: len(c.registered), Since: c.began}
	if served := c.served.Load(); served != nil {
		for pattern, o := range *served {
			if !c.isPublic(pattern, o.method) {
				all.Gaps = append(all.Gaps, CoverageGap{attempt.AnonymousAccess, o.method, routeOf(pattern), o.at})
			}
		}
	}
	for _, r := range c.registered {
		if r.isAuthenticated.Load() {
			all.Authenticated++
		} else if now.Sub(c.began) >= coverageAfter {
			all.Gaps = append(all.Gaps, CoverageGap{attempt.NeverAuthenticated, r.pattern.Method(), r.pattern.Route(), c.began})
		}
	}
	slices.SortFunc(all.Gaps, func(a, b CoverageGap) int {
		return cmp.Or(cmp.Compare(a.Finding, b.Finding), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method))
	})
	return all
}

// unused returns the registered routes that have served no authenticated caller, once, when
// coverageAfter has passed.
func (c *coverage) unused(now time.Time) []*registeredRoute {
	if len(c.registered) == 0 || now.Sub(c.began) < coverageAfter || !c.isDue.CompareAndSwap(false, true) {
		return nil
	}
	var all []*registeredRoute
	for _, r := range c.registered {
		if !r.isAuthenticated.Load() && r.isReported.CompareAndSwap(false, true) {
			all = append(all, r)
		}
	}
	return all
}

// cover records what a response says about its route.
func (x *exchange) cover() {
	c := x.core.coverage
	switch {
	case !x.isAnonymous && x.res.Outcome == attempt.Success:
		route := x.req.Route
		if route == "" && x.resp.Status != 0 { // otherwise a router may be writing Pattern
			route = routeOf(x.request.Pattern)
		}
		c.authenticated(route, x.req.Method)
	case x.core.cfg.Endpoint == nil && x.resp.Handler && x.resp.Status/100 == 2:
		if c.isNewOpening(x.request.Pattern, x.req.Method, x.req.Time) {
			x.core.noticeCoverage(x.req.Context, attempt.AnonymousAccess, routeOf(x.request.Pattern), x.req.Method, x.req.Time,
				"served a caller without credentials, but Config.Public does not name it. A public pattern opens it because Config.Routes is not "+
					"the router that serves: set Config.Routes, or add the route to Config.Public")
		}
	}
	for _, r := range c.unused(x.req.Time) {
		method := r.pattern.Method()
		if method == "" {
			method = http.MethodGet
		}
		x.core.noticeCoverage(context.Background(), attempt.NeverAuthenticated, r.pattern.Route(), method, x.req.Time,
			"is registered, and no caller was authenticated there for a day. Check that the Middleware wraps it; "+
				"otherwise remove it from Config.Registered")
	}
}

// noticeCoverage reports a finding about a route.
func (c *core) noticeCoverage(ctx context.Context, f attempt.CoverageFinding, route, method string, at time.Time, what string) {
	if o, ok := c.observer.(attempt.NoticeObserver); ok {
		o.Notice(ctx, attempt.Notice{
			Kind: attempt.Coverage, Time: at, Coverage: f, Route: route, Method: method, Message: "the route " + route + " " + what,
		})
	}
}
