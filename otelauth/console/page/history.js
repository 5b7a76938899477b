// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// The acts of operators.

import { h, shown, stamp } from './dom.js'
import { now, state } from './data.js'
import { subject, title } from './parts.js'
import { undoButton } from './act.js'
import { table } from './list.js'

function effect(act) {
  if (act.undone_by) return 'undone'
  if (act.verb === 'undo') return 'done'
  if (act.until && Date.parse(act.until) < now()) return 'over'
  if (act.verb === 'allow' || act.verb === 'deny') return act.until ? ['until ', stamp(act.until)] : 'until it is undone'
  return 'done'
}

const columns = [
  { name: 'Time', class: 'time', cell: act => stamp(act.time) },
  { name: 'Act', class: 'verdict', cell: act => h('span', { class: 'tag ' + act.verb }, act.verb) },
  { name: 'About', class: 'who', cell: act => act.account || act.network ? subject(act) : act.undoes ? ['act ', shown(act.undoes)] : '' },
  { name: 'Operator', class: 'from', cell: act => shown(act.actor) },
  { name: 'Reason', class: 'where', cell: act => h('span', { title: '' }, shown(act.reason)) },
  { name: 'Effect', class: 'state', cell: effect },
  { name: 'Undo', class: 'act', cell: act => undoButton(act) },
]

export default function history(root) {
  const rows = table({ label: 'Acts', columns, key: act => act.id, class: 'history', empty: () => [h('p', {}, 'No operator has acted since the start.'),
    h('p', {}, 'To unblock somebody, enter the account in the field at the top, or follow its name anywhere. Each act needs a reason, is an event, and can be undone.')] })
  const note = h('p', { class: 'muted found' })
  root.append(title('Acts', 'What operators changed, and why.'), note, h('div', { class: 'card tall' }, rows.element))
  return () => {
    rows.set([...state.acts]) // a new list, because effects end with time
    note.replaceChildren(state.status?.acts ? ['You act as ', h('b', {}, shown(state.status.actor)), '.']
      : 'This process is read-only. Its setting --operator-acts permits acts.')
  }
}
