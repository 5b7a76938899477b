// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"time"
)

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
