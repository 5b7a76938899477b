// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// Engine verifies credentials. It is safe for concurrent use. It remembers verified credentials
// in memory only.
type Engine struct {
	cfg Config
	key [2]uint64 // of the MACs
	// fingerprintKey is the key of attempt.Result.PasswordFingerprint. It differs from key, which
	// is for whole credentials.
	fingerprintKey [16]byte
	base           time.Time

	right, wrong *table
	recaller     Recaller // nil if Accounts does not implement it
}

// Entries returns the number of remembered credentials, right and wrong.
func (e *Engine) Entries() int { return e.right.len() + e.wrong.len() }

// Forget removes what is remembered of the credentials of an account, right ones only: a wrong one
// grants nothing. canonical is its identity. The next request of each client is hashed again.
// Forget returns the number of credentials that it removed.
func (e *Engine) Forget(canonical string) int { return e.right.forget(canonical) }

// Verify verifies the credential of field, which network sent at the time at. It returns the
// account, or nil unless the Outcome is Success. It sets the fields Outcome, ErrorType, Reason,
// Cache, UserName, UserHash, PasswordFingerprint, Hash, RehashNeeded, PreviousCredential,
// RetryAfter and Err of res.
//
// It blocks while a hash runs or waits for a slot: at most Limits.MaxWait and one hash. If ctx
// ends before that, it leaves the queue. For a recognised credential from a network that has sent
// it before, it neither blocks nor allocates.
func (e *Engine) Verify(ctx context.Context, at time.Time, field credential.Field, network netip.Prefix, res *attempt.Result) *Account {
	c := check{e: e, network: network, res: res, mac: e.mac(field.Token)}
	now := at.Sub(e.base)
	if seen := e.right.get(&c.mac, now); seen != nil {
		account, done := c.recognised(ctx, at, seen)
		if done {
			return account
		}
	}
	c.own = e.from(&c.mac, network)
	if !c.owing {
		if seen := e.wrong.get(&c.own, now); seen != nil && c.repeated(ctx, at, field, seen) {
			return nil
		}
	}
	return c.judge(ctx, at, field)
}

// current returns the account that name has now. Without Accounts it returns verified, the
// account that the Verifier returned.
func (e *Engine) current(ctx context.Context, name string, verified *Account) (*Account, error) {
	if e.cfg.Accounts == nil {
		return verified, nil
	}
	return e.cfg.Accounts.Lookup(ctx, name)
}

// recall is current for a credential that was right before.
func (e *Engine) recall(ctx context.Context, name string, verified *Account) (*Account, error) {
	if e.recaller != nil {
		return e.recaller.Recall(ctx, name)
	}
	return e.current(ctx, name, verified)
}

// canonical returns the identity of a name.
func (e *Engine) canonical(name string) string {
	if e.cfg.Accounts == nil {
		return name
	}
	return e.cfg.Accounts.Canonical(name)
}

// decoyKey returns the key of a name for [Accounts].Decoy.
func (e *Engine) decoyKey(canonical string) uint64 {
	h := sha256.New()
	h.Write(e.cfg.DecoyKey)
	io.WriteString(h, canonical)
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// ErrNeedsPassword is the error of [Engine.Recheck] with a [Verifier], which cannot check a
// credential without its password.
var ErrNeedsPassword = errors.New("verify: a Verifier needs the password: have the client send its credentials again")

// Recheck returns the current state of an account that was verified before as was. previous is
// true if that was with its previous password. It returns nil if the account is now removed,
// disabled, expired or has another password. An error means that the store cannot answer now;
// with a Verifier it is always [ErrNeedsPassword]. Recheck is for exchanges that outlast a
// request. It is not an attempt, so it is not charged and not recorded.
func (e *Engine) Recheck(ctx context.Context, at time.Time, was *Account, previous bool) (*Account, error) {
	if e.cfg.Accounts == nil {
		return nil, ErrNeedsPassword
	}
	now, err := e.recall(ctx, was.Name, nil)
	if err != nil || now == nil || !now.isSameCredential(was) || now.refusalReasonFor(previous, at) != "" {
		return nil, err
	}
	return now, nil
}
