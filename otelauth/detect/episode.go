// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"cmp"
	"net/netip"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// MaxEpisodes is the number of episodes that one rule has at a time, of at most 6 KiB each without
// addresses.
// Further ones are folded into one, so that a flood of episodes does not fill a disk. An episode
// that gathers twice the evidence of the weakest one takes its place, so a flood does not hide it
// either. An episode of success_after_failures always takes a place.
const MaxEpisodes = 128

// maxFolded is the number of folded subjects that a rule remembers, of 40 bytes each.
const maxFolded = 1024

// An episode is over if nothing is added for this number of its mean intervals, within bounds.
const (
	quietIntervals = 8
	minQuiet       = hour
	maxQuiet       = 5 * day
	sweepEvery     = minute
)

// episode is one attack, from its first to its last attempt.
type episode struct {
	id          uint64
	first, last uint32
	attempts    uint64
	next        uint64 // attempts at the next update
	began       uint64 // attempts at the start
	subject     string // for Detection.DedupeKey
	folded      bool
	alone       bool // reported by this process while the feed was down

	detail
	takeovers []uint64 // episodes of successes that are part of this one

	accounts     []string
	networks     []netip.Prefix
	traces       []trace.TraceID
	route        string
	accountCount int
	networkCount int
	km, kmh      float64
	part         uint64 // the episode that a success is part of
}

type episodes [ruleCount]map[uint64]*episode

// folded holds the evidence about subjects whose episodes are folded.
type folded [ruleCount]map[uint64]foldedSubject

type foldedSubject struct {
	attempts uint64
	last     uint32
}

// firing is the evidence with which a rule fires for one attempt.
type firing struct {
	rule     ruleID
	key      uint64
	keys     keyKind // the subject, where it is not the one in the row of the rule
	first    uint32  // time of the first evidence
	attempts uint64  // that are evidence
	accounts int
	networks int
	also     [2]netip.Prefix // further networks beside that of the attempt
	part     uint64          // the episode that a success is part of
	km, kmh  float64
}

// episodeID returns the id of the open episode about key, of its own or folded; 0 if there is none.
func (e *engine) episodeID(rule ruleID, key uint64) uint64 {
	ep := e.episodes[rule][key]
	if ep == nil && e.open(rule, key) {
		ep = e.episodes[rule][0]
	}
	if ep == nil {
		return 0
	}
	return ep.id
}

// open reports whether rule has an open episode about key, of its own or folded.
func (e *engine) open(rule ruleID, key uint64) bool {
	if e.episodes[rule][key] != nil {
		return true
	}
	_, ok := e.folded[rule][key]
	return ok
}

// weakest returns the key of the episode with the least evidence, of those without a success.
func (e *engine) weakest(rule ruleID) (weakest uint64) {
	all := e.episodes[rule]
	for key, ep := range all {
		// The order of the keys decides at last, so that every process chooses the same.
		if !ep.folded && (weakest == 0 || cmp.Or(
			cmp.Compare(ep.attempts, all[weakest].attempts), cmp.Compare(ep.last, all[weakest].last), cmp.Compare(key, weakest)) < 0) {
			weakest = key
		}
	}
	return weakest
}

// isFolded reports whether a new episode of f must be folded. It may end a weaker one instead.
func (e *engine) isFolded(f firing) bool {
	all := e.episodes[f.rule]
	named := len(all)
	if all[0] != nil {
		named-- // the folded one
	}
	if named < MaxEpisodes {
		return false
	}
	subjects := e.folded[f.rule]
	s, ok := subjects[f.key]
	s.attempts, s.last = max(s.attempts+1, f.attempts), e.now
	weakest := e.weakest(f.rule)
	if f.rule == successAfterFailures || s.attempts >= 2*all[weakest].attempts {
		ep := all[weakest]
		e.remember(f.rule, weakest, foldedSubject{ep.attempts, ep.last})
		delete(all, weakest)
		delete(subjects, f.key)
		e.report(f.rule, ep, End, nil)
		return false
	}
	if ok {
		subjects[f.key] = s
	} else {
		e.remember(f.rule, f.key, s)
	}
	return true
}

// remember stores a folded subject, and forgets the one without evidence for the longest time if
// there are too many.
func (e *engine) remember(rule ruleID, key uint64, s foldedSubject) {
	all := e.folded[rule]
	if all == nil {
		all = map[uint64]foldedSubject{}
		e.folded[rule] = all
	}
	if len(all) >= maxFolded {
		var oldest uint64
		for key, s := range all {
			if oldest == 0 || cmp.Or(cmp.Compare(s.last, all[oldest].last), cmp.Compare(key, oldest)) < 0 {
				oldest = key
			}
		}
		delete(all, oldest)
	}
	all[key] = s
}

