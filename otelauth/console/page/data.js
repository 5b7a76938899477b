// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// The state of the page, and the API that it comes from. The live view of the API changes the
// state; the lists are read again when it cannot continue.

import { later, released } from './dom.js'

// The base has no credentials, even if those in the address of the page would be allowed there.
const base = location.origin + location.pathname.replace(/[^/]*$/, '') + 'v1/'

// keep is how many attempts and episodes the page holds.
export const keep = 10000

// limit is the most that one answer of the API holds.
const limit = 1000

export const state = {
  connection: 'connecting', // connecting, live, waiting, refused
  problem: '', // why it is not live
  loaded: false,
  instance: '',
  restarted: 0, // when the page noticed a restart
  skew: 0, // the clock of the process minus that of the browser, in milliseconds
  status: null, pulse: null, traffic: null, budgets: null,
  attempts: [], // the newest first
  oldest: {}, // the time of the oldest attempt in the memory of the process, by outcome
  episodes: [], forgotten: 0,
  acts: [],
}

const known = new Set() // the sequence numbers of state.attempts

// now returns the time by the clock of the process.
export const now = () => Date.now() + state.skew

const listeners = new Set()

// watch calls a function with the set of what changed, at most five times a second and never between
// the press and the release of a click, and returns the function that ends it.
export function watch(listener) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

const changed = new Set()
const announce = later(120, async () => {
  await released()
  if (!changed.size) return
  const topics = new Set(changed)
  changed.clear()
  for (const listener of [...listeners]) listener(topics)
})

export function change(...topics) {
  for (const topic of topics) changed.add(topic)
  announce()
}

// Refused is an answer of the API that is not a success.
export class Refused extends Error {
  constructor(status, code, detail) {
    super(detail)
    Object.assign(this, { status, code })
  }
}

async function answer(response) {
  if (response.ok) return response.json()
  let document = {}
  try {
    document = await response.json()
  } catch { /* something between the page and the process answered */ }
  throw new Refused(response.status, document.code ?? '', document.detail ?? `the answer is ${response.status} ${response.statusText}`)
}

// get reads a resource of the API.
export async function get(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ''))
  const body = await answer(await fetch(base + path + (query.size ? '?' + query : ''), { cache: 'no-store' }))
  if (body.now) state.skew = Date.parse(body.now) - Date.now()
  return body
}

// post sends an act for the process that the page shows. When the password was checked too long
// ago, the answer is a challenge, and the browser asks for the password and sends the act again.
export async function post(path, body) {
  const headers = { 'Content-Type': 'application/json', 'X-Otelauth-Act': '1', 'X-Otelauth-Instance': state.instance }
  const result = await answer(await fetch(base + path, { method: 'POST', headers, body: JSON.stringify(body), cache: 'no-store' }))
  mergeAct(result.act)
  refreshBudgets()
  return result
}

function mergeAct(act) {
  if (act.undoes) {
    state.acts = state.acts.map(other => other.id === act.undoes ? { ...other, undoable: false, undone_by: act.id } : other)
  }
  state.acts = [act, ...state.acts.filter(other => other.id !== act.id)].sort((a, b) => b.time < a.time ? -1 : 1)
  change('acts')
}

const reported = new Map() // episodes that are not in state.episodes yet, by id

let loading = 0 // calls of load that have not ended, whose answers may be older than what is reported

// An attack may change hundreds of episodes a second, so they are merged together.
const mergeReported = later(250, () => {
  if (loading) return
  mergeEpisodes([...reported.values()])
  reported.clear()
})

// The time without its Z has an order: it has digits after the second only if they are not zero.
const updated = e => e.updated.slice(0, -1)
const rank = e => (e.running ? '1' : '0') + updated(e)

