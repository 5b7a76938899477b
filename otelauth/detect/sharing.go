// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// maxOut bounds the batches that wait to be published, maxUnseen those that are and have not come back: 5 MiB.
	maxOut    = 16
	maxUnseen = 256
	// maxHeld bounds the findings that wait to be told, some 1 KiB each.
	maxHeld = 1024
	// endsKept is for how long one who does not lead keeps the ends of episodes, in case that nobody has told them.
	endsKept = 10 * time.Second
	// overdue is when a finding is told by whoever has it, because he who leads does not: he hangs, or somebody has
	// forged a leader to silence all.
	overdue = 30 * time.Second
	// rounds bounds the exchanges of one step.
	rounds = 32
	// maxSenders bounds the processes that are told apart, senderLife is how long one that says nothing counts.
	maxSenders = 1024
	senderLife = time.Hour
	// maxLag is how long before its publication an attempt can have been.
	maxLag = time.Minute
)

// sharedBase is when the engines that share begin to count seconds, so that they agree on windows and ids.
var sharedBase = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// sharing is the part of a Detector that shares. Every process adds up the attempts of all, in one order, and so finds
// what the others find; the one that leads tells it. The others hold what they have found until they hear up to where it
// is told: whoever takes over the lead has all the evidence, and goes on where the former one ended.
type sharing struct {
	feed   Feed
	engine *engine
	say    func(*Detection)
	loc    Locator
	tokens tokens

	number  uint64     // of the last batch
	out     []outgoing // to be published
	unseen  []outgoing // published
	senders map[uint64]time.Time
	newest  time.Time

	at       Position // up to where batches are taken
	told     Position // up to where findings are told
	held     []held
	alone    bool
	lead     bool
	sweeping bool
	now      time.Time

	lost   uint64
	unread atomic.Uint64
}

type outgoing struct {
	Outgoing
	same  []uint64  // the fingerprints, and
	spans []spanRef // the spans, which stay here
}

// held is a finding that perhaps another process tells.
type held struct {
	d     Detection
	at    Position
	since time.Time
	ended bool // the end of an episode, which has no Position
}

func newSharing(cfg *Config, key sip, say func(*Detection)) *sharing {
	return &sharing{
		feed: cfg.Feed, say: say, loc: cfg.Locator, senders: map[uint64]time.Time{},
		tokens: tokens{key: key, of: newTable[lately](cfg.Entries, day)},
	}
}

