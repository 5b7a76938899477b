// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// The parts that several views show: outcomes, severities, subjects, attempts, buttons of acts.

import { h, plain, shown, span, stamp, clock } from './dom.js'
import { state } from './data.js'
import words from './words.js'

// outcomeOrder is the order of the documentation and of the dashboards.
export const outcomeOrder = Object.keys(words.outcomes)

// The outcomes of a denial, as Count.denied of the API counts them.
export const denials = ['failure', 'throttled', 'malformed', 'error']

export const outcome = name => h('span', { class: 'outcome ' + plain(name), title: words.outcomes[name] }, name)
export const severity = name => h('span', { class: 'severity ' + plain(name) }, name)

// address returns the fragment of a view. With its slash it is not the name of an element, which
// a screen reader would look for. Parameters without a value are left out.
export function address(view, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value))
  return '#/' + view + (query.size ? '?' + query : '')
}

const shortHash = hash => hash.length > 18 ? hash.slice(0, 17) + '…' : hash

// account returns the name of an account, or the hash of a name that is not an account.
export function account(name, hash, link = true) {
  if (!name && !hash) return h('span', { class: 'none' }, 'no name')
  const text = name ? shown(name) : h('span', { class: 'hash', title: 'Not an account. The name is not kept, because people type passwords into that field: ' + plain(hash) }, shortHash(hash))
  return link && name ? h('a', { href: address('explain', { account: name }) }, text) : text
}

// network returns an address or a network.
export function network(text, link = true) {
  if (!text) return h('span', { class: 'none' }, 'unknown')
  return link ? h('a', { href: address('explain', { network: text }) }, shown(text)) : shown(text)
}

export const route = text => text ? shown(text, 'route') : h('span', { class: 'none', title: 'The request matches no route.' }, 'no route')

// subject returns the account and the network of a budget, a rule or an act.
export function subject(item, link = true) {
  return h('span', { class: 'subject' },
    item.account || item.hash ? account(item.account, item.hash, link) : null,
    (item.account || item.hash) && item.network ? ' from ' : null,
    item.network ? network(item.network, link) : null)
}

// sentence returns a text of the API with a capital letter and a full stop.
export const sentence = text => text ? text[0].toUpperCase() + text.slice(1) + '.' : ''

const folder = location.pathname.replace(/[^/]*$/, '')

// isOwn reports whether an attempt is a request of this page: of its operator, or the first one,
// before the browser asks for the password.
export const isOwn = attempt => folder.length > 1 && (attempt.route ?? '').startsWith(folder) &&
  (attempt.outcome === 'missing' || attempt.outcome === 'success' && attempt.account === state.status?.actor)

// The columns of a table of attempts.
export const attemptColumns = [
  { name: 'Time', class: 'time', cell: a => h('a', { href: address('attempt', { trace: a.trace_id, sequence: a.trace_id ? '' : a.sequence }) },
    stamp(a.time, clock(a.time))) },
  { name: 'Outcome', class: 'verdict', cell: a => outcome(a.outcome) },
  { name: 'Account', class: 'who', cell: a => account(a.account, a.hash) },
  { name: 'Client', class: 'from', cell: a => network(a.client) },
  { name: 'Endpoint', class: 'where', cell: a => route(a.route) },
  { name: 'Status', class: 'status number', cell: a => a.status || '–' },
  { name: 'Why', class: 'why', cell: a => h('span', { title: words.reasons[a.reason] }, a.reason || a.error_type || '') },
]

// title returns the heading of a view and the sentence below it.
export const title = (text, lead, ...more) => h('header', { class: 'title' }, h('h1', {}, text), lead ? h('p', { class: 'lead' }, lead) : null, ...more)

export const section = (name, ...children) => h('section', { class: 'card', 'aria-label': name }, h('h2', {}, name), ...children)

// howToGetData explains an empty list.
export function howToGetData(what) {
  return h('div', {}, h('p', {}, what),
    h('p', {}, 'Every request to a protected endpoint is an attempt. Send one with a wrong password:'),
    h('pre', {}, 'curl -i -u alice:wrong ' + location.origin + '/'),
    h('p', { class: 'muted' }, 'If the service listens elsewhere, use its address. The attempt appears here within a second.'))
}

// facts returns a list of names and values. Rows without a value are left out.
export function facts(rows) {
  return h('dl', { class: 'facts' }, rows.filter(([, value]) => value !== undefined && value !== '' && value !== null)
    .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))))
}

// backend returns the link of a trace in the operator's backend, or nothing without a template.
export function backend(trace, text = 'Open the trace in the backend') {
  const template = document.querySelector('meta[name=otelauth-trace-link]').content
  if (!template || !trace) return null
  return h('a', { class: 'button', target: '_blank', rel: 'noopener noreferrer', href: template.replaceAll('{trace_id}', encodeURIComponent(trace)) }, text + ' ↗')
}

export const took = seconds => span(seconds)

// copy returns a button that copies a text.
export function copy(text, name = 'Copy') {
  const button = h('button', { type: 'button', class: 'quiet copy', 'aria-label': name + ': ' + plain(text), onclick: async () => {
    await navigator.clipboard.writeText(text)
    button.textContent = 'Copied'
    setTimeout(() => { button.textContent = 'Copy' }, 1500)
  } }, 'Copy')
  return button
}
