// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway/internal/policy"
)

// streams holds every exchange in progress, in several lists so that requests do not wait for
// each other's lock. An exchange is its own list node. Their number is bounded by the number of
// connections and HTTP/2 streams.
type streams struct {
	lists [16]streamList
}

type streamList struct {
	mu    sync.Mutex
	first *exchange
	count int
	_     [40]byte // pads to a cache line
}

// watched is what watchStreams needs to judge an exchange again. Its zero value is not watched.
type watched struct {
	ctx     context.Context //nolint:containedctx // holds the account of the credentials
	method  string
	host    string
	url     *url.URL
	allowed time.Time // when it was last known to be allowed
	began   time.Time // by the clock of the operating system
}

func (s *streams) add(x *exchange) {
	l := &s.lists[rand.Uint32()%uint32(len(s.lists))] //nolint:gosec // G404: spreads locks, nothing else
	l.mu.Lock()
	defer l.mu.Unlock()
	x.list = l
	x.next = l.first
	if l.first != nil {
		l.first.previous = x
	}
	l.first = x
	l.count++
}

func (s *streams) remove(x *exchange) {
	l := x.list
	l.mu.Lock()
	defer l.mu.Unlock()
	if x.previous != nil {
		x.previous.next = x.next
	} else {
		l.first = x.next
	}
	if x.next != nil {
		x.next.previous = x.previous
	}
	l.count--
	x.removed = true
}

// watch makes watchStreams judge an exchange of an account repeatedly.
func (s *streams) watch(x *exchange, r *http.Request, now time.Time) {
	if _, ok := otelauth.UserFromContext(r.Context()); !ok || x.decision.Public {
		return
	}
	x.list.mu.Lock()
	x.watched = watched{ctx: r.Context(), method: r.Method, host: r.Host, url: r.URL, allowed: now, began: time.Now()}
	x.list.mu.Unlock()
}

// find returns the exchanges for which match is true.
func (s *streams) find(match func(*exchange) bool) (found []*exchange) {
	for i := range s.lists {
		l := &s.lists[i]
		l.mu.Lock()
		for x := l.first; x != nil; x = x.next {
			if match(x) {
				found = append(found, x)
			}
		}
		l.mu.Unlock()
	}
	return found
}

// watchStreams judges every stream sweepsPerAge times within Config.MaxStreamAge, until the
// Gateway is shut down.
func (g *Gateway) watchStreams() {
	defer close(g.watching)
	for {
		period := g.sweepPeriod()
		timer := time.NewTimer(period)
		select {
		case <-g.shutdown:
			timer.Stop()
			return
		case <-g.rewatch:
			timer.Stop()
			period = g.sweepPeriod()
		case <-timer.C:
		}
		g.sweep(period)
	}
}

// sweepsPerAge is how often a stream is judged within Config.MaxStreamAge. A revocation may come
// right after a sweep, and the stream needs time to end.
const sweepsPerAge = 3

func (g *Gateway) sweepPeriod() time.Duration {
	return max(g.latest.Load().cfg.MaxStreamAge/sweepsPerAge, time.Millisecond)
}

// sweep aborts the streams whose account lost its access. Exchanges that began within the period
// are left to the next sweep, so requests that are in progress during a Reconfigure are
// answered.
func (g *Gateway) sweep(period time.Duration) {
	st := g.latest.Load()
	now := st.cfg.Auth.Now()
	due := func(x *exchange) bool {
		return x.watched.ctx != nil && !x.cut.Load() && time.Since(x.watched.began) >= period
	}
	for _, x := range g.streams.find(due) {
		// Only this goroutine writes allowed.
		w := &x.watched
		user, ok, err := g.mw.Recheck(w.ctx)
		switch {
		case err != nil: // the store does not answer
			ok = now.Sub(w.allowed) <= st.cfg.MaxStreamAge-period
		case ok:
			var d policy.Decision
			st.policy.Decide(&http.Request{Method: w.method, Host: w.host, URL: w.url}, &d)
			ok = d.Refusal.Status == 0 && d.Allows(user)
			w.allowed = now
		}
		if !ok {
			x.abort()
			g.signals.streamEnded(x)
		}
	}
}
