// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/pairs"
)

// Times of the engine are in seconds.
const (
	second = 1
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// engine evaluates attempts one after the other. Its only clock is the times of the attempts, and
// it never moves backwards: after a step back it waits until the time has caught up.
//
// Successes and failures write to separate tables. Only successes write pairs, habits and crowds,
// so a flood of guesses cannot erase which networks an account uses.
type engine struct {
	key sip
	th  Thresholds
	off [ruleCount]bool
	loc Locator
	// thresholds states when each rule fires, with the configured numbers
	thresholds [ruleCount]string
	onReport   func(*Detection)
	custom     *custom // of the operator
	// markCustom is mark for a rule of the operator; nil: no spans
	markCustom func(rule *Rule, episode uint64, s *sample)
	mark       func(rule ruleID, episode uint64, s *sample)

	base  time.Time // at epoch
	now   uint32
	swept uint32
	begun uint32 // time of the first success
	nonce uint64 // replaces unknown fingerprints

	// with a Feed
	spread int  // the other processes; one stale password counts once for each of them
	alone  bool // the feed is down

	// written by successes
	pairs      *pairs.Set // of accounts and networks; ticks are hours
	seen       *pairs.Set // networks with a success within 3 days; ticks are hours
	habits     *table[habit]
	habitsLost tally // of the last 30 days
	crowds     *table[crowd]
	lostCrowds []lostCrowd // for each bucket of crowds
	// written by guesses
	tries     *table[try]
	targets   *table[target]
	sources   *table[source]
	passwords *table[reused]
	endpoints map[string]*endpoint
	recent    recent
	strangers strangers
	arrivals  arrivals
	blocks    blocks // of all counters

	episodes  episodes
	folded    folded
	floor     [ruleCount]uint64 // of the weakest of MaxEpisodes when it was last sought; or 0
	addresses int               // of all episodes
}

// epoch is the engine's time at its start, so late that no window reaches back before 0.
const epoch = 64 * day

// try is the evidence about one account and one network. 96 bytes with its place.
type try struct {
	tally     tally    // within a day
	passwords distinct // within a day
	tick      tick
	isResumed bool // its passwords are those before a restart
}

// target is the evidence about one account, gathered from networks that are unknown to it.
// 296 bytes with its place.
type target struct {
	tally     tally    // within 3 days
	passwords distinct // within 3 days
	networks  distinct // within 3 days
	slow      tally    // within 14 days
	tens      slots    // windows of ten minutes
	hours     slots
	tick      tick
	unusable  tally // attempts while the account is disabled or expired, within 3 days
}

// source is the evidence about one network or group of networks, from accounts that it is unknown
// to. 184 bytes with its place.
type source struct {
	tally   tally    // within 3 days
	names   distinct // within 3 days
	unknown distinct // of these, names that are not accounts
	parts   distinct // within 3 days: refusals on sensitive endpoints; of a group, its networks
	refused uint32   // time of the first of them
	tick    tick
	sprayed uint32 // time at which password_spray or credential_stuffing last fired
	entered uint32 // time at which many_accounts last fired
	burst   burst
}

// reused is the evidence about one wrong password. 128 bytes with its place.
type reused struct {
	tally    tally    // within 3 days
	names    distinct // within 3 days
	networks distinct
	hour     uint32
	repeats  uint16 // within this hour of the clock: by clients that have sent it before
	repeated uint32 // time of the first of them
}

// crowd is the set of accounts that succeed from a network. An account belongs to it that is known
// for a while: an attacker must not become a crowd with accounts of its own. 128 bytes with its
// place.
type crowd struct {
	accounts  distinct // within 3 days
	newcomers distinct // of these, settled accounts that had never used the network
	day       uint32
	most      [crowdDays]uint8 // accounts, on each of the last days
}

const (
	tryWindow  = day
	pairLife   = 30 * day
	window     = 3 * day
	slowWindow = 14 * day
	// crowdDays is how long a network remains familiar after its accounts have left it.
	crowdDays = 32
	// agedDays is the number of days after which a success makes a network familiar. So an attacker
	// cannot make one familiar with successes of the same attack.
	agedDays = 8
)

// tryAt returns the slot of tryWindow at now.
func (e *engine) tryAt() uint32 { return e.now / (tryWindow / windowSlots) }

// at returns the slot of window at now.
func (e *engine) at() uint32 { return e.now / (window / windowSlots) }

func newEngine(cfg *Config, key sip, onReport func(*Detection), mark func(ruleID, uint64, *sample)) *engine {
	e := &engine{
		key: key, th: cfg.Thresholds, loc: cfg.Locator, onReport: onReport, mark: mark,
		base: cfg.Now(), now: epoch, swept: epoch,
		pairs:     pairs.New(16*cfg.Entries, pairLife/hour),
		seen:      pairs.New(8*cfg.Entries, window/hour),
		habits:    newTable[habit](2*cfg.Entries, 7*day, pairLife),
		crowds:    newTable[crowd](cfg.Entries/2, 7*day, crowdDays*day),
		tries:     newTable[try](2*cfg.Entries, day, tryWindow),
		targets:   newTable[target](cfg.Entries, 3*day, slowWindow),
		sources:   newTable[source](cfg.Entries, 3*day, window),
		passwords: newTable[reused](cfg.Entries/2, 3*day, window),
		endpoints: map[string]*endpoint{},
		recent:    newRecent(max(cfg.Entries*3/32, 32)),
		folded:    newFolded(cfg.Entries),
	}
	e.lostCrowds = make([]lostCrowd, len(e.crowds.buckets))
	e.crowds.lose = e.loseCrowd
	e.habits.lose = func(int, *place[habit]) { e.habitsLost.add(e.now, pairLife) }
	e.replace(&cfg.Custom)
	for id := range rules {
		e.off[id] = !cfg.IsOn(rules[id].Name)
		e.thresholds[id] = filled(&cfg.Thresholds).Replace(rules[id].Default)
	}
	e.crowds.drop = func(c *crowd) {
		c.accounts.release(&e.blocks)
		c.newcomers.release(&e.blocks)
	}
	e.tries.drop = func(t *try) { t.passwords.release(&e.blocks) }
	e.targets.drop = func(t *target) {
		t.passwords.release(&e.blocks)
		t.networks.release(&e.blocks)
	}
	e.sources.drop = func(s *source) {
		for _, d := range [...]*distinct{&s.names, &s.unknown, &s.parts} {
			d.release(&e.blocks)
		}
	}
	e.passwords.drop = func(r *reused) {
		r.names.release(&e.blocks)
		r.networks.release(&e.blocks)
	}
	for i := range e.episodes {
		e.episodes[i] = map[uint64]*episode{}
	}
	return e
}

// moment is a sample with the values that all rules need.
type moment struct {
	sample                     *sample
	name                       string   // for the lists of an episode
	caller                     caller   // zero in an attempt of another process
	self                       identity // zero in an attempt of another process
	site                       netip.Prefix
	network, account, password uint64 // keyed hashes; account 0: unknown
	group                      uint64 // keyed hash of the group of networks; 0: none
	pair                       uint64 // keyed hash of account and network
	known                      bool   // the account has succeeded from the network, or may have
	isNoted                    bool   // it is the newest one of its ring of recent
	guessed                    bool   // a success: its network had failed for the account

	same     uint64 // keyed fingerprint, the same for all accounts; 0: unknown
	lat, lon float64
	placed   bool // lat and lon are set
	relayed  bool // the attempt came through a feed, and its sender set lat and lon if it could
}

// take evaluates one attempt of a process without a feed.
func (e *engine) take(s *sample) {
	m := moment{sample: s, caller: callerOf(s), self: identityOf(s)}
	if s.fingerprint != 0 {
		m.same = e.key.pair(s.fingerprint, 0) | 1
	}
	e.add(&m)
}

// add evaluates an attempt of this process or of another one.
func (e *engine) add(m *moment) {
	s := m.sample
	e.advance(s.at)
	m.site = site(s.client)
	m.network = e.address(m.site)
	if g := group(m.site); g.IsValid() {
		m.group = e.key.pair(e.address(g), 3) | 1
	}
	identity := s.hash
	if identity == "" {
		identity = s.name
	}
	if identity != "" {
		m.account = e.key.text(identity) | 1
	}
	if m.name = s.name; m.name == "" {
		m.name = s.hash
	}
	if len(m.name) > maxNameBytes {
		// Cloned, because a list must not keep a long string alive.
		m.name = strings.Clone(attempt.Text(m.name, maxNameBytes))
	}
	m.pair = e.key.pair(m.account, m.network) | 1
	now := uint64(e.now / hour)
	// Where pairs were lost, a rule must not take an owner for an intruder.
	m.known = m.account != 0 && (e.pairs.Contains(m.pair, now) || e.pairs.IsUnsure(m.pair, now))
	e.judge(m)
	if s.kind == succeeded {
		e.custom.evaluate(e, m)
		e.success(m)
		return
	}
	switch {
	case m.same != 0 && !m.relayed:
		m.password = m.same
	case s.fingerprint != 0:
		m.password = e.key.pair(s.fingerprint, 0) | 1
	default:
		// Without a fingerprint each guess counts as a new password.
		e.nonce++
		m.password = e.key.pair(e.nonce, 0) | 1
	}
	e.custom.evaluate(e, m)
	e.guess(m)
}

func (e *engine) advance(at time.Time) {
	if d := at.Sub(e.base) / time.Second; d > 0 {
		e.now = max(e.now, uint32(min(d, 1<<31))+epoch)
	}
}

func (e *engine) wall(t uint32) time.Time {
	return e.base.Add((time.Duration(t) - epoch) * time.Second)
}

// sweep ends the episodes that are over at now.
func (e *engine) sweep(now time.Time) {
	e.advance(now)
	if e.now-e.swept >= sweepEvery {
		e.swept = e.now
		e.end()
		e.custom.end(e)
	}
}

// site returns the network that evidence is kept for: the /24 of IPv4 or the /48 of IPv6. One
// subscriber or site commonly has that many addresses (RFC 6177), so changing the address within
// them does not help an attacker. The zero Addr has the zero Prefix: unknown addresses are one
// network.
func site(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	p, _ := addr.Prefix(bits)
	return p
}

// groupBits is the length of the prefix of a group of IPv6 networks: what a registry gives to one
// provider. A customer of a provider of servers easily has networks of one group. IPv4 has no such
// group: its providers have scattered networks.
const groupBits = 32

// group returns the group of networks that a network is in, or the zero Prefix.
func group(site netip.Prefix) netip.Prefix {
	if !site.IsValid() || site.Addr().Is4() {
		return netip.Prefix{}
	}
	p, _ := site.Addr().Prefix(groupBits)
	return p
}

func (e *engine) address(p netip.Prefix) uint64 {
	if !p.IsValid() {
		return e.key.pair(0, 1) | 1
	}
	b := p.Addr().As16()
	return e.key.pair(binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])) | 1
}
