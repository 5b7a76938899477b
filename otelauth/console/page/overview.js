// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// The overview: what happens now, in one sentence, six numbers and a chart.

import { h, number, plural, reconcile, replace, setText, share, shown, stamp } from './dom.js'
import { state } from './data.js'
import { chart } from './chart.js'
import { denials, howToGetData, isOwn, outcomeOrder, section, sentence } from './parts.js'
import { episodeCard, rulesOn } from './episodes.js'
import { attemptTable } from './attempts.js'
import { blockedLine } from './accounts.js'

// Six numbers, with the names of the dashboard "overview".
const stats = [
  { name: 'Attempts', help: 'In the last minute, including requests without credentials.', value: c => number(c.all), href: '#/attempts' },
  { name: 'Failed', help: 'Share of the attempts with credentials in the last minute that were denied: wrong, throttled or malformed. A few per cent are typing errors.',
    value: c => share(c.denied, c.credentials), warn: c => c.denied > 10 && c.denied / c.credentials > 0.2, href: '#/attempts?outcome=failure' },
  { name: 'Throttled', help: 'Attempts in the last minute that were answered with 429, because there were too many failed attempts.',
    value: c => number(c.throttled), warn: c => c.throttled > 0, href: '#/attempts?outcome=throttled' },
  { name: 'Not verified', help: 'Attempts in the last minute that could not be judged, right passwords included.',
    value: c => number(c.error), bad: c => c.error > 0, href: '#/attempts?outcome=error' },
  { name: 'Detections', span: ' now', help: 'Episodes of attack that are running.', value: c => number(c.running), bad: c => c.running > 0, href: '#/episodes' },
  { name: 'Blocked', span: ' now', help: 'Budgets of guesses that are empty and have refused attempts.', value: c => number(c.blocked), warn: c => c.blocked > 0, href: '#/accounts' },
]

// counts returns the numbers of the last minute.
export function counts() {
  const minute = {}
  for (const rate of state.pulse?.outcomes ?? state.status?.outcomes ?? []) minute[rate.outcome] = rate.last_minute
  const of = name => minute[name] ?? 0
  const denied = of('failure') + of('throttled') + of('malformed')
  return {
    all: outcomeOrder.reduce((n, name) => n + of(name), 0), denied, credentials: denied + of('success'),
    throttled: of('throttled'), error: of('error'),
    running: state.episodes.filter(e => e.running).length, blocked: state.budgets?.budgets.length ?? 0,
  }
}

// headline says what happens, for somebody who has never seen the page.
export function headline(c) {
  const running = state.episodes.filter(e => e.running)
  const worst = running.find(e => e.severity === 'high') ?? running[0]
  const others = running.length > 1 ? ' ' + plural(running.length - 1, 'other episode runs', 'other episodes run') + '.' : ''
  if (worst) return { tone: 'bad', text: sentence(worst.summary) + others }
  if (c.error) return { tone: 'bad', text: plural(c.error, 'attempt') + ' of the last minute could not be verified.' }
  if (c.blocked) return { tone: 'warn', text: 'No attack is running. ' + plural(c.blocked, 'budget of guesses is', 'budgets of guesses are') + ' empty after wrong passwords.' }
  return { tone: 'good', text: 'No attack is running.' }
}

const hour = () => (state.traffic?.buckets ?? []).reduce((sum, bucket) => {
  for (const [name, n] of Object.entries(bucket.outcomes)) sum[name] = (sum[name] ?? 0) + n
  return sum
}, {})

function lead() {
  const sum = hour()
  const all = Object.values(sum).reduce((a, b) => a + b, 0)
  if (!all) return 'No attempt in the last hour.'
  const denied = denials.reduce((n, name) => n + (sum[name] ?? 0), 0)
  return plural(all, 'attempt') + ' in the last hour; ' + number(sum.success ?? 0) + ' succeeded and ' + number(denied) + ' were denied.'
}

