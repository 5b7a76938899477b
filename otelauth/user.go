// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// User is the owner of the verified credentials. The zero User is not a user.
type User struct {
	// Name is the account's name as the store spells it.
	Name string
	// Groups are the account's groups. The store owns the slice: do not change it.
	Groups []string
}

// In reports whether u belongs to group.
func (u User) In(group string) bool { return slices.Contains(u.Groups, group) }

func userOf(a *verify.Account) User {
	if a == nil {
		return User{}
	}
	return User{Name: a.Name, Groups: a.Groups}
}

type userKey struct{}

// userContext is a context.WithValue that is a field of an exchange.
type userContext struct {
	context.Context
	user       User
	account    *verify.Account // the source of user
	isPrevious bool            // verified by the account's previous password
	verifiedAt time.Time
	refusal    atomic.Pointer[refusal]
}

// refusal is why a rule refuses the user of a userContext.
type refusal struct {
	reason attempt.Reason
	rule   string
}

// RecordRefusal records that a rule of the caller's own refuses the authenticated user of ctx, and
// why. Call it before the response with the status 401 or 403 is written: the event of the
// attempt is then WARN and has auth.reason and auth.rule, and the metric auth.responses.denied
// counts it for the rule. rule is from the configuration, such as a pattern, never from the
// client. It has no effect outside of a [Middleware] and after the header was written.
func RecordRefusal(ctx context.Context, reason attempt.Reason, rule string) {
	if c, ok := ctx.Value(userKey{}).(*userContext); ok {
		c.refusal.Store(&refusal{reason, rule})
	}
}

func (c *userContext) Value(key any) any {
	if key == (userKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// UserFromContext returns the authenticated user. ok is false outside of a [Middleware] and at a
// public endpoint without right credentials.
func UserFromContext(ctx context.Context) (user User, ok bool) {
	if c, ok := ctx.Value(userKey{}).(*userContext); ok && c.user.Name != "" {
		return c.user, true
	}
	return User{}, false
}

// VerifiedAt returns when the password of the authenticated user was last hashed, or confirmed by
// a Verifier. A recognised credential was verified up to Config.CacheTTL before its request. ok is
// false without a user.
func VerifiedAt(ctx context.Context) (at time.Time, ok bool) {
	if c, ok := ctx.Value(userKey{}).(*userContext); ok && c.user.Name != "" {
		return c.verifiedAt, true
	}
	return time.Time{}, false
}
