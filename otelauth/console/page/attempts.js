// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// The attempts in memory, newest first, with filters.

import { date, h, number, plural, setText } from './dom.js'
import { keep, state } from './data.js'
import { address, attemptColumns, howToGetData, isOwn, outcomeOrder, title } from './parts.js'
import { table } from './list.js'

// attemptTable returns {element, update} of the attempts that keepers let through.
export function attemptTable(label, { short = false, filter = () => true } = {}) {
  const rows = table({
    label, columns: attemptColumns, key: a => a.sequence, class: 'attempts' + (short ? ' short' : ''),
    row: a => 'tone-' + a.outcome, empty: () => state.attempts.length
      ? h('p', { class: 'quiet-note' }, short ? 'None yet.' : 'No attempt in memory matches.')
      : howToGetData('No attempt has been recorded yet.'),
  })
  let newest = 0
  let shown = []
  let source, test
  return { element: rows.element, size: () => shown.length, update(next = filter) {
    if (source === state.attempts && test === next) return
    const all = test === next && newest
    shown = state.attempts.filter(next)
    if (short) shown = shown.slice(0, 100)
    const added = all ? countNewer(shown, newest) : 0
    newest = shown[0]?.sequence ?? 0
    source = state.attempts
    test = next
    rows.set(shown, added)
  } }
}

function countNewer(list, sequence) {
  let n = 0
  while (n < list.length && list[n].sequence > sequence) n++
  return n
}

// matcher returns the test of a filter.
function matcher({ outcome, text, own, route }) {
  const want = text.trim().toLowerCase()
  return attempt => (!outcome || attempt.outcome === outcome) && (own || !isOwn(attempt)) &&
    (route === undefined || (attempt.route ?? '') === route) &&
    (!want || [attempt.account, attempt.hash, attempt.client, attempt.route, attempt.trace_id, attempt.reason, attempt.error_type, attempt.method, String(attempt.status)]
      .some(value => value?.toLowerCase().includes(want)))
}

export default function attempts(root, parameters) {
  const filter = { outcome: parameters.get('outcome') ?? '', text: parameters.get('text') ?? '', own: false, route: parameters.get('route') ?? undefined }
  const text = h('input', { type: 'search', class: 'filter', value: filter.text, 'aria-label': 'Filter by account, client, endpoint, reason, status or trace id',
    placeholder: 'Filter: account, client, endpoint, reason…', spellcheck: 'false' })
  const own = h('input', { type: 'checkbox', id: 'own' })
  const found = h('p', { class: 'muted found', role: 'status' })
  let test = matcher(filter)
  const again = () => { test = matcher(filter); update() }
  const choices = ['', ...outcomeOrder].map(name => h('button', { type: 'button', class: 'choice ' + name, 'aria-pressed': String(name === filter.outcome), onclick: () => {
    filter.outcome = name
    for (const button of choices) button.setAttribute('aria-pressed', String(button.name === name))
    again()
  }, name }, name || 'all'))
  text.addEventListener('input', () => { filter.text = text.value; again() })
  own.addEventListener('change', () => { filter.own = own.checked; again() })
  const rows = attemptTable('Attempts')
  root.append(title('Attempts', 'Each verification of credentials, the newest first. Open one for its story.'),
    h('div', { class: 'tools' }, h('div', { class: 'choices', role: 'group', 'aria-label': 'Outcome' }, choices), text,
      h('label', { class: 'check', for: 'own' }, own, ' requests of this page')),
    filter.route === undefined ? '' : h('p', { class: 'filtered' }, 'Only endpoint ', h('b', {}, filter.route || 'no route'), '. ',
      h('a', { href: address('attempts', { outcome: filter.outcome }) }, 'Show all')),
    found, h('div', { class: 'card tall' }, rows.element))

  function update() {
    rows.update(test)
    const all = (state.status?.outcomes ?? []).reduce((n, rate) => n + rate.total, 0)
    const oldest = Object.values(state.oldest).sort().at(-1) // what is forgotten first
    setText(found, number(rows.size()) + ' of ' + plural(state.attempts.length, 'attempt') + ' in memory' +
      (state.attempts.length >= keep ? ' (the page keeps ' + number(keep) + ')' : '') +
      (oldest && all > 1.05 * state.attempts.length ? '. All since ' + date(oldest) + ' are here; earlier ones are in your backend.' : '.'))
  }
  return update
}
