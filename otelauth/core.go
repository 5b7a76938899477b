// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// core serves requests under one configuration. It is immutable once it serves.
type core struct {
	shared *shared
	cfg    Config
	clock  clock
	settings
	engine   *verify.Engine
	identify func(canonical string) string // returns user.hash
	arrivals throttle.Arrivals             // nil: requests without credentials are free
	observer attempt.Observer              // nil: nothing is recorded
	ready    attempt.ReadyObserver         // nil: credentials are always verified
	coverage *coverage
	stops    []func()
}

// shared is what all cores of one Middleware share.
type shared struct {
	alarms             sync.Pool // *alarm
	untrustedForwarded sync.Once // one notice for each Middleware
	fallback           sync.Once // the line that events go to slog.Default
	unrecorded         sync.Once // the notices about spans and metrics
}

// watch registers the callbacks for table sizes and account reloads.
func (c *core) watch() error {
	if w, ok := c.observer.(attempt.StateObserver); ok {
		stop, err := w.Watch(c.state)
		if err != nil {
			return err
		}
		c.stops = append(c.stops, stop)
	}
	if r, ok := c.cfg.Accounts.(verify.Reloader); ok {
		c.stops = append(c.stops, r.OnReload(func(reload verify.Reload) {
			n := attempt.Notice{
				Kind: attempt.AccountReload, Time: reload.Time, Err: reload.Err,
				Source: reload.Source, Accounts: reload.Accounts,
				Message: "accounts reloaded",
			}
			if reload.Err != nil {
				// The error of a store reports which accounts are still served.
				n.Message = "accounts: " + reload.Err.Error()
			}
			c.notice(n)
		}))
	}
	return nil
}

func (c *core) close() {
	for _, stop := range c.stops {
		stop()
	}
	c.stops = nil
	if f, ok := c.observer.(attempt.Flusher); ok {
		f.Flush()
	}
}

func (c *core) notice(n attempt.Notice) {
	if o, ok := c.observer.(attempt.NoticeObserver); ok {
		o.Notice(context.Background(), n)
	}
}

// noticeUntrustedForwarded reports, once for each Middleware, a proxy that is not configured.
func (c *core) noticeUntrustedForwarded(peer netip.Addr, at time.Time) {
	c.shared.untrustedForwarded.Do(func() {
		c.notice(attempt.Notice{
			Kind: attempt.UntrustedForwarded, Time: at,
			Message: "the peer " + peer.String() + " is not a trusted proxy but sends forwarding headers; they are ignored. " +
				"If it is your proxy, add it to the trusted proxies: until then all its clients share one address",
		})
	})
}

// state returns the sizes of the bounded tables, for gauges.
func (c *core) state() attempt.State {
	running, queued := c.cfg.Gate.Load()
	limits := c.cfg.Gate.Limits()
	s := attempt.State{
		CacheEntries:    int64(c.engine.Entries()),
		ThrottleEntries: int64(c.cfg.Throttle.Len()),
		HashesActive:    int64(running),
		HashesQueued:    int64(queued),
		HashSlots:       int64(limits.Slots),
		HashQueue:       int64(limits.Queued),
	}
	if c.cfg.Accounts != nil {
		s.Accounts = int64(c.cfg.Accounts.Len())
	}
	return s
}
