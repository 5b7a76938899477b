// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// identifyRefused records the account of a refused guess, if the store has it in memory.
func (c *check) identifyRefused(name string) {
	if p, ok := c.e.cfg.Accounts.(Peeker); ok {
		if account := p.Peek(name); account != nil {
			c.res.UserName = account.Name
		}
	}
}

// identify records the account of the credential. A name that is not an account is never
// recorded, because people type passwords into the name field.
func (c *check) identify(seen *entry) {
	c.res.UserHash = seen.userHash
	if seen.account != nil {
		c.res.UserName = seen.account.Name
	}
}

// success writes the result of a right credential.
func (c *check) success(seen *entry, account *Account) *Account {
	c.res.Outcome, c.res.ErrorType, c.res.Reason = attempt.Success, attempt.NoError, ""
	c.res.PasswordFingerprint = 0 // of wrong passwords only
	c.res.RehashNeeded = account.Password != nil && account.Password.RehashNeeded()
	c.res.PreviousCredential = seen.previous
	c.res.VerifiedAt = c.e.base.Add(seen.until - c.e.cfg.TTL)
	return account
}

// failure writes the result of a wrong credential.
func (c *check) failure(seen *entry, reason attempt.Reason) {
	c.res.Outcome, c.res.ErrorType, c.res.Reason = attempt.Failure, attempt.InvalidCredentials, reason
	c.res.PreviousCredential = seen.previous
}

// throttled writes the result of a guess for which the budget is empty.
func (c *check) throttled(retryAfter time.Duration) {
	c.res.Outcome, c.res.ErrorType = attempt.Throttled, attempt.RateLimited
	c.res.Reason, c.res.RetryAfter = attempt.ReasonBudgetEmpty, retryAfter
}

// overloaded writes the result of a guess that waited too long for its budget.
func (c *check) overloaded(reason attempt.Reason) {
	c.res.Outcome, c.res.ErrorType, c.res.Reason = attempt.Error, attempt.Overloaded, reason
	c.res.RetryAfter = c.e.cfg.Gate.maxWait()
}

// unavailable writes the result of a store or Verifier that cannot answer.
func (c *check) unavailable(err error) *Account {
	c.res.Outcome, c.res.ErrorType = attempt.Error, attempt.AccountsUnavailable
	c.res.Reason, c.res.Err = attempt.ReasonVerifierFailed, err
	return nil
}

// contextErrorType distinguishes a deadline from a client that has disconnected.
func contextErrorType(ctx context.Context) attempt.ErrorType {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return attempt.Timeout
	}
	return attempt.Canceled
}
