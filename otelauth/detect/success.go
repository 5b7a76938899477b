// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"math"
	"net/netip"
)

// habit is what is usual for an account. Only its own successes write here. 120 bytes with its place.
type habit struct {
	first    uint32 // the first success
	lastDay  uint32
	days     uint32 // on which it was used
	hours    uint32 // of the day, in UTC, at which it was used: a bit each
	lastSite uint64
	newSite  uint64 // the network that came last to those known
	newAt    uint32
	novelAt  uint32
	novel    float32 // new networks lately, halved each 14 days
	turnAt   uint32
	newAddr  [16]byte // an address of newSite
	lastAddr [16]byte // and of lastSite
	lat, lon float32
	placedAt uint32
	placed   bool
	traveled bool // told of newSite
	turns    uint8
}

// learnedDays of use are the least that the hours of an account can be learned from.
const learnedDays = 10

// roams is how many new networks lately make another one no news.
const roams = 3

// familiar is how many accounts must use a network that is nobody's sign of intrusion: an office, a VPN, a
// carrier. An intruder inside of one is not seen by the rules that ask for it.
const familiar = 10

// success adds up a right credential.
func (e *engine) success(m *moment) {
	if m.account == 0 {
		return
	}
	if p := e.endpoint(m.sample.route); p != nil {
		p.attempts++
	}
	e.crowds.touch(m.network, e.now, 1).value.accounts.add(m.account, e.now/window)
	p := e.habits.touch(m.account, e.now, 1)
	h := &p.value
	e.broken(m, h)
	if h.first == 0 {
		h.first, h.novelAt = e.now, e.now
	}
	e.place(m, h)
	e.travel(m, h)
	e.clock(m, h)
	h.lastSite, h.lastAddr = m.network, m.sample.client.As16()
	e.pairs.learn(m.pair, e.now)
}

// broken is about a success that a guess has brought.
func (e *engine) broken(m *moment, h *habit) {
	var passwords int
	f := finding{rule: successAfterFailures, key: m.account, first: e.now, attempts: 1, accounts: 1, networks: 1}
	p := e.tries.get(m.pair)
	if p != nil {
		passwords = p.value.passwords.count(e.now / tryWindow)
		f.first, f.attempts = p.value.first, uint64(p.value.count)+1
	}
	switch {
	case passwords >= e.th.BruteForcePasswords+e.spread,
		// Of an account that has not been seen yet every network is new: after a start, all of them.
		!m.known && h.first != 0 && passwords >= e.th.RunBeforeSuccess+e.spread,
		!m.known && (e.open(distributedGuessing, m.account) || e.open(lowAndSlow, m.account)),
		// Where many are at home, a newcomer is suspect only if a guess at his account came from there.
		!m.known && (passwords > 0 || e.crowd(m.network) < familiar) &&
			(e.open(passwordSpray, m.network) || e.open(credentialStuffing, m.network)):
		e.found(m, f)
		if p != nil {
			p.value = try{} // told once
		}
	}
}

// place is about the network.
func (e *engine) place(m *moment, h *habit) {
	if !m.known {
		h.novel *= float32(math.Exp2(-float64(e.now-h.novelAt) / (14 * day)))
		h.novelAt = e.now
		if e.now-h.first >= uint32(e.th.NewNetworkAfter.Seconds()) && h.days >= 3 && h.novel < roams &&
			e.crowd(m.network) < familiar {
			e.found(m, finding{rule: newNetwork, key: m.account, first: e.now, attempts: 1, accounts: 1, networks: 1})
		}
		h.novel++
		h.newSite, h.newAt, h.newAddr = m.network, e.now, m.sample.client.As16()
		h.turns, h.traveled = 0, false
		return
	}
	if m.network == h.lastSite || h.newSite != m.network && h.newSite != h.lastSite || e.now-h.newAt > day || h.novel > roams {
		return
	}
	if h.turns == 0 || e.now-h.turnAt > 2*hour {
		h.turns, h.turnAt = 0, e.now
	}
	if h.turns++; h.turns >= 4 && e.now-h.first >= uint32(e.th.NewNetworkAfter.Seconds()) {
		h.turns = 0
		e.found(m, finding{rule: concurrentNetworks, key: m.account, first: h.turnAt, attempts: 4, accounts: 1, networks: 2, also: h.sites()})
	}
}

// sites are the networks that a rule about two of them lists beside the present one.
func (h *habit) sites() (sites [2]netip.Prefix) {
	for i, b := range [2][16]byte{h.newAddr, h.lastAddr} {
		if addr := netip.AddrFrom16(b); !addr.IsUnspecified() { // which stands for an address that is not known
			sites[i] = site(addr)
		}
	}
	return sites
}

// travel is about where the network is.
func (e *engine) travel(m *moment, h *habit) {
	if e.loc == nil && !m.placed {
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
	// An intruder's network is soon as known as any other, so what is said of a new one holds for 3 days, once.
	young := h.newSite == m.network || h.newSite == h.lastSite
	if h.placed && young && !h.traveled && e.now-h.newAt < 3*day {
		km := distance(float64(h.lat), float64(h.lon), lat, lon)
		kmh := km / max(float64(e.now-h.placedAt)/hour, 1.0/hour)
		if km >= float64(e.th.TravelKm) && kmh >= float64(e.th.TravelKmPerHour) && e.crowd(h.newSite) < familiar {
			h.traveled = true
			e.found(m, finding{
				rule: impossibleTravel, key: m.account, first: h.placedAt, attempts: 2, accounts: 1, networks: 2, also: h.sites(),
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

// distance is that of two points on a sphere of the Earth's mean radius, in km (haversine formula).
func distance(lat1, lon1, lat2, lon2 float64) float64 {
	const radius, rad = 6371.0, math.Pi / 180
	sLat, sLon := math.Sin((lat2-lat1)*rad/2), math.Sin((lon2-lon1)*rad/2)
	a := sLat*sLat + math.Cos(lat1*rad)*math.Cos(lat2*rad)*sLon*sLon
	return 2 * radius * math.Asin(math.Sqrt(min(a, 1)))
}

// clock is about the hour of the day.
func (e *engine) clock(m *moment, h *habit) {
	// The engine's own time: a wall clock that jumps moves no habit.
	at := e.wall(e.now).UTC()
	of := at.Hour()
	near := uint32(1)<<of | 1<<((of+1)%24) | 1<<((of+23)%24)
	if h.hours&near == 0 && h.days >= learnedDays && e.now-h.first >= uint32(e.th.LearnHours.Seconds()) {
		e.found(m, finding{rule: unusualHour, key: m.account, first: e.now, attempts: 1, accounts: 1, networks: 1})
	}
	h.hours |= 1 << of
	if d := e.now / day; d != h.lastDay {
		h.lastDay = d
		h.days++
	}
}
