// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// The story of one attempt, step by step, by its trace id.

import { clock, date, h, shown, stamp } from './dom.js'
import { get, state } from './data.js'
import { account, address, backend, copy, facts, network, outcome, route, section, severity, title, took } from './parts.js'
import { buttons } from './act.js'
import { attemptTable } from './attempts.js'
import words from './words.js'

const who = a => a.account ? ['the account ', account(a.account, a.hash)] : a.hash
  ? ['a name that is not an account (', account('', a.hash), ')'] : ['no usable name']

// steps returns what happened, in the order of the pipeline.
function steps(a) {
  const list = [['Request', ['A client at ', network(a.client), ' sent ', h('b', {}, a.method || 'a request'), ' to ', route(a.route), '.']]]
  const add = (name, ...text) => list.push([name, text])
  if (a.outcome === 'missing') {
    add('Credentials', 'It sent none. Browsers do that first, and ask the user after the answer 401.')
  } else if (a.outcome === 'malformed') {
    add('Credentials', 'They could not be read. ', why(a))
  } else {
    add('Credentials', 'It sent credentials for ', who(a), '.')
    judged(a, add)
  }
  add('Verdict', outcome(a.outcome), ' ', words.outcomes[a.outcome] ?? '', a.outcome === 'success' && a.reason ? [' Then a rule refused the user: ', why(a)] : '')
  add('Answer', a.status ? ['HTTP ', h('b', {}, String(a.status)), after(a)] : 'The status was not known when the attempt was recorded.')
  return list
}

function judged(a, add) {
  if (a.outcome === 'throttled') {
    add('Throttle', 'A budget of guesses was empty, so the password was not looked at, right or wrong.',
      a.retry_after_seconds ? ' The client may try again after ' + took(a.retry_after_seconds) + '.' : '')
    return
  }
  if (a.cache === 'hit') add('Recognised', 'The credential was verified before, so no hash ran.')
  else if (a.hash_seconds) add('Hashed', 'The password was hashed in ' + took(a.hash_seconds) + (a.cache === 'coalesced' ? ', together with other attempts with the same credential.' : '.'))
  else if (a.cache) add('Cache', words.cache[a.cache] ?? '')
  if (a.outcome !== 'success') add('Cause', why(a))
  if (a.outcome === 'failure') add('Throttle', 'The wrong guess was charged to the budgets of the name and of the network.')
}

function why(a) {
  const cause = a.reason || a.error_type
  return cause ? [h('code', {}, shown(cause)), ' ', words.reasons[a.reason] ?? ''] : 'No cause was recorded.'
}

function after(a) {
  if (a.status === 429) return ' with Retry-After. The answer is the same for a right password, so it reveals nothing.'
  if (a.status === 401 && a.outcome === 'failure') return '. The answer does not say whether the name or the password was wrong.'
  if (a.status === 403 && a.outcome === 'success') return '. The password was right, but the user may not do this.'
  if (a.status === 503) return '. The client should try again.'
  return '.'
}

async function find(parameters) {
  const trace = (parameters.get('trace') ?? '').toLowerCase()
  const sequence = Number(parameters.get('sequence'))
  const known = state.attempts.filter(a => trace ? a.trace_id === trace : a.sequence === sequence)
  if (known.length || !trace) return known
  try {
    return (await get('attempts', { trace_id: trace, limit: 100 })).attempts
  } catch {
    return []
  }
}

export default function story(root, parameters) {
  const trace = parameters.get('trace') ?? ''
  const box = h('div', {}, h('p', { class: 'loading' }, 'Looking for the attempt…'))
  root.append(title('One attempt', trace ? ['Trace ', h('code', {}, shown(trace)), ' ', copy(trace, 'Copy the trace id'), ' ', backend(trace)] : ''), box)
  let done = false
  let related
  find(parameters).then(list => {
    done = true
    box.replaceChildren(...(list.length ? list.toReversed().map(one) : [absent(trace)]))
    related = list.length ? neighbours(box, list[0]) : undefined
    related?.()
  })
  return () => { if (done) related?.() }
}

function one(a) {
  const subject = { account: a.account, network: a.client }
  const episodes = state.episodes.filter(e => e.trace_ids?.includes(a.trace_id) || e.accounts?.includes(a.account || a.hash) && Date.parse(e.first) <= Date.parse(a.time) && Date.parse(a.time) <= Date.parse(e.last))
  return h('div', {},
    section('What happened at ' + date(a.time),
      h('ol', { class: 'steps tone-' + a.outcome }, steps(a).map(([name, text]) => h('li', {}, h('b', {}, name), h('span', {}, text)))),
      h('p', { class: 'tools' }, a.account || a.client ? h('a', { class: 'button', href: address('explain', subject) }, 'Is it blocked now?') : null, buttons(subject))),
    episodes.length ? section('Part of an attack', episodes.slice(0, 5).map(e => h('p', {}, severity(e.severity), ' ',
      h('a', { href: address('episode', { id: e.id }) }, e.rule), ': ', e.summary, '.'))) : null,
    section('As recorded', facts([
      ['Time', stamp(a.time, date(a.time) + '.' + clock(a.time, true).slice(-3))], ['auth.outcome', a.outcome], ['auth.reason', a.reason], ['error.type', a.error_type],
      ['user.name', a.account && shown(a.account)], ['user.hash', a.hash && shown(a.hash)], ['client.address', a.client], ['http.request.method', a.method && shown(a.method)],
      ['http.route', a.route && shown(a.route)], ['http.response.status_code', a.status || ''], ['auth.cache.result', a.cache],
      ['Time to the verdict', took(a.duration_seconds)], ['Time of the hash', a.hash_seconds ? took(a.hash_seconds) : ''],
      ['trace id', a.trace_id && h('code', {}, a.trace_id)], ['span id', a.span_id && h('code', {}, a.span_id)],
    ])))
}

function neighbours(box, a) {
  const rows = attemptTable('Attempts of the same account or client')
  box.append(section('The same account or client', h('div', { class: 'half' }, rows.element)))
  const test = b => b.sequence !== a.sequence && (a.client && b.client === a.client || a.hash && b.hash === a.hash || a.account && b.account === a.account)
  return () => rows.update(test)
}

const absent = trace => h('div', { class: 'empty card' },
  h('p', {}, 'No attempt with this trace id is in the memory of this process.'),
  h('ul', {}, h('li', {}, 'It may be too old: the memory holds the newest attempts only.'),
    h('li', {}, 'Another replica may have seen it.'),
    h('li', {}, 'The id may be misspelled. It has 32 hexadecimal digits, and every denial shows it to the user.')),
  h('p', {}, backend(trace, 'Look for it in the backend') ?? 'Your backend finds it by the trace id of the events.'))
