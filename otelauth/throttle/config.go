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
)

// Config is what [Guesses] allow. Its zero value is ready for use.
type Config struct {
	// Store keeps the budgets. nil: a Memory with the zero MemoryConfig.
	Store Store
	// Key makes the names of budgets secret: at least 32 bytes. Processes that share a Store share it, and a snapshot is good for the same
	// Key only. nil: random.
	Key []byte

	// Budgets are the limits. Default: [DefaultBudgets].
	Budgets Budgets
	// Remember is how long a success makes an (account, network) pair, and the network, known.
	// Default: 30 days.
	Remember time.Duration
	// Lease is the time after which, within twice of it, a guess that nobody settled is charged: longer than any wait for a
	// hash and the hash. Default: 1 min.
	Lease time.Duration

	// Identify returns what stands for an account in List: user.hash. nil: the first half of the account's key.
	Identify func(canonical string) string
	// Notice is told of each change by an operator. nil: nobody.
	Notice func(context.Context, attempt.Notice)

	// Elapsed is the time since any fixed moment, which no change of the wall clock moves. nil: the monotonic clock.
	Elapsed func() time.Duration
	// Now is the wall clock, for what is shown to people. nil: time.Now.
	Now func() time.Time
	// Rand is the source of keys. nil: crypto/rand.Reader.
	Rand io.Reader
}

// withDefaults returns cfg filled in, or every fault of it.
func (cfg Config) withDefaults() (Config, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("throttle: "+format, args...)) }
	have, def := &cfg.Budgets, DefaultBudgets()
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
			continue
		}
		if b := l.have.Burst; b < 1 || b > MaxBurst {
			fault("Budgets.%s.Burst is %d; give it 1 to %d guesses", l.name, b, MaxBurst)
		} else if e := l.have.Every; e < MinEvery || e > MaxSpan/time.Duration(b) {
			fault("Budgets.%s.Every is %v; give it %v to %v", l.name, e, MinEvery, MaxSpan/time.Duration(b))
		}
	}
	if len(faults) == 0 {
		// A wider budget that is smaller than a narrower one in it makes the narrower one a lie.
		for _, c := range []struct {
			narrow, wide    string
			narrower, wider Limit
			why             string
		}{
			{"NewPair", "Account", have.NewPair, have.Account, "one stranger would use up more than all strangers have"},
			{"NewPair", "Network", have.NewPair, have.Network, "one account would use up more than the network has"},
			{"Network", "Site", have.Network, have.Site, "one network would use up more than its site has"},
		} {
			if c.wider.Burst < c.narrower.Burst {
				fault("Budgets.%s.Burst is %d, below Budgets.%s.Burst of %d: %s; raise it or lower the other",
					c.wide, c.wider.Burst, c.narrow, c.narrower.Burst, c.why)
			}
			if c.wider.Every > c.narrower.Every {
				fault("Budgets.%s.Every is %v, longer than Budgets.%s.Every of %v: %s; shorten it or lengthen the other",
					c.wide, c.wider.Every, c.narrow, c.narrower.Every, c.why)
			}
		}
	}
	if cfg.Key != nil && len(cfg.Key) < minKeyBytes {
		fault("Config.Key has %d bytes; give it at least %d, or leave it nil for a random one", len(cfg.Key), minKeyBytes)
	}
	if cfg.Remember < 0 || cfg.Remember > MaxSpan {
		fault("Config.Remember is %v; give it at most %v, or leave it 0 for the default", cfg.Remember, MaxSpan)
	}
	if cfg.Lease != 0 && cfg.Lease < time.Second {
		fault("Config.Lease is %v; give it at least 1s, or leave it 0 for the default", cfg.Lease)
	}
	if cfg.Remember == 0 {
		cfg.Remember = DefaultRemember
	}
	if cfg.Lease == 0 {
		cfg.Lease = DefaultLease
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
	if cfg.Notice == nil {
		cfg.Notice = func(context.Context, attempt.Notice) {}
	}
	return cfg, errors.Join(faults...)
}