// mergeEpisodes puts episodes in the order of the API, those that were reported last before others
// of the same time. Of two with one id, the later report stays.
function mergeEpisodes(list) {
  const all = new Map(list.toReversed().map(e => [e.id, e]))
  for (const e of state.episodes) {
    if (!all.has(e.id) || updated(all.get(e.id)) < updated(e)) all.set(e.id, e)
  }
  state.episodes = [...all.values()].map(e => [rank(e), e]).sort((a, b) => a[0] < b[0] ? 1 : a[0] > b[0] ? -1 : 0).map(pair => pair[1]).slice(0, keep)
  change('episodes')
}

// add merges attempts into the list and returns those that are new.
function add(list) {
  const fresh = list.filter(attempt => !known.has(attempt.sequence))
  if (!fresh.length) return fresh
  for (const attempt of fresh) known.add(attempt.sequence)
  const all = [...fresh, ...state.attempts].sort((a, b) => b.sequence - a.sequence)
  for (const attempt of all.splice(keep)) known.delete(attempt.sequence)
  state.attempts = all
  change('attempts')
  return fresh
}

function mergeAttempts(list, skipped) {
  const fresh = add(list)
  for (const attempt of fresh) count(attempt.outcome, 1, Date.parse(attempt.time))
  for (const [outcome, n] of Object.entries(skipped ?? {})) count(outcome, n, now())
  change('traffic')
  if (skipped) refreshAttempts()
  if (skipped?.throttled || fresh.some(attempt => attempt.outcome === 'throttled')) refreshBudgets()
  if (skipped || fresh.some(attempt => attempt.outcome !== 'success')) refreshTraffic()
}

// count adds attempts to the bucket of their time, until the traffic is read again.
function count(outcome, n, time) {
  if (!state.traffic) return
  const { buckets, bucket_seconds: seconds } = state.traffic
  const begin = time - time % (seconds * 1000)
  const key = bucket => Date.parse(bucket.time)
  let bucket = buckets.find(b => key(b) <= time && time < key(b) + seconds * 1000)
  if (!bucket) {
    if (buckets.length && begin < key(buckets[0])) return
    bucket = { time: new Date(begin).toISOString(), outcomes: {} }
    buckets.push(bucket)
  }
  bucket.outcomes[outcome] = (bucket.outcomes[outcome] ?? 0) + n
}

// quietly reads a list. An error shows at the next attempt to connect.
function reader(path, parameters, store, milliseconds) {
  const read = async () => {
    try {
      store(await get(path, parameters))
    } catch { /* the live view reports that the process does not answer */ }
  }
  return later(milliseconds, read)
}

export const refreshBudgets = reader('budgets', { limit }, budgets => { state.budgets = budgets; change('budgets') }, 300)
// The live view leaves attempts out of a flood; the list has them.
const refreshAttempts = reader('attempts', { limit }, attempts => add(attempts.attempts), 2000)
const refreshActs = reader('acts', { limit }, acts => { state.acts = acts.acts; change('acts') }, 100)
export const refreshTraffic = reader('traffic', { top: limit }, traffic => { state.traffic = traffic; change('traffic') }, 4000)
export const refreshStatus = reader('status', {}, status => { state.status = status; change('status') }, 300)

// load reads everything.
async function load() {
  const [status, traffic, attempts, episodes, budgets, acts] = await Promise.all([
    get('status'), get('traffic', { top: limit }), get('attempts', { limit }), get('episodes', { limit }), get('budgets', { limit }), get('acts', { limit }),
  ])
  Object.assign(state, {
    status, traffic, budgets, loaded: true, episodes: episodes.episodes, forgotten: episodes.forgotten, acts: acts.acts,
  })
  add(attempts.attempts)
  state.oldest = attempts.oldest
  change('status', 'traffic', 'attempts', 'episodes', 'budgets', 'acts')
  mergeReported()
  if (attempts.more) loadOlder(state.instance)
  if (episodes.more) loadEpisodes(state.instance)
}

