// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"context"
	"slices"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// User is who the credentials belong to. The zero User is nobody.
type User struct {
	// Name is the account's name as the store spells it.
	Name string
	// Groups are the account's groups. They belong to the store: do not change them.
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

// userContext is a context.WithValue that lives inside of an exchange.
type userContext struct {
	context.Context
	user    User
	account *verify.Account // what user was made from
	former  bool            // by its former password
}

func (c *userContext) Value(key any) any {
	if key == (userKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// UserFromContext returns who is calling, and false where nobody was authenticated: outside of a
// [Middleware], and at a public endpoint without right credentials.
func UserFromContext(ctx context.Context) (User, bool) {
	if c, ok := ctx.Value(userKey{}).(*userContext); ok && c.user.Name != "" {
		return c.user, true
	}
	return User{}, false
}
