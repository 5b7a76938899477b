// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// The process: whether it is well, how full it is, and its settings.

import { h, number, plural, replace, share, shown, span, stamp } from './dom.js'
import { now, state } from './data.js'
import { facts, section, title } from './parts.js'

export default function process(root) {
  const box = h('div')
  root.append(title('The process', 'Whether it is well, how full its tables are, and its settings.'), box)
  return () => {
    const status = state.status
    if (!status) return
    const { now: _, uptime_seconds: __, ...rest } = status
    replace(box, JSON.stringify([rest, Math.floor(status.uptime_seconds / 60)]), () => parts(status))
  }
}

const used = (n, limit) => limit ? number(n) + ' of ' + number(limit) : number(n)

function parts(s) {
  return [
    section('Health', s.healthy ? h('p', { class: 'fine' }, 'No problem is known.') : null,
      s.problems.map(p => h('p', { class: 'alarm' }, h('b', {}, shown(p.kind)), ' ', shown(p.message), ' ', h('small', {}, 'since ', stamp(p.since)))),
      s.degraded ? h('p', { class: 'alarm' }, shown(s.degraded)) : null,
      facts([['Version', shown(s.version)], ['Host', shown(s.host)], ['Runs since', [stamp(s.started), ' (' + span((now() - Date.parse(s.started)) / 1000) + ' ago)']], ['Instance', h('code', {}, s.instance)],
        ['You are', shown(s.actor)], ['Acts', s.acts ? 'permitted' : 'not permitted; set --operator-acts'], ['Only of this process', s.local?.length ? s.local.join(', ') : 'nothing']])),
    h('div', { class: 'columns' },
      section('Hashing', facts([['Running', used(s.hashing.running, s.hashing.slots)], ['Waiting', used(s.hashing.queued, s.hashing.queue)]]),
        h('p', { class: 'muted' }, 'A password hash is slow by design. When the queue is full, the answer is 503.')),
      section('Cache', facts([['Remembered credentials', number(s.cache.entries)], ['Recognised', share(s.cache.hits, s.cache.hits + s.cache.misses + s.cache.coalesced)], ['hit', number(s.cache.hits)], ['miss', number(s.cache.misses)], ['coalesced', number(s.cache.coalesced)]])),
      section('Accounts', facts([['Served', number(s.reloads.accounts)], ['Reloads', number(s.reloads.succeeded) + (s.reloads.failed ? ', ' + number(s.reloads.failed) + ' failed' : '')],
        ['Last reload', s.reloads.last && stamp(s.reloads.last)], ['Last error', s.reloads.last_error && shown(s.reloads.last_error)]]))),
    h('div', { class: 'columns' },
      section('Tables', h('p', { class: 'muted' }, 'Every table is bounded. A full one forgets hostile entries first.'), h('div', { class: 'meters' }, s.tables.map(tableMeter))),
      section('Stores and exporters', s.stores.length ? null : h('p', { class: 'muted' }, 'This service reports no stores.'), h('ul', { class: 'checks' }, s.stores.map(store => h('li', { class: store.ok ? 'ok' : 'broken' }, shown(store.name), ': ', store.ok ? 'answers' : 'does not answer',
        store.since ? [' since ', stamp(store.since)] : '', store.detail ? [' · ', shown(store.detail)] : ''))), facts([...(s.exporters ?? []).map(e => [e.signal, e.exporter]),
        ['Errors of exporters', s.export_errors.count ? [number(s.export_errors.count) + ', the last ', stamp(s.export_errors.last), ': ', shown(s.export_errors.last_error)] : 'none'], ...upstream(s.upstream)])),
      section('Replicas', replicas(s))),
    section('Settings in force', settings(s.configuration ?? [])),
  ]
}

// upstream returns the facts about the service behind a gateway.
const upstream = u => u ? [
  ['Upstream', [u.ok ? 'answers' : 'does not answer', u.since ? [' since ', stamp(u.since)] : '']],
  ['Its last answer', u.last_answer ? stamp(u.last_answer) : 'never'],
  ['Its errors', number(u.errors) + (u.last_error ? ', the last ' + u.last_error : '')],
] : []

function tableMeter(t) {
  const fill = h('i')
  fill.style.width = t.limit ? 100 * t.used / t.limit + '%' : '0'
  return h('div', { class: 'meter' + (t.limit && t.used > 0.9 * t.limit ? ' spent' : '') }, h('b', {}, shown(t.name)), h('span', {}, used(t.used, t.limit)), t.limit ? h('span', { class: 'track', 'aria-hidden': 'true' }, fill) : null)
}

function replicas(s) {
  if (s.peers.length < 2) return h('p', { class: 'muted' }, 'This process shares nothing, so its numbers and acts are its own. With --redis-url, replicas share budgets, rules and acts.')
  return [h('p', {}, plural(s.peers.length, 'process', 'processes') + ' share budgets, rules and acts.'),
    h('ul', { class: 'checks' }, s.peers.map(p => h('li', { class: Math.abs(p.clock_skew_seconds) > 5 ? 'broken' : 'ok' }, shown(p.host), ' ', h('code', {}, p.instance), p.instance === s.instance ? ' (this one)' : '',
      ' · seen ', span((now() - Date.parse(p.seen)) / 1000), ' ago', Math.abs(p.clock_skew_seconds) > 5 ? ' · its clock is off by ' + span(Math.abs(p.clock_skew_seconds)) : '')))]
}

const settings = list => list.length ? h('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Settings in force' }, h('table', {},
  h('thead', {}, h('tr', {}, ['setting', 'value', 'set by'].map(name => h('th', { scope: 'col' }, name)))),
  h('tbody', {}, list.map(setting => h('tr', {}, h('th', { scope: 'row' }, shown(setting.name)), h('td', { class: 'text' }, shown(setting.value)), h('td', { class: 'text' }, setting.place ? shown(setting.place) : 'default'))))))
  : h('p', { class: 'muted' }, 'This service reports no settings.')
