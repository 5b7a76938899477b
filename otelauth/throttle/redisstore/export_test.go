// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"errors"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// WithWall gives the server another clock.
func (cfg Config) WithWall(wall func() time.Time) Config {
	cfg.wall = wall
	return cfg
}

// Flush sends pending items and reports whether all were executed.
func (s *Store) Flush() bool { return s.flush() }

// KeyOf returns the name of a budget in Redis.
func (s *Store) KeyOf(b budget.Kind, k budget.Key) string { return s.key(b, &k) }

// ClockKey returns the name of the clock in Redis.
func (s *Store) ClockKey() string { return s.clockKey }

// Local returns the fallback.
func (s *Store) Local() budget.Store { return s.local }

// Warm waits for the first connection.
func (s *Store) Warm() { <-s.warm }

// Constants of silence.
const (
	SilenceSteps = silenceSteps
	Patience     = patience
)

// CountSilence returns the number of steps after which a guess stops waiting, and whether Redis is
// lost then. replies returns the number of replies at each step.
func CountSilence(replies func(step int) uint64) (steps int, lost bool) {
	quiet := silence{answered: replies(0)}
	for steps = 1; ; steps++ {
		if err := quiet.step(replies(steps)); err != nil {
			return steps, errors.Is(err, errSilent)
		}
	}
}

const (
	DefaultPrefix     = defaultPrefix
	DefaultTimeout    = defaultTimeout
	DefaultProbeEvery = defaultProbeEvery
	MinTimeout        = minTimeout
	MaxTimeout        = maxTimeout
)
