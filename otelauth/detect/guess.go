// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

// guess evaluates a wrong or refused credential.
//
// A client that repeats a wrong password has an old one and does not guess. So only a password
// that is new to the account and network is evidence. Most rules about networks and accounts
// ignore networks that the account uses, because users mistype.
func (e *engine) guess(m *moment) {
	s := m.sample
	fresh := true
	if m.account != 0 {
		p := e.tries.touch(m.pair, e.now, 1)
		countAttempt(&p.value.first, &p.value.count, e.now, p.value.passwords.count(e.now/tryWindow))
		fresh = p.value.passwords.add(m.password, e.now/tryWindow)
		passwords := p.value.passwords.count(e.now / tryWindow)
		if s.unusable {
			e.onUnusable(m)
		}
		if fresh || e.open(bruteForce, m.pair) {
			e.recent.note(m)
		}
		if passwords >= e.th.BruteForcePasswords+e.spread {
			e.fire(m, firing{
				rule: bruteForce, key: m.pair, first: p.value.first, attempts: uint64(p.value.count), accounts: 1, networks: 1,
			})
		}
		if fresh && p.value.tick.at(e.now) >= e.th.TickIntervals {
			e.fire(m, firing{
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

// countAttempt counts an attempt. If the window holds no earlier evidence (live is 0), it starts
// at 1.
func countAttempt(first, count *uint32, now uint32, live int) {
	if live == 0 {
		*first, *count = now, 0
	}
	*count++
}

// weight makes entries of accounts that exist outlast entries of invented names.
func (m *moment) weight() uint32 {
	if m.sample.proven {
		return 8
	}
	return 1
}

// onTarget evaluates the account of a guess from an unknown network.
func (e *engine) onTarget(m *moment) {
	p := e.targets.touch(m.account, e.now, m.weight())
	t := &p.value
	countAttempt(&t.first, &t.count, e.now, t.passwords.count(e.now/window)+t.hours.count(14, 24))
	fresh := t.passwords.add(m.password, e.now/window)
	t.networks.add(m.network, e.now/window)
	passwords, networks := t.passwords.count(e.now/window), t.networks.count(e.now/window)
	f := firing{key: m.account, first: t.first, attempts: uint64(t.count), accounts: 1, networks: networks}
	if networks >= e.th.DistributedNetworks && passwords >= e.th.DistributedNetworks+e.spread {
		f.rule = distributedGuessing
		e.fire(m, f)
	}
	if !fresh {
		return
	}
	t.tens.mark(e.now / (10 * minute))
	t.hours.mark(e.now / hour)
	if t.hours.count(48, 1) >= e.th.SlowHours || t.tens.count(144, 1) >= e.th.SlowTenMinutes ||
		t.hours.count(14, 24) >= e.th.SlowDays {
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
	p := e.sources.touch(m.network, e.now, 1)
	n := &p.value
	countAttempt(&n.first, &n.count, e.now, n.names.count(e.now/window)+n.sensitive.count(e.now/window))
	if n.tick.at(e.now) >= e.th.TickIntervals {
		e.fire(m, firing{
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
	f := firing{key: m.network, first: n.first, attempts: uint64(n.count), accounts: names, networks: 1}
	mostly := 2*unknown >= names
	switch {
	case names >= max(e.th.StuffingNames, crowd) && mostly && int(n.count) <= 2*names,
		e.open(credentialStuffing, m.network):
		f.rule = credentialStuffing
		e.fire(m, f)
	case names >= max(e.th.StuffingNames, crowd) && mostly,
		names-unknown >= max(e.th.SprayAccounts, crowd):
		f.rule = passwordSpray
		e.fire(m, f)
	}
}

// crowd returns the number of accounts that succeed from a network.
func (e *engine) crowd(network uint64) int {
	if p := e.crowds.get(network); p != nil {
		return p.value.accounts.count(e.now / window)
	}
	return 0
}

// onPassword evaluates one wrong password over all accounts and networks.
func (e *engine) onPassword(m *moment) {
	p := e.passwords.touch(m.same, e.now, 1)
	w := &p.value
	countAttempt(&w.first, &w.count, e.now, w.names.count(e.now/window))
	w.names.add(m.account, e.now/window)
	w.networks.add(m.network, e.now/window)
	names, networks := w.names.count(e.now/window), w.networks.count(e.now/window)
	// One account from many networks is a fleet with an old secret, not an attack.
	if names >= e.th.SamePasswordAccounts || networks >= e.th.SamePasswordNetworks && names >= 3 {
		e.fire(m, firing{
			rule: samePassword, key: m.same, first: w.first, attempts: uint64(w.count), accounts: names, networks: networks,
		})
	}
}

// onSensitive evaluates the network of a refusal at a sensitive endpoint.
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
	e.fire(m, firing{rule: sensitiveOnlyDenied, key: m.network, first: n.first, attempts: uint64(denials), networks: 1})
}

// onUnusable evaluates an attempt at a disabled or expired account.
func (e *engine) onUnusable(m *moment) {
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
		e.fire(m, firing{rule: unusableAccount, key: m.account, first: t.first, attempts: uint64(t.unusable), accounts: 1})
	}
}
