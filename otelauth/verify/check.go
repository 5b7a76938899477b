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

// check is one call of Verify.
type check struct {
	e        *Engine
	network  netip.Prefix
	res      *attempt.Result
	mac, own mac // of the credential; of the credential from this network

	guess throttle.Guess
	grant throttle.Decision // of guess
	owing bool              // guess was granted and is not settled
}

// recognised answers a credential known to be right. From a network that it has come from before,
// and with the pair's reserve not empty, that costs nothing. From anywhere else it is charged like
// any guess and only not hashed again; with the budget empty it is refused like any guess, or the
// cache would show a throttled attacker at the speed of memory which of his guesses is right. It
// reports false when the credential must be judged: its account has changed, or the guess is paid
// from the reserve and its pair is not known, so that it must take the time of a wrong one.
func (c *check) recognised(ctx context.Context, at time.Time, seen *entry) (a *Account, done bool) {
	c.guess = c.newGuess(seen.canonical)
	if !seen.knows(c.network) || c.e.cfg.Throttle.Exhausted(c.guess) {
		c.res.Cache = attempt.Hit
		c.claims(seen)
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
		c.claims(seen)
		c.res.Cache = attempt.NotLooked
		return c.unavailable(err), true
	}
	if account == nil || !seen.account.same(account) || account.accepts(seen.previous, at) != "" {
		c.e.right.remove(seen)
		return nil, false
	}
	c.res.Cache = attempt.Hit
	c.claims(seen)
	if c.owing {
		c.settle(ctx, throttle.Right)
		seen.learn(c.network)
		c.own = c.e.from(&c.mac, c.network)
		c.e.cfg.Gate.returning.learn(&c.own, at)
	}
	return c.success(seen, account), true
}

// repeated answers a credential known to be wrong from this network: refused like any guess, not
// hashed again, and so not charged again. It reports false when it must be judged: the account has
// changed since, or the guess is paid from the reserve, where every guess takes the time of a
// hash.
func (c *check) repeated(ctx context.Context, at time.Time, field credential.Field, seen *entry) bool {
	basic, _ := field.Decode() // it could be decoded when it was judged
	clear(basic.Password.Expose())
	c.guess = c.newGuess(c.e.canonical(basic.Name))
	c.guess.Repeat = true
	c.res.Cache = attempt.Hit
	c.res.PasswordFingerprint = seen.fingerprint
	c.claims(seen)
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
	if !seen.account.same(account) || account != nil && account.accepts(seen.previous, at) != seen.account.accepts(seen.previous, at) {
		c.e.wrong.remove(seen)
		return false
	}
	c.failure(seen, seen.reason)
	return true
}

// judge decodes, pays unless that is done, asks the store and hashes, in this order: a guess that
// is refused costs no query.
func (c *check) judge(ctx context.Context, at time.Time, field credential.Field) *Account {
	e, res := c.e, c.res
	defer c.settleUnjudged(ctx)
	basic, fault := field.Decode()
	if fault != credential.NoDefect {
		res.Outcome, res.ErrorType, res.Reason = attempt.Malformed, attempt.MalformedCredentials, fault.Reason()
		return nil
	}
	defer clear(basic.Password.Expose())
	seen := &entry{mac: c.mac, name: basic.Name, canonical: e.canonical(basic.Name)}
	seen.userHash = e.cfg.Identify(seen.canonical)
	seen.fingerprint = e.fingerprint(basic.Password.Expose())
	res.PasswordFingerprint, res.Cache = seen.fingerprint, attempt.Miss
	res.UserName, res.UserHash = "", seen.userHash
	returning := e.cfg.Gate.returning.has(&c.own, at)
	if !c.owing {
		c.guess = c.newGuess(seen.canonical)
		c.guess.Returning = returning
		if !c.spend(ctx) {
			c.peek(seen.name)
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
	c.claims(seen)
	j, shared := c.hash(ctx, returning, func() *job { return e.job(ctx, seen, c.own, basic.Password, c.grant.Reserve) })
	if j == nil {
		return nil
	}
	return c.verdict(ctx, at, seen, j, shared)
}

// hash has a job judged and returns it, or nil with the verdict written when it was not.
func (c *check) hash(ctx context.Context, returning bool, create func() *job) (j *job, shared bool) {
	res := c.res
	j, t, shared, refused := c.e.cfg.Gate.enter(c.own, c.network, returning, create)
	if shared {
		res.Cache = attempt.Coalesced
	}
	gone := false
	if refused == nil {
		refused, gone = c.await(ctx, j, t)
	}
	switch {
	case gone:
		c.settle(ctx, throttle.Wrong)
		res.Outcome, res.ErrorType = attempt.Error, departure(ctx)
		return nil, shared
	case refused != nil:
		res.Outcome, res.ErrorType, res.Reason = attempt.Error, attempt.Overloaded, refused.reason
		res.RetryAfter = refused.retryAfter
		return nil, shared
	}
	return j, shared
}

// await waits for the job. A refusal says that it was not judged; gone, that the caller left.
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

// verdict answers what a job has found out, and settles.
func (c *check) verdict(ctx context.Context, at time.Time, seen *entry, j *job, shared bool) *Account {
	judged, res := &j.judgement, c.res
	switch {
	case judged.recalled:
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
		// The account may have changed while the hash ran: what was right of the earlier one is wrong now.
		var err error
		if account, err = c.e.recall(ctx, seen.name, judged.entry.account); err != nil {
			return c.unavailable(err)
		}
		right = account != nil && judged.entry.account.same(account) && account.accepts(judged.entry.previous, at) == ""
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
			res.ErrorType = departure(ctx)
		}
		return nil
	}
	c.settle(ctx, throttle.Right)
	judged.entry.learn(c.network)
	c.e.cfg.Gate.returning.learn(&c.own, at)
	c.claims(judged.entry)
	return c.success(judged.entry, account)
}
