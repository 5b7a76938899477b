// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Endpoints and outcomes: which door is tried, and how it answers.

import { h, number, plural, replace, setText, share, shown, span, stamp } from './dom.js'
import { now, state } from './data.js'
import { address, denials, howToGetData, outcomeOrder, route, section, title } from './parts.js'
import { bar } from './accounts.js'
import { table } from './list.js'
import words from './words.js'

const sum = (c, names) => names.reduce((n, name) => n + (c.outcomes[name] ?? 0), 0)
const withCredentials = c => sum(c, ['success', 'failure', 'throttled', 'malformed'])

const columns = [
  { name: 'Endpoint', class: 'who', cell: c => h('a', { href: address('attempts', { route: c.name }) + (c.name ? '' : '?route=') }, c.name === '_OTHER' ? 'all further endpoints' : route(c.name)) },
  ...outcomeOrder.map(name => ({ name, class: 'number heat ' + name, cell: c => h('span', { class: c.outcomes[name] ? '' : 'zero' }, number(c.outcomes[name] ?? 0)) })),
  { name: 'Failed', class: 'number', cell: c => share(sum(c, ['failure', 'throttled', 'malformed']), withCredentials(c)) },
  { name: 'Shares', class: 'where', cell: c => bar(c.outcomes) },
]

// gaps shows which endpoints are in doubt.
function gaps(coverage) {
  const lead = coverage.registered
    ? number(coverage.authenticated) + ' of ' + plural(coverage.registered, 'registered endpoint') + (coverage.authenticated === 1 ? ' has' : ' have') + ' served an authenticated caller in the last ' + span((now() - Date.parse(coverage.since)) / 1000) + '. One that never does is a gap after a day.'
    : 'This service registers no endpoints, so one that no caller reaches through authentication is not noticed.'
  if (!coverage.gaps.length) return [h('p', { class: 'fine' }, 'No endpoint is in doubt.'), h('p', { class: 'muted' }, lead)]
  return [h('ul', { class: 'checks' }, coverage.gaps.map(gap => h('li', { class: 'broken' }, gap.method ? [h('b', {}, shown(gap.method)), ' '] : null, route(gap.route), ' · ',
    h('code', {}, shown(gap.finding)), ' · ', words.findings[gap.finding] ?? '', ' · since ', stamp(gap.since)))), h('p', { class: 'muted' }, lead)]
}

export default function endpoints(root) {
  const rows = table({ label: 'Endpoints by outcome', columns, key: c => c.name, class: 'endpoints', row: c => sum(c, denials) > sum(c, ['success']) ? 'hot' : '',
    empty: () => howToGetData('No endpoint has been tried since the start.') })
  const note = h('p', { class: 'muted found', role: 'status' })
  const coverage = h('div')
  root.append(title('Endpoints', 'Every attempt since the start, by endpoint and outcome. Failed is the share of attempts with credentials that were denied.'),
    note, h('div', { class: 'card tall' }, rows.element), section('Coverage gaps', coverage))
  return () => {
    const list = state.traffic?.endpoints ?? []
    rows.set(list)
    const known = state.status.coverage
    replace(coverage, JSON.stringify([known, Math.floor(now() / 60000)]), () => gaps(known))
    setText(note, plural(list.length, 'endpoint') + '. An endpoint is a registered route, never a path that a client chose.')
  }
}
