// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// The dialog of an act: what it does, why, for how long, and how to end it.

import { h, plain, shown, stamp } from './dom.js'
import { post, state, watch } from './data.js'
import { subject } from './parts.js'

// verbs are the acts: the name on the button, what it does, and whether it has a duration.
export const verbs = {
  clear: { button: 'Unblock', does: 'Fills the budgets of guesses, so that the next attempt is judged. Later wrong passwords count as usual.' },
  allow: { button: 'Allow…', does: 'Its guesses are neither counted nor refused. For a network that runs tests, not for a person who mistypes.', lasts: true },
  deny: { button: 'Deny…', does: 'Refuses it, even with the right password.', lasts: true },
  forget: { button: 'Forget…', does: 'Forgets its remembered credentials and closes its open streams, so that the next request is hashed again. Use it after a password has leaked and was changed.' },
}

const durations = [['15m', 900], ['1h', 3600], ['8h', 28800], ['1 day', 86400], ['7 days', 604800], ['until it is undone', 0]]

// buttons returns the buttons of the acts about a subject. The page is read-only without them.
export function buttons(about, names = Object.keys(verbs)) {
  if (!state.status?.acts) return null
  const fitting = names.filter(name => name !== 'forget' || about.account)
  return h('span', { class: 'acts' }, fitting.map(name => h('button', { type: 'button', class: 'verb ' + name,
    'aria-label': verbs[name].button.replace('…', '') + ' ' + describe(about), onclick: () => open(name, about) }, verbs[name].button)))
}

// undoButton returns the button that ends an act, or nothing if it has no effect any more.
export function undoButton(act) {
  if (!act.undoable || !state.status?.acts) return null
  return h('button', { type: 'button', class: 'verb undo', 'aria-label': 'Undo: ' + act.verb + ' ' + describe(act), onclick: () => open('undo', act) }, 'Undo')
}

const describe = about => plain([about.account, about.network].filter(Boolean).join(' from '))

// shell quotes a word for a command line.
const shell = word => /^[\w@%+=:,./-]+$/.test(word) ? word : "'" + word.replaceAll("'", "'\\''") + "'"

// command returns the command that does the same in a terminal.
function command(verb, about, reason, seconds) {
  const parts = ['otelauth', 'budgets', verb]
  if (verb === 'undo') parts.push(about.id)
  else {
    if (about.account) parts.push(shell(plain(about.account)))
    if (about.network) parts.push('--network', about.network)
  }
  if (seconds) parts.push('--for', seconds % 3600 ? seconds / 60 + 'm' : seconds / 3600 + 'h')
  parts.push('--reason', shell(plain(reason || 'why')))
  return parts.join(' ')
}

let counter = 0

// open shows the dialog.
export function open(verb, about) {
  const id = 'act' + ++counter
  const reason = h('input', { id: id + 'reason', required: true, maxlength: '200', autocomplete: 'off', 'aria-describedby': id + 'hint' })
  const lasts = h('select', { id: id + 'lasts' }, durations.map(([name, seconds]) => h('option', { value: seconds, selected: seconds === 3600 }, name)))
  const problem = h('p', { class: 'problem', role: 'alert' })
  const same = h('code')
  const go = h('button', { type: 'submit', class: 'go ' + verb }, verb === 'undo' ? 'Undo' : verbs[verb].button.replace('…', ''))
  const seconds = () => verbs[verb]?.lasts ? Number(lasts.value) : 0
  const write = () => { same.textContent = command(verb, about, reason.value, seconds()) }
  const form = h('form', { method: 'dialog' },
    h('h2', { id: id + 'title' }, verb === 'undo' ? 'Undo: ' + about.verb + ' ' : verbs[verb].button.replace('…', '') + ' ', subject(about, false)),
    h('p', {}, verb === 'undo' ? [about.verb === 'clear' ? 'Charges the guesses again that were given back by what ' : 'Ends the effect of what ', shown(about.actor), ' did at ', stamp(about.time), ': ', shown(about.reason)] : verbs[verb].does),
    h('p', { class: 'field' }, h('label', { for: id + 'reason' }, 'Reason'), reason,
      h('small', { id: id + 'hint' }, 'Recorded with your name, ', shown(state.status.actor), ', in the event auth.operator.act.')),
    verbs[verb]?.lasts ? h('p', { class: 'field' }, h('label', { for: id + 'lasts' }, 'For'), lasts) : null,
    problem,
    h('p', { class: 'same' }, 'The same in a terminal: ', same),
    h('p', { class: 'buttons' }, go, h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel')))
  const dialog = h('dialog', { class: 'act', 'aria-labelledby': id + 'title' }, form)
  const before = new Set(state.acts.map(act => act.id))
  const end = watch(() => noticeOthers(dialog, problem, about, before))
  form.addEventListener('input', write)
  form.addEventListener('submit', async event => {
    event.preventDefault()
    go.disabled = true
    problem.textContent = ''
    try {
      await send(verb, about, reason.value.trim(), seconds(), dialog)
    } catch (error) {
      explain(error, problem)
    }
    go.disabled = false
  })
  dialog.addEventListener('close', () => { end(); dialog.remove() })
  write()
  document.body.append(dialog)
  dialog.showModal()
  reason.focus()
}

// noticeOthers reports what other operators do about the same subject meanwhile, each act once.
function noticeOthers(dialog, problem, about, before) {
  if (!dialog.open || dialog.dataset.sent) return
  const same = (a, b) => (a ?? '') === (b ?? '')
  for (const other of state.acts) {
    if (before.has(other.id) || !same(other.account, about.account) || !same(other.network, about.network)) continue
    before.add(other.id)
    problem.append(problem.hasChildNodes() ? ' ' : '', 'Meanwhile ', shown(other.actor), ' did: ' + other.verb + '. Reason: ', shown(other.reason))
  }
}

async function send(verb, about, reason, seconds, dialog) {
  if (!reason) throw new Error('State a reason: the next operator will ask for it.')
  dialog.dataset.sent = '1'
  try {
    const result = verb === 'undo'
      ? await post('acts/' + encodeURIComponent(about.id) + '/undo', { reason })
      : await post('acts', { verb, account: about.account, network: about.network, reason, for_seconds: seconds, unknown_account: Boolean(about.unknown) })
    dialog.close()
    toast(result.sentence, result.act)
  } catch (error) {
    delete dialog.dataset.sent
    if (error.code === 'unknown_account') about.unknown = true
    throw error
  }
}

function explain(error, problem) {
  problem.textContent = {
    unknown_account: 'There is no account of that name, so check the spelling. To act about the name anyway, send it again.',
    instance_changed: 'The process was restarted since this page read its state, so nothing was done. Look at the new state and act again.',
    reauthenticate: 'Nothing was done, because your password was checked too long ago. Act again, and enter it when the browser asks.',
    not_undoable: 'Nothing was done, because the act has no effect any more. Perhaps another operator was faster.',
  }[error.code] ?? error.message
}

// toast reports what was done for some seconds, with a way back.
export function toast(text, act) {
  const box = h('div', { class: 'toast' }, h('span', {}, shown(text)), act ? undoButton(act) : null,
    h('button', { type: 'button', class: 'quiet', 'aria-label': 'Close the message', onclick: () => box.remove() }, '×'))
  document.getElementById('toasts').append(box)
  let timer = setTimeout(() => box.remove(), 12000)
  const hold = () => { clearTimeout(timer); timer = undefined }
  box.addEventListener('pointerenter', hold)
  box.addEventListener('focusin', hold)
  box.addEventListener('click', event => { if (event.target.classList.contains('undo')) box.remove() })
}
