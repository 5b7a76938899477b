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
// either. One that a success has completed is the last to lose its place. An episode of
// success_after_failures always takes a place: that of the oldest one.
const MaxEpisodes = 128

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
	takeovers []uint64       // episodes of successes that are part of this one
	entered   []netip.Prefix // by the successes of success_after_failures

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

// folded holds the evidence about subjects whose episodes are folded, of all rules. 24 bytes each.
// If there are too many, the ones with the least severity and evidence are forgotten first.
type folded struct{ *table[foldedSubject] }

type foldedSubject struct{ attempts uint64 }

// foldedLife is how long a folded subject without further evidence is remembered.
const foldedLife = day

func newFolded(entries int) folded { return folded{newTable[foldedSubject](entries, day, foldedLife)} }

// foldedKey returns the key of a subject in folded.
func (e *engine) foldedKey(rule ruleID, key uint64) uint64 {
	return e.key.pair(key, uint64(rule)+4) | 1
}

// foldedAttempts returns the evidence about a folded subject; 0 if it is not folded.
func (e *engine) foldedAttempts(rule ruleID, key uint64) uint64 {
	if p := e.folded.get(e.foldedKey(rule, key)); p != nil && e.now-min(p.last, e.now) < foldedLife {
		return p.value.attempts
	}
	return 0
}

// remember stores the evidence about a folded subject; 0 if it is not folded.
func (e *engine) remember(rule ruleID, key, attempts uint64) {
	p := e.folded.touch(e.foldedKey(rule, key), e.now, 0)
	p.value.attempts = attempts
	p.weight = uint32(min(attempts, maxWeight>>4)) << (2 * rules[rule].Severity)
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
	also     netip.Prefix // a second network, beside that of the attempt
	part     uint64       // the episode that a success is part of
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
	return e.foldedAttempts(rule, key) > 0
}

// weakest returns the key of the episode that loses its place: one that no success has completed,
// before one that a success has, and of these the one with the least evidence. Successes themselves
// differ in age only.
func (e *engine) weakest(rule ruleID) (weakest uint64) {
	all := e.episodes[rule]
	isWeaker := func(key uint64, ep *episode) bool {
		w := all[weakest]
		byValue := 0
		if rule != successAfterFailures {
			byValue = cmp.Or(cmp.Compare(min(len(ep.takeovers), 1), min(len(w.takeovers), 1)), cmp.Compare(ep.attempts, w.attempts))
		}
		// The order of the keys decides at last, so that every process chooses the same.
		return cmp.Or(byValue, cmp.Compare(ep.last, w.last), cmp.Compare(key, weakest)) < 0
	}
	for key, ep := range all {
		if !ep.folded && (weakest == 0 || isWeaker(key, ep)) {
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
	attempts := max(e.foldedAttempts(f.rule, f.key)+1, f.attempts)
	if f.rule != successAfterFailures && attempts < 2*e.floor[f.rule] {
		e.remember(f.rule, f.key, attempts)
		return true
	}
	weakest := e.weakest(f.rule)
	ep := all[weakest]
	if e.floor[f.rule] = ep.attempts; f.rule == successAfterFailures || attempts >= 2*ep.attempts {
		e.remember(f.rule, weakest, ep.attempts)
		e.remember(f.rule, f.key, 0)
		delete(all, weakest)
		e.report(f.rule, ep, End, nil)
		return false
	}
	e.remember(f.rule, f.key, attempts)
	return true
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
			e.floor[f.rule] = 0
			ep.subject = subject(keys, m)
			ep.enter(f.rule, m.site)
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
	isEntered := ep.enter(f.rule, m.site)
	e.join(ep, m, f)
	if ep.attempts >= ep.next || isEntered {
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
	ep.mention("", f.also, trace.TraceID{})
	if cmp.Or(f.keys, rules[f.rule].keys) == byRoute && !ep.folded {
		ep.route = m.sample.route
	}
	if ep.folded {
		return
	}
	ep.accountCount = max(ep.accountCount, f.accounts, len(ep.accounts))
	ep.networkCount = max(ep.networkCount, f.networks, len(ep.networks))
}

// enter puts the network of a takeover in front of those that only guess. It reports whether the
// network is a further one, for at most maxListed of them.
func (ep *episode) enter(rule ruleID, site netip.Prefix) bool {
	if rule != successAfterFailures || !site.IsValid() || len(ep.entered) >= maxListed || slices.Contains(ep.entered, site) {
		return false
	}
	ep.entered = append(ep.entered, site)
	others := slices.DeleteFunc(ep.networks, func(p netip.Prefix) bool { return p == site })
	ep.networks = append([]netip.Prefix{site}, others[:min(len(others), maxListed-1)]...)
	return true
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
	at                         uint32
	route                      string
	answer                     answer
	succeeded                  bool
}

func (e *engine) recalled(m *moment) recalled {
	s := m.sample
	return recalled{
		account: m.account, network: m.network, password: m.same, group: m.group, site: m.site, name: m.name, trace: s.trace,
		addr: m.caller.addr, at: e.now, route: s.route, answer: s.answer(), succeeded: s.kind == succeeded,
	}
}

func (e *engine) note(m *moment) {
	r := &e.recent
	to := r.ringOf(m)
	g := &to.places[to.next]
	*g = e.recalled(m)
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

// recall fills the lists of an episode from the attempts about key since its first one, the newest
// first, and accounts that exist before invented names: from successes for an episode of successes,
// else from guesses.
func (e *engine) recall(ep *episode, keys keyKind, successes bool, m *moment, key uint64) {
	for i := range e.recent.rings {
		e.recallFrom(&e.recent.rings[i], ep, keys, successes, m, key)
	}
}

func (e *engine) recallFrom(r *ring, ep *episode, keys keyKind, successes bool, m *moment, key uint64) {
	for i := range r.places {
		g := &r.places[(r.next-1-i+2*len(r.places))%len(r.places)]
		if g.account == 0 && g.network == 0 || g.at < ep.first {
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
			match = !e.hasSucceeded(g.network)
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
