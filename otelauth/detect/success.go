// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"cmp"
	"math"
	"math/bits"
	"net/netip"
)

// habit is the usual behaviour of an account. Only successes write to it. 144 bytes with its
// place.
type habit struct {
	first          uint32 // the first success
	lastDay        uint32
	days           uint32            // number of days with use
	hours          [hourWeeks]uint32 // of the day, in UTC, with use, in each of the last weeks
	newAts         [roams]uint32     // when newSites became known
	newSites       [roams]uint64     // the networks that became known last
	lastSite       uint64
	tunnel         uint64 // a known network that the account has jumped to: a VPN, and not a place
	novelAt        uint32
	novel          float32 // recent new networks, halved every 14 days
	turnAt         uint32
	lastAddr       [16]byte // an address of lastSite
	lat, lon       float32
	placedAt       uint32
	placed         bool
	travelReported bool // since the account entered its last new network
	turns          uint8
}

// learnedDays is the least number of days with use that usual hours are learned from.
const learnedDays = 10

// roams is the number of recent new networks above which another one is normal.
const roams = 3

// familiar is the number of accounts, within 3 days, that make a network normal 7 days later: an
// office, a VPN, a carrier. Rules that ask for it do not detect an intruder inside such a network.
const familiar = 10

// success evaluates a right credential.
func (e *engine) success(m *moment) {
	if m.account == 0 {
		return
	}
	if p := e.endpoint(m.sample.route); p != nil {
		p.attempts++
	}
	if e.begun == 0 {
		e.begun = e.now
	}
	h := &e.habits.touch(m.account, e.now, 1).value
	if e.isSettled(h) || !e.hasLearned() {
		e.seen.Add(m.network, uint64(e.now/hour))
		e.crowds.touch(m.network, e.now, 1).value.add(e, m.account)
		if m.group != 0 {
			e.crowds.touch(m.group, e.now, 1).value.add(e, m.account)
		}
	}
	e.absolve(m)
	e.onGuessedSuccess(m, h)
	if h.first == 0 {
		h.first, h.novelAt = e.now, e.now
	}
	e.onNetworkChange(m, h)
	e.onTravel(m, h)
	e.onHour(m, h)
	h.lastSite, h.lastAddr = m.network, m.sample.client.As16()
	e.pairs.Add(m.pair, uint64(e.now/hour))
}

// absolve removes the account from the evidence against the network, because a user who mistypes
// and then succeeds is no victim.
func (e *engine) absolve(m *moment) {
	for _, network := range [...]uint64{m.network, m.group} {
		if p := e.sources.get(network); p != nil && network != 0 {
			failed := p.value.names.remove(&e.blocks, m.account)
			m.guessed = m.guessed || failed && network == m.network
			p.value.unknown.remove(&e.blocks, m.account)
		}
	}
	for i := range e.strangers {
		s := &e.strangers[i]
		s.networks.remove(&e.blocks, m.network)
		s.names.remove(&e.blocks, m.account)
	}
}

// isSettled reports whether an account is known for so long that a network new to it means
// something.
func (e *engine) isSettled(h *habit) bool {
	return h.first != 0 && e.now-h.first >= uint32(e.th.NewNetworkAfter.Seconds())
}

// onGuessedSuccess evaluates a success that follows guesses.
func (e *engine) onGuessedSuccess(m *moment, h *habit) {
	var passwords int
	f := firing{rule: successAfterFailures, key: m.account, first: e.now, attempts: 1, accounts: 1, networks: 1}
	p := e.tries.get(m.pair)
	if p != nil {
		passwords = p.value.passwords.count(&e.blocks, e.tryAt())
		p.value.tally.roll(e.now, tryWindow)
		f.first, f.attempts = cmp.Or(p.value.tally.first, e.now), p.value.tally.total()+1
	}
	f.part = e.attack(m)
	switch {
	case passwords >= e.th.BruteForcePasswords+e.spread,
		// Every network is new to an account without a success, and after a start that is every
		// account.
		!m.known && h.first != 0 && passwords >= e.th.RunBeforeSuccess+e.spread,
		!m.known && e.isUnderAttack(m, passwords),
		// In a network of many accounts, a new one is suspect only after guesses at it from there.
		!m.known && passwords >= fewPasswords*(1+e.spread) && e.hasLearned() && e.isFamiliar(m.network) &&
			(e.open(passwordSpray, m.network) || e.open(credentialStuffing, m.network)),
		!m.known && e.attackFrom(m) != 0:
		e.fire(m, f)
		if p != nil {
			e.tries.drop(&p.value)
			p.value = try{} // reports it once
		}
		return
	}
	if !m.known {
		e.wait(m)
	}
}

