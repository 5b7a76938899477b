// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/spans"
)

// ScopeName is the import path of this package.
const ScopeName = "github.com/otelauth/otelauth-go/otelauth"

// Middleware verifies the requests of what it wraps. [New] makes one; the zero Middleware answers 503 to everything. It is
// safe for concurrent use.
type Middleware struct {
	current atomic.Pointer[core]

	mu sync.Mutex // one Reconfigure at a time
	// What is made at the first need and kept through every Reconfigure.
	gate     *verify.Gate
	random   IdentityKey
	budgets  *throttle.Budgets
	detector *detect.Detector
	detected func() // ends the detector, and returns when it has told what it has found

	scratch sync.Pool // *judged, for Authenticate
	alarms  sync.Pool // *alarm, for Wrap

	untrustedForwarded sync.Once
}

// New returns a Middleware that does what cfg says, or every fault of cfg at once.
func New(cfg Config) (*Middleware, error) {
	m := &Middleware{}
	if err := m.Reconfigure(cfg); err != nil {
		return nil, err
	}
	return m, nil
}

// Reconfigure replaces the configuration as a whole, under load. Attempts that have begun end under the former one;
// with an error nothing changes. What was verified under the former configuration is verified again.
func (m *Middleware) Reconfigure(cfg Config) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.build(cfg)
	if err != nil {
		return err
	}
	former := m.current.Swap(c)
	if former != nil {
		former.close()
	}
	if d := m.detector; d != nil && m.detected == nil {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		m.detected = func() { cancel(); <-done }
		go func() {
			defer close(done)
			_ = d.Run(ctx) // nil when ctx ends
		}()
	}
	return nil
}

// build makes a core. It starts nothing unless it succeeds.
func (m *Middleware) build(cfg Config) (*core, error) {
	clock := clock{injected: cfg.Now}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	s, err := cfg.compile()
	if err != nil {
		return nil, err
	}
	c := &core{m: m, cfg: cfg, clock: clock, settings: s}
	if c.observer, err = m.observer(&cfg); err != nil {
		return nil, err
	}
	if c.observer == nil {
		c.clock.base = cfg.Now()
	}
	key, isRandom := cfg.IdentityKey, false
	if key.IsZero() {
		isRandom = m.random.IsZero()
		if isRandom {
			if m.random, err = randomIdentityKey(cfg.Rand); err != nil {
				return nil, err
			}
		}
		key = m.random
	}
	c.identify = key.Hash
	if cfg.Throttle == nil {
		if c.cfg.Throttle, err = m.ownBudgets(key, cfg.Now); err != nil {
			return nil, err
		}
	}
	c.arrivals, _ = c.cfg.Throttle.(throttle.Arrivals)
	if cfg.Gate == nil {
		if m.gate == nil {
			limits := verify.Limits{}
			if cfg.Verifier != nil {
				limits.Slots = verify.DefaultVerifierSlots
			}
			m.gate = verify.NewGate(limits)
		}
		c.cfg.Gate = m.gate
	}
	if c.engine, err = verify.New(verify.Config{
		Accounts:        cfg.Accounts,
		Verifier:        cfg.Verifier,
		Throttle:        c.cfg.Throttle,
		Gate:            c.cfg.Gate,
		TTL:             cfg.CacheTTL,
		VerifiedEntries: cfg.CacheEntries,
		FailedEntries:   cfg.CacheEntries / 4,
		Identify:        c.identify,
		DecoyKey:        key.derive("decoy"),
		Now:             cfg.Now,
		Rand:            cfg.Rand,
	}); err != nil {
		return nil, err
	}
	if err := c.watch(); err != nil {
		return nil, err
	}
	if isRandom {
		c.notice(attempt.Notice{
			Kind: attempt.IdentityKeyRandom, Time: cfg.Now(),
			Message: "no identity key is configured: user.hash changes with each start and differs between services; set Config.IdentityKey",
		})
	}
	return c, nil
}

