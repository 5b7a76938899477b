// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/log"

	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/spans"
)

// build returns a core for cfg. After an error nothing runs that build started.
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
	c := &core{shared: &m.shared, cfg: cfg, clock: clock, settings: s}
	var recorded *coverage
	if previous := m.current.Load(); previous != nil {
		recorded = previous.coverage
	}
	c.coverage = newCoverage(s.registered, s.public, cfg.Now(), recorded)
	var errObserver, errBudgets error
	c.observer, errObserver = m.observer(&cfg)
	c.ready, _ = c.observer.(attempt.ReadyObserver)
	if c.observer == nil {
		c.clock.base = cfg.Now()
	}
	key, isNewRandom, err := m.identityKey(&cfg)
	if err != nil {
		return nil, errors.Join(errObserver, err)
	}
	c.identify = key.Hash
	if cfg.Throttle == nil {
		c.cfg.Throttle, errBudgets = m.ownBudgets(key, &cfg)
	}
	if err := errors.Join(errObserver, errBudgets); err != nil {
		return nil, err
	}
	c.arrivals, _ = c.cfg.Throttle.(throttle.Arrivals)
	if cfg.Gate == nil {
		c.cfg.Gate = m.ownGate(&cfg)
	}
	if c.engine, err = c.newEngine(key); err != nil {
		return nil, err
	}
	if err := c.watch(); err != nil {
		return nil, err
	}
	if isNewRandom {
		c.notice(attempt.Notice{
			Kind: attempt.IdentityKeyRandom, Time: cfg.Now(),
			Message: "no identity key is configured: user.hash changes with each start and differs between services; " +
				"set an identity key (docs/accounts.md)",
		})
	}
	return c, nil
}

func (c *core) newEngine(key IdentityKey) (*verify.Engine, error) {
	return verify.New(verify.Config{
		Accounts:        c.cfg.Accounts,
		Verifier:        c.cfg.Verifier,
		Throttle:        c.cfg.Throttle,
		Gate:            c.cfg.Gate,
		TTL:             c.cfg.CacheTTL,
		VerifiedEntries: c.cfg.CacheEntries,
		FailedEntries:   c.cfg.CacheEntries / 4,
		Identify:        c.identify,
		DecoyKey:        key.derive("decoy"),
		Now:             c.cfg.Now,
		Rand:            c.cfg.Rand,
	})
}

// identityKey returns the configured key, or the random one of this Middleware.
func (m *Middleware) identityKey(cfg *Config) (key IdentityKey, isNewRandom bool, err error) {
	if !cfg.IdentityKey.IsZero() {
		return cfg.IdentityKey, false, nil
	}
	if m.randomKey.IsZero() {
		if m.randomKey, err = randomIdentityKey(cfg.Rand); err != nil {
			return IdentityKey{}, false, err
		}
		isNewRandom = true
	}
	return m.randomKey, isNewRandom, nil
}

// ownGate returns the Gate of a Middleware whose Config sets none, with the limits of cfg.
func (m *Middleware) ownGate(cfg *Config) *verify.Gate {
	limits := cfg.Hashing
	if cfg.Verifier != nil && limits.Slots == 0 {
		limits.Slots = verify.DefaultVerifierSlots
	}
	if m.gate == nil {
		m.gate = verify.NewGate(limits)
	} else {
		m.gate.SetLimits(limits)
	}
	return m.gate
}

// ownBudgets returns the budgets of a Middleware whose Config sets none. They keep the
// configuration with which they were created.
func (m *Middleware) ownBudgets(key IdentityKey, cfg *Config) (*throttle.Budgets, error) {
	if m.budgets != nil {
		return m.budgets, nil
	}
	own := cfg.Budgets
	if own.Key == nil {
		own.Key = key.derive("throttle")
	}
	if own.Now == nil {
		own.Now = cfg.Now
	}
	if own.Elapsed == nil {
		now := cfg.Now
		start := now()
		own.Elapsed = func() time.Duration { return now().Sub(start) }
	}
	own.Identify = func(canonical string) string {
		if c := m.current.Load(); c != nil {
			return c.identify(canonical)
		}
		return ""
	}
	if own.NameOf == nil {
		own.NameOf = m.nameOf
	}
	own.Notice = func(_ context.Context, n attempt.Notice) {
		if c := m.current.Load(); c != nil {
			c.notice(n)
		}
	}
	budgets, err := throttle.New(own)
	if err != nil {
		return nil, err
	}
	m.budgets = budgets
	return budgets, nil
}

// nameOf returns the name of an account that the store has in memory; "" without names in
// telemetry.
func (m *Middleware) nameOf(canonical string) string {
	c := m.current.Load()
	if c == nil || c.cfg.UserNames == HashedNames {
		return ""
	}
	if p, ok := c.cfg.Accounts.(verify.Peeker); ok {
		if account := p.Peek(canonical); account != nil {
			return account.Name
		}
	}
	return ""
}

// ownDetector returns the detector of this Middleware; Reconfigure starts it.
func (m *Middleware) ownDetector(cfg *Config, loggers log.LoggerProvider) (*detect.Detector, error) {
	if m.detector != nil {
		return m.detector, cfg.Detect.Custom.Validate()
	}
	own := cfg.Detect
	if own.LoggerProvider == nil {
		own.LoggerProvider = loggers
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
	configured := own.Notice
	own.Notice = func(ctx context.Context, n attempt.Notice) {
		m.Notice(n)
		if configured != nil {
			configured(ctx, n)
		}
	}
	d, err := detect.New(own)
	if err != nil {
		return nil, err
	}
	m.detector = d
	return d, nil
}

// observer returns the configured observers, or those of the providers, and the trail as one; nil
// without any. The trail is the last one, so it decides first.
func (m *Middleware) observer(cfg *Config) (attempt.Observer, error) {
	last := append(slices.Clone(cfg.Additional), cfg.Trail)
	if cfg.Observers != nil {
		if len(cfg.Observers) == 0 && len(cfg.Additional) == 0 && cfg.Trail == nil {
			return nil, nil
		}
		return attempt.Join(append(slices.Clone(cfg.Observers), last...)...), nil
	}
	traces, errSpans := spans.New(spans.Config{TracerProvider: cfg.TracerProvider})
	counts, errMetrics := metrics.New(metrics.Config{MeterProvider: cfg.MeterProvider})
	if err := errors.Join(errSpans, errMetrics); err != nil {
		return nil, err
	}
	loggers := m.shared.loggers(cfg)
	events, errAudit := audit.New(audit.Config{LoggerProvider: loggers, Events: cfg.events(counts)})
	detector, errDetect := m.ownDetector(cfg, loggers)
	if err := errors.Join(errAudit, errDetect); err != nil {
		return nil, err
	}
	all := []attempt.Observer{traces, counts, events, detector}
	if !cfg.DisableFallback {
		all = append(all, &unrecorded{once: &m.shared.unrecorded, metrics: counts, events: events})
	}
	return attempt.Join(append(all, last...)...), nil
}

// events returns Config.Events with a count of the folded events in m.
func (cfg *Config) events(m *metrics.Observer) audit.Events {
	e := cfg.Events
	if e.Now == nil {
		e.Now = cfg.Now
	}
	configured := e.Suppressed
	e.Suppressed = func(ctx context.Context, s attempt.Suppression) {
		m.Suppressed(ctx, s)
		if configured != nil {
			configured(ctx, s)
		}
	}
	return e
}
