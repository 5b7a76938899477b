// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import "math"

// guess evaluates a wrong or refused credential.
//
// A client that repeats a wrong password has an old one and does not guess. So only a password
// that is new to the account and network is evidence. Most rules about networks and accounts
// ignore networks that the account uses, because users mistype.
func (e *engine) guess(m *moment) {
	s := m.sample
	fresh := true
	if m.account != 0 {
		p := reach(e.tries, e, m, m.pair)
		if p == nil {
			e.goesOn(m)
			return
		}
		attempts, first := p.value.tally.add(e.now, tryWindow)
		fresh = p.value.passwords.add(&e.blocks, m.password, e.tryAt())
		if p.value.isResumed {
			// The fingerprints of passwords have changed, so this may be one of those before.
			p.value.isResumed, fresh = false, false
		}
		passwords := p.value.passwords.count(&e.blocks, e.tryAt())
		if s.unusable {
			e.onUnusable(m)
		}
		if !s.refused && (fresh || e.open(bruteForce, m.pair)) {
			e.note(m)
		}
		if passwords >= e.th.BruteForcePasswords+e.spread {
			e.fire(m, firing{
				rule: bruteForce, key: m.pair, first: first, attempts: attempts, accounts: 1, networks: 1,
			})
		}
		if fresh && p.value.tick.at(e.now) >= e.th.TickIntervals {
			e.fire(m, firing{
				rule: scheduledGuessing, key: m.pair, keys: byPair, first: first, attempts: attempts,
				accounts: 1, networks: 1,
			})
		}
	}
	if s.sensitive && !m.known {
		e.onSensitive(m)
	}
	if !fresh {
		if m.same != 0 && s.proven {
			e.onStale(m)
		}
		return
	}
	if m.account != 0 {
		e.onEndpoint(m)
		if m.same != 0 {
			e.onPassword(m)
		}
	}
	if m.known {
		return
	}
	e.onSource(m)
	if m.account != 0 {
		e.onGroup(m)
		e.onTarget(m)
	}
}

// reach returns the entry of key and adds weight to it. A guess that was refused without a check
// creates no entry: reach then returns nil if there is none.
func reach[E any](t *table[E], e *engine, m *moment, key uint64) *place[E] {
	if m.sample.refused {
		return t.get(key)
	}
	return t.touch(key, e.now, m.weight())
}

// weight makes evidence about accounts that exist outlast that about invented names.
func (m *moment) weight() uint32 {
	if m.sample.proven {
		return 8
	}
	return 1
}

// fewPasswords is the number of wrong passwords from which on many networks are guessers instead of
// clients with old passwords. Each other process counts each of them again.
const fewPasswords = 4

// onTarget evaluates the account of a guess from an unknown network.
func (e *engine) onTarget(m *moment) {
	p := reach(e.targets, e, m, m.account)
	if p == nil {
		return
	}
	t := &p.value
	f := firing{key: m.account, accounts: 1}
	f.attempts, f.first = t.tally.add(e.now, window)
	slowly, since := t.slow.add(e.now, slowWindow)
	fresh := t.passwords.add(&e.blocks, m.password, e.at())
	t.networks.add(&e.blocks, m.network, e.at())
	passwords, networks := t.passwords.count(&e.blocks, e.at()), t.networks.count(&e.blocks, e.at())
	f.networks = networks
	// A fleet may have a few old secrets at a time. A botnet that repeats a short list has more.
	if networks >= e.th.DistributedNetworks && passwords >= e.th.DistributedNetworks+e.spread ||
		networks >= 3*e.th.DistributedNetworks && passwords >= fewPasswords*(1+e.spread) {
		f.rule = distributedGuessing
		e.fire(m, f)
	}
	if !fresh {
		return
	}
	t.tens.mark(e.now / (10 * minute))
	t.hours.mark(e.now / hour)
	f.attempts, f.first = slowly, since
	if t.hours.count(48) >= e.th.SlowHours || t.tens.count(144) >= e.th.SlowTenMinutes ||
		t.hours.days(slowWindow/day) >= e.th.SlowDays {
		f.rule = lowAndSlow
		e.fire(m, f)
	}
	if t.tick.at(e.now) >= e.th.TickIntervals {
		f.rule, f.keys = scheduledGuessing, byAccount
		e.fire(m, f)
	}
}

// onSource evaluates the network of a guess, which is unknown to the account.
func (e *engine) onSource(m *moment) {
	p := reach(e.sources, e, m, m.network)
	if p == nil {
		return
	}
	n := &p.value
	attempts, first := n.tally.add(e.now, window)
	n.burst.add(e.now, n.tick.last)
	if n.tick.at(e.now) >= e.th.TickIntervals {
		e.fire(m, firing{
			rule: scheduledGuessing, key: m.network, keys: byNetwork, first: first, attempts: attempts,
			accounts: n.names.count(&e.blocks, e.at()), networks: 1,
		})
	}
	if m.account == 0 {
		return
	}
	n.try(e, m)
	e.onBurst(m, n, first)
	e.onStranger(m, n.names.count(&e.blocks, e.at()))
	e.onNames(m, m.network, n, firing{key: m.network, first: first, attempts: attempts, networks: 1})
}

// try adds the name of a guess.
func (n *source) try(e *engine, m *moment) {
	n.names.add(&e.blocks, m.account, e.at())
	if m.sample.unknown {
		n.unknown.add(&e.blocks, m.account, e.at())
	}
}

