// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"
)

// The rates of honest traffic: guesses about a company whose users have browsers, phones and
// scripts. No rate was chosen to suit a rule.
const (
	officeSize        = 200  // users behind one shared address
	carrierSites      = 300  // /24s of mobile carriers, in all regions
	mobilePart        = 0.4  // of users also use a phone
	sessionsWorkday   = 6.0  // of a user
	sessionsWeekend   = 0.8  // of a user
	typedPart         = 0.25 // of sessions begin with a typed password
	typoRate          = 0.08 // of typed passwords, and of each retry
	nameTypoRate      = 0.01 // of typed passwords have the name wrong
	forgetEveryDays   = 60.0 // a user forgets the password
	givesUpRate       = 0.35 // after each wrong guess of a forgotten one
	passwordEveryDays = 90.0 // a user changes the password
	stalePart         = 0.5  // of changes leave a client with the old one
	staleEvery        = 15 * time.Minute
	holidayPart       = 0.08 // of users are on holiday on a given day
	awayPart          = 0.4  // of them log in from there
	remotePart        = 0.01 // of working days are spent in a hotel or café
	vpnPart           = 0.03 // of users have a VPN that ends in another region
	leaversEveryDays  = 4000.0
	regularPart       = 0.5  // of users never work at night
	nightPart         = 0.04 // of sessions of the others are at any hour
	fleetPods         = 500
	fleetSites        = 3
)

// place is a network in a region.
type place struct {
	net    uint32 // index of a /24
	region uint8
	shared bool // all users there have one address
}

// cities has the latitude and longitude of each region.
var cities = [...][2]float64{
	{52.5, 13.4}, {48.9, 2.4}, {51.5, -0.1}, {40.4, -3.7}, {59.3, 18.1}, {40.7, -74}, {41.9, -87.6}, {37.8, -122.4},
	{19.1, 72.9}, {1.35, 103.8}, {35.7, 139.7}, {-33.9, 151.2},
}

// offsetHours has the time zone of each region, as hours ahead of UTC.
var offsetHours = [...]int{1, 1, 0, 1, 1, -5, -6, -8, 5, 8, 9, 10}

func offset(region uint8) time.Duration { return time.Duration(offsetHours[region]) * time.Hour }

