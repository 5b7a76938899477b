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

// enough failures in a row to take Redis as lost. One alone may be a fork of the server, or a lost packet.
const enough = 3

// health is whether Redis is asked at all.
type health struct {
	down     atomic.Bool
	failures int       // in a row
	probed   time.Time // when Redis was asked last
	foreign  time.Time // when foreign values were told last
}

// waits reports whether it is too early to ask a Redis that is lost.
func (h *health) waits(every time.Duration) bool {
	now := time.Now()
	if h.down.Load() && now.Sub(h.probed) < every {
		return true
	}
	h.probed = now
	return false
}

// failed counts a failure and reports whether Redis is lost.
func (f *Feed) failed(err error) bool {
	if f.health.failures++; f.health.failures < enough {
		return false
	}
	if !f.health.down.Swap(true) {
		f.notice("attempts are added up by each process alone until Redis answers again; look at Redis and the way to it", err)
	}
	return true
}

func (f *Feed) recovered() {
	f.health.failures = 0
	if f.health.down.Swap(false) {
		f.notice("attempts are added up with those of the other processes again", nil)
	}
}

var errForeign = errors.New("redisfeed: Redis holds what is not ours")

// reject counts what is not ours, and tells of it once an hour.
func (f *Feed) reject(message string) {
	f.rejected.Add(1)
	now := f.cfg.Now()
	if t := f.health.foreign; !t.IsZero() && now.Sub(t) < time.Hour {
		return
	}
	f.health.foreign = now
	f.notice(message+"; it is passed over: give all processes one key, and nobody else this prefix", errForeign)
}

func (f *Feed) notice(message string, err error) {
	f.cfg.Notice(context.Background(), attempt.Notice{
		Kind: attempt.DetectionFeed, Time: f.cfg.Now(), Source: "redis", Message: message, Err: err,
	})
}
