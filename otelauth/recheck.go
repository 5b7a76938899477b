// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"context"
	"errors"
)

// Recheck reports whether the credentials of the request of ctx are still right. It is for long
// exchanges: a stream, a WebSocket. ctx is the context of a request that a [Middleware] passed on.
//
// user is the account as it is now. ok is false when the account was removed or disabled, has
// expired or has another password, and outside of a Middleware. An error means that the store
// cannot answer now; with Config.Verifier it is always verify.ErrNeedsPassword. A Recheck is not an
// attempt: it is not charged and not recorded.
func (m *Middleware) Recheck(ctx context.Context) (user User, ok bool, err error) {
	was, found := ctx.Value(userKey{}).(*userContext)
	c := m.current.Load()
	if !found || was.account == nil || c == nil {
		return User{}, false, nil
	}
	defer func() {
		if recover() != nil {
			// The value is not recorded: it may hold the credentials.
			user, ok, err = User{}, false, errors.New("otelauth: the account store panicked; read its log and fix the store")
		}
	}()
	now, err := c.engine.Recheck(ctx, c.clock.now(), was.account, was.isPrevious)
	return userOf(now), now != nil, err
}
