// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// peek notes whose credential a refused guess is, as far as the store knows without asking.
func (c *check) peek(name string) {
	if p, ok := c.e.cfg.Accounts.(Peeker); ok {
		if account := p.Peek(name); account != nil {
			c.res.UserName = account.Name
		}
	}
}

// claims notes whose credential this is. The name of no account is never told: people type
// passwords into the name field.
func (c *check) claims(seen *entry) {
	c.res.UserHash = seen.userHash
	if seen.account != nil {
		c.res.UserName = seen.account.Name
	}
}

func (c *check) success(seen *entry, account *Account) *Account {
	c.res.Outcome, c.res.ErrorType, c.res.Reason = attempt.Success, attempt.NoError, ""
	c.res.PasswordFingerprint = 0 // of wrong passwords only
	c.res.RehashNeeded = account.Password != nil && account.Password.RehashNeeded()
	c.res.PreviousCredential = seen.previous
	return account
}

func (c *check) failure(seen *entry, reason attempt.Reason) {
	c.res.Outcome, c.res.ErrorType, c.res.Reason = attempt.Failure, attempt.InvalidCredentials, reason
	c.res.PreviousCredential = seen.previous
}

func (c *check) throttled(retryAfter time.Duration) {
	c.res.Outcome, c.res.ErrorType = attempt.Throttled, attempt.RateLimited
	c.res.Reason, c.res.RetryAfter = attempt.ReasonBudgetEmpty, retryAfter
}

func (c *check) overloaded(reason attempt.Reason) {
	c.res.Outcome, c.res.ErrorType, c.res.Reason = attempt.Error, attempt.Overloaded, reason
	c.res.RetryAfter = c.e.cfg.Gate.maxWait()
}

func (c *check) unavailable(err error) *Account {
	c.res.Outcome, c.res.ErrorType = attempt.Error, attempt.AccountsUnavailable
	c.res.Reason, c.res.Err = attempt.ReasonVerifierFailed, err
	return nil
}

// departure tells a caller who went away from one whose deadline passed.
func departure(ctx context.Context) attempt.ErrorType {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return attempt.Timeout
	}
	return attempt.Canceled
}
