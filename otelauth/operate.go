// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"context"
	"errors"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// This file is what package operator needs of a Middleware.

// Identity is what the accounts of a [Middleware] make of a name.
type Identity struct {
	// Canonical is the account in a throttle.Subject.
	Canonical string
	// Hash is user.hash of the name, whether or not it is an account.
	Hash string
	// Name is the account's name as the store spells it; "" if it is not an account.
	Name string
}

// Identify returns the identity of a name. The error is verify.ErrNeedsPassword with
// Config.Verifier, which cannot say whether an account exists; otherwise it means that the store
// does not answer. Canonical and Hash are set in any case.
func (m *Middleware) Identify(ctx context.Context, name string) (id Identity, err error) {
	c := m.current.Load()
	if c == nil {
		return Identity{}, errors.New("otelauth: the Middleware is not configured; create it with New")
	}
	id.Canonical = name
	if c.cfg.Accounts == nil {
		id.Hash = c.identify(name)
		return id, verify.ErrNeedsPassword
	}
	id.Canonical = c.cfg.Accounts.Canonical(name)
	id.Hash = c.identify(id.Canonical)
	account, err := c.cfg.Accounts.Lookup(ctx, name)
	if account != nil {
		id.Name = account.Name
	}
	return id, err
}

// Forget removes the remembered credentials of an account, so that the next request of each of its
// clients is hashed again. canonical is [Identity.Canonical]. Forget returns the number of
// credentials. It ends no request in progress.
func (m *Middleware) Forget(canonical string) int {
	c := m.current.Load()
	if c == nil {
		return 0
	}
	return c.engine.Forget(canonical)
}

// Coverage returns which routes are in doubt, for the operator. The event auth.coverage reports
// the same once for each route.
func (m *Middleware) Coverage() Coverage {
	c := m.current.Load()
	if c == nil {
		return Coverage{}
	}
	return c.coverage.state(c.cfg.Now())
}

// Notice passes a notice to the observers that record notices.
func (m *Middleware) Notice(n attempt.Notice) {
	if c := m.current.Load(); c != nil {
		c.notice(n)
	}
}
