// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

const (
	// judgedAfter is how long a success from a network new to its account waits for a verdict about
	// the network. In that time, most users who have mistyped succeed, so a network of users has
	// more successes than failing names.
	judgedAfter = 20 * minute
	// hostileRatio is the number of failing names, for each account that succeeds, that separates a
	// network of guesses from a network of users.
	hostileRatio = 5
	// massAttack is the number of accounts under attack from which on the attack on an account does
	// not make its user in a new network suspect.
	massAttack = 10
	// suspect is the number of guesses that make a network part of an attack on many accounts. One
	// may be that of a user, whose client has an old password.
	suspect = 2
	// maxArrivals is the number of successes that wait, of 160 bytes and a name each.
	maxArrivals = 1024
)

// arrivals holds the last successes from networks that are new to their accounts. The newest wait
// until it is clear whether their network attacks. If all of them wait, the oldest is judged early.
type arrivals struct {
	ring    []recalled // at is 0 after it was reported
	next    int        // place of the next success
	waiting int        // before it
}

// wait adds a success.
func (e *engine) wait(m *moment) {
	a := &e.arrivals
	if a.ring == nil {
		a.ring = make([]recalled, maxArrivals)
	}
	if a.waiting == maxArrivals {
		e.judgeOldest(m)
	}
	a.ring[a.next] = e.recalled(m)
	a.next = (a.next + 1) % maxArrivals
	a.waiting++
}

// judge evaluates the successes that have waited long enough when m arrives.
func (e *engine) judge(m *moment) {
	a := &e.arrivals
	for a.waiting > 0 && e.now-a.oldest().at >= judgedAfter {
		e.judgeOldest(m)
	}
}

func (a *arrivals) oldest() *recalled { return &a.ring[(a.next-a.waiting+maxArrivals)%maxArrivals] }

func (e *engine) judgeOldest(m *moment) {
	e.expose(m, e.arrivals.oldest())
	e.arrivals.waiting--
}

// exposeFrom evaluates the successes of the last 7 days from the network of m. The ring may hold
// much older ones, from before the attack.
func (e *engine) exposeFrom(m *moment) {
	for i := range e.arrivals.ring {
		if p := &e.arrivals.ring[i]; p.network == m.network && e.now-p.at < agedDays*day {
			e.expose(m, p)
		}
	}
}

// expose reports an earlier success if its network attacks, once.
func (e *engine) expose(m *moment, a *recalled) {
	if a.at == 0 {
		return
	}
	past := moment{
		sample: &sample{kind: succeeded, trace: a.trace, at: m.sample.at, route: a.route}, name: a.name, site: a.site,
		caller:  caller{addr: a.addr},
		network: a.network, group: a.group, account: a.account,
	}
	if part := e.attackFrom(&past); part != 0 && !e.open(successAfterFailures, a.account) {
		at := a.at
		a.at = 0
		e.fire(&past, firing{
			rule: successAfterFailures, key: a.account, first: at, attempts: 1, accounts: 1, networks: 1, part: part,
		})
	}
}

// attackFrom returns the id of the open episode that makes a success from the network of m a
// guess, although no guess at its account may have come before; 0 if there is none.
func (e *engine) attackFrom(m *moment) uint64 {
	if e.open(distributedStuffing, strangersKey) && e.strange(m.network) >= suspect {
		return e.episodeID(distributedStuffing, strangersKey)
	}
	for _, network := range [...]uint64{m.network, m.group} {
		if network == 0 || !e.isHostile(network) {
			continue
		}
		for _, rule := range [...]ruleID{passwordSpray, credentialStuffing} {
			if e.open(rule, network) {
				return e.episodeID(rule, network)
			}
		}
	}
	return 0
}

// isHostile reports whether a network, or a group of networks, guesses: it has failed for many more
// names than accounts have succeeded from it, and not only for a moment. After a start, every
// network is new, so none is hostile for a day.
func (e *engine) isHostile(network uint64) bool {
	p := e.sources.get(network)
	if p == nil || e.begun == 0 || e.now-e.begun < day || e.isFamiliar(network) {
		return false
	}
	n := &p.value
	n.tally.roll(e.now, window)
	return e.now-n.tally.first >= judgedAfter && n.names.count(&e.blocks, e.at()) >= hostileRatio*max(e.crowd(network), 1)
}

// strange returns the number of other names that a network or a group of networks has failed for; 0
// if about as many accounts have succeeded from it in the last weeks.
func (e *engine) strange(network uint64) int {
	p := e.sources.get(network)
	if p == nil || e.isFamiliar(network) {
		return 0
	}
	names := p.value.names.count(&e.blocks, e.at())
	if names < 2*e.largestCrowd(network, 0)-1 {
		return 0
	}
	return names
}

// isUnderAttack reports whether a success from a new network ends an attack on its account. If many
// accounts are under attack, or were until a moment ago, so are users who change networks: then the
// network must have guessed too, at other names, or more often at the account than an owner does.
func (e *engine) isUnderAttack(m *moment, passwords int) bool {
	if !e.open(distributedGuessing, m.account) && !e.open(lowAndSlow, m.account) {
		return false
	}
	under := 0
	for _, rule := range [...]ruleID{distributedGuessing, lowAndSlow} {
		under += len(e.episodes[rule])
		if e.episodes[rule][0] != nil || e.foldedAttempts(rule, m.account) > 0 {
			under += massAttack // others are folded
		}
	}
	if under < massAttack || passwords >= fewPasswords*(1+e.spread) {
		return true
	}
	names := e.strange(m.network)
	if m.guessed {
		names++
	}
	return names >= suspect
}