// address returns a host address of p. Its first byte is the region, for [places].
func (p place) address(host uint32) netip.Addr {
	if p.shared {
		host = 0
	}
	n := (firstRegion+uint32(p.region))<<24 | (p.net&0xffff)<<8 | (1 + host%250)
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// The first byte of an address is firstRegion plus the region, or firstAttack plus the attack.
const (
	firstRegion = 20
	firstAttack = 100
)

// places is a Locator for the addresses of this world.
type places struct{}

func (places) Locate(a netip.Addr) (lat, lon float64, ok bool) {
	if !a.Is4() {
		return 0, 0, false
	}
	b := a.As4()
	region := int(b[0]) - firstRegion
	if b[0] >= firstAttack {
		return -54.8, -68.3, true // far from every region
	}
	if region < 0 || region >= len(cities) {
		return 0, 0, false
	}
	return cities[region][0], cities[region][1], true
}

type user struct {
	name    string
	home    place
	work    place // the shared office or home
	mobile  bool
	vpn     *place
	region  uint8
	starts  time.Duration // of the working day, UTC
	host    uint32
	secret  bool // works with sensitive endpoints
	regular bool // never works at night
	stays   bool // neither leaves nor takes holidays
	retired int  // the day on which the account was disabled; -1 if it is not

	stale []stale
	left  int // first day of the holiday
	away  int // day after the holiday
	at    place
	trip  place // of a traveller
}

// stale is a client with an old password.
type stale struct {
	password    uint64
	phone       bool
	from, until time.Duration
}

type world struct {
	s        Scenario
	rng      *rand.Rand
	users    []user
	carriers []place
	next     uint32 // /24s given out
	wrong    uint64 // passwords given out
	routes   []string
	fleet    []place
	worlds   map[World]bool
	society  society
}

const dayLong = 24 * time.Hour

func newWorld(s Scenario, rng *rand.Rand) (*world, error) {
	worlds, err := checkWorlds(s.Worlds)
	if err != nil {
		return nil, err
	}
	w := &world{s: s, rng: rng, worlds: worlds, routes: []string{"/orders/{id}", "/reports", "/files/{path...}"}}
	for i := range carrierSites {
		w.carriers = append(w.carriers, w.place(uint8(i%len(cities))))
	}
	offices := map[uint8][]place{}
	filled := map[uint8]int{}
	for i := range s.Users {
		u := user{
			name: fmt.Sprintf("user%05d", i), region: uint8(rng.IntN(len(cities))), host: rng.Uint32(),
			mobile: rng.Float64() < mobilePart, secret: rng.Float64() < 0.02, retired: -1,
			regular: rng.Float64() < regularPart,
		}
		u.home = w.place(u.region)
		u.work = u.home
		if rng.IntN(100) < s.SharedPercent {
			if filled[u.region]%officeSize == 0 {
				office := w.place(u.region)
				office.shared = true
				offices[u.region] = append(offices[u.region], office)
			}
			filled[u.region]++
			u.work = offices[u.region][len(offices[u.region])-1]
		}
		if rng.Float64() < vpnPart {
			v := place{net: uint32(60_000 + rng.IntN(20)), region: uint8((int(u.region) + 5) % len(cities))}
			u.vpn = &v
		}
		w.settle(i, &u)
		u.starts = 8*time.Hour + time.Duration(rng.NormFloat64()*float64(time.Hour)) - offset(u.region)
		u.starts = (u.starts + dayLong) % dayLong
		w.users = append(w.users, u)
	}
	for range fleetSites {
		w.fleet = append(w.fleet, w.place(0))
	}
	w.society = newSociety(w)
	return w, nil
}

// place returns an unused /24.
func (w *world) place(region uint8) place {
	w.next++
	return place{net: w.next % 59_000, region: region}
}

func (w *world) password() uint64 {
	w.wrong++
	return w.wrong
}

func (w *world) poisson(mean float64) int {
	limit, n := math.Exp(-mean), 0
	for p := w.rng.Float64(); p > limit; p *= w.rng.Float64() {
		n++
	}
	return n
}

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

// day appends the honest attempts of a day, in no order.
func (w *world) day(day int, out []event) []event {
	begin := time.Duration(day) * dayLong
	weekday := (w.s.Start.Weekday() + time.Weekday(day)) % 7
	free := weekday == time.Saturday || weekday == time.Sunday
	for i := range w.users {
		out = w.person(i, day, begin, free, out)
	}
	if w.s.Users == 0 {
		return out
	}
	// A crawler without credentials, on everything.
	crawler := place{net: 59_500, region: 6}
	for at := time.Duration(0); at < dayLong; at += time.Minute {
		out = append(out, event{at: begin + at, client: crawler.address(1), account: -1, route: "/admin/{page}", secret: true})
	}
	// A script every five minutes.
	for at := time.Duration(0); at < dayLong; at += 5 * time.Minute {
		out = append(out, event{at: begin + at, name: "backup", account: len(w.users), client: w.fleet[0].address(200), route: "/files/{path...}"})
	}
	if !free {
		out = w.deploy(begin, out)
	}
	return w.machines(day, begin, out)
}

// deploy restarts the fleet, one time in five with an old secret.
func (w *world) deploy(begin time.Duration, out []event) []event {
	at := begin + 9*time.Hour + time.Duration(w.rng.Int64N(int64(8*time.Hour)))
	broken := w.chance(0.2)
	var old uint64
	if broken {
		old = w.password()
	}
	for pod := range uint32(fleetPods) {
		home := w.fleet[pod%fleetSites]
		for try := range 20 {
			ev := event{
				at:   at + time.Duration(try)*time.Minute + time.Duration(w.rng.Int64N(int64(20*time.Second))),
				name: "fleet", account: len(w.users) + 1, client: home.address(pod / fleetSites), route: "/orders/{id}",
			}
			if broken && try < 19 {
				ev.password = old
			}
			out = append(out, ev)
			if !broken && try > 2 {
				break
			}
		}
	}
	return out
}

// person appends the attempts of one user on one day.
func (w *world) person(i, day int, begin time.Duration, free bool, out []event) []event {
	u := &w.users[i]
	if u.retired >= 0 {
		return w.leftover(u, i, day, begin, out)
	}
	if !u.stays && w.chance(1/leaversEveryDays) {
		u.retired = day
		return out
	}
	if !u.stays && day >= u.away && w.chance(holidayPart/10) {
		u.left, u.away = day, day+10
		u.at = w.place(uint8(w.rng.IntN(len(cities))))
	}
	sessions := w.poisson(sessionsWorkday)
	switch {
	case day < u.away:
		sessions = 0
		// The user travels on the first and the last day.
		if day > u.left && day < u.away-1 && w.chance(awayPart) {
			sessions = 1 + w.poisson(0.5)
		}
	case free:
		sessions = w.poisson(sessionsWeekend)
	}
	base := w.base(u, i, day, free)
	out = w.travel(u, i, day, begin, out)
	if w.has(ExpiryMonday) && day == EventDay && sessions > 0 && w.inCompany(i) {
		out = w.expire(u, i, begin, base, out)
	}
	if w.chance(1 / passwordEveryDays) {
		at := begin + u.starts + 4*time.Hour
		if w.chance(stalePart) {
			u.stale = append(u.stale, stale{
				password: w.password(), phone: u.mobile && w.chance(0.6), from: at,
				until: at + time.Hour + time.Duration(w.rng.ExpFloat64()*float64(16*time.Hour)),
			})
		}
	}
	out = w.repeat(u, i, begin, base, out)
	forgot := w.chance(1 / forgetEveryDays)
	for n := range sessions {
		at := begin + u.starts + time.Duration(w.rng.Int64N(int64(10*time.Hour)))
		if !u.regular && w.chance(nightPart) {
			at = begin + time.Duration(w.rng.Int64N(int64(dayLong)))
		}
		from := base
		switch {
		case u.mobile && w.chance(0.35):
			from = w.carrier(u, base.region)
		case u.vpn != nil && w.chance(0.3):
			from = *u.vpn
		}
		out = w.session(u, i, at, from, forgot && n == 0, out)
	}
	return out
}

// base returns the place from which a user works on that day.
func (w *world) base(u *user, i, day int, free bool) place {
	if p, ok := w.workplace(u, i, day, free); ok {
		return p
	}
	switch {
	case day < u.away:
		return u.at
	case free:
		return u.home
	case w.chance(remotePart):
		return w.place(u.region)
	case u.work != u.home && w.chance(0.3):
		return u.home
	}
	return u.work
}

// carrier returns the current network of a phone.
func (w *world) carrier(u *user, region uint8) place {
	if w.has(CarrierNAT) {
		return w.society.carriers[int(u.host%2)*len(cities)+int(region)]
	}
	// A phone mostly uses the few sites near it of the carrier of its region.
	k := w.rng.IntN(4)
	if w.chance(0.1) {
		k = w.rng.IntN(carrierSites / len(cities))
	}
	local := (int(u.host%7) + k) % (carrierSites / len(cities))
	return w.carriers[local*len(cities)+int(region)]
}

// session appends a login and the requests after it.
func (w *world) session(u *user, i int, at time.Duration, from place, forgot bool, out []event) []event {
	ev := event{at: at, name: u.name, account: i, client: from.address(u.host), route: w.routes[w.rng.IntN(len(w.routes))]}
	if u.secret && w.chance(0.3) {
		ev.route, ev.secret = "/admin/{page}", true
	}
	try := func(e event) {
		e.at = at
		out = append(out, e)
		at += 4*time.Second + time.Duration(w.rng.ExpFloat64()*float64(12*time.Second))
	}
	if w.chance(0.5) { // the first request of a browser or of curl
		try(event{client: ev.client, account: -1, route: ev.route, secret: ev.secret})
	}
	if forgot {
		for {
			wrong := ev
			wrong.password = w.password()
			try(wrong)
			if w.chance(givesUpRate) {
				break
			}
		}
		at += 10 * time.Minute // the password is reset
	} else if w.chance(typedPart) {
		if w.chance(nameTypoRate) {
			wrong := ev
			wrong.name, wrong.account, wrong.password = fmt.Sprintf("%s%c", u.name, 'a'+rune(w.rng.IntN(26))), -1, w.password()
			try(wrong)
		}
		for w.chance(typoRate) {
			wrong := ev
			wrong.password = w.password()
			try(wrong)
		}
	}
	for range 1 + w.poisson(6) {
		try(ev)
		at += time.Duration(w.rng.ExpFloat64() * float64(2*time.Minute))
	}
	return out
}

// repeat appends the attempts of clients with an old password.
func (w *world) repeat(u *user, i int, begin time.Duration, base place, out []event) []event {
	kept := u.stale[:0]
	for _, c := range u.stale {
		phone := base
		for at := max(begin, c.from); at < min(begin+dayLong, c.until); at += staleEvery {
			if c.phone && w.chance(0.2) {
				phone = w.carrier(u, base.region)
			}
			if local := (at + offset(u.region)) % dayLong; local < 7*time.Hour {
				continue
			}
			out = append(out, event{
				at: at, name: u.name, account: i, password: c.password, client: phone.address(u.host), route: w.routes[0],
			})
		}
		if c.until > begin+dayLong {
			kept = append(kept, c)
		}
	}
	u.stale = kept
	return out
}

// leftover appends the attempts of the phone of a user who has left.
func (w *world) leftover(u *user, i, day int, begin time.Duration, out []event) []event {
	if day > u.retired+2 {
		return out
	}
	for at := time.Duration(0); at < dayLong; at += time.Hour {
		out = append(out, event{
			at: begin + at, name: u.name, account: i, client: u.home.address(u.host), route: w.routes[0], disabled: true,
			password: uint64(i) | 1<<40,
		})
	}
	return out
}
