// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Episodes of detection, with their evidence.

import { h, number, plural, setText, shown, span, stamp } from './dom.js'
import { now, state } from './data.js'
import { account, address, backend, facts, network, route, section, sentence, severity, title } from './parts.js'
import { buttons } from './act.js'
import { table } from './list.js'
import words from './words.js'

const names = e => {
  const many = (n, one) => (n > 8 ? 'about ' : '') + plural(n, one)
  return [e.account_count ? many(e.account_count, 'account') : '', e.network_count ? many(e.network_count, 'network') : ''].filter(Boolean).join(', ')
}

// nameOf returns a name of the evidence: an account, or the hash of a name that is not one.
const ruleCount = Object.keys(words.rules).length
const nameOf = text => /^[^\s:]+:[0-9a-f]{16,}$/.test(text) ? account('', text) : account(text)

// episodeCard returns the summary of an episode.
export function episodeCard(e) {
  return h('a', { class: 'episode-card ' + e.severity, href: address('episode', { id: e.id }) },
    h('span', {}, severity(e.severity), ' ', h('b', {}, e.rule)),
    h('span', {}, sentence(e.summary)),
    h('small', {}, plural(e.attempts, 'attempt') + ' · ' + names(e) + ' · since ', stamp(e.first)))
}

const lasted = e => {
  const seconds = (Date.parse(e.last) - Date.parse(e.first)) / 1000
  return seconds < 1 ? '< 1 s' : span(seconds)
}

const columns = [
  { name: 'Began', class: 'time', cell: e => h('a', { href: address('episode', { id: e.id }) }, stamp(e.first)) },
  { name: 'State', class: 'state', cell: e => e.running ? h('span', { class: 'running' }, 'running') : 'over' },
  { name: 'Severity', class: 'verdict', cell: e => severity(e.severity) },
  { name: 'Rule', class: 'who', cell: e => h('span', { title: e.summary }, e.rule) },
  { name: 'Attempts', class: 'number', cell: e => number(e.attempts) },
  { name: 'Evidence', class: 'where', cell: e => [e.accounts?.length === 1 ? [nameOf(e.accounts[0]), ' '] : '', e.networks?.length === 1 ? [network(e.networks[0]), ' '] : '', names(e)] },
  { name: 'Lasted', class: 'number', cell: e => lasted(e) },
]

export function episodes(root) {
  const rows = table({ label: 'Episodes', columns, key: e => e.id, class: 'episodes', empty: () => [
    h('p', {}, 'Detection has found no attack since the start.'),
    h('p', {}, 'It looks for ' + ruleCount + ' patterns, such as one network that guesses the password of one account.'),
    h('details', {}, h('summary', {}, 'All rules'), ruleTable())] })
  const note = h('p', { class: 'muted found', role: 'status' })
  root.append(title('Episodes', 'Attempts that together are an attack. Detection reports them and denies nothing; the throttle denies.'), note, h('div', { class: 'card tall' }, rows.element))
  let source
  return () => {
    if (source !== state.episodes) rows.set(source = state.episodes)
    const running = state.episodes.filter(e => e.running).length
    setText(note, number(running) + ' running, ' + number(state.episodes.length - running) + ' over.' +
      (state.forgotten ? ' ' + plural(state.forgotten, 'older one is', 'older ones are') + ' no longer in memory.' : ''))
  }
}

const ruleTable = () => h('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Rules' }, h('table', {},
  h('thead', {}, h('tr', {}, ['rule', 'severity', 'fires at'].map(name => h('th', { scope: 'col' }, name)))),
  h('tbody', {}, Object.entries(words.rules).map(([name, rule]) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, severity(rule.severity)), h('td', { class: 'text' }, rule.fires))))))

const advice = {
  high: 'Look for a success in the evidence first. If there is one from the same network, change the password of that account and forget its credentials.',
  medium: 'Look at the accounts and networks below. A misconfigured client looks like this too.',
  low: 'Usually harmless alone. Ask the owner of the account if it coincides with other episodes.',
}

export function episode(root, parameters) {
  const box = h('div')
  root.append(box)
  let shownAt
  return () => {
    const e = state.episodes.find(other => other.id === parameters.get('id'))
    const key = e ? e.id + e.updated : state.loaded ? 'absent' : ''
    if (key === shownAt) return
    shownAt = key
    box.replaceChildren(...(e ? details(e) : [title('Episode', 'This episode is not in the memory of the process. Past episodes are in your backend: search for the event auth.detection.')]))
  }
}

function details(e) {
  const rule = words.rules[e.rule]
  const about = e.accounts?.length === 1 && !/:/.test(e.accounts[0]) ? { account: e.accounts[0] } : {}
  const evidence = (name, list, count, cell, act) => list?.length ? section(name + (count > list.length ? ': ' + number(list.length) + ' of about ' + number(count) : ''),
    h('ul', { class: 'evidence' }, list.map(text => h('li', {}, cell(text), act(text))))) : null
  return [
    title(sentence(e.summary), [severity(e.severity), ' ', h('b', {}, e.rule), ' · ', e.running ? h('span', { class: 'running' }, 'running') : 'over',
      ' · ', plural(e.attempts, 'attempt'), ' · since ', stamp(e.first), ' (' + span((now() - Date.parse(e.first)) / 1000) + ' ago)']),
    section('What it means', h('p', {}, 'By default the rule fires at: ', rule?.fires ?? 'see the documentation', '.'), h('p', {}, advice[e.severity] ?? ''),
      e.folded ? h('p', {}, 'This episode represents all further ones of its rule.') : null),
    h('div', { class: 'columns' },
      evidence('Accounts', e.accounts, e.account_count, nameOf, text => /:[0-9a-f]{16,}$/.test(text) ? null : buttons({ account: text }, ['deny', 'forget'])),
      evidence('Networks', e.networks, e.network_count, text => network(text), text => buttons({ ...about, network: text }, ['deny'])),
      evidence('Sample attempts', e.trace_ids, 0, text => h('a', { href: address('attempt', { trace: text }), title: text }, h('code', {}, text.slice(0, 16) + '…')), text => backend(text, 'Backend'))),
    section('As recorded', facts([
      ['security_rule.name', e.rule], ['ATT&CK technique', e.technique], ['auth.detection.episode', h('code', {}, e.id)], ['First attempt', stamp(e.first)], ['Last attempt', stamp(e.last)],
      ['Completes the attack', e.part_of && h('a', { href: address('episode', { id: e.part_of }) }, h('code', {}, e.part_of))],
      ['Endpoint', e.route && route(e.route)], ['Distance', e.distance_km ? number(Math.round(e.distance_km)) + ' km' : ''], ['Speed', e.speed_kmh ? number(Math.round(e.speed_kmh)) + ' km/h' : ''],
    ]))]
}
