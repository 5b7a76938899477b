// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle_test

import (
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budgettest"
)

// clock is a monotonic and a wall clock that move only on demand.
type clock struct {
	mu      sync.Mutex
	elapsed time.Duration
	wall    time.Time
}

func newClock() *clock { return &clock{wall: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elapsed
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.elapsed += d
	c.wall = c.wall.Add(d)
}

func (c *clock) JumpWall(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

func newMemory(t testing.TB, cfg throttle.MemoryConfig) *throttle.Memory {
	t.Helper()
	m, err := throttle.NewMemory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestMemory(t *testing.T) {
	t.Parallel()
	budgettest.Run(t, func(t *testing.T) budgettest.Harness {
		t.Helper()
		c := newClock()
		return budgettest.Harness{
			Store:    newMemory(t, throttle.MemoryConfig{Bytes: 1 << 20, Elapsed: c.Elapsed, Now: c.Now}),
			Advance:  c.Advance,
			JumpWall: c.JumpWall,
		}
	})
}
