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

// Engine judges credentials. It is safe for concurrent use. Its memory of judged credentials lives and
// dies with it.
type Engine struct {
	cfg Config
	key [2]uint64 // of mac
	// passwords keys attempt.Result.PasswordFingerprint; a key of its own, because the other is that of whole credentials.
	passwords [16]byte
	base      time.Time

	right, wrong *table
	recaller     Recaller // nil: Accounts is none
}

// Entries returns how many judged credentials are remembered.
func (e *Engine) Entries() int { return e.right.len() + e.wrong.len() }

// Verify judges the credential of field, sent from network at the time at, and writes the verdict
// to res: Outcome, ErrorType, Reason, Cache, UserName, UserHash, PasswordFingerprint, Hash,
// RehashNeeded, PreviousCredential, RetryAfter, Err. It returns the account, nil unless the Outcome is Success.
//
// It blocks while a hash runs or waits for its turn, at most Limits.MaxWait and one hash, and gives
// up its place when ctx ends before its turn. For a credential that is recognised, from a network that it has come from
// before, it neither blocks nor allocates.
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

// current returns the account that name has now; what a Verifier said holds as long as it is remembered.
func (e *Engine) current(ctx context.Context, name string, said *Account) (*Account, error) {
	if e.cfg.Accounts == nil {
		return said, nil
	}
	return e.cfg.Accounts.Lookup(ctx, name)
}

// recall is current for a credential that was right.
func (e *Engine) recall(ctx context.Context, name string, said *Account) (*Account, error) {
	if e.recaller != nil {
		return e.recaller.Recall(ctx, name)
	}
	return e.current(ctx, name, said)
}

func (e *Engine) canonical(name string) string {
	if e.cfg.Accounts == nil {
		return name
	}
	return e.cfg.Accounts.Canonical(name)
}

func (e *Engine) decoyKey(canonical string) uint64 {
	h := sha256.New()
	h.Write(e.cfg.DecoyKey)
	io.WriteString(h, canonical)
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// ErrNotAsked says that whether a credential is still right cannot be found out without the password.
var ErrNotAsked = errors.New("verify: a Verifier cannot be asked again without the password")

// Recheck returns what was verified as was, with the account's previous password where previous is set, as it is at the time at: nil when the
// account was removed or disabled, has expired, or has another password. An error says that this cannot be known now; with a Verifier it is
// always [ErrNotAsked]. It is for those who serve longer than a request takes, and says nothing to anybody.
func (e *Engine) Recheck(ctx context.Context, at time.Time, was *Account, previous bool) (*Account, error) {
	if e.cfg.Accounts == nil {
		return nil, ErrNotAsked
	}
	now, err := e.recall(ctx, was.Name, nil)
	if err != nil || now == nil || !now.same(was) || now.accepts(previous, at) != "" {
		return nil, err
	}
	return now, nil
}
