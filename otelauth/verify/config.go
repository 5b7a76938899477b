// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// Config configures an [Engine]. Exactly one of Accounts and Verifier must be set. Every other
// field has a default.
type Config struct {
	// Accounts is the store of accounts; the Engine verifies passwords against its hashes.
	Accounts Accounts
	// Verifier verifies passwords itself.
	Verifier Verifier

	// Throttle keeps the guess budgets. Default: throttle.DangerouslyNone.
	Throttle throttle.Throttle
	// Gate limits hashing. All Engines of a process should share one. Default: a new Gate with
	// the zero Limits, or with [DefaultVerifierSlots] for a Verifier.
	Gate *Gate

	// TTL is how long a verified credential is recognised without hashing. Each recognition still
	// calls Accounts, so a changed account is noticed at once; a change behind a Verifier is
	// noticed after TTL at most. Default: [DefaultTTL] for Accounts, [DefaultVerifierTTL] for a
	// Verifier.
	TTL time.Duration
	// VerifiedEntries and FailedEntries bound the remembered right and wrong credentials. Both
	// sets are separate, so a flood of wrong credentials does not evict a right one. A place
	// takes 8 bytes; an entry takes about 250 bytes more and the name. Defaults: 65,536 and
	// 16,384.
	VerifiedEntries int
	FailedEntries   int

	// Identify returns the user.hash of a canonical name. Default: no hash.
	Identify func(canonical string) string
	// DecoyKey keeps the choice of decoys secret. Use the same key after a restart: an unknown
	// name whose cost changes at each start would be known as unknown. Default: a random key.
	DecoyKey []byte

	// Now is the clock. Entries expire by its monotonic reading. Default: time.Now.
	Now func() time.Time
	// Rand is the source of keys. Default: crypto/rand.Reader.
	Rand io.Reader
}

// Defaults of [Config].
const (
	DefaultTTL             = 5 * time.Minute
	DefaultVerifierTTL     = time.Minute
	DefaultVerifiedEntries = 1 << 16
	defaultFailedEntries   = 1 << 14
)

// New returns an Engine, or all errors of cfg, joined.
func New(cfg Config) (*Engine, error) {
	problems := cfg.problems()
	cfg = cfg.withDefaults()
	e := &Engine{cfg: cfg}
	random := func(what string, read func() error) {
		if err := read(); err != nil {
			problems = append(problems, fmt.Errorf("verify: cannot read randomness for the %s: check Config.Rand: %w", what, err))
		}
	}
	random("cache key", func() error { return binary.Read(cfg.Rand, binary.LittleEndian, &e.key) })
	random("fingerprint key", func() error {
		_, err := io.ReadFull(cfg.Rand, e.fingerprintKey[:])
		return err
	})
	if cfg.DecoyKey == nil {
		e.cfg.DecoyKey = make([]byte, sha256.Size)
		random("decoy key", func() error {
			_, err := io.ReadFull(cfg.Rand, e.cfg.DecoyKey)
			return err
		})
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	e.recaller, _ = cfg.Accounts.(Recaller)
	e.base = e.cfg.Now()
	e.right, e.wrong = newTable(cfg.VerifiedEntries), newTable(cfg.FailedEntries)
	return e, nil
}

// problems returns every error of c.
func (c Config) problems() (problems []error) {
	if (c.Accounts == nil) == (c.Verifier == nil) {
		problems = append(problems, errors.New("verify: set exactly one of Config.Accounts and Config.Verifier"))
	}
	for _, field := range [...]struct {
		name  string
		value int64
	}{
		{"TTL", int64(c.TTL)}, {"VerifiedEntries", int64(c.VerifiedEntries)}, {"FailedEntries", int64(c.FailedEntries)},
	} {
		if field.value < 0 {
			problems = append(problems, fmt.Errorf("verify: Config.%s is negative; leave it 0 for the default", field.name))
		}
	}
	if v, ok := c.Accounts.(Validator); ok {
		if err := v.Validate(); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// withDefaults returns c with the default of each zero field but DecoyKey, which New reads from
// Rand.
func (c Config) withDefaults() Config {
	if c.Throttle == nil {
		c.Throttle = throttle.DangerouslyNone{}
	}
	if c.Gate == nil {
		limits := Limits{}
		if c.Verifier != nil {
			limits.Slots = DefaultVerifierSlots
		}
		c.Gate = NewGate(limits)
	}
	if c.TTL == 0 {
		c.TTL = DefaultTTL
		if c.Verifier != nil {
			c.TTL = DefaultVerifierTTL
		}
	}
	if c.VerifiedEntries == 0 {
		c.VerifiedEntries = DefaultVerifiedEntries
	}
	if c.FailedEntries == 0 {
		c.FailedEntries = defaultFailedEntries
	}
	if c.Identify == nil {
		c.Identify = func(string) string { return "" }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return c
}
