// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// Times of the engine are in seconds.
const (
	second = 1
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// engine adds attempts up, one after the other. It has no clock but the times of the attempts, and no time in it goes
// backwards: a clock that steps back stands still until it has caught up.
//
// What successes write and what failures write are tables of their own. The known pairs, the habits of accounts and the
// crowds of networks are written by right credentials only, so no flood of wrong ones makes the engine forget who is at
// home where.
type engine struct {
	key  sip
	th   Thresholds
	off  [ruleCount]bool
	loc  Locator
	tell func(*Detection)
	mark func(rule ruleID, episode uint64, s *sample)

	base  time.Time // at epoch
	now   uint32
	swept uint32
	nonce uint64 // stands for fingerprints that are not known

	// of a Detector that shares
	spread int  // other processes: one stale password counts once for each, so guesses are only what is more
	alone  bool // findings are of this process by itself

	// written by successes
	pairs  *pairs
	habits *table[habit]
	crowds *table[crowd]
	// written by guesses
	tries     *table[try]
	targets   *table[target]
	sources   *table[source]
	passwords *table[reused]
	endpoints map[string]*endpoint
	recent    recent

	episodes episodes
}

// epoch is the engine's time at its start: late enough that no window reaches back before 0.
const epoch = 64 * day

// try is what one network does to one account. 112 bytes with its place.
type try struct {
	first     uint32
	count     uint32
	passwords distinct // within a day
	tick      tick
}

// target is an account as those see it who come from networks that it never came from. 316 bytes with its place.
type target struct {
	first     uint32
	count     uint32
	passwords distinct // within 3 days
	networks  distinct // within 3 days
	tens      slots    // of ten minutes
	hours     slots
	tick      tick
	unusable  uint32 // tries while disabled or expired

	unusableAt uint32
}

// source is a network as it behaves to accounts that it is strange to. 272 bytes with its place.
type source struct {
	first     uint32
	count     uint32
	names     distinct // within 3 days
	unknown   distinct // of these, those that are no accounts
	sensitive distinct // refusals on sensitive endpoints
	tick      tick
}

// reused is one wrong password. 168 bytes with its place.
type reused struct {
	first    uint32
	count    uint32
	names    distinct // within 3 days
	networks distinct
}

// crowd is who succeeds from a network. 88 bytes with its place.
type crowd struct{ accounts distinct }

const (
	tryWindow = day
	window    = 3 * day
)

func newEngine(cfg *Config, key sip, tell func(*Detection), mark func(ruleID, uint64, *sample)) *engine {
	e := &engine{
		key: key, th: cfg.Thresholds, loc: cfg.Locator, tell: tell, mark: mark,
		base: cfg.Now(), now: epoch, swept: epoch,
		pairs:     newPairs(16 * cfg.Entries),
		habits:    newTable[habit](2*cfg.Entries, 7*day),
		crowds:    newTable[crowd](cfg.Entries/2, 7*day),
		tries:     newTable[try](2*cfg.Entries, day),
		targets:   newTable[target](cfg.Entries, 3*day),
		sources:   newTable[source](cfg.Entries, 3*day),
		passwords: newTable[reused](cfg.Entries, 3*day),
		endpoints: map[string]*endpoint{},
		recent:    recent{ring: make([]recalled, max(cfg.Entries/2, 64))},
	}
	for _, name := range cfg.Off {
		for id := range rules {
			if rules[id].Name == name {
				e.off[id] = true
			}
		}
	}
	for i := range e.episodes {
		e.episodes[i] = map[uint64]*episode{}
	}
	return e
}

// moment is a sample with what all rules need of it.
type moment struct {
	sample                     *sample
	name                       string // as it is listed
	site                       netip.Prefix
	network, account, password uint64 // keyed; account 0: nobody knows whose
	pair                       uint64
	known                      bool // the account has succeeded from the network

	same            uint64 // keyed fingerprint, the same for all accounts; 0: not known
	lat, lon        float64
	placed, relayed bool // lat and lon are set; by the process that saw the attempt, if anybody could
}

// take adds one attempt up.
func (e *engine) take(s *sample) {
	m := moment{sample: s}
	if s.fingerprint != 0 {
		m.same = e.key.pair(s.fingerprint, 0) | 1
	}
	e.add(&m)
}

// add adds up an attempt of this process or of another.
func (e *engine) add(m *moment) {
	s := m.sample
	e.advance(s.at)
	m.site = site(s.client)
	m.network = e.address(m.site)
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
		m.name = strings.Clone(attempt.Text(m.name, maxNameBytes)) // what is listed for long keeps no long string alive
	}
	m.pair = e.key.pair(m.account, m.network) | 1
	m.known = m.account != 0 && e.pairs.known(m.pair, e.now)
	if s.kind == succeeded {
		e.success(m)
		return
	}
	switch {
	case m.same != 0 && !m.relayed:
		m.password = m.same
	case s.fingerprint != 0:
		m.password = e.key.pair(s.fingerprint, 0) | 1
	default:
		// Without a fingerprint each guess counts as a new one.
		e.nonce++
		m.password = e.key.pair(e.nonce, 0) | 1
	}
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

// sweep ends what is over at now.
func (e *engine) sweep(now time.Time) {
	e.advance(now)
	if e.now-e.swept >= sweepEvery {
		e.swept = e.now
		e.end()
	}
}

// site is the network that evidence is kept for: /24 of IPv4 and /48 of IPv6, what one subscriber or site commonly
// holds (RFC 6177), so that nobody escapes by changing his address within it. The zero Addr has the zero Prefix: callers
// whose address is not known are one network.
func site(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	p, _ := addr.Prefix(bits)
	return p
}

func (e *engine) address(p netip.Prefix) uint64 {
	if !p.IsValid() {
		return e.key.pair(0, 1) | 1
	}
	b := p.Addr().As16()
	return e.key.pair(binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])) | 1
}
