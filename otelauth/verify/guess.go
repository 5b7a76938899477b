// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// newGuess returns the guess of this check.
func (c *check) newGuess(canonical string) throttle.Guess {
	g := throttle.Guess{Account: canonical, Network: c.network}
	copy(g.Fingerprint[:], c.mac[:])
	return g
}

// spend pays for the guess. It waits while unsettled guesses hold the budget. If it returns
// false, it has written the result.
func (c *check) spend(ctx context.Context) bool {
	var limit *time.Timer
	for {
		d, err := c.e.cfg.Throttle.Spend(ctx, c.guess)
		if err != nil {
			c.unavailable(err)
			return false
		}
		switch d.Verdict {
		case throttle.Granted:
			c.grant, c.owing = d, true
			return true
		case throttle.Held:
			if limit == nil {
				if !c.e.cfg.Gate.tryHold() {
					c.overloaded(attempt.ReasonQueueFull)
					return false
				}
				defer c.e.cfg.Gate.release()
				limit = time.NewTimer(c.e.cfg.Gate.maxWait())
				defer limit.Stop()
			}
			select {
			case <-d.Changed:
			case <-ctx.Done():
				c.res.Outcome, c.res.ErrorType = attempt.Error, contextErrorType(ctx)
				return false
			case <-limit.C:
				c.overloaded(attempt.ReasonQueueTimeout)
				return false
			}
		default:
			c.throttled(d.RetryAfter)
			return false
		}
	}
}

// settle reports the result of the guess to the budgets, even if ctx has ended.
func (c *check) settle(ctx context.Context, s throttle.Settlement) {
	c.owing = false
	c.e.cfg.Throttle.Settle(context.WithoutCancel(ctx), c.guess, s)
}

// settleUnjudged refunds a guess that was not verified, also after a panic of the store.
func (c *check) settleUnjudged(ctx context.Context) {
	if c.owing {
		c.settle(ctx, throttle.Unjudged)
	}
}