// attack returns the id of the open episode that a success may complete, a folded one only if there
// is no other; 0 if there is none.
func (e *engine) attack(m *moment) (id uint64) {
	for _, of := range [...]struct {
		rule ruleID
		key  uint64
	}{
		{distributedGuessing, m.account}, {lowAndSlow, m.account}, {passwordSpray, m.network}, {credentialStuffing, m.network},
		{passwordSpray, m.group}, {credentialStuffing, m.group},
		{bruteForce, m.pair}, {distributedStuffing, strangersKey},
	} {
		if of.key == 0 {
			continue
		}
		if ep := e.episodes[of.rule][of.key]; ep != nil {
			return ep.id
		}
		id = cmp.Or(id, e.episodeID(of.rule, of.key))
	}
	return id
}

// onNetworkChange evaluates the network of a success.
func (e *engine) onNetworkChange(m *moment, h *habit) {
	if !m.known {
		e.note(m)
		h.novel *= float32(math.Exp2(-float64(e.now-h.novelAt) / (14 * day)))
		h.novelAt = e.now
		if e.isSettled(h) && h.days >= 3 && h.novel < roams &&
			!e.isFamiliar(m.network) {
			e.fire(m, firing{rule: newNetwork, key: m.account, first: e.now, attempts: 1, accounts: 1, networks: 1})
			e.onNewcomer(m)
		}
		h.novel++
		h.enter(m.network, e.now)
		h.turns, h.travelReported = 0, false
		return
	}
	if _, at := h.newer(m.network); m.network == h.lastSite || e.now-at > day || h.novel > roams {
		return
	}
	if h.turns == 0 || e.now-h.turnAt > 2*hour {
		h.turns, h.turnAt = 0, e.now
	}
	if h.turns++; h.turns >= 4 && e.isSettled(h) {
		h.turns = 0
		e.fire(m, firing{rule: concurrentNetworks, key: m.account, first: h.turnAt, attempts: 4, accounts: 1, networks: 2, also: h.site()})
	}
}

// onNewcomer evaluates a network that is not familiar and that a settled account has used for the
// first time. A network that was reported for its guesses is not reported again: if a company moves
// to a new network on the day on which its passwords expire, both rules would fire.
func (e *engine) onNewcomer(m *moment) {
	c := &e.crowds.get(m.network).value
	c.newcomers.add(&e.blocks, m.account, e.at())
	n := c.newcomers.count(&e.blocks, e.at())
	if n < e.th.ManyAccounts || !e.hasLearned() {
		return
	}
	p := e.sources.get(m.network)
	if e.open(manyAccounts, m.network) || p == nil || p.value.sprayed == 0 || e.now-p.value.sprayed >= window {
		e.sources.touch(m.network, e.now, m.weight()).value.entered = e.now
		e.fire(m, firing{
			rule: manyAccounts, key: m.network, first: max(e.now-window, e.begun), attempts: uint64(n), accounts: n, networks: 1,
		})
	}
}

// add adds an account that has succeeded.
func (c *crowd) add(e *engine, account uint64) {
	c.accounts.add(&e.blocks, account, e.at())
	today := e.now / day
	for d := max(c.day+1, max(today, crowdDays)-crowdDays+1); d <= today; d++ {
		c.most[d%crowdDays] = 0
	}
	c.day = max(c.day, today)
	p := &c.most[c.day%crowdDays]
	*p = max(*p, uint8(min(c.accounts.count(&e.blocks, e.at()), math.MaxUint8)))
}

// hasLearned reports whether the engine has seen successes for long enough to know which networks
// are familiar.
func (e *engine) hasLearned() bool { return e.begun != 0 && e.now-e.begun >= agedDays*day }

// isFamiliar reports whether so many accounts used the network more than 7 days ago that it is
// normal for an account to use it for the first time. Before the engine has learned, any successes
// make a network familiar.
func (e *engine) isFamiliar(network uint64) bool {
	return e.largestCrowd(network, agedDays) >= familiar || !e.hasLearned() && e.crowd(network) >= familiar
}

// largestCrowd returns the most accounts that have succeeded from a network within 3 days, until
// some days ago, or the most that it may be where the number was lost.
func (e *engine) largestCrowd(network uint64, until uint32) int {
	n := e.lostCrowd(network, crowdDays*day)
	p := e.crowds.get(network)
	if p == nil {
		return n
	}
	c, today := &p.value, e.now/day
	for back := until; back < crowdDays; back++ {
		if d := today - back; d <= c.day && c.day-d < crowdDays {
			n = max(n, int(c.most[d%crowdDays]))
		}
	}
	return n
}

// enter notes a network that is new to the account, in place of the oldest one.
func (h *habit) enter(network uint64, now uint32) {
	copy(h.newSites[1:], h.newSites[:])
	copy(h.newAts[1:], h.newAts[:])
	h.newSites[0], h.newAts[0] = network, now
}

