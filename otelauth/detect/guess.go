// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

// guess adds up a wrong or refused credential.
//
// A client that repeats one wrong password is stale, not a guesser: for each account and network only a password that is
// new to the pair is evidence. And of the rules about networks and accounts, most leave out pairs that have succeeded:
// people mistype at home.
func (e *engine) guess(m *moment) {
	s := m.sample
	fresh := true
	if m.account != 0 {
		p := e.tries.touch(m.pair, e.now, 1)
		begin(&p.value.first, &p.value.count, e.now, p.value.passwords.count(e.now/tryWindow))
		fresh = p.value.passwords.add(m.password, e.now/tryWindow)
		passwords := p.value.passwords.count(e.now / tryWindow)
		if s.unusable {
			e.unusable(m)
		}
		if fresh || e.open(bruteForce, m.pair) {
			e.recent.note(m)
		}
		if passwords >= e.th.BruteForcePasswords+e.spread {
			e.found(m, finding{
				rule: bruteForce, key: m.pair, first: p.value.first, attempts: uint64(p.value.count), accounts: 1, networks: 1,
			})
		}
		if fresh && p.value.tick.at(e.now) >= e.th.TickIntervals {
			e.found(m, finding{
				rule: scheduledGuessing, key: m.pair, keys: byPair, first: p.value.first, attempts: uint64(p.value.count),
				accounts: 1, networks: 1,
			})
		}
	}
	if s.sensitive && !m.known {
		e.onSensitive(m)
	}
	if !fresh {
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
		e.onTarget(m)
	}
}

// begin counts an attempt; where nothing of the former ones is left in the window, counting starts anew.
func begin(first, count *uint32, now uint32, live int) {
	if live == 0 {
		*first, *count = now, 0
	}
	*count++
}

// weight makes entries of names that are accounts outlast those that are perhaps none, which cost nothing to invent.
func (m *moment) weight() uint32 {
	if m.sample.proven {
		return 8
	}
	return 1
}

// onTarget is about the account that a stranger tries.
func (e *engine) onTarget(m *moment) {
	p := e.targets.touch(m.account, e.now, m.weight())
	t := &p.value
	begin(&t.first, &t.count, e.now, t.passwords.count(e.now/window)+t.hours.count(14, 24))
	fresh := t.passwords.add(m.password, e.now/window)
	t.networks.add(m.network, e.now/window)
	passwords, networks := t.passwords.count(e.now/window), t.networks.count(e.now/window)
	f := finding{key: m.account, first: t.first, attempts: uint64(t.count), accounts: 1, networks: networks}
	if networks >= e.th.DistributedNetworks && passwords >= e.th.DistributedNetworks+e.spread {
		f.rule = distributedGuessing
		e.found(m, f)
	}
	if !fresh {
		return
	}
	t.tens.mark(e.now / (10 * minute))
	t.hours.mark(e.now / hour)
	if t.hours.count(48, 1) >= e.th.SlowHours || t.tens.count(144, 1) >= e.th.SlowTenMinutes ||
		t.hours.count(14, 24) >= e.th.SlowDays {
		f.rule = lowAndSlow
		e.found(m, f)
	}
	if t.tick.at(e.now) >= e.th.TickIntervals {
		f.rule, f.keys = scheduledGuessing, byAccount
		e.found(m, f)
	}
}

// onSource is about the network that a guess came from, which the account never came from.
func (e *engine) onSource(m *moment) {
	p := e.sources.touch(m.network, e.now, 1)
	n := &p.value
	begin(&n.first, &n.count, e.now, n.names.count(e.now/window)+n.sensitive.count(e.now/window))
	if n.tick.at(e.now) >= e.th.TickIntervals {
		e.found(m, finding{
			rule: scheduledGuessing, key: m.network, keys: byNetwork, first: n.first, attempts: uint64(n.count),
			accounts: n.names.count(e.now / window), networks: 1,
		})
	}
	if m.account == 0 {
		return
	}
	n.names.add(m.account, e.now/window)
	if m.sample.unknown {
		n.unknown.add(m.account, e.now/window)
	}
	names, unknown := n.names.count(e.now/window), n.unknown.count(e.now/window)
	if names < e.th.SprayAccounts && names < e.th.StuffingNames {
		return
	}
	crowd := e.crowd(m.network) * e.th.CrowdPercent / 100
	f := finding{key: m.network, first: n.first, attempts: uint64(n.count), accounts: names, networks: 1}
	mostly := 2*unknown >= names
	switch {
	case names >= max(e.th.StuffingNames, crowd) && mostly && int(n.count) <= 2*names,
		e.open(credentialStuffing, m.network):
		f.rule = credentialStuffing
		e.found(m, f)
	case names >= max(e.th.StuffingNames, crowd) && mostly,
		names-unknown >= max(e.th.SprayAccounts, crowd):
		f.rule = passwordSpray
		e.found(m, f)
	}
}

// crowd is how many accounts succeed from a network.
func (e *engine) crowd(network uint64) int {
	if p := e.crowds.get(network); p != nil {
		return p.value.accounts.count(e.now / window)
	}
	return 0
}

// onPassword is about one wrong password, wherever it is tried.
func (e *engine) onPassword(m *moment) {
	p := e.passwords.touch(m.same, e.now, 1)
	w := &p.value
	begin(&w.first, &w.count, e.now, w.names.count(e.now/window))
	w.names.add(m.account, e.now/window)
	w.networks.add(m.network, e.now/window)
	names, networks := w.names.count(e.now/window), w.networks.count(e.now/window)
	// A fleet with one stale secret is one account from many networks, and no attack.
	if names >= e.th.SamePasswordAccounts || networks >= e.th.SamePasswordNetworks && names >= 3 {
		e.found(m, finding{
			rule: samePassword, key: m.same, first: w.first, attempts: uint64(w.count), accounts: names, networks: networks,
		})
	}
}

// onSensitive is about a network that is never let in.
func (e *engine) onSensitive(m *moment) {
	p := e.sources.touch(m.network, e.now, 1)
	n := &p.value
	if n.names.count(e.now/window)+n.sensitive.count(e.now/window) == 0 {
		n.first, n.count = e.now, 0
	}
	what := e.key.pair(m.account^m.password, e.key.text(m.sample.route))
	fresh := n.sensitive.add(what, e.now/window)
	denials := n.sensitive.count(e.now / window)
	if denials < e.th.SensitiveDenials || !fresh && !e.open(sensitiveOnlyDenied, m.network) || e.crowd(m.network) > 0 {
		return
	}
	e.found(m, finding{rule: sensitiveOnlyDenied, key: m.network, first: n.first, attempts: uint64(denials), networks: 1})
}

// unusable is about an account that is disabled or expired.
func (e *engine) unusable(m *moment) {
	p := e.targets.touch(m.account, e.now, m.weight())
	t := &p.value
	if t.first == 0 {
		t.first = e.now
	}
	if e.now-t.unusableAt > window {
		t.unusable = 0
	}
	t.unusable++
	t.unusableAt = e.now
	if int(t.unusable) >= e.th.UnusableTries {
		e.found(m, finding{rule: unusableAccount, key: m.account, first: t.first, attempts: uint64(t.unusable), accounts: 1})
	}
}
