// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// The frame of the page: views, the live state, the field that explains, keys, help.

import { clock, h, setText, span } from './dom.js'
import { change, connect, state, watch } from './data.js'
import { address, outcome } from './parts.js'
import overview, { counts } from './overview.js'
import attempts from './attempts.js'
import story from './story.js'
import { episode, episodes } from './episodes.js'
import endpoints from './endpoints.js'
import { accounts, explain } from './accounts.js'
import history from './history.js'
import process from './process.js'
import words from './words.js'

// A view builds its elements and returns the function that updates them. name: in the navigation.
const views = {
  overview: { name: 'Overview', show: overview },
  attempts: { name: 'Attempts', show: attempts },
  episodes: { name: 'Episodes', show: episodes, badge: () => counts().running },
  endpoints: { name: 'Endpoints', show: endpoints },
  accounts: { name: 'Accounts', show: accounts, badge: () => counts().blocked },
  acts: { name: 'Acts', show: history },
  process: { name: 'Process', show: process, badge: () => state.status && !state.status.healthy ? '!' : 0 },
  attempt: { show: story, within: 'attempts' },
  episode: { show: episode, within: 'episodes' },
  explain: { show: explain, within: 'accounts' },
}

const main = document.getElementById('main')
const nav = document.getElementById('views')
const live = document.getElementById('live')
const links = new Map()
let update = () => {}
let first = true
let version = ''

for (const [key, view] of Object.entries(views)) {
  if (!view.name) continue
  const badge = h('span', { class: 'badge', hidden: true })
  const link = h('a', { href: '#/' + key }, view.name, badge)
  links.set(key, { link, badge, view })
  nav.append(link)
}

