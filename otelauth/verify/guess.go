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

// spend pays for the guess, waiting while unsettled guesses hold its budget. It reports false,
// with the verdict written, when there is nothing to be had.
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
				if !c.e.cfg.Gate.hold() {
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
				c.res.Outcome, c.res.ErrorType = attempt.Error, departure(ctx)
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

func (c *check) settle(ctx context.Context, s throttle.Settlement) {
	c.owing = false
	c.e.cfg.Throttle.Settle(context.WithoutCancel(ctx), c.guess, s)
}

// settleUnjudged gives back the price of a guess that was not judged, also when a store has
// panicked.
func (c *check) settleUnjudged(ctx context.Context) {
	if c.owing {
		c.settle(ctx, throttle.Unjudged)
	}
}
