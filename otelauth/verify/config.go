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

// Config is how an [Engine] verifies. Exactly one of Accounts and Verifier is set; every other field
// has a default.
type Config struct {
	Accounts Accounts
	Verifier Verifier

	// Throttle keeps the guess budgets. nil: throttle.DangerouslyNone.
	Throttle throttle.Throttle
	// Gate limits hashing; several Engines should share one. nil: a Gate of its own with the zero Limits.
	Gate *Gate

	// TTL is how long a verified credential is recognised without hashing. Each recognition still asks
	// Accounts, so a changed account ends at once; TTL bounds what a Verifier's changes may take.
	// Default: 5 min for Accounts, 1 min for a Verifier.
	TTL time.Duration
	// VerifiedEntries and FailedEntries bound the credentials remembered as right and as wrong, in
	// spaces of their own: no flood of wrong ones makes the Engine forget a right one. A place takes 8
	// bytes, an entry about 250 more and the name. Defaults: 65,536 and 16,384.
	VerifiedEntries int
	FailedEntries   int

	// Identify returns user.hash for a name's identity. nil: no hash.
	Identify func(canonical string) string
	// DecoyKey makes the choice of an unknown name's decoy hash secret and, when it is the same after a restart,
	// stable: a name whose cost changes with each start would be known to be unknown. nil: random.
	DecoyKey []byte

	// Now is the clock. nil: time.Now. Expiry of entries uses its monotonic reading.
	Now func() time.Time
	// Rand is the source of keys. nil: crypto/rand.Reader.
	Rand io.Reader
}

// The defaults of [Config].
const (
	DefaultTTL             = 5 * time.Minute
	DefaultVerifierTTL     = time.Minute
	DefaultVerifiedEntries = 1 << 16
	defaultFailedEntries   = 1 << 14
)

// New returns an Engine, or every fault of cfg at once.
func New(cfg Config) (*Engine, error) {
	var faults []error
	if (cfg.Accounts == nil) == (cfg.Verifier == nil) {
		faults = append(faults, errors.New("verify: set exactly one of Config.Accounts and Config.Verifier"))
	}
	size := func(name string, n int64) {
		if n < 0 {
			faults = append(faults, fmt.Errorf("verify: Config.%s is negative; leave it 0 for the default", name))
		}
	}
	size("TTL", int64(cfg.TTL))
	size("VerifiedEntries", int64(cfg.VerifiedEntries))
	size("FailedEntries", int64(cfg.FailedEntries))
	if v, ok := cfg.Accounts.(Validator); ok {
		if err := v.Validate(); err != nil {
			faults = append(faults, err)
		}
	}
	if cfg.Throttle == nil {
		cfg.Throttle = throttle.DangerouslyNone{}
	}
	if cfg.Gate == nil {
		limits := Limits{}
		if cfg.Verifier != nil {
			limits.Slots = DefaultVerifierSlots
		}
		cfg.Gate = NewGate(limits)
	}
	if cfg.TTL == 0 {
		cfg.TTL = DefaultTTL
		if cfg.Verifier != nil {
			cfg.TTL = DefaultVerifierTTL
		}
	}
	if cfg.VerifiedEntries == 0 {
		cfg.VerifiedEntries = DefaultVerifiedEntries
	}
	if cfg.FailedEntries == 0 {
		cfg.FailedEntries = defaultFailedEntries
	}
	if cfg.Identify == nil {
		cfg.Identify = func(string) string { return "" }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	e := &Engine{cfg: cfg}
	if err := binary.Read(cfg.Rand, binary.LittleEndian, &e.key); err != nil {
		faults = append(faults, fmt.Errorf("verify: no randomness for the cache key: %w", err))
	}
	if _, err := io.ReadFull(cfg.Rand, e.passwords[:]); err != nil {
		faults = append(faults, fmt.Errorf("verify: no randomness for the fingerprint key: %w", err))
	}
	if cfg.DecoyKey == nil {
		e.cfg.DecoyKey = make([]byte, sha256.Size)
		if _, err := io.ReadFull(cfg.Rand, e.cfg.DecoyKey); err != nil {
			faults = append(faults, fmt.Errorf("verify: no randomness for the decoy key: %w", err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	e.recaller, _ = cfg.Accounts.(Recaller)
	e.base = cfg.Now()
	e.right, e.wrong = newTable(cfg.VerifiedEntries), newTable(cfg.FailedEntries)
	return e, nil
}
