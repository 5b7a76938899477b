// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// The state of the page, and the API that it comes from. The live view of the API changes the
// state; the lists are read again when it cannot continue.

import { later } from './dom.js'

// The base has no credentials, even if those in the address of the page would be allowed there.
const base = location.origin + location.pathname.replace(/[^/]*$/, '') + 'v1/'

// keep is how many attempts and episodes the page holds.
export const keep = 10000

// limit is the most that one answer of the API holds.
const limit = 1000

export const state = {
  connection: 'connecting', // connecting, live, waiting, refused
  problem: '', // why it is not live
  retryAt: 0,
  loaded: false,
  instance: '',
  restarted: 0, // when the page noticed a restart
  skew: 0, // the clock of the process minus that of the browser, in milliseconds
  status: null, pulse: null, traffic: null, budgets: null,
  attempts: [], // the newest first
  oldest: {}, // the time of the oldest attempt in the memory of the process, by outcome
  newest: 0, // the greatest sequence number
  episodes: [], forgotten: 0, moreEpisodes: false,
  acts: [],
}

// now returns the time by the clock of the process.
export const now = () => Date.now() + state.skew

const listeners = new Set()

// watch calls a function with the set of what changed, at most five times a second, and returns the
// function that ends it.
export function watch(listener) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

const changed = new Set()
const announce = later(120, () => {
  const topics = new Set(changed)
  changed.clear()
  for (const listener of [...listeners]) listener(topics)
})

function change(...topics) {
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

// post sends an act for the process that the page shows. password is set when the API asked for it.
export async function post(path, body, password) {
  const headers = { 'Content-Type': 'application/json', 'X-Otelauth-Act': '1', 'X-Otelauth-Instance': state.instance }
  const options = { method: 'POST', headers, body: JSON.stringify(body), cache: 'no-store' }
  if (password !== undefined) {
    const bytes = new TextEncoder().encode(state.status.actor + ':' + password)
    headers.Authorization = 'Basic ' + btoa(String.fromCharCode(...bytes))
    options.credentials = 'omit' // a wrong password must not open the prompt of the browser
  }
  const result = await answer(await fetch(base + path, options))
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

function mergeEpisode(episode) {
  const others = state.episodes.filter(other => other.id !== episode.id)
  const rank = e => (e.running ? '1' : '0') + e.updated
  state.episodes = [episode, ...others].sort((a, b) => rank(b) < rank(a) ? -1 : 1).slice(0, keep)
  change('episodes')
}

function mergeAttempts(list, skipped) {
  const fresh = list.filter(attempt => attempt.sequence > state.newest || !state.newest)
  if (fresh.length) {
    state.attempts = [...fresh.toReversed(), ...state.attempts].slice(0, keep)
    for (const attempt of fresh) state.newest = Math.max(state.newest, attempt.sequence)
  }
  for (const attempt of fresh) count(attempt.outcome, 1, Date.parse(attempt.time))
  for (const [outcome, n] of Object.entries(skipped ?? {})) count(outcome, n, now())
  change('attempts', 'traffic')
  if (fresh.some(attempt => attempt.outcome === 'throttled') || skipped?.throttled) refreshBudgets()
  if (fresh.some(attempt => attempt.outcome !== 'success') || skipped) refreshTraffic()
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
export const refreshTraffic = reader('traffic', { top: limit }, traffic => { state.traffic = traffic; change('traffic') }, 4000)
export const refreshStatus = reader('status', {}, status => { state.status = status; change('status') }, 300)

// load reads everything.
async function load() {
  const [status, traffic, attempts, episodes, budgets, acts] = await Promise.all([
    get('status'), get('traffic', { top: limit }), get('attempts', { limit }), get('episodes', { limit }), get('budgets', { limit }), get('acts'),
  ])
  const known = new Map(attempts.attempts.map(attempt => [attempt.sequence, attempt]))
  // Attempts that the live view brought meanwhile.
  const early = state.attempts.filter(attempt => attempt.sequence && !known.has(attempt.sequence))
  Object.assign(state, {
    status, traffic, budgets, loaded: true,
    attempts: [...early, ...attempts.attempts].slice(0, keep),
    episodes: episodes.episodes, forgotten: episodes.forgotten, moreEpisodes: episodes.more, acts: acts.acts,
  })
  for (const attempt of state.attempts) state.newest = Math.max(state.newest, attempt.sequence)
  state.oldest = attempts.oldest
  change('status', 'traffic', 'attempts', 'episodes', 'budgets', 'acts')
  if (attempts.more) loadOlder(state.instance)
}

// loadOlder reads the pages of attempts before those that the page has.
async function loadOlder(instance) {
  for (let more = true; more && state.attempts.length < keep;) {
    let page
    try {
      page = await get('attempts', { limit, before: state.attempts.at(-1).sequence })
    } catch {
      return // the live view reports that the process does not answer
    }
    if (state.instance !== instance) return
    const last = state.attempts.at(-1)?.sequence ?? Infinity
    state.attempts = [...state.attempts, ...page.attempts.filter(attempt => attempt.sequence < last)].slice(0, keep)
    more = page.more && page.attempts.length > 0
    change('attempts')
  }
}

function forget() {
  Object.assign(state, { attempts: [], newest: 0, episodes: [], acts: [], budgets: null, traffic: null, status: null })
}

function connection(name, problem = '') {
  Object.assign(state, { connection: name, problem })
  change('connection')
}

let source
let tries = 0
let asleep

// connect opens the live view. It retries for as long as the page is open.
export function connect() {
  source?.close()
  source = new EventSource(base + 'live')
  const on = (name, handle) => source.addEventListener(name, event => handle(JSON.parse(event.data)))
  on('hello', hello)
  on('attempts', live => mergeAttempts(live.attempts, live.skipped))
  on('episode', mergeEpisode)
  on('act', act => { mergeAct(act); refreshBudgets() })
  on('pulse', pulse)
  on('dropped', dropped => connection('waiting', dropped.message))
  source.onerror = () => retry()
}

async function hello(message) {
  tries = 0
  state.skew = Date.parse(message.now) - Date.now()
  const another = state.instance && state.instance !== message.instance
  state.instance = message.instance
  if (another) {
    state.restarted = Date.now()
    forget()
    change('restart')
  }
  if (!message.resumed || !state.loaded || another) {
    try {
      await load()
    } catch (error) {
      return retry(error)
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

// retry asks why the live view ended, and opens it again. The pause doubles up to ten seconds.
async function retry(error) {
  source.close()
  tries++
  const pause = Math.min(10000, 250 * 2 ** Math.min(tries, 6)) * (0.75 + Math.random() / 2)
  state.retryAt = Date.now() + pause
  connection('waiting', error?.message ?? state.problem)
  setTimeout(connect, pause)
  if (error) return
  try {
    await get('status')
  } catch (problem) {
    if (state.connection !== 'waiting') return
    const refused = problem instanceof Refused
    connection(refused ? 'refused' : 'waiting', refused ? problem.message : 'The process does not answer.')
  }
}

// A page that nobody looks at holds no connection after five minutes.
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