function route() {
  const [key, query = ''] = location.hash.replace(/^#\/?/, '').split('?')
  const name = views[key] ? key : 'overview'
  const view = views[name]
  for (const [other, { link }] of links) {
    if (other === (view.within ?? name)) {
      link.setAttribute('aria-current', 'page')
      nav.scrollLeft = link.offsetLeft - 40 // on a phone
    } else link.removeAttribute('aria-current')
  }
  if (!state.loaded) return
  const root = h('div', { class: 'view-' + name })
  main.replaceChildren(root)
  update = view.show(root, new URLSearchParams(query))
  update(new Set(['view']))
  document.title = (root.querySelector('h1')?.textContent ?? view.name) + ' – otelauth'
  if (!first) main.focus({ preventScroll: true })
  first = false
  window.scrollTo(0, 0)
}

const statusWords = {
  connecting: () => 'Connecting',
  live: () => 'Live',
  waiting: () => 'Reconnecting. ' + state.problem,
  refused: () => 'Not permitted. ' + state.problem,
}

function frame(topics) {
  live.dataset.state = state.connection
  setText(live, statusWords[state.connection]())
  for (const { badge, view } of links.values()) {
    const value = state.loaded ? view.badge?.() : 0
    badge.hidden = !value
    setText(badge, value ? String(value) : '')
  }
  if (state.status) setText(document.getElementById('host'), state.status.host + (state.status.peers.length > 1 ? ', one of ' + state.status.peers.length + ' processes; attempts and rates are its own' : ''))
  if (!version && state.status) version = state.status.version
  notices()
  if (topics.has('restart')) main.replaceChildren(h('p', { class: 'loading' }, 'The process was restarted. Reading its state again…'))
}

// notices shows what concerns the whole page.
function notices() {
  const list = []
  if (state.restarted && Date.now() - state.restarted < 60000) list.push('The process was restarted at ' + clock(state.restarted) + '. What you see now is its new memory.')
  if (version && state.status && state.status.version !== version) list.push('The process runs another version now. Reload the page.')
  if (Math.abs(state.skew) > 5000 && state.loaded) list.push('The clock of the process is ' + span(Math.abs(state.skew) / 1000) + (state.skew < 0 ? ' behind' : ' ahead of') + ' that of this computer. Times here are those of the process.')
  if (state.budgets?.degraded) list.push(state.budgets.degraded)
  let box = document.getElementById('notices')
  if (!box) {
    box = h('div', { id: 'notices', role: 'status' })
    main.before(box)
  }
  const text = list.join('\n')
  if (box.dataset.text === text) return
  box.dataset.text = text
  box.replaceChildren(...list.map(line => h('p', { class: 'notice' }, line)))
}

let mounted = ''
watch(topics => {
  frame(topics)
  if (!state.loaded || !state.status) return
  if (mounted !== state.instance) {
    mounted = state.instance
    route()
  }
  update(topics)
})
addEventListener('hashchange', route)
document.getElementById('skip').addEventListener('click', event => {
  event.preventDefault()
  main.focus()
})

// explain finds out what was entered: a trace id, an address or network, or a name.
const find = document.getElementById('find-text')
document.getElementById('find').addEventListener('submit', event => {
  event.preventDefault()
  const text = find.value.trim()
  if (!text) return
  if (/^[0-9a-f]{32}$/i.test(text)) location.hash = address('attempt', { trace: text.toLowerCase() })
  else if (/^\d+\.\d+\.\d+\.\d+(\/\d+)?$/.test(text) || /^[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*(\/\d+)?$/i.test(text)) location.hash = address('explain', { network: text })
  else location.hash = address('explain', { account: text })
  find.value = ''
})

const keysOn = () => localStorage.getItem('keys') !== 'off'

addEventListener('keydown', event => {
  if (!keysOn() || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select, textarea, dialog')) return
  if (event.key === '/') {
    event.preventDefault()
    find.focus()
  } else if (event.key === '?') {
    help()
  } else if (/^[1-7]$/.test(event.key)) {
    location.hash = '#/' + [...links.keys()][event.key - 1]
  }
})

const list = table => Object.entries(table).map(([name, text]) => h('div', {}, h('dt', {}, name), h('dd', {}, text)))

// help shows the words and the keys.
function help() {
  const keys = h('input', { type: 'checkbox', id: 'keys', checked: keysOn() })
  keys.addEventListener('change', () => localStorage.setItem('keys', keys.checked ? 'on' : 'off'))
  const dialog = h('dialog', { class: 'help', 'aria-labelledby': 'help-title' },
    h('form', { method: 'dialog' }, h('h2', { id: 'help-title' }, 'What the words mean'), h('button', { class: 'quiet', 'aria-label': 'Close the help' }, '×')),
    h('p', {}, 'Every request to a protected endpoint is an attempt. It ends with one outcome:'),
    h('dl', { class: 'words' }, Object.entries(words.outcomes).map(([name, text]) => h('div', {}, h('dt', {}, outcome(name)), h('dd', {}, text)))),
    h('p', {}, 'Each wrong password costs a guess of several budgets: of the name, of the network, and of both together. An empty budget blocks: the answer is 429 until it has filled again. ',
      'A rule is an operator’s decision about an account or a network. An episode is a set of attempts that detection takes for an attack; it blocks nothing by itself.'),
    h('h3', {}, 'Causes'), h('dl', { class: 'words' }, list(words.reasons)),
    h('h3', {}, 'Keys'), h('dl', { class: 'words' }, list({ '/': 'Explain an account, an address or a trace id', '1 to 7': 'The views', '?': 'This help', '↑ ↓': 'Move in a table', Esc: 'Close a dialog' })),
    h('p', {}, keys, h('label', { for: 'keys' }, ' Keys without Ctrl are on')))
  dialog.addEventListener('close', () => dialog.remove())
  document.body.append(dialog)
  dialog.showModal()
}
document.getElementById('help').addEventListener('click', help)

// The times of the page are ages too, so it is never quite still.
setInterval(() => { if (state.loaded && !document.hidden) change('time') }, 1000)
route()
connect()
