// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"net/netip"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// check is one call of [Engine.Verify].
type check struct {
	e        *Engine
	network  netip.Prefix
	res      *attempt.Result
	mac, own mac // of the credential; of the credential from this network

	guess throttle.Guess
	grant throttle.Decision // of guess
	owing bool              // guess was granted and is not settled
}

// recognised answers a credential that is known to be right. It costs nothing if the network has
// sent it before and the reserve of the pair is not empty. Otherwise it is charged like a guess,
// but not hashed. If the budget is empty, it is refused like a guess. Without that, a
// rate-limited attacker could find the right password in the cache at the speed of memory.
//
// done is false if the credential must be hashed. Either its account has changed, or the guess is
// paid from the reserve by a pair that is not known, and must take the time of a wrong guess.
func (c *check) recognised(ctx context.Context, at time.Time, seen *entry) (a *Account, done bool) {
	c.guess = c.newGuess(seen.canonical)
	if !seen.wasVerifiedFrom(c.network) || c.e.cfg.Throttle.Exhausted(c.guess) {
		c.res.Cache = attempt.Hit
		c.identify(seen)
		if !c.spend(ctx) {
			return nil, true
		}
		if c.grant.Reserve && !c.grant.Known {
			return nil, false
		}
		defer c.settleUnjudged(ctx)
	}
	account, err := c.e.recall(ctx, seen.name, seen.account)
	if err != nil {
		c.identify(seen)
		c.res.Cache = attempt.NotLooked
		return c.unavailable(err), true
	}
	if account == nil || !seen.account.isSameCredential(account) || account.refusalReasonFor(seen.previous, at) != "" {
		c.e.right.remove(seen)
		return nil, false
	}
	c.res.Cache = attempt.Hit
	c.identify(seen)
	if c.owing {
		c.settle(ctx, throttle.Right)
		seen.learn(c.network)
		c.own = c.e.from(&c.mac, c.network)
		c.e.cfg.Gate.returning.learn(&c.own, at)
	}
	return c.success(seen, account), true
}

// repeated answers a credential that is known to be wrong from this network. It is refused like
// any guess, but neither hashed nor charged again. It returns false if the credential must be
// hashed: the account has changed, or the guess is paid from the reserve, where every guess takes
// the time of a hash.
func (c *check) repeated(ctx context.Context, at time.Time, field credential.Field, seen *entry) bool {
	basic, _ := field.Decode() // without error, as at the first time
	clear(basic.Password.Expose())
	c.guess = c.newGuess(c.e.canonical(basic.Name))
	c.guess.Repeat = true
	c.res.Cache = attempt.Hit
	c.res.PasswordFingerprint = seen.fingerprint
	c.identify(seen)
	if !c.spend(ctx) {
		return true
	}
	c.guess.Repeat = false
	if c.grant.Reserve {
		return false
	}
	c.owing = false
	account := seen.account
	if now := at.Sub(c.e.base); c.e.recaller == nil || now-time.Duration(seen.asked.Load()) >= c.e.recaller.Staleness() {
		var err error
		if account, err = c.e.current(ctx, basic.Name, seen.account); err != nil {
			c.res.Cache = attempt.NotLooked
			c.unavailable(err)
			return true
		}
		seen.asked.Store(int64(now))
	}
	changed := !seen.account.isSameCredential(account) ||
		account != nil && account.refusalReasonFor(seen.previous, at) != seen.account.refusalReasonFor(seen.previous, at)
	if changed {
		c.e.wrong.remove(seen)
		return false
	}
	c.failure(seen, seen.reason)
	return true
}

