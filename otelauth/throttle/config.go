// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// Config configures [Budgets]. The zero Config is ready for use.
type Config struct {
	// Store keeps the budgets: a [Memory] or a redisstore.Store. Default: a Memory with the zero
	// MemoryConfig.
	Store Store
	// Key makes the keys of budgets secret: at least 32 bytes. Processes that share a Store need
	// the same Key, and so does a snapshot. Default: random.
	Key []byte

	// Limits are the limits of the budgets. Default: [DefaultLimits].
	Limits Limits
	// Remember is how long a success makes an (account, network) pair and the network known, at
	// most 400 days. Default: 30 days.
	Remember time.Duration
	// Lease is the time after which an unsettled guess is charged, at the latest after twice of
	// it. It must exceed the longest wait for a hash plus the hash; at least 1 s. Default: 1 min.
	Lease time.Duration

	// Identify returns the identifier of an account in List: user.hash. Default: the first half of
	// the key of its budget.
	Identify func(canonical string) string
	// NameOf returns the name of an account for Case.Name; "" for an identity that is not an
	// account, and if names must not be shown. It must not block. Default: no names.
	NameOf func(canonical string) string
	// Notice receives one notice for each change by an operator. Default: none.
	Notice func(context.Context, attempt.Notice)

	// Elapsed returns the time since any fixed moment and does not follow changes of the wall
	// clock. Default: the monotonic clock.
	Elapsed func() time.Duration
	// Now returns the wall clock time shown to people. Default: time.Now.
	Now func() time.Time
	// Rand is the source of keys. Default: crypto/rand.Reader.
	Rand io.Reader
}

// Store keeps budgets: [Memory] in this process, redisstore.Store for several. Its methods use
// internal types, so no other package implements it.
type Store = budget.Store

const (
	defaultRemember = 30 * 24 * time.Hour
	defaultLease    = time.Minute
)

// withDefaults returns cfg with its defaults, or all its errors joined.
func (cfg Config) withDefaults() (Config, error) {
	err := errors.Join(cfg.Limits.setDefaults(), cfg.check())
	if cfg.Remember == 0 {
		cfg.Remember = defaultRemember
	}
	if cfg.Lease == 0 {
		cfg.Lease = defaultLease
	}
	if cfg.Elapsed == nil {
		start := time.Now()
		cfg.Elapsed = func() time.Duration { return time.Since(start) }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.NameOf == nil {
		cfg.NameOf = func(string) string { return "" }
	}
	if cfg.Notice == nil {
		cfg.Notice = func(context.Context, attempt.Notice) {}
	}
	return cfg, err
}

// check returns the errors of everything but the limits.
func (cfg *Config) check() error {
	var errs []error
	if cfg.Key != nil && len(cfg.Key) < minKeyBytes {
		errs = append(errs, fmt.Errorf(
			"throttle: Config.Key has %d bytes; give it at least %d, or leave it nil for a random one", len(cfg.Key), minKeyBytes))
	}
	if cfg.Remember < 0 || cfg.Remember > budget.MaxSpan {
		errs = append(errs, fmt.Errorf(
			"throttle: Config.Remember is %v; give it at most %v, or leave it 0 for the default", cfg.Remember, budget.MaxSpan))
	}
	if cfg.Lease != 0 && cfg.Lease < time.Second {
		errs = append(errs, fmt.Errorf(
			"throttle: Config.Lease is %v; give it at least 1s, or leave it 0 for the default", cfg.Lease))
	}
	return errors.Join(errs...)
}

// setDefaults replaces zero limits by their defaults and returns the errors of the others.
func (have *Limits) setDefaults() error {
	var errs []error
	def := DefaultLimits()
	for _, l := range []struct {
		name string
		have *Limit
		def  Limit
	}{
		{"NewPair", &have.NewPair, def.NewPair},
		{"KnownPair", &have.KnownPair, def.KnownPair},
		{"Account", &have.Account, def.Account},
		{"Network", &have.Network, def.Network},
		{"Site", &have.Site, def.Site},
		{"Requests", &have.Requests, def.Requests},
	} {
		if *l.have == (Limit{}) {
			*l.have = l.def
		} else if err := l.have.check(l.name); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return have.checkNesting()
}

func (l Limit) check(name string) error {
	if l.Burst < 1 || l.Burst > budget.MaxBurst {
		return fmt.Errorf("throttle: Limits.%s.Burst is %d; give it 1 to %d guesses", name, l.Burst, budget.MaxBurst)
	}
	if longest := budget.MaxSpan / time.Duration(l.Burst); l.Every < budget.MinEvery || l.Every > longest {
		return fmt.Errorf("throttle: Limits.%s.Every is %v; give it %v to %v", name, l.Every, budget.MinEvery, longest)
	}
	return nil
}

// checkNesting returns an error if a wider budget is smaller than a narrower one that draws on it,
// because the narrower one would then have no effect.
func (have *Limits) checkNesting() error {
	var errs []error
	for _, c := range []struct {
		narrow, wide    string
		narrower, wider Limit
		why             string
	}{
		{"NewPair", "Account", have.NewPair, have.Account, "one new pair would exhaust the account"},
		{"NewPair", "Network", have.NewPair, have.Network, "one account would exhaust the network"},
		{"Network", "Site", have.Network, have.Site, "one network would exhaust its site"},
	} {
		if c.wider.Burst < c.narrower.Burst {
			errs = append(errs, fmt.Errorf("throttle: Limits.%s.Burst is %d, below Limits.%s.Burst of %d: %s; raise it or lower the other",
				c.wide, c.wider.Burst, c.narrow, c.narrower.Burst, c.why))
		}
		if c.wider.Every > c.narrower.Every {
			errs = append(errs, fmt.Errorf("throttle: Limits.%s.Every is %v, longer than Limits.%s.Every of %v: %s; shorten it or lengthen the other",
				c.wide, c.wider.Every, c.narrow, c.narrower.Every, c.why))
		}
	}
	return errors.Join(errs...)
}
