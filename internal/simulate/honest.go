// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// World is honest traffic that has misled detection, for [Scenario].Worlds.
type World string

// The worlds. Some happen on [EventDay], a Monday.
const (
	// VPN: a company of a third of the users works behind one address. Half of its users live in
	// another region.
	VPN World = "VPN"
	// EgressMove: on EventDay, the VPN has another address, in another region. Includes VPN.
	EgressMove World = "egress move"
	// ExpiryMonday: on EventDay, the passwords of all users of the VPN have expired. Their clients
	// send the old one, some users mistype the new one or try several. Includes VPN.
	ExpiryMonday World = "expiry Monday"
	// Restart: in the night to EventDay, the Detector restarts without a memory.
	Restart World = "restart"
	// CIFleet: 2,000 jobs a day use one account, each from one of 3,000 networks. Once a week, some
	// have an old password.
	CIFleet World = "CI fleet"
	// CarrierNAT: all phones of a region have one of two addresses.
	CarrierNAT World = "carrier NAT"
	// Pods: 300 pods on ten networks use one account. Once a week, for two hours, all have an old
	// password.
	Pods World = "pods"
	// Conference: for three days, a twentieth of the users, at least 60, work behind one address,
	// and spend the nights in one hotel.
	Conference World = "conference"
	// Travellers: a twentieth of the users fly to another city and back each week, and a tenth of
	// them use the network of the plane, whose address is in a third region.
	Travellers World = "travellers"
)

// Worlds has every world.
var Worlds = []World{VPN, EgressMove, ExpiryMonday, Restart, CIFleet, CarrierNAT, Pods, Conference, Travellers}

// EventDay is the day of the worlds that happen once.
const EventDay = 21

const (
	companyPart      = 0.33
	expiredStale     = 0.7 // of clients send the old password first
	expiredMistypes  = 0.3 // of users mistype the new password, and of each retry
	expiredForgets   = 0.05
	ciJobs           = 2000
	ciNetworks       = 3000
	podCount         = 300
	podNetworks      = 10
	conferenceEvery  = 20 // users
	conferenceDays   = 3
	travellerEvery   = 20 // users
	planePart        = 0.1
	planeNetworks    = 5
	podsAccount      = 2 // after the users: backup, fleet, pods, ci
	ciAccount        = 3
	staleHoursOfPods = 2 * time.Hour
)

// society is what the worlds of a run consist of.
type society struct {
	egress, moved     place
	conference, hotel place
	carriers          []place
	nodes, planes     []place
	cloud             []place
}

func newSociety(w *world) society {
	shared := func(region uint8) place {
		p := w.place(region)
		p.shared = true
		return p
	}
	s := society{egress: shared(0), moved: shared(3), conference: shared(9), hotel: shared(9)}
	for range 2 {
		for region := range cities {
			s.carriers = append(s.carriers, shared(uint8(region)))
		}
	}
	for range podNetworks {
		s.nodes = append(s.nodes, w.place(1))
	}
	for range planeNetworks {
		s.planes = append(s.planes, shared(6))
	}
	for i := range ciNetworks {
		s.cloud = append(s.cloud, place{net: uint32(40_000 + i), region: uint8(5 + i%3)})
	}
	return s
}

func (w *world) has(some ...World) bool {
	for _, world := range some {
		if w.worlds[world] {
			return true
		}
	}
	return false
}

// inCompany reports whether a user works behind the VPN.
func (w *world) inCompany(i int) bool {
	return w.has(VPN, EgressMove, ExpiryMonday) && float64(i%100) < 100*companyPart
}

// settle puts the users of the company into one time zone.
func (w *world) settle(i int, u *user) {
	if !w.inCompany(i) {
		return
	}
	if u.vpn = nil; i%2 == 0 {
		u.region = 0
	} else {
		u.region = 1
	}
	u.home = w.place(u.region)
}

// workplace returns the place that a world gives to a user on a day, and whether it does.
func (w *world) workplace(u *user, i, day int, free bool) (place, bool) {
	switch {
	case w.has(Conference) && w.atConference(i) && day >= EventDay+1 && day < EventDay+1+conferenceDays:
		return w.society.conference, true
	case w.has(Travellers) && i%travellerEvery == 3 && day%7 >= 2 && day%7 <= 4 && u.trip != (place{}):
		return u.trip, true
	case free || day < u.away:
		return place{}, false
	case w.inCompany(i) && w.has(EgressMove) && day >= EventDay:
		return w.society.moved, true
	case w.inCompany(i):
		return w.society.egress, true
	}
	return place{}, false
}