// ownBudgets returns the guess budgets of a service that names none. They keep the clock with
// which they were made.
func (m *Middleware) ownBudgets(key IdentityKey, now func() time.Time) (*throttle.Budgets, error) {
	if m.budgets != nil {
		return m.budgets, nil
	}
	start := now()
	budgets, err := throttle.New(throttle.Config{
		Key:     key.derive("throttle"),
		Now:     now,
		Elapsed: func() time.Duration { return now().Sub(start) },
		Identify: func(canonical string) string {
			if c := m.current.Load(); c != nil {
				return c.identify(canonical)
			}
			return ""
		},
		Notice: func(_ context.Context, n attempt.Notice) {
			if c := m.current.Load(); c != nil {
				c.notice(n)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	m.budgets = budgets
	return budgets, nil
}

// Budgets returns the guess budgets that the Middleware made for itself, for an operator to look at and to change; nil when
// Config.Throttle named others.
func (m *Middleware) Budgets() *throttle.Budgets {
	c := m.current.Load()
	if c == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if own, ok := c.cfg.Throttle.(*throttle.Budgets); ok && own == m.budgets {
		return own
	}
	return nil
}

// detect returns what adds attempts up; Reconfigure sets it to work.
func (m *Middleware) detect(cfg *Config) (*detect.Detector, error) {
	if m.detector != nil {
		return m.detector, nil
	}
	own := cfg.Detect
	if own.LoggerProvider == nil {
		own.LoggerProvider = cfg.LoggerProvider
	}
	if own.MeterProvider == nil {
		own.MeterProvider = cfg.MeterProvider
	}
	if own.TracerProvider == nil {
		own.TracerProvider = cfg.TracerProvider
	}
	if own.Now == nil {
		own.Now = cfg.Now
	}
	if own.Rand == nil {
		own.Rand = cfg.Rand
	}
	d, err := detect.New(own)
	if err != nil {
		return nil, err
	}
	m.detector = d
	return d, nil
}

// observer returns who is told, nil for nobody.
func (m *Middleware) observer(cfg *Config) (attempt.Observer, error) {
	if cfg.Observers != nil {
		if len(cfg.Observers) == 0 {
			return nil, nil
		}
		return attempt.Join(cfg.Observers...), nil
	}
	traces, errSpans := spans.New(spans.Config{TracerProvider: cfg.TracerProvider})
	counts, errMetrics := metrics.New(metrics.Config{MeterProvider: cfg.MeterProvider})
	if err := errors.Join(errSpans, errMetrics); err != nil {
		return nil, err
	}
	events, errAudit := audit.New(audit.Config{LoggerProvider: cfg.LoggerProvider, Events: cfg.events(counts)})
	detector, errDetect := m.detect(cfg)
	if err := errors.Join(errAudit, errDetect); err != nil {
		return nil, err
	}
	return attempt.Join(traces, counts, events, detector), nil
}

// events has what is folded counted, beside whoever asked to be told.
func (cfg *Config) events(m *metrics.Observer) audit.Events {
	e := cfg.Events
	if e.Now == nil {
		e.Now = cfg.Now
	}
	theirs := e.Suppressed
	e.Suppressed = func(ctx context.Context, s attempt.Suppression) {
		m.Suppressed(ctx, s)
		if theirs != nil {
			theirs(ctx, s)
		}
	}
	return e
}

// Wrap protects next. It fits where a func(http.Handler) http.Handler is asked for.
//
// The request that next gets carries the user in its context and is otherwise the one that came, Authorization
// field included.
func (m *Middleware) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := m.current.Load()
		if c == nil {
			http.Error(w, "otelauth: a Middleware is made by New", http.StatusServiceUnavailable)
			return
		}
		c.serve(w, r, next)
	})
}

// Authenticate judges the credentials of r without answering: the whole pipeline, budgets and observers included. The
// attempt has ended when it returns, its response unknown. The User is the zero User unless the Outcome is
// attempt.Success. It is for those who answer in a protocol of their own; r is not changed, and Config.Public plays no part.
func (m *Middleware) Authenticate(r *http.Request) (User, attempt.Result) {
	c := m.current.Load()
	if c == nil {
		return User{}, attempt.Result{ErrorType: attempt.Other}
	}
	j, _ := m.scratch.Get().(*judged)
	if j == nil {
		j = new(judged)
	}
	a := c.receive(r, &j.req)
	account := c.authenticate(&a, &j.req, &j.res)
	if c.observer != nil {
		c.observer.End(j.req.Context, &j.req, &j.res, &j.resp)
	}
	user, res := userOf(account), j.res
	*j = judged{}
	m.scratch.Put(j)
	return user, res
}

// Untrusted reports whether the caller's traceparent is to be linked to, not obeyed: whether the resolved client
// address is outside of Config.TrustedCallers. It is made for otelhttp.WithPublicEndpointFn. Otherwise anybody could
// switch the sampling of his own attempts off, or hang them into somebody else's trace.
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

// RequireGroup answers 403 to everybody who does not belong to group. It stands inside of Wrap:
//
//	mux.Handle("GET /admin", mw.RequireGroup("ops")(admin))
func (m *Middleware) RequireGroup(group string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if u, ok := UserFromContext(r.Context()); ok && u.In(group) {
				next.ServeHTTP(w, r)
				return
			}
			forbid(w, r)
		})
	}
}

// Close ends what the Middleware has asked others for, notices of reloads and reports of its tables, ends detection after
// what it has found so far is told, and has the events told that are held back. It goes on verifying. Call it before the providers are shut down. The stores, the
// Gate and the providers belong to the caller.
func (m *Middleware) Close() error {
	m.mu.Lock()
	ended := m.detected
	m.mu.Unlock()
	if ended != nil {
		ended() // without the lock: whoever is told of a detection may ask for Budgets
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.current.Load(); c != nil {
		c.close()
	}
	return nil
}

// watch has the core's tables reported, and its store's reloads told.
func (c *core) watch() error {
	if w, ok := c.observer.(attempt.StateObserver); ok {
		stop, err := w.Watch(c.state)
		if err != nil {
			return err
		}
		c.stops = append(c.stops, stop)
	}
	if r, ok := c.cfg.Accounts.(verify.Reloader); ok {
		c.stops = append(c.stops, r.OnReload(func(reload verify.Reload) {
			n := attempt.Notice{
				Kind: attempt.AccountReload, Time: reload.Time, Err: reload.Err,
				Source: reload.Source, Accounts: reload.Accounts,
				Message: "accounts reloaded",
			}
			if reload.Err != nil {
				n.Message = "accounts: " + reload.Err.Error() // a store knows whether former ones are served, or which are refused
			}
			c.notice(n)
		}))
	}
	return nil
}

func (c *core) close() {
	for _, stop := range c.stops {
		stop()
	}
	c.stops = nil
	if f, ok := c.observer.(attempt.Flusher); ok {
		f.Flush()
	}
}

func (c *core) notice(n attempt.Notice) {
	if o, ok := c.observer.(attempt.NoticeObserver); ok {
		o.Notice(context.Background(), n)
	}
}

func (c *core) state() attempt.State {
	running, queued := c.cfg.Gate.Load()
	s := attempt.State{
		CacheEntries:    int64(c.engine.Entries()),
		ThrottleEntries: int64(c.cfg.Throttle.Len()),
		HashesActive:    int64(running),
		HashesQueued:    int64(queued),
	}
	if c.cfg.Accounts != nil {
		s.Accounts = int64(c.cfg.Accounts.Len())
	}
	return s
}
