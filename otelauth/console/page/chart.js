// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Attempts over time by outcome, as about sixty stacked bars.

import { clock, h, number, plural, s, setText } from './dom.js'
import { outcomeOrder } from './parts.js'

const height = 180
const margin = { left: 40, right: 8, top: 14, bottom: 22 }

// nice returns a round number that is at least n.
function nice(n) {
  if (n <= 4) return 4
  const power = 10 ** Math.floor(Math.log10(n))
  return [1, 2, 4, 5, 10].find(step => step * power >= n) * power
}

// ranges are the lengths of time that the chart shows, in minutes.
const ranges = [[10, '10 min'], [60, '1 hour']]

// group returns the buckets of the last minutes, merged so that sixty remain.
function group(traffic, minutes) {
  const count = Math.round(minutes * 60 / traffic.bucket_seconds)
  const size = Math.max(1, Math.round(count / 60))
  const last = traffic.buckets.slice(-count)
  const merged = []
  for (let end = last.length; end > 0; end -= size) {
    const part = last.slice(Math.max(0, end - size), end)
    const outcomes = {}
    for (const bucket of part) for (const [name, n] of Object.entries(bucket.outcomes)) outcomes[name] = (outcomes[name] ?? 0) + n
    merged.unshift({ time: part[0].time, outcomes })
  }
  return { buckets: merged, seconds: size * traffic.bucket_seconds }
}