// judge decodes the credential, pays for the guess unless that is done, looks up the account and
// hashes. In this order, a refused guess causes no query.
func (c *check) judge(ctx context.Context, at time.Time, field credential.Field) *Account {
	e, res := c.e, c.res
	defer c.settleUnjudged(ctx)
	basic, defect := field.Decode()
	if defect != credential.NoDefect {
		res.Outcome, res.ErrorType, res.Reason = attempt.Malformed, attempt.MalformedCredentials, defect.Reason()
		return nil
	}
	defer clear(basic.Password.Expose())
	seen := &entry{mac: c.mac, name: basic.Name, canonical: e.canonical(basic.Name)}
	seen.userHash = e.cfg.Identify(seen.canonical)
	seen.fingerprint = e.fingerprint(basic.Password.Expose())
	res.PasswordFingerprint, res.Cache = seen.fingerprint, attempt.Miss
	res.UserName, res.UserHash = "", seen.userHash
	returning := e.cfg.Gate.returning.contains(&c.own, at)
	if !c.owing {
		c.guess = c.newGuess(seen.canonical)
		c.guess.Returning = returning
		if !c.spend(ctx) {
			c.identifyRefused(seen.name)
			return nil
		}
	}
	if e.cfg.Accounts != nil {
		account, err := e.cfg.Accounts.Lookup(ctx, seen.name)
		if err != nil {
			res.Cache = attempt.NotLooked
			return c.unavailable(err)
		}
		seen.account = account
		seen.asked.Store(int64(at.Sub(e.base)))
	}
	c.identify(seen)
	j, shared := c.hash(ctx, returning, func() *job { return e.job(ctx, seen, c.own, basic.Password, c.grant.Reserve) })
	if j == nil {
		return nil
	}
	return c.verdict(ctx, at, seen, j, shared)
}

// hash waits for a job and returns it. If the job did not run, it returns nil and has written the
// result.
func (c *check) hash(ctx context.Context, returning bool, create func() *job) (j *job, shared bool) {
	res := c.res
	a := c.e.cfg.Gate.enter(c.own, c.network, returning, create)
	if a.shared {
		res.Cache = attempt.Coalesced
	}
	gone := false
	if a.refusal == nil {
		a.refusal, gone = c.await(ctx, a.job, a.ticket)
	}
	switch {
	case gone:
		c.settle(ctx, throttle.Wrong)
		res.Outcome, res.ErrorType = attempt.Error, contextErrorType(ctx)
		return nil, a.shared
	case a.refusal != nil:
		res.Outcome, res.ErrorType, res.Reason = attempt.Error, attempt.Overloaded, a.refusal.reason
		res.RetryAfter = a.refusal.retryAfter
		return nil, a.shared
	}
	return a.job, a.shared
}

// await waits for the job. A refusal means that the job did not run; gone means that the caller
// has left.
func (c *check) await(ctx context.Context, j *job, t *ticket) (r *refusal, gone bool) {
	if t != nil {
		limit := time.NewTimer(c.e.cfg.Gate.maxWait())
		defer limit.Stop()
		select {
		case <-j.done:
		case <-ctx.Done():
			if c.e.cfg.Gate.leave(j, t) {
				return &refusal{}, true
			}
		case <-limit.C:
			if c.e.cfg.Gate.leave(j, t) {
				return &refusal{reason: attempt.ReasonQueueTimeout, retryAfter: c.e.cfg.Gate.maxWait()}, false
			}
		}
	}
	<-j.done
	return j.refusal, false
}

// verdict writes the result of a job and settles the guess.
func (c *check) verdict(ctx context.Context, at time.Time, seen *entry, j *job, shared bool) *Account {
	judged, res := &j.judgement, c.res
	switch {
	case judged.wasVerified:
		res.Cache = attempt.Coalesced
	case !shared:
		res.Hash = judged.hash
	}
	if judged.err != nil {
		return c.unavailable(judged.err)
	}
	var account *Account
	right := judged.reason == "" && (!c.grant.Reserve || c.grant.Known)
	if right {
		// The account may have changed while the hash ran.
		var err error
		if account, err = c.e.recall(ctx, seen.name, judged.entry.account); err != nil {
			return c.unavailable(err)
		}
		right = account != nil && judged.entry.account.isSameCredential(account) && account.refusalReasonFor(judged.entry.previous, at) == ""
	}
	if !right {
		c.settle(ctx, throttle.Wrong)
		if c.grant.Reserve {
			c.throttled(c.grant.RetryAfter)
			return nil
		}
		reason := judged.reason
		if reason == "" {
			reason = attempt.ReasonWrongPassword
		}
		c.failure(judged.entry, reason)
		if ctx.Err() != nil {
			res.ErrorType = contextErrorType(ctx)
		}
		return nil
	}
	c.settle(ctx, throttle.Right)
	judged.entry.learn(c.network)
	c.e.cfg.Gate.returning.learn(&c.own, at)
	c.identify(judged.entry)
	return c.success(judged.entry, account)
}
