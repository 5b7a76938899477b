// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Accounts and networks: who is blocked, by which rule or budget, who guesses, and what to do.

import { clock, h, number, plural, released, replace, setText, shown, span, stamp } from './dom.js'
import { get, now, state } from './data.js'
import { account, address, attemptColumns, network, outcomeOrder, section, subject, title } from './parts.js'
import { buttons, undoButton } from './act.js'
import { table } from './list.js'

// kinds are the budgets, as docs/attacks.md lists them.
export const kinds = {
  pair: 'this name from this network', account: 'this name from all networks', network: 'all names from this network',
  site: 'all names from the networks around it', requests: 'requests without usable credentials from this network',
  reserve: 'this name in a network that its owner uses',
}

const left = until => Math.max(0, (Date.parse(until) - now()) / 1000)
const id = b => [b.kind, b.account, b.hash, b.network].join()
const about = b => ({ account: b.account, network: b.kind === 'account' ? '' : b.network })

// blockedLine returns a line about an empty budget; its update changes the remaining time.
export function blockedLine(b) {
  const rest = h('span')
  const line = h('div', { class: 'line' }, h('span', {}, h('span', { title: 'Budget: ' + (kinds[b.kind] ?? b.kind) }, subject(b)), h('small', {}, rest)),
    buttons(about(b), ['clear']))
  line.update = next => setText(rest, plural(next.refused, 'attempt') + ' refused · ' + (left(next.until) ? 'next guess in ' + span(left(next.until)) : 'may guess again'))
  return line
}

const budgetColumns = [
  { name: 'Who', class: 'who', cell: b => subject(b) },
  { name: 'Budget', class: 'where', cell: b => h('span', { title: kinds[b.kind] }, b.kind) },
  { name: 'Refused', class: 'number', cell: b => number(b.refused) },
  { name: 'Since', class: 'time', cell: b => stamp(b.first) },
  { name: 'Next guess', class: 'time', cell: b => stamp(b.until) },
  { name: 'Act', class: 'act', cell: b => buttons(about(b), ['clear']) ?? h('a', { href: address('explain', about(b)) }, 'Explain') },
]

// bar shows the shares of the outcomes of a count.
export const bar = outcomes => {
  const all = Object.values(outcomes).reduce((a, b) => a + b, 0)
  return h('span', { class: 'shares', 'aria-hidden': 'true' }, outcomeOrder.filter(name => outcomes[name]).map(name => {
    const part = h('i', { class: name, title: name + ' ' + number(outcomes[name]) })
    part.style.width = 100 * outcomes[name] / all + '%'
    return part
  }))
}

const countColumns = (name, cell, explain) => [
  { name, class: 'who', cell },
  { name: 'Denied', class: 'number', cell: c => number(c.denied) },
  { name: 'Succeeded', class: 'number', cell: c => number(c.outcomes.success ?? 0) },
  { name: 'Outcomes', class: 'where', cell: c => bar(c.outcomes) },
  { name: 'State', class: 'state', cell: c => { const s = standing(explain(c)); return s ? h('span', { class: 'tag ' + s }, s) : '' } },
]

// standing returns what the throttle does with a subject now: denied, allowed, blocked or nothing.
function standing(who) {
  const same = item => who.account ? item.account === who.account : item.network === who.network && !item.account
  const rule = state.budgets?.rules.find(same)
  if (rule) return rule.effect === 'deny' ? 'denied' : 'allowed'
  return state.budgets?.budgets.some(b => who.account ? b.account === who.account : b.network === who.network) ? 'blocked' : ''
}

export function accounts(root) {
  const blocked = table({ label: 'Blocked now', columns: budgetColumns, key: id, class: 'budgets',
    empty: () => h('p', { class: 'quiet-note' }, 'No one is blocked. After too many wrong passwords a budget is empty, and answers are 429 until it has filled again.') })
  const rules = h('div', { class: 'stack' })
  const known = c => ({ account: c.name, network: '' })
  const people = table({ label: 'Accounts', class: 'counts', key: c => c.name + c.hash, columns: countColumns('Account', c => account(c.name, c.hash), known),
    row: c => standing(known(c)), empty: () => h('p', { class: 'quiet-note' }, 'No name was tried in the last minutes.') })
  const place = c => ({ account: '', network: c.name })
  const places = table({ label: 'Networks', class: 'counts', key: c => c.name, columns: countColumns('Network', c => network(c.name), place),
    row: c => standing(place(c)), empty: () => h('p', { class: 'quiet-note' }, 'No client came in the last minutes.') })
  const since = h('span')
  root.append(title('Accounts and networks', 'Who is refused and why, and who guesses. Follow a name to see its budgets.'),
    section('Blocked now', h('div', { class: 'half' }, blocked.element)),
    section('Rules of operators', rules),
    h('p', { class: 'muted found' }, 'Attempts in memory', since, ', those with most denials first:'),
    h('div', { class: 'columns two' }, section('Accounts', h('div', { class: 'half' }, people.element)), section('Networks', h('div', { class: 'half' }, places.element))))
  return () => {
    blocked.set(state.budgets?.budgets ?? [])
    showRules(rules)
    people.set(state.traffic?.accounts ?? [])
    places.set(state.traffic?.networks ?? [])
    setText(since, state.traffic ? ' since ' + clock(state.traffic.since) : '')
  }
}

