// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"context"
	"errors"
)

// Recheck says whether the credentials that the request of ctx came with are still right, for those whose exchange goes on for
// long: a stream, a WebSocket. The User is the account as it is now; ok is false when it was removed or disabled, has
// expired or has another password, and outside of a [Middleware]. An error says that this cannot be known now; it is always
// verify.ErrNotAsked with Config.Verifier. It is no attempt and nobody is told.
func (m *Middleware) Recheck(ctx context.Context) (user User, ok bool, err error) {
	was, found := ctx.Value(userKey{}).(*userContext)
	c := m.current.Load()
	if !found || was.account == nil || c == nil {
		return User{}, false, nil
	}
	defer func() {
		if recover() != nil {
			// A store that panics has not answered. The value is not told: it may hold what the store was given.
			user, ok, err = User{}, false, errors.New("otelauth: the store of accounts panicked")
		}
	}()
	now, err := c.engine.Recheck(ctx, c.clock.now(), was.account, was.former)
	return userOf(now), now != nil, err
}
