// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"cmp"
	"net/netip"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// MaxEpisodes is how many episodes of one rule are told apart at a time. What comes on top is told as one, marked as
// folded, so that no flood of episodes hides the first ones or fills a disk. An episode takes at most 3 KiB.
const MaxEpisodes = 128

// An episode is over when nothing has come for so many of its mean intervals, within bounds.
const (
	quietIntervals = 8
	minQuiet       = hour
	maxQuiet       = 5 * day
	sweepEvery     = minute
)

// episode is one finding as it grows.
type episode struct {
	id          uint64
	first, last uint32
	attempts    uint64
	next        uint64 // attempts at the next update
	folded      bool
	alone       bool // this process has told it while it did not share

	accounts     []string
	networks     []netip.Prefix
	traces       []trace.TraceID
	route        string
	accountCount int
	networkCount int
	km, kmh      float64
}

type episodes [ruleCount]map[uint64]*episode

// finding is what a rule says of one attempt.
type finding struct {
	rule     ruleID
	key      uint64
	keys     keyKind // the subject, where it is not the one in the row of the rule
	first    uint32  // of the evidence
	attempts uint64  // that the evidence rests on
	accounts int
	networks int
	also     [2]netip.Prefix // networks beside that of the attempt
	km, kmh  float64
}

// open reports whether an episode of rule about key runs.
func (e *engine) open(rule ruleID, key uint64) bool { return e.episodes[rule][key] != nil }

// found starts an episode, or lets the one that runs grow.
func (e *engine) found(s *moment, f finding) {
	if e.off[f.rule] {
		return
	}
	all := e.episodes[f.rule]
	key := f.key
	ep := all[key]
	if ep == nil && len(all) >= MaxEpisodes {
		key = 0 // no keyed hash is 0
		ep = all[key]
	}
	if ep == nil {
		ep = &episode{
			id: e.key.pair(key^uint64(f.rule)<<56, uint64(e.now)), first: f.first, folded: key == 0, alone: e.alone, attempts: max(f.attempts, 1),
			km: f.km, kmh: f.kmh,
		}
		if !ep.folded && rules[f.rule].recalls {
			e.recent.recall(ep, cmp.Or(f.keys, rules[f.rule].keys), s, f.key)
		}
		all[key] = ep
		ep.join(s, f)
		ep.last = e.now
		ep.next = 2 * ep.attempts
		e.say(f.rule, ep, Start)
		e.mark(f.rule, ep.id, s.sample)
		return
	}
	if s.sample.kind == succeeded {
		// Each trace of a success that a rule speaks of, not only the first: nothing else in it asks to be kept.
		e.mark(f.rule, ep.id, s.sample)
	}
	ep.attempts++
	ep.last = e.now
	ep.join(s, f)
	if ep.attempts >= ep.next {
		ep.next = 2 * ep.attempts
		e.say(f.rule, ep, Update)
	}
}

// join adds to the bounded lists what this attempt brings.
func (ep *episode) join(s *moment, f finding) {
	ep.mention(s.name, s.site, s.sample.trace)
	for _, site := range f.also {
		ep.mention("", site, trace.TraceID{})
	}
	if rules[f.rule].keys == byRoute && !ep.folded {
		ep.route = s.sample.route
	}
	if ep.folded {
		return
	}
	ep.accountCount = max(ep.accountCount, f.accounts, len(ep.accounts))
	ep.networkCount = max(ep.networkCount, f.networks, len(ep.networks))
}

func (ep *episode) mention(name string, site netip.Prefix, id trace.TraceID) {
	if name != "" && len(ep.accounts) < MaxListed && !slices.Contains(ep.accounts, name) {
		ep.accounts = append(ep.accounts, name)
	}
	if site.IsValid() && len(ep.networks) < MaxListed && !slices.Contains(ep.networks, site) {
		ep.networks = append(ep.networks, site)
	}
	if id.IsValid() && len(ep.traces) < MaxTraces && !slices.Contains(ep.traces, id) {
		ep.traces = append(ep.traces, id)
	}
}

func (e *engine) say(rule ruleID, ep *episode, phase Phase) {
	e.tell(&Detection{
		Rule: described[rule], Phase: phase, Episode: ep.id, Time: e.wall(e.now),
		First: e.wall(ep.first), Last: e.wall(ep.last), Attempts: ep.attempts,
		Accounts: slices.Clone(ep.accounts), AccountCount: ep.accountCount,
		Networks: slices.Clone(ep.networks), NetworkCount: ep.networkCount,
		Traces: slices.Clone(ep.traces), Route: ep.route,
		DistanceKm: ep.km, SpeedKmPerHour: ep.kmh, Folded: ep.folded,
	})
}

// quiet is for how long nothing may come before the episode is over.
func (ep *episode) quiet() uint32 {
	mean := uint64(ep.last-min(ep.first, ep.last)) / max(ep.attempts, 1)
	return uint32(min(max(mean*quietIntervals, minQuiet), maxQuiet))
}

// end tells the episodes that are over.
func (e *engine) end() {
	for rule, all := range e.episodes {
		var over []uint64
		for key, ep := range all {
			if e.now-min(ep.last, e.now) > ep.quiet() {
				over = append(over, key)
			}
		}
		slices.Sort(over) // so that a replay tells the same in the same order
		for _, key := range over {
			ep := all[key]
			delete(all, key)
			e.say(ruleID(rule), ep, End)
		}
	}
}

// recent holds the last guesses, so that an episode begins with the names, networks and traces of the evidence
// that led to it. 176 bytes each, and a name.
type recent struct {
	ring []recalled
	next int
}

type recalled struct {
	account, network, password uint64
	site                       netip.Prefix
	name                       string
	trace                      trace.TraceID
}

func (r *recent) note(m *moment) {
	r.ring[r.next] = recalled{m.account, m.network, m.same, m.site, m.name, m.sample.trace}
	r.next = (r.next + 1) % len(r.ring)
}

// recall fills the lists of an episode, the newest first.
func (r *recent) recall(ep *episode, keys keyKind, m *moment, key uint64) {
	for i := range r.ring {
		g := &r.ring[(r.next-1-i+2*len(r.ring))%len(r.ring)]
		if g.account == 0 && g.network == 0 {
			return
		}
		var match bool
		switch keys {
		case byPair:
			match = g.account == m.account && g.network == m.network
		case byNetwork:
			match = g.network == key
		case byAccount:
			match = g.account == key
		case byPassword:
			match = g.password == key
		case byRoute, byRule:
			return
		}
		if match {
			ep.mention(g.name, g.site, g.trace)
			if len(ep.accounts) == MaxListed && len(ep.networks) == MaxListed && len(ep.traces) == MaxTraces {
				return
			}
		}
	}
}