// chart returns {element, set}.
export function chart() {
  const hidden = new Set()
  let minutes = 0
  const canvas = h('div', { class: 'canvas' })
  const tip = h('div', { class: 'tip', hidden: true })
  const legend = h('div', { class: 'legend', role: 'group', 'aria-label': 'Outcomes in the chart' })
  const rows = h('tbody')
  const details = h('details', { class: 'numbers' }, h('summary', {}, 'The same as a table'),
    h('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Attempts by time and outcome' },
      h('table', {}, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'from'),
        outcomeOrder.map(outcome => h('th', { scope: 'col' }, outcome)))), rows)))
  const choices = ranges.map(([n, name]) => h('button', { type: 'button', class: 'choice', onclick: () => { minutes = n; draw() } }, name))
  const element = h('div', { class: 'chart' }, h('div', { class: 'choices ranges', role: 'group', 'aria-label': 'Length of time' }, choices), legend, canvas, tip, details)
  let traffic, buckets = [], seconds = 10, episodes = []
  const buttons = new Map(outcomeOrder.map(outcome => {
    const total = h('b')
    const button = h('button', { type: 'button', class: 'key ' + outcome, 'aria-pressed': 'true', onclick: () => {
      if (!hidden.delete(outcome)) hidden.add(outcome)
      button.setAttribute('aria-pressed', String(!hidden.has(outcome)))
      draw()
    } }, h('i', { 'aria-hidden': 'true' }), outcome + ' ', total)
    legend.append(button)
    return [outcome, total]
  }))

  function draw() {
    if (!traffic || !canvas.clientWidth) return
    // A process that has just started has no hour to show.
    minutes ||= traffic.buckets.slice(0, -60).some(bucket => Object.keys(bucket.outcomes).length) ? 60 : 10
    choices.forEach((button, i) => button.setAttribute('aria-pressed', String(ranges[i][0] === minutes)))
    const shown = outcomeOrder.filter(outcome => !hidden.has(outcome))
    const grouped = group(traffic, minutes)
    buckets = grouped.buckets
    seconds = grouped.seconds
    const sum = bucket => shown.reduce((n, outcome) => n + (bucket.outcomes[outcome] ?? 0), 0)
    const top = nice(Math.max(1, ...buckets.map(sum)))
    canvas.replaceChildren(picture(shown, top))
    for (const [outcome, total] of buttons) {
      setText(total, number(buckets.reduce((n, bucket) => n + (bucket.outcomes[outcome] ?? 0), 0)))
    }
    if (details.open) fillTable()
  }

  function picture(shown, top) {
    const width = canvas.clientWidth
    const step = (width - margin.left - margin.right) / buckets.length
    const y = n => height - margin.bottom - n / top * (height - margin.bottom - margin.top)
    const all = outcomeOrder.map(outcome => [outcome, buckets.reduce((n, b) => n + (b.outcomes[outcome] ?? 0), 0)])
    const label = 'Attempts in the last ' + minutes + ' minutes: ' + all.filter(([, n]) => n).map(([outcome, n]) => outcome + ' ' + number(n)).join(', ')
    const svg = s('svg', { width, height, role: 'img', 'aria-label': all.some(([, n]) => n) ? label : 'No attempts in the last ' + minutes + ' minutes' })
    for (const part of [0, 0.5, 1]) {
      svg.append(s('line', { x1: margin.left, x2: width - margin.right, y1: y(top * part), y2: y(top * part), class: part ? 'guide' : 'axis' }))
      svg.append(s('text', { x: margin.left - 6, y: y(top * part) + 4, 'text-anchor': 'end' }, number(top * part)))
    }
    buckets.forEach((bucket, i) => {
      let below = 0
      const x = margin.left + i * step
      for (const outcome of shown) {
        const n = bucket.outcomes[outcome] ?? 0
        if (!n) continue
        const bar = { x: x + 0.5, width: Math.max(1, step - 1), y: y(below + n), height: Math.max(1, y(below) - y(below + n)), class: 'bar ' + outcome }
        svg.append(s('rect', bar))
        below += n
      }
    })
    svg.append(...times(step), ...marks(step, width))
    return svg
  }

  // times labels about every quarter of the width.
  function times(step) {
    const every = Math.ceil(70 / step / 6) * 6
    return buckets.flatMap((bucket, i) => (buckets.length - 1 - i) % every ? [] : [s('text', {
      x: margin.left + (i + 0.5) * step, y: height - 6, 'text-anchor': i < 3 ? 'start' : i > buckets.length - 4 ? 'end' : 'middle',
    }, clock(bucket.time).slice(0, 5))])
  }

  // marks draws a line above the bars for the time of each episode.
  function marks(step, width) {
    if (!buckets.length) return []
    const begin = Date.parse(buckets[0].time)
    const x = time => margin.left + (Date.parse(time) - begin) / 1000 / seconds * step
    const clip = n => Math.min(width - margin.right, Math.max(margin.left, n))
    return episodes.filter(e => Date.parse(e.last) >= begin).slice(0, 50).map(e => {
      const from = clip(x(e.first))
      return s('rect', { class: 'mark ' + e.severity, x: from, y: 3, height: 4, rx: 2, width: Math.max(4, clip(x(e.last)) - from) })
    })
  }

  function fillTable() {
    const busy = buckets.filter(bucket => Object.keys(bucket.outcomes).length).toReversed()
    rows.replaceChildren(...busy.map(bucket => h('tr', {}, h('th', { scope: 'row' }, clock(bucket.time)),
      outcomeOrder.map(outcome => h('td', {}, number(bucket.outcomes[outcome] ?? 0))))))
  }

  function point(event) {
    const box = canvas.getBoundingClientRect()
    const step = (box.width - margin.left - margin.right) / buckets.length
    const bucket = buckets[Math.floor((event.clientX - box.left - margin.left) / step)]
    tip.hidden = !bucket
    if (!bucket) return
    const counts = outcomeOrder.filter(outcome => bucket.outcomes[outcome])
    tip.replaceChildren(h('b', {}, clock(bucket.time) + ', ' + plural(seconds, 'second')),
      ...(counts.length ? counts.map(outcome => h('div', { class: 'key ' + outcome }, h('i'), outcome + ' ' + number(bucket.outcomes[outcome]))) : ['no attempts']))
    tip.style.left = Math.min(event.clientX - box.left + 12, box.width - 150) + 'px'
  }
  canvas.addEventListener('pointermove', point)
  canvas.addEventListener('pointerleave', () => { tip.hidden = true })
  details.addEventListener('toggle', draw)
  new ResizeObserver(draw).observe(canvas)
  return { element, set(next, running) { traffic = next; episodes = running; draw() } }
}
