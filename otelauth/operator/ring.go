// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
)

// record is an attempt in memory. Its strings are names of the store, hashes, registered patterns
// and constants, so they pin nothing that a client has sent.
type record struct {
	sequence   uint64 // among all attempts, from 1
	position   uint64 // in its ring, from 1
	at         time.Time
	client     netip.Addr
	account    string
	hash       string
	route      string
	method     string
	reason     attempt.Reason
	trace      trace.TraceID
	span       trace.SpanID
	took       time.Duration
	hashing    time.Duration
	retryAfter time.Duration
	status     uint16
	outcome    attempt.Outcome
	errorType  attempt.ErrorType
	cache      attempt.CacheResult
}

// share is the part of the ring that each outcome has, in sixteenths. So a flood of guesses
// evicts guesses, and neither the successes nor the errors that an operator looks for.
var share = [attempt.OutcomeCount]int{
	attempt.Success: 4, attempt.Failure: 4, attempt.Throttled: 4, attempt.Missing: 2, attempt.Malformed: 1, attempt.Error: 1,
}

const shares = 16

// rings holds the recent attempts, in a ring for each outcome.
type rings struct {
	sequence atomic.Uint64
	of       [attempt.OutcomeCount]ring
}

// ring is a bounded list of attempts that forgets the oldest. A writer holds the lock of one place
// only.
type ring struct {
	next   atomic.Uint64
	places []place
}

type place struct {
	mu sync.Mutex
	r  record
}

func newRings(size int) *rings {
	rs := &rings{}
	for i := range rs.of {
		rs.of[i].places = make([]place, max(size*share[i]/shares, 1))
	}
	return rs
}

// claim locks the place of the next attempt with this outcome. The caller fills it, with the
// position, and unlocks it.
func (rs *rings) claim(o attempt.Outcome) (p *place, position uint64) {
	g := &rs.of[o]
	position = g.next.Add(1)
	p = &g.places[(position-1)%uint64(len(g.places))]
	p.mu.Lock()
	return p, position
}

// cursor is how far a reader has read each ring.
type cursor [attempt.OutcomeCount]uint64

// end returns the cursor behind the newest attempts.
func (rs *rings) end() (c cursor) {
	for i := range rs.of {
		c[i] = rs.of[i].next.Load()
	}
	return c
}

// read returns the attempts behind a cursor, the oldest first, and moves the cursor. It returns
// the newest limit of each outcome, and the number of the others.
func (rs *rings) read(c *cursor, limit uint64) (all []record, skipped [attempt.OutcomeCount]uint64) {
	for i := range rs.of {
		g := &rs.of[i]
		next := g.next.Load()
		if unread := next - c[i]; unread > min(limit, uint64(len(g.places))) {
			skipped[i] = unread - min(limit, uint64(len(g.places)))
			c[i] += skipped[i]
		}
		for ; c[i] < next; c[i]++ {
			p := &g.places[c[i]%uint64(len(g.places))]
			p.mu.Lock()
			r := p.r
			p.mu.Unlock()
			if r.position <= c[i] {
				break // claimed, but not yet written: the next read returns it
			}
			if r.position > c[i]+1 {
				skipped[i]++ // overwritten
				continue
			}
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b record) int { return cmp.Compare(a.sequence, b.sequence) })
	return all, skipped
}

// all returns every attempt in memory, the newest first.
func (rs *rings) all() []record {
	var all []record
	for i := range rs.of {
		g := &rs.of[i]
		for n := range min(g.next.Load(), uint64(len(g.places))) {
			p := &g.places[n]
			p.mu.Lock()
			r := p.r
			p.mu.Unlock()
			if r.sequence != 0 {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b record) int { return cmp.Compare(b.sequence, a.sequence) })
	return all
}

// size returns the number of attempts in memory and its bound.
func (rs *rings) size() (used, limit int) {
	for i := range rs.of {
		g := &rs.of[i]
		used += int(min(g.next.Load(), uint64(len(g.places))))
		limit += len(g.places)
	}
	return used, limit
}

// network returns the network of the client, whose budget an attempt draws on.
func (r *record) network() netip.Prefix { return clientip.Network(r.client) }

// attempt returns the JSON form.
func (r *record) attempt() Attempt {
	a := Attempt{
		Sequence: r.sequence, Time: r.at.UTC(), Outcome: r.outcome.String(), ErrorType: r.errorType.String(),
		Reason: string(r.reason), Account: r.account, Hash: r.hash, Method: r.method, Route: r.route,
		Status: int(r.status), DurationSeconds: r.took.Seconds(), HashSeconds: r.hashing.Seconds(),
		Cache: r.cache.String(), RetryAfterSeconds: r.retryAfter.Seconds(),
	}
	if r.client.IsValid() {
		a.Client = r.client.String()
	}
	if r.trace.IsValid() {
		a.TraceID, a.SpanID = r.trace.String(), r.span.String()
	}
	return a
}

// maxTextBytes bounds each text in an answer.
const maxTextBytes = 256

// shown returns a text as answers may hold it: bounded, valid UTF-8, without characters that can
// forge a line or reverse text.
func shown(s string) string { return attempt.Text(s, maxTextBytes) }
