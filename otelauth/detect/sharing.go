// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
)

const (
	// maxOut is the number of batches that wait for publication; maxUnseen is the number of
	// published batches that have not come back. Together they take at most 5 MiB.
	maxOut    = 16
	maxUnseen = 256
	// maxHeld is the number of detections that wait for a leader, of about 1 KiB each.
	maxHeld = 1024
	// endsKept is how long a process that does not lead keeps the ends of episodes, in case that
	// no leader has reported them.
	endsKept = 10 * time.Second
	// overdue is the age at which every process reports a detection, because the leader does not:
	// it hangs, or an attacker has forged the lease.
	overdue = 30 * time.Second
	// rounds is the number of exchanges of one step.
	rounds = 32
	// maxSenders is the number of other processes that are counted; senderLife is how long a
	// process without a batch counts.
	maxSenders = 1024
	senderLife = time.Hour
	// maxLag is the longest time between an attempt and its publication.
	maxLag = time.Minute
)

// sharedBase is the time 0 of all engines with a feed, so that they agree on windows and ids.
var sharedBase = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// sharing connects an engine to a feed. Every process evaluates the attempts of all processes in
// one order, so all detect the same, and the leader reports it. The others hold detections until
// the leader has confirmed them. A new leader therefore continues where the previous one ended.
type sharing struct {
	feed   feed.Feed
	engine *engine
	report func(*Detection)
	loc    Locator
	tokens tokens

	number  uint64     // of the last batch
	out     []outgoing // waits for publication
	unseen  []outgoing // published, but not yet received
	senders map[uint64]time.Time
	newest  time.Time

	build    func() *engine
	restored bool
	kept     feed.Position // up to which the feed keeps what was learned

	at       feed.Position // up to which batches are evaluated
	reported feed.Position // up to which detections are reported
	held     []held
	alone    bool
	lead     bool
	sweeping bool
	now      time.Time

	lost   uint64
	unread atomic.Uint64
}

type outgoing struct {
	feed.Outgoing
	// what never leaves the process
	same    []uint64  // the fingerprints
	spans   []spanRef // the spans
	callers []caller
	selves  []identity
}

// held is a detection that another process may report.
type held struct {
	d     Detection
	at    feed.Position
	since time.Time
	ended bool // the end of an episode, which has no position
}

func newSharing(cfg *Config, key sip, report func(*Detection)) *sharing {
	return &sharing{
		feed: cfg.Feed, report: report, loc: cfg.Locator, senders: map[uint64]time.Time{},
		tokens: tokens{key: key, of: newTable[lately](cfg.Entries, day, day)},
	}
}

// step publishes, receives, evaluates and reports. It returns the number of lost attempts.
func (s *sharing) step(ctx context.Context, q *queue, now time.Time) uint64 {
	s.lost, s.now = 0, now
	if !s.restored {
		if s.restored = s.feed.Restore(ctx, s.restore) == nil; !s.restored && s.feed.Shared() {
			return 0 // it has not answered yet
		}
	}
	for range rounds {
		s.collect(q)
		out := make([]feed.Outgoing, len(s.out))
		for i := range s.out {
			out[i] = s.out[i].Outgoing
		}
		x, err := s.feed.Exchange(ctx, out, s.reported)
		if err != nil {
			break
		}
		if x.Alone {
			s.runAlone()
			if s.collect(q); len(s.out) == 0 {
				break
			}
			continue
		}
		s.published()
		if s.alone {
			s.alone, s.engine.alone = false, false
			s.announce()
			x.More = true
		}
		if x.Restarted {
			s.restart()
		}
		for i := range x.Batches {
			s.take(&x.Batches[i])
		}
		again := s.settle(x.Reported, x.Leads)
		if !x.More {
			s.sweep()
		}
		if !x.More && !again {
			break
		}
	}
	return s.lost
}