// step publishes, receives, adds up and tells. It returns how many attempts are lost.
func (s *sharing) step(ctx context.Context, q *queue, now time.Time) uint64 {
	s.lost, s.now = 0, now
	for range rounds {
		s.collect(q)
		out := make([]Outgoing, len(s.out))
		for i := range s.out {
			out[i] = s.out[i].Outgoing
		}
		x, err := s.feed.Exchange(ctx, out, s.told)
		if err != nil {
			break
		}
		if x.Alone {
			s.byItself()
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
		if x.Anew {
			s.anew()
		}
		for i := range x.Batches {
			s.take(&x.Batches[i])
		}
		again := s.settle(x.Told, x.Lead)
		if !x.More {
			s.sweep()
		}
		if !x.More && !again {
			break
		}
	}
	return s.lost
}

// collect makes batches of what the requests have noted.
func (s *sharing) collect(q *queue) {
	var next relayed
	for len(s.out) < maxOut {
		b := outgoing{}
		for len(b.Data)+wireSampleMax <= MaxBatchBytes && q.get(&next.sample) {
			if b.Data == nil {
				b.Data = []byte{wireVersion, byte(wireSamples)}
			}
			b.same = append(b.same, next.fingerprint)
			b.spans = append(b.spans, next.span)
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

// strip takes away what must not leave the process.
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

// published moves what waits for publication to what waits for its return.
func (s *sharing) published() {
	s.unseen = append(s.unseen, s.out...)
	s.out = nil
	for len(s.unseen) > maxUnseen {
		s.lost += uint64(len(s.unseen[0].same))
		s.unseen = slices.Delete(s.unseen, 0, 1)
	}
}

// byItself adds up what others did not, and tells what it finds and what nobody is known to have told.
func (s *sharing) byItself() {
	s.settle(s.told, true)
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

// take adds a batch up.
func (s *sharing) take(b *Batch) {
	s.at = b.Position
	s.sender(b)
	if !b.Own {
		s.read(b.Data, nil, b.Time)
		return
	}
	// One that is not among them was added up alone, or given up.
	for len(s.unseen) > 0 && s.unseen[0].Number <= b.Number {
		if own := s.unseen[0]; own.Number == b.Number {
			// Not what came back: whoever writes to the feed writes nothing of ours.
			s.read(own.Data, &own, b.Time)
		} else {
			s.lost += uint64(len(own.same))
		}
		s.unseen = slices.Delete(s.unseen, 0, 1)
	}
}

// sender notes who is there. A stale password counts once for each process, and so much more a guesser must show.
func (s *sharing) sender(b *Batch) {
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

// read adds up what a batch holds. own is the batch, if it is this process's own; at is when it was published, the zero
// time if it was not.
func (s *sharing) read(b []byte, own *outgoing, at time.Time) {
	r, kind, err := begun(b)
	if err == nil && kind == wireEpisodes {
		var all []adoptable
		if all, err = r.episodes(); err == nil {
			switch {
			case own == nil:
				s.adopt(all)
			case s.alone: // nobody has heard of them, perhaps
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
			// A sender's clock may be wrong, and so may that of the feed.
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
			p.span = own.spans[i]
			if own.same[i] != 0 && p.kind == guessed {
				m.same = s.engine.key.pair(own.same[i], 0) | 1
			}
		}
		s.engine.add(&m)
	}
}

// hear is told what the engine finds.
func (s *sharing) hear(d *Detection) {
	switch {
	case s.alone, rules[d.Rule.id].local:
		s.say(d)
	case s.sweeping && s.lead:
		s.say(d)
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

// settle tells what is held, if it is for this process to tell, and lets go of what another has told.
// It reports whether others should hear at once that more is told.
func (s *sharing) settle(told Position, lead bool) (again bool) {
	s.lead = lead
	if told.Compare(s.told) > 0 {
		s.told = told
	}
	kept := s.held[:0]
	for _, h := range s.held {
		switch {
		case !h.ended && h.at.Compare(s.told) <= 0, h.ended && s.now.Sub(h.since) > endsKept:
		case lead, s.now.Sub(h.since) > overdue:
			s.say(&h.d)
			again = true
		default:
			kept = append(kept, h)
		}
	}
	clear(s.held[len(kept):])
	s.held = kept
	if lead && s.at.Compare(s.told) > 0 {
		s.told = s.at
	}
	return again
}

// anew follows a feed that has begun a new order. What is held came before all of it.
func (s *sharing) anew() {
	s.at, s.told = Position{}, Position{}
	for i := range s.held {
		s.held[i].at = Position{Minor: 1}
	}
}

// announce tells the others of the episodes that were told alone, so that nobody tells them again.
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
			if len(b.Data)+wireEpisode > MaxBatchBytes {
				s.post(b)
				b = outgoing{}
			}
		}
	}
	if b.Data != nil {
		s.post(b)
	}
}

// adopt takes over episodes that another has told.
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
		open[a.key] = &episode{
			id: a.id, first: at(a.first), last: at(a.last), attempts: max(a.attempts, 1), next: max(a.next, 2),
			accountCount: int(min(a.accounts, 1<<30)), networkCount: int(min(a.networks, 1<<30)),
		}
	}
}

// tokens stand in for fingerprints of wrong passwords outside of the process. A token is random: all that it tells is
// that a process has seen the same wrong password of the same account again, of the last four.
type tokens struct {
	key   sip
	of    *table[lately]
	count uint64
}

// lately is the last wrong passwords of an account. 88 bytes with its place.
type lately struct {
	seen [4]struct{ fingerprint, token uint64 }
	next uint8
}

func (t *tokens) token(account string, fingerprint uint64, now uint32) uint64 {
	p := t.of.touch(t.key.text(account)|1, now, 1)
	l := &p.value
	for i := range l.seen {
		if l.seen[i].fingerprint == fingerprint {
			return l.seen[i].token
		}
	}
	t.count++
	token := t.key.pair(t.count, 2) | 1
	l.seen[l.next%4].fingerprint, l.seen[l.next%4].token = fingerprint, token
	l.next++
	return token
}
