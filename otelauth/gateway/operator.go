// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
)

// operatorRoute is where Admin serves Config.Operator, and the route of those attempts.
const operatorRoute = "/-/operator/"

type operatorKey struct{}

// operator returns the handler of Config.Operator behind the middleware.
func (g *Gateway) operator() http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The configuration may have changed while the credentials were verified.
		cfg := &g.latest.Load().cfg
		if cfg.Operator == nil {
			answer(w, r, http.StatusNotFound, "There is nothing here.")
			return
		}
		g.mw.RequireGroup(cfg.OperatorGroup)(http.StripPrefix(operatorRoute[:len(operatorRoute)-1], cfg.Operator)).ServeHTTP(w, r)
	})
	protected := g.mw.Wrap(inner)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.latest.Load().cfg.Operator == nil {
			http.NotFound(w, r)
			return
		}
		protected.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), operatorKey{}, true)))
	})
}

// operatorEndpoint returns the endpoint of a request to the operator's handler; ok is false for
// other requests.
func operatorEndpoint(ctx context.Context) (e otelauth.Endpoint, ok bool) {
	if ctx.Value(operatorKey{}) == nil {
		return e, false
	}
	return otelauth.Endpoint{Pattern: operatorRoute, Sensitive: true}, true
}

// checkOperator reports problems of the operator's handler.
func (cfg *Config) checkOperator(report report) {
	switch {
	case cfg.Operator != nil && cfg.OperatorGroup == "":
		report("OperatorGroup", errors.New("is empty: name the group whose members may see and act"))
	case cfg.Operator == nil && cfg.OperatorGroup != "":
		report("OperatorGroup", errors.New("has no effect without Operator"))
	}
}

// UpstreamState is the state of the upstream, as the requests of the gateway see it.
type UpstreamState struct {
	// OK is false from a failed request until the next answer. Since is when it last changed. The
	// event auth.gateway.upstream has at most one such change a second.
	OK    bool
	Since time.Time
	// LastAnswer is when the upstream last answered; the zero Time if it never did.
	LastAnswer time.Time
	// Errors is the number of requests that it did not answer, or not to the end. LastError is
	// the attribute error.type of the last one.
	Errors    uint64
	LastError string
}

// UpstreamState returns the state of the upstream. The gateway sends no requests of its own, so
// without traffic it does not change.
func (g *Gateway) UpstreamState() UpstreamState {
	s := g.signals
	s.mu.Lock()
	defer s.mu.Unlock()
	u := UpstreamState{OK: !s.failing.Load(), Since: s.since, Errors: s.failed.Load(), LastError: string(s.lastKind)}
	if at := s.answered.Load(); at != 0 {
		u.LastAnswer = time.Unix(0, at)
	}
	return u
}

// CloseStreams ends the open requests, responses and WebSockets of an account, and returns their
// number. The account's next request is verified as usual. It does not end what began under a
// public rule.
func (g *Gateway) CloseStreams(account string) int {
	mine := func(x *exchange) bool {
		if x.watched.ctx == nil || x.cut.Load() {
			return false
		}
		user, _ := otelauth.UserFromContext(x.watched.ctx)
		return user.Name == account
	}
	found := g.streams.find(mine)
	for _, x := range found {
		x.abort()
		g.signals.streamEnded(x)
	}
	return len(found)
}