// loadEpisodes reads the pages of episodes after the first.
async function loadEpisodes(instance) {
  for (let offset = limit, more = true; more && offset < keep; offset += limit) {
    let page
    try {
      page = await get('episodes', { limit, offset })
    } catch {
      return // the live view reports that the process does not answer
    }
    if (state.instance !== instance) return
    mergeEpisodes(page.episodes)
    more = page.more
  }
}

// loadOlder reads the pages of attempts before those that the page has.
async function loadOlder(instance) {
  let before = state.attempts.at(-1)?.sequence
  while (before && state.attempts.length < keep) {
    let page
    try {
      page = await get('attempts', { limit, before })
    } catch {
      return // the live view reports that the process does not answer
    }
    if (state.instance !== instance) return
    add(page.attempts)
    before = page.more ? page.attempts.at(-1)?.sequence : 0
  }
}

function forget() {
  known.clear()
  reported.clear()
  Object.assign(state, { attempts: [], episodes: [], acts: [], budgets: null, traffic: null, status: null })
}

function connection(name, problem = '') {
  Object.assign(state, { connection: name, problem })
  change('connection')
}

let source
let tries = 0
let asleep

// connect opens the live view. It is opened again for as long as the page is open: by EventSource
// itself, or by retry after an answer that ends it.
export function connect() {
  source?.close()
  source = new EventSource(base + 'live')
  const on = (name, handle) => source.addEventListener(name, event => handle(JSON.parse(event.data)))
  on('hello', hello)
  on('attempts', live => mergeAttempts(live.attempts, live.skipped))
  on('episode', episode => { reported.set(episode.id, episode); mergeReported() })
  on('act', () => { refreshActs(); refreshBudgets() }) // it may end the effect of others
  on('pulse', pulse)
  on('dropped', dropped => connection('waiting', dropped.message))
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) retry()
    else lost ??= setTimeout(ask, 1500)
  }
}

let lost // the timer of ask

// ask finds out why the live view does not return by itself.
async function ask() {
  lost = undefined
  if (source.readyState === EventSource.OPEN) return
  connection('waiting', state.connection === 'waiting' ? state.problem : '')
  try {
    await get('status')
  } catch (problem) {
    if (source.readyState === EventSource.OPEN) return
    const refused = problem instanceof Refused
    connection(refused ? 'refused' : 'waiting', refused ? problem.message : 'The process does not answer.')
  }
}

async function hello(message) {
  tries = 0
  clearTimeout(lost)
  lost = undefined
  state.skew = Date.parse(message.now) - Date.now()
  const another = state.instance && state.instance !== message.instance
  state.instance = message.instance
  if (another) {
    state.restarted = Date.now()
    forget()
    change('restart')
  }
  if (!message.resumed || !state.loaded || another) {
    loading++
    try {
      await load()
    } catch {
      return retry()
    } finally {
      loading--
    }
  }
  connection('live')
}

let blocked = 0
function pulse(message) {
  const healthy = state.pulse?.healthy
  state.pulse = message
  state.skew = Date.parse(message.now) - Date.now()
  if (healthy !== message.healthy) refreshStatus()
  if (blocked !== message.blocked) refreshBudgets()
  blocked = message.blocked
  change('pulse')
}

// retry opens the live view again. The pause doubles up to ten seconds.
function retry() {
  source.close()
  tries++
  setTimeout(connect, Math.min(10000, 250 * 2 ** Math.min(tries, 6)) * (0.75 + Math.random() / 2))
  ask()
}

// A page that no one looks at holds no connection after five minutes.
document.addEventListener('visibilitychange', () => {
  clearTimeout(asleep)
  if (document.hidden) {
    asleep = setTimeout(() => { source?.close(); asleep = 'closed' }, 300000)
  } else if (asleep === 'closed') {
    asleep = undefined
    connect()
  }
})

setInterval(() => { if (state.connection === 'live' && !document.hidden) refreshStatus() }, 15000)
