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

// streams holds every exchange that goes on, in several lists so that requests do not wait for each other. An
// exchange is its own list node, and there are no more of them than connections and HTTP/2 streams.
type streams struct {
	lists [16]streamList
}

type streamList struct {
	mu    sync.Mutex
	first *exchange
	count int
	_     [40]byte // a cache line each
}

// watched is what an exchange of an account is judged by while it goes on.
type watched struct {
	ctx    context.Context //nolint:containedctx // holds the credentials' account
	method string
	host   string
	url    *url.URL
	since  time.Time // when it was last known to be right
	began  time.Time // by the clock of the operating system
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
	x.gone = true
}

// watch has the keeper look after an exchange of an account.
func (s *streams) watch(x *exchange, r *http.Request, now time.Time) {
	if _, ok := otelauth.UserFromContext(r.Context()); !ok || x.decision.Public {
		return
	}
	x.list.mu.Lock()
	x.watched = watched{ctx: r.Context(), method: r.Method, host: r.Host, url: r.URL, since: now, began: time.Now()}
	x.list.mu.Unlock()
}

// those returns the exchanges that pass.
func (s *streams) those(pass func(*exchange) bool) (found []*exchange) {
	for i := range s.lists {
		l := &s.lists[i]
		l.mu.Lock()
		for x := l.first; x != nil; x = x.next {
			if pass(x) {
				found = append(found, x)
			}
		}
		l.mu.Unlock()
	}
	return found
}

// keepStreams looks at every stream three times in Config.MaxStreamAge, until the Gateway is shut down.
func (g *Gateway) keepStreams() {
	defer close(g.kept)
	for {
		period := g.sweepPeriod()
		timer := time.NewTimer(period)
		select {
		case <-g.ended:
			timer.Stop()
			return
		case <-g.kick:
			timer.Stop()
			period = g.sweepPeriod()
		case <-timer.C:
		}
		g.sweep(period)
	}
}

// looks is how often a stream is looked at within Config.MaxStreamAge. One look is lost to a revocation right after it, one
// leaves time for the stream to end.
const looks = 3

func (g *Gateway) sweepPeriod() time.Duration {
	return max(g.latest.Load().cfg.MaxStreamAge/looks, time.Millisecond)
}

// sweep ends the streams whose account may no longer have them. What began within the period is left to the next look: a request that
// a Reconfigure finds on its way has its answer.
func (g *Gateway) sweep(period time.Duration) {
	st := g.latest.Load()
	now := st.cfg.Auth.Now()
	due := func(x *exchange) bool {
		return x.watched.ctx != nil && !x.cut.Load() && time.Since(x.watched.began) >= period
	}
	for _, x := range g.streams.those(due) {
		// Only the keeper writes since.
		w := &x.watched
		user, ok, err := g.mw.Recheck(w.ctx)
		switch {
		case err != nil: // nobody knows
			ok = now.Sub(w.since) <= st.cfg.MaxStreamAge-period
		case ok:
			var d policy.Decision
			st.policy.Decide(&http.Request{Method: w.method, Host: w.host, URL: w.url}, &d)
			ok = d.Refusal.Status == 0 && d.Allows(user)
			w.since = now
		}
		if !ok {
			x.end()
			g.signals.streamEnded(x)
		}
	}
}

// end cuts an exchange off, whatever it waits for. Under the lock it cannot have ended, and its writer is still its own.
func (x *exchange) end() {
	x.cut.Store(true)
	x.cancel()
	l := x.list
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case x.gone:
	case x.conn != nil && !x.multiplexed:
		_ = x.conn.Conn.Close() // it carries nothing else, and its client may have stopped reading
	default:
		_ = http.NewResponseController(x.writer).SetWriteDeadline(time.Now())
	}
}