// fire starts an episode, or adds to the open one.
func (e *engine) fire(m *moment, f firing) {
	if e.off[f.rule] || e.custom.isExcepted(e, rules[f.rule].Name, m) {
		return
	}
	all := e.episodes[f.rule]
	key := f.key
	ep := all[key]
	if ep == nil && e.isFolded(f) {
		key = 0 // of the folded episode: keyed hashes are odd
		ep = all[key]
	}
	if ep == nil {
		ep = &episode{
			id: e.key.pair(key^uint64(f.rule)<<56, uint64(e.now)), first: f.first, folded: key == 0, alone: e.alone,
			attempts: max(f.attempts, 1), km: f.km, kmh: f.kmh, part: f.part,
		}
		ep.began = ep.attempts
		keys := cmp.Or(f.keys, rules[f.rule].keys)
		if !ep.folded {
			ep.subject = subject(keys, m)
			if rules[f.rule].recalls {
				e.recall(ep, keys, f.rule == manyAccounts, m, f.key)
			}
		}
		all[key] = ep
		e.link(f.part, ep.id)
		e.join(ep, m, f)
		ep.last = e.now
		ep.next = 2 * ep.attempts
		e.report(f.rule, ep, Start, m.sample)
		e.mark(f.rule, ep.id, m.sample)
		return
	}
	if m.sample.kind == succeeded {
		// Each success gets a span, not only the first: nothing else in its trace makes a sampler
		// keep it.
		e.mark(f.rule, ep.id, m.sample)
	}
	ep.attempts++
	ep.last = e.now
	e.join(ep, m, f)
	if ep.attempts >= ep.next {
		ep.next = 2 * ep.attempts
		e.report(f.rule, ep, Update, m.sample)
	}
}

// goesOn adds a guess that was refused without a check to the open attacks of its client and on its
// account: it creates no evidence, but the attack goes on.
func (e *engine) goesOn(m *moment) {
	for id := range rules {
		rule, key := ruleID(id), uint64(0)
		switch rules[id].keys {
		case byNetwork:
			key = m.network
		case byGroup:
			key = m.group
		case byAccount:
			key = m.account
		}
		if rules[id].recalls && rule != manyAccounts && e.episodes[rule][key] != nil {
			e.fire(m, firing{rule: rule, key: key})
		}
	}
}

// maxTakeovers is the number of successes that an episode lists.
const maxTakeovers = 8

// link adds the episode of a success to the one that it completes.
func (e *engine) link(attack, success uint64) {
	if attack == 0 {
		return
	}
	for _, all := range e.episodes {
		for _, ep := range all {
			if ep.id == attack && len(ep.takeovers) < maxTakeovers {
				ep.takeovers = append(ep.takeovers, success)
			}
		}
	}
}

// join adds an attempt to the bounded lists.
func (e *engine) join(ep *episode, m *moment, f firing) {
	e.addresses += ep.note(&m.caller, m.sample.route, m.sample.answer(), allAddresses-e.addresses)
	ep.mention(m.name, m.site, m.sample.trace)
	for _, site := range f.also {
		ep.mention("", site, trace.TraceID{})
	}
	if cmp.Or(f.keys, rules[f.rule].keys) == byRoute && !ep.folded {
		ep.route = m.sample.route
	}
	if ep.folded {
		return
	}
	ep.accountCount = max(ep.accountCount, f.accounts, len(ep.accounts))
	ep.networkCount = max(ep.networkCount, f.networks, len(ep.networks))
}

func (ep *episode) mention(name string, site netip.Prefix, id trace.TraceID) {
	if name != "" && len(ep.accounts) < maxListed && !slices.Contains(ep.accounts, name) {
		ep.accounts = append(ep.accounts, name)
	}
	if site.IsValid() && len(ep.networks) < maxListed && !slices.Contains(ep.networks, site) {
		ep.networks = append(ep.networks, site)
	}
	if id.IsValid() && len(ep.traces) < maxTraces && !slices.Contains(ep.traces, id) {
		ep.traces = append(ep.traces, id)
	}
}

// report reports an episode. s is the attempt that causes the event; nil if none does.
func (e *engine) report(rule ruleID, ep *episode, phase Phase, s *sample) {
	e.emit(&described[rule], e.advise(rule, ep), ep, phase, s)
}