func (w *world) atConference(i int) bool {
	return i%max(min(conferenceEvery, w.s.Users/60), 1) == 0
}

// expire appends the first login of a user whose password has expired.
func (w *world) expire(u *user, i int, begin time.Duration, from place, out []event) []event {
	at := begin + u.starts + time.Duration(w.rng.ExpFloat64()*float64(20*time.Minute))
	ev := event{name: u.name, account: i, client: from.address(u.host), route: w.routes[0]}
	try := func(password uint64, pause time.Duration) {
		ev.at, ev.password = at, password
		out = append(out, ev)
		at += pause/2 + time.Duration(w.rng.ExpFloat64()*float64(pause/2))
	}
	if w.chance(expiredStale) {
		old := w.password()
		for range 1 + w.rng.IntN(3) {
			try(old, 15*time.Second)
		}
	}
	if w.chance(expiredForgets) {
		for range 2 + w.rng.IntN(5) {
			try(w.password(), 30*time.Second)
		}
		// The help desk answers.
		at += 10*time.Minute + time.Duration(w.rng.ExpFloat64()*float64(15*time.Minute))
	}
	at += time.Duration(w.rng.ExpFloat64() * float64(3*time.Minute)) // the new password is chosen
	for w.chance(expiredMistypes) {
		try(w.password(), 12*time.Second)
	}
	try(0, time.Minute)
	return out
}

// travel moves a traveller.
func (w *world) travel(u *user, i, day int, begin time.Duration, out []event) []event {
	if !w.has(Travellers) || i%travellerEvery != 3 || day < u.away {
		return out
	}
	switch day % 7 {
	case 1:
		u.trip = w.place(uint8(w.rng.IntN(len(cities))))
	case 5:
		u.trip = place{}
	default:
		return out
	}
	if !w.chance(planePart) {
		return out
	}
	plane := w.society.planes[w.rng.IntN(planeNetworks)]
	at := begin + u.starts + 12*time.Hour
	return append(out, event{at: at, name: u.name, account: i, client: plane.address(u.host), route: w.routes[0]})
}

// machines appends the attempts of the fleets.
func (w *world) machines(day int, begin time.Duration, out []event) []event {
	if w.has(CIFleet) {
		rng := rand.New(rand.NewPCG(w.s.Seed, uint64(5000+day)))
		for range ciJobs {
			at := begin + time.Duration(rng.Int64N(int64(dayLong)))
			ev := event{
				name: "ci", account: len(w.users) + ciAccount, client: w.society.cloud[rng.IntN(ciNetworks)].address(rng.Uint32()), route: "/files/{path...}",
			}
			hour := at % dayLong / time.Hour
			if day%7 == 3 && (hour == 10 || hour == 11) && rng.IntN(10) == 0 {
				ev.password = uint64(1<<41 + day)
			}
			for range 3 {
				ev.at = at
				out = append(out, ev)
				at += time.Duration(rng.Int64N(int64(time.Minute)))
			}
		}
	}
	if w.has(Pods) {
		stale := begin + 10*time.Hour
		for pod := range uint32(podCount) {
			ev := event{
				name: "pods", account: len(w.users) + podsAccount, client: w.society.nodes[pod%podNetworks].address(pod), route: "/orders/{id}",
			}
			var every time.Duration
			for at := begin + time.Duration(pod)*time.Second; at < begin+dayLong; at += every {
				ev.at, ev.password, every = at, 0, time.Hour
				if day%7 == 2 && at >= stale && at < stale+staleHoursOfPods {
					ev.password, every = uint64(1<<42+day), time.Minute
				}
				out = append(out, ev)
			}
		}
	}
	return out
}

func checkWorlds(some []World) (map[World]bool, error) {
	all := map[World]bool{}
	for _, one := range Worlds {
		all[one] = false
	}
	for _, one := range some {
		if _, ok := all[one]; !ok {
			return nil, fmt.Errorf("simulate: no world %q; use one of Worlds", one)
		}
		all[one] = true
	}
	return all, nil
}