function showRules(box) {
  const rules = state.budgets?.rules ?? []
  if (!rules.length) return replace(box, 'none', () => h('p', { class: 'quiet-note' }, 'No rule is in force. An operator allows or denies an account or a network from its page.'))
  replace(box, JSON.stringify([rules, state.acts.map(act => act.id + act.undoable)]), () => rules.map(ruleLine))
}

// ruleLine returns a line about an operator's rule, with the button that ends it.
function ruleLine(rule) {
  const act = state.acts.find(a => a.undoable && a.verb === rule.effect && (a.account ?? '') === (rule.account ?? '') && (a.network ?? '') === (rule.network ?? ''))
  return h('div', { class: 'line' }, h('span', {}, h('span', { class: 'tag ' + (rule.effect === 'deny' ? 'denied' : 'allowed') }, rule.effect), ' ', subject(rule),
    h('small', {}, shown(rule.reason), ' · ', shown(rule.actor), ', since ', stamp(rule.since), rule.until ? [', until ', stamp(rule.until)] : ', until it is undone')),
    act ? undoButton(act) : null)
}

// explain answers whether and why somebody is refused.
export function explain(root, parameters) {
  const who = { account: parameters.get('account') ?? '', network: parameters.get('network') ?? '' }
  const name = h('input', { id: 'explain-account', value: who.account, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off' })
  const from = h('input', { id: 'explain-network', value: who.network, autocomplete: 'off', spellcheck: 'false', placeholder: 'any' })
  const form = h('form', { class: 'tools explain' }, h('label', { for: 'explain-account' }, 'Account'), name,
    h('label', { for: 'explain-network' }, 'from the address or network'), from, h('button', { type: 'submit' }, 'Explain'))
  form.addEventListener('submit', event => {
    event.preventDefault()
    location.hash = address('explain', { account: name.value.trim(), network: from.value.trim() })
  })
  const box = h('div', { 'aria-live': 'polite' })
  root.append(title('Why is it refused?', 'What the throttle would do with the next attempt, in words for the person on the phone.'), form, box)
  if (!who.account && !who.network) {
    box.append(h('p', { class: 'empty card' }, 'Enter the account that cannot log in, and the address it comes from if you know it. “What is my IP” answers that on its side.'))
    return () => {}
  }
  return refresher(box, who)
}

// refresher reads the explanation again when something changed that it may depend on.
function refresher(box, who) {
  let reading = false
  let next = 0
  let last = ''
  return async topics => {
    const due = !last || topics.has('acts') || topics.has('budgets') || (topics.has('pulse') && Date.now() > next)
    if (reading || !due) return
    reading = true
    next = Date.now() + 3000
    try {
      const e = await get('budgets/explain', who)
      await released()
      const key = JSON.stringify([e.sentence, e.budgets, e.rule, e.attempts.length, state.acts.length, state.status?.acts])
      if (key !== last) box.replaceChildren(...explanation(e, who))
      last = key
    } catch (error) {
      last = 'problem'
      box.replaceChildren(h('p', { class: 'problem card' }, error.message))
    }
    reading = false
  }
}

function explanation(e, who) {
  const whom = { account: e.account ?? who.account, network: e.network ?? who.network }
  const tone = e.refused ? 'bad' : e.rule ? 'warn' : 'good'
  const list = table({ label: 'Recent attempts', columns: attemptColumns, key: a => a.sequence, class: 'attempts', row: a => 'tone-' + a.outcome,
    empty: () => h('p', { class: 'quiet-note' }, 'None in memory was charged or refused.') })
  queueMicrotask(() => list.set(e.attempts))
  return [h('div', { class: 'card answer', 'data-tone': tone }, h('p', { class: 'sentence' }, shown(e.sentence)), h('p', { class: 'tools' }, buttons(whom))),
    e.rule ? section('Rule of an operator', ruleLine(e.rule)) : null,
    section('Budgets', h('p', { class: 'muted' }, 'Each wrong password costs one guess of every budget below. An empty one refuses; all fill by themselves.'),
      h('div', { class: 'meters' }, [...e.budgets, ...(e.reserve ? [e.reserve] : [])].map(meter))),
    section('Recent attempts', h('div', { class: 'half' }, list.element))].filter(Boolean)
}

function meter(b) {
  const fill = h('i')
  fill.style.width = 100 * b.left / Math.max(1, b.burst) + '%'
  return h('div', { class: 'meter' + (b.left ? '' : ' spent') }, h('b', {}, b.kind), h('span', {}, number(b.left) + ' of ' + plural(b.burst, 'guess', 'guesses') + ' left'),
    h('span', { class: 'track', 'aria-hidden': 'true' }, fill),
    h('small', {}, kinds[b.kind] ?? '', b.every_seconds ? ' · one more each ' + span(b.every_seconds) : '', b.wait_seconds ? ' · next in ' + span(b.wait_seconds) : ''))
}

