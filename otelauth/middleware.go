// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// ScopeName is the import path of this package.
const ScopeName = "github.com/otelauth/otelauth-go/otelauth"

// Middleware verifies the credentials of the requests to the handlers that it wraps. Create it
// with [New]; the zero Middleware answers every request with 503. It is safe for concurrent use.
type Middleware struct {
	current atomic.Pointer[core]
	shared  shared
	scratch sync.Pool // *verdict, for Authenticate

	mu sync.Mutex // one Reconfigure at a time; guards what follows
	// Created when first needed and kept through every Reconfigure.
	gate      *verify.Gate
	randomKey IdentityKey
	budgets   *throttle.Budgets
	detector  *detect.Detector
	// returns after the detector has reported its last detections; nil: not running
	stopDetector func()
	// The observers of the last configurations. An attempt that ends after its configuration was
	// replaced may be folded there.
	replaced []attempt.Flusher
}

// maxReplaced bounds Middleware.replaced; an older observer emits its events at the end of their
// period.
const maxReplaced = 8

// New returns a Middleware for cfg. The error joins one error for each problem of cfg.
func New(cfg Config) (*Middleware, error) {
	m := &Middleware{}
	if err := m.Reconfigure(cfg); err != nil {
		return nil, err
	}
	return m, nil
}

// Reconfigure replaces the configuration as a whole, also under load. Attempts in progress end
// under the previous configuration. After an error nothing has changed. Credentials that were
// verified under the previous configuration are verified again.
func (m *Middleware) Reconfigure(cfg Config) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.build(cfg)
	if err != nil {
		return err
	}
	if previous := m.current.Swap(c); previous != nil {
		previous.close()
		if f, ok := previous.observer.(attempt.Flusher); ok {
			m.replaced = append(m.replaced[max(0, len(m.replaced)-maxReplaced+1):], f)
		}
	}
	if m.detector != nil {
		_ = m.detector.Use(cfg.Detect.Custom) // build has validated it
		if m.stopDetector == nil {
			m.startDetector()
		}
	}
	return nil
}

func (m *Middleware) startDetector() {
	detector := m.detector
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	m.stopDetector = func() { cancel(); <-done }
	go func() {
		defer close(done)
		_ = detector.Run(ctx) // nil when ctx ends
	}()
}

// Budgets returns the budgets in use, for an operator to inspect and change: those that the
// Middleware created, or those of Config.Throttle. It returns nil if that is another Throttle.
func (m *Middleware) Budgets() *throttle.Budgets {
	c := m.current.Load()
	if c == nil {
		return nil
	}
	budgets, _ := c.cfg.Throttle.(*throttle.Budgets)
	return budgets
}

// Wrap returns a handler that verifies each request and calls next when it is allowed. Its type
// fits a func(http.Handler) http.Handler.
//
// The request that next receives carries the user in its context, see [UserFromContext]. It is
// otherwise unchanged, Authorization field included.
func (m *Middleware) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := m.current.Load()
		if c == nil {
			http.Error(w, "otelauth: the Middleware is not configured; create it with New", http.StatusServiceUnavailable)
			return
		}
		c.serve(w, r, next)
	})
}

// Authenticate verifies the credentials of r without answering: the whole pipeline, with budgets
// and observers. It is for services that answer in a protocol of their own. The attempt has ended
// when Authenticate returns, and is recorded without a status. The User is the zero User unless
// the Outcome is attempt.Success. r is not changed, and Config.Public is not used.
func (m *Middleware) Authenticate(r *http.Request) (User, attempt.Result) {
	c := m.current.Load()
	if c == nil {
		return User{}, attempt.Result{ErrorType: attempt.Other}
	}
	v, _ := m.scratch.Get().(*verdict)
	if v == nil {
		v = new(verdict)
	}
	a := c.receive(r, &v.req)
	account := c.authenticate(&a, &v.req, &v.res)
	if c.observer != nil {
		c.observer.End(v.req.Context, &v.req, &v.res, &v.resp)
	}
	user, res := userOf(account), v.res
	*v = verdict{}
	m.scratch.Put(v)
	return user, res
}

// Untrusted reports whether the caller's traceparent is only linked to, not continued: whether the
// resolved client address is outside of Config.TrustedCallers. Pass it to
// otelhttp.WithPublicEndpointFn. Without it a client can turn off the sampling of its own
// attempts, or attach them to a trace of another client.
func (m *Middleware) Untrusted(r *http.Request) bool {
	c := m.current.Load()
	if c == nil {
		return true
	}
	client := c.clients.Resolve(r).Addr
	if !client.IsValid() {
		return false // a unix socket: this host
	}
	if c.cfg.TrustedCallers == nil {
		return !client.IsLoopback() && !client.IsPrivate()
	}
	return !within(c.cfg.TrustedCallers, client)
}

// RequireGroup returns a middleware that answers 403 unless the user belongs to group. Use it
// inside of [Middleware.Wrap]:
//
//	mux.Handle("GET /admin", mw.RequireGroup("ops")(admin))
func (m *Middleware) RequireGroup(group string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if u, ok := UserFromContext(r.Context()); ok && u.In(group) {
				next.ServeHTTP(w, r)
				return
			}
			RecordRefusal(r.Context(), attempt.ReasonNotPermitted, "group "+group)
			forbid(w, r)
		})
	}
}

// Close unsubscribes from account reloads and gauge callbacks, reports pending detections and
// flushes folded events. The Middleware keeps verifying requests. Call Close before shutting down
// the telemetry providers. It does not close the stores, the Gate or the providers. The error is
// always nil.
func (m *Middleware) Close() error {
	m.mu.Lock()
	stop := m.stopDetector
	m.mu.Unlock()
	if stop != nil {
		stop() // without the lock: a callback for a detection may call Budgets
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.current.Load(); c != nil {
		c.close()
	}
	for _, f := range m.replaced {
		f.Flush()
	}
	return nil
}