// collect makes batches of the queued attempts.
func (s *sharing) collect(q *queue) {
	var next relayed
	for len(s.out) < maxOut {
		b := outgoing{}
		for len(b.Data)+wireSampleMax <= feed.MaxBatchBytes && q.get(&next.sample) {
			if b.Data == nil {
				b.Data = []byte{wireVersion, byte(wireSamples)}
			}
			b.same = append(b.same, next.fingerprint)
			b.spans = append(b.spans, next.span)
			b.callers, b.selves = append(b.callers, callerOf(&next.sample)), append(b.selves, identityOf(&next.sample))
			s.strip(&next)
			b.Data = appendSample(b.Data, &next)
		}
		if b.Data == nil {
			return
		}
		s.post(b)
	}
}

func (s *sharing) post(b outgoing) {
	s.number++
	b.Number = s.number
	s.out = append(s.out, b)
}

// strip removes from r what must not leave the process.
func (s *sharing) strip(r *relayed) {
	r.name = ""
	if r.placed = false; r.kind == succeeded {
		r.lat, r.lon, r.placed = locate(s.loc, r.client)
		r.fingerprint = 0
		return
	}
	if r.fingerprint != 0 {
		r.fingerprint = s.tokens.token(r.hash, r.fingerprint, uint32(s.now.Sub(sharedBase)/time.Second))
	}
}

// published moves the batches that have been published from out to unseen.
func (s *sharing) published() {
	s.unseen = append(s.unseen, s.out...)
	s.out = nil
	for len(s.unseen) > maxUnseen {
		s.lost += uint64(len(s.unseen[0].same))
		s.unseen = slices.Delete(s.unseen, 0, 1)
	}
}

// runAlone evaluates the batches that have not come back, and reports their detections and those
// that no leader has confirmed.
func (s *sharing) runAlone() {
	s.settle(s.reported, true)
	s.alone, s.engine.alone = true, true
	for _, b := range append(s.unseen, s.out...) {
		s.read(b.Data, &b, time.Time{})
	}
	s.unseen, s.out = nil, nil
	s.sweep()
}

func (s *sharing) sweep() {
	s.sweeping = true
	s.engine.sweep(s.now)
	s.sweeping = false
}

// take evaluates a received batch.
func (s *sharing) take(b *feed.Batch) {
	s.at = b.Position
	s.sender(b)
	if !b.Own {
		s.read(b.Data, nil, b.Time)
		return
	}
	// An own batch that is not in unseen was evaluated alone, or lost.
	for len(s.unseen) > 0 && s.unseen[0].Number <= b.Number {
		if own := s.unseen[0]; own.Number == b.Number {
			// Evaluates the original, not b.Data: the feed cannot change attempts of this process.
			s.read(own.Data, &own, b.Time)
		} else {
			s.lost += uint64(len(own.same))
		}
		s.unseen = slices.Delete(s.unseen, 0, 1)
	}
}

// sender counts the other processes. One stale password counts once for each of them, so
// thresholds of wrong passwords rise with their number.
func (s *sharing) sender(b *feed.Batch) {
	if b.Time.After(s.newest) {
		s.newest = b.Time
	}
	if _, ok := s.senders[b.Sender]; ok || len(s.senders) < maxSenders {
		s.senders[b.Sender] = b.Time
	}
	for id, last := range s.senders {
		if s.newest.Sub(last) > senderLife {
			delete(s.senders, id)
		}
	}
	s.engine.spread = max(len(s.senders)-1, 0)
}

// read evaluates the content of a batch. own is the batch if this process has sent it, else nil.
// at is the time of publication, zero if the batch was not published.
func (s *sharing) read(b []byte, own *outgoing, at time.Time) {
	r, kind, err := readHeader(b)
	if err == nil && kind == wireEpisodes {
		var all []adoptable
		if all, err = r.episodes(); err == nil {
			switch {
			case own == nil:
				s.adopt(all)
			case s.alone: // the announcement may be lost
				for _, a := range all {
					if ep := s.engine.episodes[a.rule][a.key]; ep != nil {
						ep.alone = true
					}
				}
			}
			return
		}
	}
	var all []relayed
	if err == nil {
		all, err = r.samples()
	}
	if err != nil {
		s.unread.Add(1)
		return
	}
	for i := range all {
		p := &all[i]
		if !at.IsZero() {
			// The clock of the sender may be wrong, and so may that of the feed.
			top := at
			if s.now.Before(top) {
				top = s.now
			}
			if p.at.After(top) {
				p.at = top
			} else if least := top.Add(-maxLag); p.at.Before(least) {
				p.at = least
			}
		}
		m := moment{sample: &p.sample, relayed: true, lat: p.lat, lon: p.lon, placed: p.placed}
		if own != nil && i < len(own.same) {
			p.span, m.caller, m.self = own.spans[i], own.callers[i], own.selves[i]
			if own.same[i] != 0 && p.kind == guessed {
				m.same = s.engine.key.pair(own.same[i], 0) | 1
			}
		}
		s.engine.add(&m)
	}
}