// onNames evaluates the names that a network, or a group of networks, has tried.
func (e *engine) onNames(m *moment, network uint64, n *source, f firing) {
	names, unknown := n.names.count(&e.blocks, e.at()), n.unknown.count(&e.blocks, e.at())
	if names < e.th.SprayAccounts && names < e.th.StuffingNames {
		return
	}
	crowd := e.crowd(network)
	if e.begun == 0 || e.now-e.begun >= day { // before, many of its users have not arrived yet
		crowd = crowd * e.th.CrowdPercent / 100
	}
	f.accounts = names
	mostly := 2*unknown >= names
	switch {
	case names >= max(e.th.StuffingNames, crowd) && mostly && f.attempts <= 2*uint64(names),
		e.open(credentialStuffing, network):
		f.rule = credentialStuffing
	case names >= max(e.th.StuffingNames, crowd) && mostly,
		names-unknown >= max(e.th.SprayAccounts, crowd):
		f.rule = passwordSpray
	default:
		return
	}
	// many_accounts has reported the network, and its users mistype.
	if n.entered != 0 && e.now-n.entered < window && names < hostileRatio*e.crowd(network) && !e.open(f.rule, network) {
		return
	}
	n.sprayed = e.now
	e.fire(m, f)
}

const (
	// largeGroup is the number of accounts that make a group of networks a large provider of
	// homes or phones, in which some users always fail.
	largeGroup = 200
	// groupNetworks is the least number of networks that a group is evaluated with: one network is
	// evaluated for itself.
	groupNetworks = 5
)

// onGroup evaluates the group of networks of a guess, so that an attacker who has a whole group
// does not hide by using each network once.
func (e *engine) onGroup(m *moment) {
	if m.group == 0 || e.begun != 0 && e.now-e.begun < day {
		return
	}
	p := reach(e.sources, e, m, m.group)
	if p == nil {
		return
	}
	n := &p.value
	attempts, first := n.tally.add(e.now, window)
	n.try(e, m)
	n.parts.add(&e.blocks, m.network, e.at())
	networks := n.parts.count(&e.blocks, e.at())
	if networks < groupNetworks || e.crowd(m.group) >= largeGroup {
		return
	}
	e.onNames(m, m.group, n, firing{key: m.group, keys: byGroup, first: first, attempts: attempts, networks: networks})
}

// crowd returns the number of accounts that succeed from a network, or the most that it may be
// where the number was lost.
func (e *engine) crowd(network uint64) (n int) {
	if p := e.crowds.get(network); p != nil {
		n = p.value.accounts.count(&e.blocks, e.at())
	}
	return max(n, e.lostCrowd(network, window))
}

// hasSucceeded reports whether a network has a success within 3 days, or may have.
func (e *engine) hasSucceeded(network uint64) bool {
	now := uint64(e.now / hour)
	return e.seen.Contains(network, now) || e.seen.IsUnsure(network, now)
}

// onPassword evaluates one wrong password over all accounts and networks.
func (e *engine) onPassword(m *moment) {
	p := e.passwords.touch(m.same, e.now, m.weight()) // a refused guess has no fingerprint
	w := &p.value
	attempts, first := w.tally.add(e.now, window)
	w.names.add(&e.blocks, m.account, e.at())
	w.networks.add(&e.blocks, m.network, e.at())
	names, networks := w.names.count(&e.blocks, e.at()), w.networks.count(&e.blocks, e.at())
	// One account from many networks is a fleet with an old secret, not an attack.
	if names >= e.th.SamePasswordAccounts || networks >= e.th.SamePasswordNetworks && names >= 3 {
		e.fire(m, firing{
			rule: samePassword, key: m.same, first: first, attempts: attempts, accounts: names, networks: networks,
		})
	}
}

// onStale evaluates a wrong password that its client has sent before.
func (e *engine) onStale(m *moment) {
	p := e.passwords.get(m.same)
	if p == nil || p.value.names.count(&e.blocks, e.at()) > 1 {
		return
	}
	w := &p.value
	if now := e.now / hour; now != w.hour {
		w.hour, w.repeats, w.repeated = now, 0, e.now
	}
	w.repeats = min(w.repeats, math.MaxUint16-1) + 1
	if int(w.repeats) >= e.th.StaleRepeats || e.open(staleCredential, m.account) {
		e.fire(m, firing{
			rule: staleCredential, key: m.account, first: w.repeated, attempts: uint64(w.repeats), accounts: 1,
			networks: w.networks.count(&e.blocks, e.at()),
		})
	}
}

// onSensitive evaluates the network of a refusal at a sensitive endpoint.
func (e *engine) onSensitive(m *moment) {
	p := reach(e.sources, e, m, m.network)
	if p == nil {
		return
	}
	n := &p.value
	if n.parts.count(&e.blocks, e.at()) == 0 {
		n.refused = e.now
	}
	what := e.key.pair(m.account^m.password, e.key.text(m.sample.route))
	fresh := n.parts.add(&e.blocks, what, e.at())
	denials := n.parts.count(&e.blocks, e.at())
	if denials < e.th.SensitiveDenials || !fresh && !e.open(sensitiveOnlyDenied, m.network) || e.hasSucceeded(m.network) {
		return
	}
	e.fire(m, firing{rule: sensitiveOnlyDenied, key: m.network, first: n.refused, attempts: uint64(denials), networks: 1})
}

// onUnusable evaluates an attempt at a disabled or expired account.
func (e *engine) onUnusable(m *moment) {
	p := reach(e.targets, e, m, m.account)
	if p == nil {
		return
	}
	attempts, first := p.value.unusable.add(e.now, window)
	if attempts >= uint64(e.th.UnusableTries) {
		e.fire(m, firing{rule: unusableAccount, key: m.account, first: first, attempts: attempts, accounts: 1})
	}
}
