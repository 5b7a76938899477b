// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Endpoints and outcomes: which door is tried, and how it answers.

import { h, number, plural, setText, share } from './dom.js'
import { state } from './data.js'
import { address, denials, howToGetData, outcomeOrder, route, title } from './parts.js'
import { bar } from './accounts.js'
import { table } from './list.js'

const sum = (c, names) => names.reduce((n, name) => n + (c.outcomes[name] ?? 0), 0)
const withCredentials = c => sum(c, ['success', 'failure', 'throttled', 'malformed'])

const columns = [
  { name: 'Endpoint', class: 'who', cell: c => h('a', { href: address('attempts', { route: c.name }) + (c.name ? '' : '?route=') }, c.name === '_OTHER' ? 'all further endpoints' : route(c.name)) },
  ...outcomeOrder.map(name => ({ name, class: 'number heat ' + name, cell: c => h('span', { class: c.outcomes[name] ? '' : 'zero' }, number(c.outcomes[name] ?? 0)) })),
  { name: 'Failed', class: 'number', cell: c => share(sum(c, ['failure', 'throttled', 'malformed']), withCredentials(c)) },
  { name: 'Shares', class: 'where', cell: c => bar(c.outcomes) },
]

export default function endpoints(root) {
  const rows = table({ label: 'Endpoints by outcome', columns, key: c => c.name, class: 'endpoints', row: c => sum(c, denials) > sum(c, ['success']) ? 'hot' : '',
    empty: () => howToGetData('No endpoint has been tried since the start.') })
  const note = h('p', { class: 'muted found', role: 'status' })
  root.append(title('Endpoints', 'Every attempt since the start, by endpoint and outcome. Failed is the share of attempts with credentials that were denied.'),
    note, h('div', { class: 'card tall' }, rows.element))
  return () => {
    const list = state.traffic?.endpoints ?? []
    rows.set(list)
    setText(note, plural(list.length, 'endpoint') + '. An endpoint is a registered route, never a path that a client chose.')
  }
}