// detected reports a detection of the engine, or holds it for the leader.
func (s *sharing) detected(d *Detection) {
	switch {
	case s.alone, d.Rule.id == customID, rules[d.Rule.id].local:
		s.report(d)
	case s.sweeping && s.lead:
		s.report(d)
	case s.sweeping:
		s.hold(held{d: *d, since: s.now, ended: true})
	default:
		s.hold(held{d: *d, since: s.now, at: s.at})
	}
}

func (s *sharing) hold(h held) {
	if len(s.held) >= maxHeld {
		s.held = slices.Delete(s.held, 0, 1)
	}
	s.held = append(s.held, h)
}

// settle reports held detections if this process leads or they are overdue, and drops those that
// a leader has reported. It returns whether it has reported any, so that the caller confirms at
// once.
func (s *sharing) settle(reported feed.Position, lead bool) (again bool) {
	s.lead = lead
	if reported.Compare(s.reported) > 0 {
		s.reported = reported
	}
	kept := s.held[:0]
	for _, h := range s.held {
		switch {
		case !h.ended && h.at.Compare(s.reported) <= 0, h.ended && s.now.Sub(h.since) > endsKept:
		case lead, s.now.Sub(h.since) > overdue:
			s.report(&h.d)
			again = true
		default:
			kept = append(kept, h)
		}
	}
	clear(s.held[len(kept):])
	s.held = kept
	if lead && s.at.Compare(s.reported) > 0 {
		s.reported = s.at
	}
	return again
}

// restart resets the positions after the feed has begun a new order. Held detections precede all
// of it.
func (s *sharing) restart() {
	s.at, s.reported = feed.Position{}, feed.Position{}
	for i := range s.held {
		s.held[i].at = feed.Position{Minor: 1}
	}
}

// announce publishes the episodes that were reported while the feed was down, so that no other
// process reports them again.
func (s *sharing) announce() {
	b := outgoing{}
	for rule, all := range s.engine.episodes {
		for key, ep := range all {
			if !ep.alone || ep.folded || rules[rule].local {
				continue
			}
			ep.alone = false
			if b.Data == nil {
				b.Data = []byte{wireVersion, byte(wireEpisodes)}
			}
			b.Data = appendEpisode(b.Data, ruleID(rule), key, ep, s.engine.wall)
			if len(b.Data)+wireEpisode > feed.MaxBatchBytes {
				s.post(b)
				b = outgoing{}
			}
		}
	}
	if b.Data != nil {
		s.post(b)
	}
}

// adopt opens the episodes that another process has announced.
func (s *sharing) adopt(all []adoptable) {
	e := s.engine
	for _, a := range all {
		open := e.episodes[a.rule]
		if open[a.key] != nil || len(open) >= MaxEpisodes {
			continue
		}
		at := func(unix uint64) uint32 {
			t := time.Unix(int64(min(unix, 1<<40)), 0).Sub(e.base) / time.Second
			return uint32(min(max(t, 0)+epoch, time.Duration(e.now)))
		}
		e.floor[a.rule] = 0
		open[a.key] = &episode{
			id: a.id, first: at(a.first), last: at(a.last), attempts: max(a.attempts, 1), next: max(a.next, 2), began: max(a.attempts, 1),
			accountCount: int(min(a.accounts, 1<<30)), networkCount: int(min(a.networks, 1<<30)),
		}
	}
}