function statTile(stat) {
  const value = h('b')
  const tile = h('a', { class: 'stat', href: stat.href, title: stat.help }, h('span', {}, stat.name, h('small', {}, stat.span ?? ' last minute')), value)
  return { tile, update(c) {
    setText(value, stat.value(c))
    tile.classList.toggle('bad', Boolean(stat.bad?.(c)))
    tile.classList.toggle('warn', Boolean(stat.warn?.(c)))
  } }
}

export default function overview(root) {
  const head = h('h1')
  const below = h('p', { class: 'lead' })
  const tiles = stats.map(statTile)
  const picture = chart()
  const episodes = h('div', { class: 'stack' })
  const blocked = h('div', { class: 'stack' })
  const health = h('div', { class: 'stack' })
  const latest = attemptTable('Latest attempts', { short: true, filter: attempt => !isOwn(attempt) })
  const nothing = h('div', { class: 'empty first', hidden: true }, howToGetData('Nothing but this page has been requested since the start.'))
  root.append(h('header', { class: 'title headline' }, head, below),
    h('div', { class: 'stats' }, tiles.map(t => t.tile)), nothing,
    section('Attempts by outcome', picture.element),
    h('div', { class: 'columns' },
      section('Running episodes', episodes), section('Blocked now', blocked), section('Health', health)),
    section('Latest attempts', latest.element))

  return function update() {
    const c = counts()
    const { tone, text } = headline(c)
    setText(head, text)
    head.parentElement.dataset.tone = tone
    setText(below, lead())
    for (const t of tiles) t.update(c)
    latest.update()
    nothing.hidden = latest.size() > 0 || !state.loaded
    picture.set(state.traffic, state.episodes)
    showEpisodes(episodes)
    showBlocked(blocked)
    showHealth(health)
  }
}

function showEpisodes(box) {
  const running = state.episodes.filter(e => e.running)
  if (!running.length) {
    const past = state.episodes.length
    replace(box, 'none' + past + ' ' + rulesOn(), () => h('p', { class: 'quiet-note' },
      'Detection sees no attack. ', past ? h('a', { href: '#/episodes' }, plural(past, 'past episode')) : 'It watches for ' + number(rulesOn()) + ' patterns of guessing.'))
    return
  }
  if (box.dataset.key) { delete box.dataset.key; box.replaceChildren() }
  const severities = ['high', 'medium', 'low']
  running.sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity))
  reconcile(box, running.slice(0, 4), e => e.id + e.updated, episodeCard)
}

function showBlocked(box) {
  const budgets = state.budgets?.budgets ?? []
  if (!budgets.length) {
    replace(box, 'none', () => h('p', { class: 'quiet-note' }, 'No one is blocked. A budget is empty after too many wrong passwords, and fills again by itself.'))
    return
  }
  if (box.dataset.key) { delete box.dataset.key; box.replaceChildren() }
  reconcile(box, budgets.slice(0, 5), b => [b.kind, b.account, b.hash, b.network].join(), blockedLine, (line, b) => line.update(b))
}

function showHealth(box) {
  const status = state.status
  if (!status) return
  const key = JSON.stringify([status.problems, status.stores])
  replace(box, key, () => [
    status.problems.map(p => h('p', { class: 'alarm' }, h('b', {}, shown(p.kind)), ' ', shown(p.message), ' ', h('small', {}, 'since ', stamp(p.since)))),
    status.healthy ? h('p', { class: 'fine' }, 'No problem is known.') : null,
    h('ul', { class: 'checks' }, status.stores.map(store => h('li', { class: store.ok ? 'ok' : 'broken' },
      shown(store.name), ': ', store.ok ? 'answers' : 'does not answer', store.detail ? [' · ', shown(store.detail)] : null))),
    h('p', {}, h('a', { href: '#/process' }, 'The process: hashing, cache, tables, settings'))])
}
