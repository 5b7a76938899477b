// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisfeed

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// enough is the number of failures in a row after which Redis counts as down. A single one may be
// a fork of the server or a lost packet.
const enough = 3

// health records whether Redis answers.
type health struct {
	down     atomic.Bool
	failures int       // in a row
	probed   time.Time // of the last command
	foreign  time.Time // of the last notice about foreign values
}

// isWaiting reports whether it is too early to try a Redis that is down.
func (h *health) isWaiting(every time.Duration) bool {
	now := time.Now()
	if h.down.Load() && now.Sub(h.probed) < every {
		return true
	}
	h.probed = now
	return false
}

// failed counts a failure and reports whether Redis is down.
func (f *Feed) failed(err error) bool {
	if f.health.failures++; f.health.failures < enough {
		return false
	}
	if !f.health.down.Swap(true) {
		f.notice("each process detects attacks in its own attempts only until Redis answers; check Redis and the network", err)
	}
	return true
}

func (f *Feed) recovered() {
	f.health.failures = 0
	if f.health.down.Swap(false) {
		f.notice("attempts are shared with the other processes again", nil)
	}
}

var errForeign = errors.New("redisfeed: Redis has values of another writer; use the prefix for one key only")

// reject counts a foreign value and sends a notice at most once an hour.
func (f *Feed) reject(message string) {
	f.rejected.Add(1)
	now := f.cfg.Now()
	if t := f.health.foreign; !t.IsZero() && now.Sub(t) < time.Hour {
		return
	}
	f.health.foreign = now
	f.notice(message+"; it is ignored: use the same key in all processes, and this prefix for them only", errForeign)
}

func (f *Feed) notice(message string, err error) {
	f.cfg.Notice(context.Background(), attempt.Notice{
		Kind: attempt.DetectionFeed, Time: f.cfg.Now(), Source: "redis", Message: message, Err: err,
	})
}
