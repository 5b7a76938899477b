// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redishealth

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

const (
	// maxFailures is the number of failures in a row after which Redis counts as down. A single
	// failure may be a fork of the server or a lost packet.
	maxFailures = 3
	// foreignEvery is the least time between two notices about foreign values.
	foreignEvery = time.Hour
)

// Config is what a [Health] reports, and where.
type Config struct {
	Kind attempt.NoticeKind
	// Down and Up are the messages of the two changes. Down ends with what to do next.
	Down, Up string
	// Notice receives one notice for each change. It must not block.
	Notice func(context.Context, attempt.Notice)
	// Now returns the time of notices.
	Now func() time.Time
}

// Health records whether Redis answers, as one process sees it. At first it does. Create it with
// [New]. All methods are safe for concurrent use.
type Health struct {
	cfg      Config
	down     atomic.Bool
	failures atomic.Int32 // in a row

	mu      sync.Mutex // keeps the notices in the order of the changes
	foreign time.Time  // of the last notice about foreign values
}

// New returns a Health of a Redis that answers.
func New(cfg Config) *Health { return &Health{cfg: cfg} }

// IsDown reports whether Redis counts as down.
func (h *Health) IsDown() bool { return h.down.Load() }

// Failed counts a failure and reports whether Redis counts as down from now on. It does after
// three failures in a row, or at once if isCertain.
func (h *Health) Failed(err error, isCertain bool) (isChange bool) {
	if h.failures.Add(1) < maxFailures && !isCertain {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down.Swap(true) {
		return false
	}
	h.notice(h.cfg.Down, err)
	return true
}

// Answered ends a row of failures. A Redis that is down remains so until [Health.Recovered].
func (h *Health) Answered() { h.failures.Store(0) }

// Recovered records that Redis answers.
func (h *Health) Recovered() {
	h.Answered()
	if !h.down.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down.Swap(false) {
		h.notice(h.cfg.Up, nil)
	}
}

// Foreign reports a value that another program has written, at most once an hour.
func (h *Health) Foreign(message string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.cfg.Now()
	if !h.foreign.IsZero() && now.Sub(h.foreign) < foreignEvery {
		return
	}
	h.foreign = now
	h.notice(message, err)
}

func (h *Health) notice(message string, err error) {
	h.cfg.Notice(context.Background(), attempt.Notice{
		Kind: h.cfg.Kind, Time: h.cfg.Now(), Source: "redis", Message: message, Err: err,
	})
}
