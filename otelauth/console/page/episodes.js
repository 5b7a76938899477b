// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Episodes of detection, with their evidence.

import { h, later, number, plural, released, setText, shown, span, stamp } from './dom.js'
import { get, now, state } from './data.js'
import { account, address, backend, copy, facts, network, route, section, sentence, severity, title } from './parts.js'
import { buttons } from './act.js'
import { table } from './list.js'
import words from './words.js'

const names = e => {
  const many = (n, one) => (n > 8 ? 'about ' : '') + plural(n, one)
  return [e.account_count ? many(e.account_count, 'account') : '', e.network_count ? many(e.network_count, 'network') : ''].filter(Boolean).join(', ')
}

// nameOf returns a name of the evidence: an account, or the hash of a name that is not one.
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
    h('p', {}, 'It looks for ' + number(rulesOn()) + ' patterns, such as one network that guesses the password of one account.'),
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

const isOff = rule => state.status?.detection_off?.includes(rule) ?? false

// rulesOn returns the number of built-in rules that are on.
export const rulesOn = () => Object.keys(words.rules).filter(rule => !isOff(rule)).length

const ruleTable = () => h('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Rules' }, h('table', {},
  h('thead', {}, h('tr', {}, ['rule', 'state', 'severity', 'fires at'].map(name => h('th', { scope: 'col' }, name)))),
  h('tbody', {}, Object.entries(words.rules).map(([name, rule]) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, isOff(name) ? 'off' : 'on'), h('td', {}, severity(rule.severity)), h('td', { class: 'text' }, rule.fires))))))

export function episode(root, parameters) {
  const box = h('div')
  const known = h('div', { class: 'detail', 'aria-busy': 'true' }, h('p', { class: 'loading' }, 'Reading the evidence…'))
  root.append(box)
  const id = parameters.get('id') ?? ''
  let shownAt, read
  const refresh = later(100, async () => {
    try {
      read = await get('episodes/' + encodeURIComponent(id))
    } catch (problem) {
      if (!read) known.replaceChildren(h('p', { class: 'alarm' }, 'The evidence cannot be read: ' + problem.message))
      return
    }
    await released()
    known.removeAttribute('aria-busy')
    known.replaceChildren(...detail(read))
  })
  return () => {
    const e = state.episodes.find(other => other.id === id)
    const key = e ? e.id + e.updated : state.loaded ? 'absent' : ''
    if (key === shownAt) return
    shownAt = key
    box.replaceChildren(...(e ? [heading(e), known, evidence(e), recorded(e)] : [title('Episode', 'This episode is not in the memory of the process. Past episodes are in your backend: search for the event auth.detection.')]))
    if (e) refresh()
  }
}

const heading = e => title(sentence(e.summary), [severity(e.severity), ' ', h('b', {}, e.rule), ' · ', e.running ? h('span', { class: 'running' }, 'running') : 'over',
  ' · ', plural(e.attempts, 'attempt'), ' · since ', stamp(e.first), ' (' + span((now() - Date.parse(e.first)) / 1000) + ' ago)'])

function evidence(e) {
  const about = e.accounts?.length === 1 && !/:/.test(e.accounts[0]) ? { account: e.accounts[0] } : {}
  const part = (name, list, count, cell, act) => list?.length ? section(name + (count > list.length ? ': ' + number(list.length) + ' of about ' + number(count) : ''),
    h('ul', { class: 'evidence' }, list.map(text => h('li', {}, cell(text), act(text))))) : null
  return h('div', { class: 'columns' },
    part('Accounts', e.accounts, e.account_count, nameOf, text => /:[0-9a-f]{16,}$/.test(text) ? null : buttons({ account: text }, ['deny', 'forget'])),
    part('Networks', e.networks, e.network_count, text => network(text), text => buttons({ ...about, network: text }, ['deny'])),
    part('Sample attempts', e.trace_ids, 0, text => h('a', { href: address('attempt', { trace: text }), title: text }, h('code', {}, text.slice(0, 16) + '…')), text => backend(text, 'Backend')))
}

// first is how many addresses are shown at once.
const first = 12

// detail returns what the last event about an episode says. Its texts may be those of clients.
function detail(d) {
  const line = (cell, one) => h('li', {}, cell(one.value), h('span', { class: 'muted' }, plural(one.attempts, 'attempt')))
  const list = (cell, tallies) => h('ul', { class: 'evidence' }, tallies.map(one => line(cell, one)))
  const tallies = (name, cell, all) => all.length ? section(name, list(cell, all.slice(0, first)),
    all.length > first ? h('details', {}, h('summary', {}, plural(all.length - first, 'further one')), list(cell, all.slice(first))) : null) : null
  const count = d.address_count > d.addresses.length ? ': ' + number(d.addresses.length) + ' of ' + number(d.address_count) : ''
  return [
    section('What it means', h('p', {}, shown(d.message)),
      facts([['The rule fires at', shown(d.threshold)], ['Confidence', [shown(d.confidence), ': ', shown(d.confidence_reason)]],
        ['The same without an attack', shown(d.false_positives)], ['Answers', d.refused + ' × 401, ' + d.throttled + ' × 429, ' + d.succeeded + ' succeeded'],
        ['Successes that complete it', d.takeovers.length ? d.takeovers.map(id => h('a', { href: address('episode', { id }) }, h('code', {}, id), ' ')) : ''],
        ['Owners of the addresses', d.origins.length ? d.origins.map(text => h('div', {}, shown(text))) : '']]),
      d.folded ? h('p', {}, 'This episode represents all further ones of its rule.') : null),
    section('What to do first', h('p', {}, shown(sentence(d.next_step))), d.command ? h('pre', {}, shown(d.command)) : null,
      h('p', { class: 'tools' }, d.command ? copy(d.command, 'Copy the command') : null,
        /^https:/.test(d.runbook_url) ? h('a', { class: 'button', target: '_blank', rel: 'noopener noreferrer', href: d.runbook_url }, 'More about the rule ↗') : null)),
    h('div', { class: 'columns' }, tallies('Addresses' + count, text => network(text), d.addresses), tallies('Endpoints', route, d.routes),
      tallies('User agents', text => shown(text), d.user_agents)),
    d.replicas > 1 && d.local.length ? h('p', { class: 'muted' }, 'Of this process only: ' + d.local.join(', ').replaceAll('_', ' ') + '.') : null,
  ].filter(Boolean)
}

const recorded = e => section('As recorded', facts([
  ['security_rule.name', e.rule], ['ATT&CK technique', e.technique], ['auth.detection.episode', h('code', {}, e.id)], ['First attempt', stamp(e.first)], ['Last attempt', stamp(e.last)],
  ['Completes the attack', e.part_of && h('a', { href: address('episode', { id: e.part_of }) }, h('code', {}, e.part_of))],
  ['Endpoint', e.route && route(e.route)], ['Distance', e.distance_km ? number(Math.round(e.distance_km)) + ' km' : ''], ['Speed', e.speed_kmh ? number(Math.round(e.speed_kmh)) + ' km/h' : ''],
]))
