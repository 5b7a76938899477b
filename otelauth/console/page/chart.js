// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Attempts over time by outcome, as stacked bars.

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

// chart returns {element, set}.
export function chart() {
  const hidden = new Set()
  const canvas = h('div', { class: 'canvas' })
  const tip = h('div', { class: 'tip', hidden: true })
  const legend = h('div', { class: 'legend', role: 'group', 'aria-label': 'Outcomes in the chart' })
  const rows = h('tbody')
  const details = h('details', { class: 'numbers' }, h('summary', {}, 'The same as a table'),
    h('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Attempts by minute and outcome' },
      h('table', {}, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'from'),
        outcomeOrder.map(outcome => h('th', { scope: 'col' }, outcome)))), rows)))
  const element = h('div', { class: 'chart' }, legend, canvas, tip, details)
  let traffic, episodes = []
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
    const shown = outcomeOrder.filter(outcome => !hidden.has(outcome))
    const { buckets } = traffic
    const sum = bucket => shown.reduce((n, outcome) => n + (bucket.outcomes[outcome] ?? 0), 0)
    const top = nice(Math.max(1, ...buckets.map(sum)))
    canvas.replaceChildren(picture(shown, buckets, top))
    for (const [outcome, total] of buttons) {
      setText(total, number(buckets.reduce((n, bucket) => n + (bucket.outcomes[outcome] ?? 0), 0)))
    }
    if (details.open) fillTable(buckets)
  }

  function picture(shown, buckets, top) {
    const width = canvas.clientWidth
    const step = (width - margin.left - margin.right) / buckets.length
    const y = n => height - margin.bottom - n / top * (height - margin.bottom - margin.top)
    const all = outcomeOrder.map(outcome => [outcome, buckets.reduce((n, b) => n + (b.outcomes[outcome] ?? 0), 0)])
    const label = 'Attempts in the last hour: ' + all.filter(([, n]) => n).map(([outcome, n]) => outcome + ' ' + number(n)).join(', ')
    const svg = s('svg', { width, height, role: 'img', 'aria-label': all.some(([, n]) => n) ? label : 'No attempts in the last hour' })
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
    svg.append(...times(buckets, step), ...marks(buckets, step, width))
    return svg
  }

  // times labels about every quarter of the width.
  function times(buckets, step) {
    const every = Math.ceil(80 / step / 5) * 5
    return buckets.flatMap((bucket, i) => (buckets.length - 1 - i) % every ? [] : [s('text', {
      x: margin.left + (i + 0.5) * step, y: height - 6, 'text-anchor': i < 3 ? 'start' : i > buckets.length - 4 ? 'end' : 'middle',
    }, clock(bucket.time).slice(0, 5))])
  }

  // marks draws a line above the bars for the time of each episode.
  function marks(buckets, step, width) {
    if (!buckets.length) return []
    const begin = Date.parse(buckets[0].time)
    const x = time => margin.left + (Date.parse(time) - begin) / 1000 / traffic.bucket_seconds * step
    const clip = n => Math.min(width - margin.right, Math.max(margin.left, n))
    return episodes.filter(e => Date.parse(e.last) >= begin).slice(0, 50).map(e => {
      const from = clip(x(e.first))
      return s('rect', { class: 'mark ' + e.severity, x: from, y: 3, height: 4, rx: 2, width: Math.max(4, clip(x(e.last)) - from) })
    })
  }

  function fillTable(buckets) {
    const busy = buckets.filter(bucket => Object.keys(bucket.outcomes).length).toReversed()
    rows.replaceChildren(...busy.map(bucket => h('tr', {}, h('th', { scope: 'row' }, clock(bucket.time)),
      outcomeOrder.map(outcome => h('td', {}, number(bucket.outcomes[outcome] ?? 0))))))
  }

  function point(event) {
    const { buckets, bucket_seconds: seconds } = traffic ?? { buckets: [] }
    const box = canvas.getBoundingClientRect()
    const step = (box.width - margin.left - margin.right) / buckets.length
    const bucket = buckets[Math.floor((event.clientX - box.left - margin.left) / step)]
    tip.hidden = !bucket
    if (!bucket) return
    const counts = outcomeOrder.filter(outcome => bucket.outcomes[outcome])
    tip.replaceChildren(h('b', {}, clock(bucket.time).slice(0, 5) + ', ' + plural(seconds, 'second')),
      ...(counts.length ? counts.map(outcome => h('div', { class: 'key ' + outcome }, h('i'), outcome + ' ' + number(bucket.outcomes[outcome]))) : ['no attempts']))
    tip.style.left = Math.min(event.clientX - box.left + 12, box.width - 150) + 'px'
  }
  canvas.addEventListener('pointermove', point)
  canvas.addEventListener('pointerleave', () => { tip.hidden = true })
  details.addEventListener('toggle', draw)
  new ResizeObserver(draw).observe(canvas)
  return { element, set(next, running) { traffic = next; episodes = running; draw() } }
}
