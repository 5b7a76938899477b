// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// pace decides when the next request is sent: the rate, the bound of requests, and what the target
// asks for when it throttles.
type pace struct {
	config Config

	mu       sync.Mutex
	next     time.Time // the earliest time of the next request
	paused   time.Time // no request before this time
	waiting  time.Time // until when the latest request waits for the target
	requests int
	// guesses counts the wrong credentials since the target throttled last; learned is the number
	// after which it did.
	guesses, learned int
	// recent has the times of the latest GuessLimit-1 guesses: when each was answered, or else when
	// it was planned. oldest is the index of the one that the next guess replaces.
	recent    []time.Time
	oldest    int
	throttles int
	longest   time.Duration
	// blocked: the target asks to wait longer than MaxWait before the next guess.
	blocked bool
	// waits is called before a wait of a second or more for the target.
	waits func()
}

func newPace(c Config) *pace { return &pace{config: c} }

func (p *pace) sent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// spend uses up the limit of the target, as an earlier run may have done until now.
func (p *pace) spend(now time.Time) {
	for len(p.recent) < p.config.GuessLimit-1 {
		p.recent = append(p.recent, now)
	}
}

// wait returns when the next request may be sent. A guess is a request with wrong credentials. Call
// answered when it has its answer.
func (p *pace) wait(ctx context.Context, guess bool) (answered func(time.Time), err error) {
	answered = func(time.Time) {}
	p.mu.Lock()
	if p.requests >= p.config.MaxRequests {
		p.mu.Unlock()
		return answered, errBound
	}
	p.requests++
	now := p.config.Now()
	at := now
	if p.config.Rate > 0 {
		if p.next.After(at) {
			at = p.next
		}
		p.next = at.Add(time.Duration(float64(time.Second) / p.config.Rate))
	}
	if guess {
		// Stay one guess below the limit that the target has shown.
		if p.learned > 1 && p.guesses >= p.learned-1 {
			p.paused, p.guesses = later(p.paused, now.Add(p.longest)), 0
		}
		p.guesses++
	}
	at = later(at, p.paused)
	var limited time.Time
	if guess && p.config.GuessLimit > 0 {
		before := at
		if at, answered = p.reserve(at); at.After(before) {
			limited = at
		}
	}
	p.waiting = later(p.paused, limited)
	p.mu.Unlock()
	err = ctx.Err()
	if d := at.Sub(now); d > 0 && err == nil {
		if p.waits != nil && p.waitingUntil().Sub(now) >= time.Second {
			p.waits()
		}
		err = p.config.Sleep(ctx, d)
	}
	if err != nil {
		p.mu.Lock()
		p.requests-- // it is not sent
		p.mu.Unlock()
	}
	return answered, err
}

// reserve returns when a guess may be sent so that the target sees no more than GuessLimit-1 of
// them within GuessPeriod. The caller holds the lock.
func (p *pace) reserve(at time.Time) (time.Time, func(answered time.Time)) {
	i := p.oldest
	if i == len(p.recent) {
		p.recent = append(p.recent, at)
	} else {
		at = later(at, p.recent[i].Add(p.config.GuessPeriod))
		p.recent[i] = at
	}
	p.oldest = (i + 1) % (p.config.GuessLimit - 1)
	return at, func(answered time.Time) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.recent[i] = later(p.recent[i], answered)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// defaultRetry is the wait for a target that throttles without Retry-After.
const defaultRetry = 10 * time.Second

// throttled notes an answer 429, or 503 with Retry-After. It reports whether the request may be
// repeated after the wait.
func (p *pace) throttled(res *response, guess bool) bool {
	d := defaultRetry
	if text := res.header.Get("Retry-After"); text != "" {
		if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
			d = time.Duration(min(seconds, 1<<30)) * time.Second
		} else if at, err := parseHTTPTime(text); err == nil {
			d = max(0, at.Sub(p.config.Now()))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.throttles++
	p.longest = max(p.longest, d)
	if guess {
		if p.guesses > 1 && (p.learned == 0 || p.guesses < p.learned) {
			p.learned = p.guesses
		}
		p.guesses = 0
	}
	if d > p.config.MaxWait {
		p.blocked = true
		return false
	}
	p.paused = later(p.paused, p.config.Now().Add(d))
	return true
}

func (p *pace) isBlocked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.blocked
}

func (p *pace) waitingUntil() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}

// describe says how the target throttled, or returns "".
func (p *pace) describe() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.throttles == 0 {
		return ""
	}
	text := fmt.Sprintf("the target limits attempts: it throttled %d times and asked to wait at most %s", p.throttles, p.longest)
	if p.learned > 0 {
		text += fmt.Sprintf(", the first time after %d wrong guesses", p.learned)
	}
	return text
}