// newer returns which of network and that of the last success the account has entered later, and
// when; zeros if neither is among its last new ones.
func (h *habit) newer(network uint64) (uint64, uint32) {
	for i, n := range h.newSites {
		if n == network || n == h.lastSite {
			return n, h.newAts[i]
		}
	}
	return 0, 0
}

// site returns the network of the last success, for the lists of an episode.
func (h *habit) site() netip.Prefix {
	addr := netip.AddrFrom16(h.lastAddr)
	if addr.IsUnspecified() { // an unknown address
		return netip.Prefix{}
	}
	return site(addr)
}

// onTravel evaluates the place of a success.
func (e *engine) onTravel(m *moment, h *habit) {
	if e.loc == nil && !m.placed || m.network == h.tunnel {
		return
	}
	if m.network == h.lastSite && h.placed {
		h.placedAt = e.now
		return
	}
	lat, lon, ok := m.lat, m.lon, m.placed
	if !m.relayed {
		lat, lon, ok = locate(e.loc, m.sample.client)
	}
	if !ok {
		return
	}
	km := distance(float64(h.lat), float64(h.lon), lat, lon)
	kmh := km / max(float64(e.now-h.placedAt)/hour, 1.0/hour)
	if h.placed && km >= float64(e.th.TravelKm) && kmh >= float64(e.th.TravelKmPerHour) {
		// The network of an intruder soon becomes known, so it counts as new for 3 days, and fires
		// once.
		newest, at := h.newer(m.network)
		isYoung := e.now-at < 3*day
		if m.known && !isYoung {
			h.tunnel = m.network
			return
		}
		// Every network of a new account is new to it.
		if isYoung && !h.travelReported && e.isSettled(h) && h.novel <= roams &&
			!e.isFamiliar(newest) && !e.open(manyAccounts, newest) {
			h.travelReported = true
			e.fire(m, firing{
				rule: impossibleTravel, key: m.account, first: h.placedAt, attempts: 2, accounts: 1, networks: 2, also: h.site(),
				km: km, kmh: kmh,
			})
		}
	}
	h.lat, h.lon, h.placed, h.placedAt = float32(lat), float32(lon), true, e.now
}

func locate(l Locator, addr netip.Addr) (lat, lon float64, ok bool) {
	if l == nil {
		return 0, 0, false
	}
	lat, lon, ok = l.Locate(addr)
	return lat, lon, ok && math.Abs(lat) <= 90 && math.Abs(lon) <= 180 // and so no NaN
}

// distance returns the distance of two points in km, on a sphere of the Earth's mean radius
// (haversine).
func distance(lat1, lon1, lat2, lon2 float64) float64 {
	const radius, rad = 6371.0, math.Pi / 180
	sLat, sLon := math.Sin((lat2-lat1)*rad/2), math.Sin((lon2-lon1)*rad/2)
	a := sLat*sLat + math.Cos(lat1*rad)*math.Cos(lat2*rad)*sLon*sLon
	return 2 * radius * math.Asin(math.Sqrt(min(a, 1)))
}

const (
	// hourWeeks is the number of weeks of which the used hours are remembered.
	hourWeeks = 4
	// nearHours is the number of hours before and after a usual one that are usual too: time zones
	// and daylight saving move the habits of an account by that many hours.
	nearHours = 2
	// regularHours is the number of hours, with those near them, up to which an account has usual
	// hours at all.
	regularHours = 18
)

// onHour evaluates the hour of the day of a success. A network new to the account is the matter of
// new_network: users who travel change their time zone.
func (e *engine) onHour(m *moment, h *habit) {
	// The engine's time: a wall clock that jumps must not change habits.
	at := e.wall(e.now).UTC()
	week := e.now / (7 * day)
	if today := e.now / day; today != h.lastDay {
		last := h.lastDay / 7
		for w := max(last, week-min(week, hourWeeks)) + 1; w <= week; w++ {
			h.hours[w%hourWeeks] = 0
		}
		h.lastDay = today
		h.days++
	}
	if m.known && h.days > learnedDays && e.now-h.first >= uint32(e.th.LearnHours.Seconds()) {
		usual := h.usualHours()
		if usual&(1<<at.Hour()) == 0 && bits.OnesCount32(usual) <= regularHours {
			e.fire(m, firing{rule: unusualHour, key: m.account, first: e.now, attempts: 1, accounts: 1, networks: 1})
		}
	}
	if m.known { // the first success from a network may be that of an intruder
		h.hours[week%hourWeeks] |= 1 << at.Hour()
	}
}

// usualHours returns the hours of the day with use, and those near them; a bit each.
func (h *habit) usualHours() (usual uint32) {
	var used uint32
	for _, week := range h.hours {
		used |= week
	}
	for shift := range 2*nearHours + 1 {
		// Rotated by shift-nearHours hours of the day.
		by := (shift - nearHours + 24) % 24
		usual |= used<<by | used>>(24-by)
	}
	return usual & (1<<24 - 1)
}