func (e *engine) emit(rule *Rule, advice Advice, ep *episode, phase Phase, s *sample) {
	d := &Detection{
		Rule: *rule, Phase: phase, Episode: ep.id, Time: e.wall(e.now),
		First: e.wall(ep.first), Last: e.wall(ep.last), Attempts: ep.attempts,
		Accounts: slices.Clone(ep.accounts), AccountCount: ep.accountCount,
		Networks: slices.Clone(ep.networks), NetworkCount: ep.networkCount,
		Traces: slices.Clone(ep.traces), Route: ep.route,
		DistanceKm: ep.km, SpeedKmPerHour: ep.kmh, Folded: ep.folded, PartOf: ep.part,
		Advice: advice, DedupeKey: ep.dedupeKey(rule.Name),
	}
	if s != nil {
		d.Trace, d.span = s.trace, s.span
	}
	ep.describe(d)
	d.Origins = e.origins(d)
	if phase == End {
		e.addresses -= len(ep.addresses.list)
	}
	e.onReport(d)
}

func (ep *episode) dedupeKey(rule string) string {
	switch {
	case ep.folded:
		return rule + ":folded"
	case ep.subject == "":
		return rule + ":" + episodeText(ep.id)
	}
	return rule + ":" + ep.subject
}

// quiet returns the seconds without an attempt, at least least, after which the episode is over.
func (ep *episode) quiet(least uint32) uint32 {
	mean := uint64(ep.last-min(ep.first, ep.last)) / max(ep.attempts, 1)
	return uint32(min(max(mean*quietIntervals, minQuiet, uint64(least)), maxQuiet))
}

// end reports and removes the episodes that are over.
func (e *engine) end() {
	for _, all := range e.folded {
		for key, s := range all {
			if e.now-min(s.last, e.now) > day {
				delete(all, key)
			}
		}
	}
	for rule, all := range e.episodes {
		var over []uint64
		for key, ep := range all {
			if e.now-min(ep.last, e.now) > ep.quiet(rules[rule].quiet) {
				over = append(over, key)
			}
		}
		slices.Sort(over) // a replay reports them in the same order
		for _, key := range over {
			ep := all[key]
			delete(all, key)
			e.report(ruleID(rule), ep, End, nil)
		}
	}
}

// recent holds the last guesses, and the last successes of accounts from networks new to them. So
// an episode starts with the names, networks and traces of its earlier evidence. 160 bytes each,
// and a name.
//
// Guesses at invented names have a ring of their own, so that a flood of them leaves the others.
type recent struct {
	rings  [2]ring
	agents agents
}

type ring struct {
	places []recalled
	next   int
}

// newRecent returns a recent with rings of n places.
func newRecent(n int) (r recent) {
	for i := range r.rings {
		r.rings[i].places = make([]recalled, n)
	}
	return r
}

type recalled struct {
	account, network, password uint64
	group                      uint64
	site                       netip.Prefix
	name                       string
	trace                      trace.TraceID
	addr                       netip.Addr // zero in an attempt of another process
	agent                      uint32     // in agents
	route                      string
	answer                     answer
	succeeded                  bool
}

func (m *moment) recalled() recalled {
	s := m.sample
	return recalled{
		account: m.account, network: m.network, password: m.same, group: m.group, site: m.site, name: m.name, trace: s.trace,
		addr: m.caller.addr, route: s.route, answer: s.answer(), succeeded: s.kind == succeeded,
	}
}

func (r *recent) note(m *moment) {
	to := r.ringOf(m)
	g := &to.places[to.next]
	*g = m.recalled()
	g.agent = r.agents.put(&m.caller.agent)
	to.next = (to.next + 1) % len(to.places)
	m.isNoted = true
}

func (r *recent) ringOf(m *moment) *ring {
	if m.sample.proven {
		return &r.rings[0]
	}
	return &r.rings[1]
}

// recall fills the lists of an episode from the recent attempts about key, the newest first, and
// accounts that exist before invented names: from successes for an episode of successes, else from
// guesses.
func (e *engine) recall(ep *episode, keys keyKind, successes bool, m *moment, key uint64) {
	for i := range e.recent.rings {
		e.recallFrom(&e.recent.rings[i], ep, keys, successes, m, key)
	}
}

func (e *engine) recallFrom(r *ring, ep *episode, keys keyKind, successes bool, m *moment, key uint64) {
	for i := range r.places {
		g := &r.places[(r.next-1-i+2*len(r.places))%len(r.places)]
		if g.account == 0 && g.network == 0 {
			return
		}
		var match bool
		switch keys {
		case byPair:
			match = g.account == m.account && g.network == m.network
		case byNetwork:
			match = g.network == key
		case byGroup:
			match = g.group == key
		case byAccount:
			match = g.account == key
		case byPassword:
			match = g.password == key
		case byEverything:
			match = true
		case byRoute, byRule:
			return
		}
		if !match || g.succeeded != successes {
			continue
		}
		ep.mention(g.name, g.site, g.trace)
		if i > 0 || !m.isNoted || r != e.recent.ringOf(m) { // m joins by itself
			e.addresses += ep.note(&caller{addr: g.addr, agent: e.recent.agents.get(g.agent)}, g.route, g.answer, allAddresses-e.addresses)
		}
	}
}
