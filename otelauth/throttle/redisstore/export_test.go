// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// WithWall gives the server another clock.
func (cfg Config) WithWall(wall func() time.Time) Config {
	cfg.wall = wall
	return cfg
}

// Flush sends what is pending and reports whether all was sent.
func (s *Store) Flush() bool { return s.flush() }

// KeyOf is the name of a budget in Redis.
func (s *Store) KeyOf(b throttle.Budget, k throttle.Key) string { return s.key(b, &k) }

// ClockKey is the name of the clock in Redis.
func (s *Store) ClockKey() string { return s.clockKey }

// Local is the fallback.
func (s *Store) Local() throttle.Store { return s.local }

// Warm waits for the first connection.
func (s *Store) Warm() { <-s.warm }
