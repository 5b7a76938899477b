// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// A table that draws only the rows in sight, so that 10,000 rows cost as much as 30.

import { h, number } from './dom.js'

const overscan = 8

// table returns {element, set, size}. A column has a name, a class and cell(item), which returns
// the content of a cell. options: label, key(item), columns, empty() for a list without items, and
// row(item) for the class of a row. Rows keep their elements while they are in sight.
export function table(options) {
  const { columns, label } = options
  const space = h('div', { class: 'space', role: 'presentation' })
  const body = h('div', { class: 'body', role: 'rowgroup', tabindex: '0', 'aria-label': label + ', rows' }, space)
  const head = h('div', { class: 'row head', role: 'row', 'aria-rowindex': '1' },
    columns.map(column => h('span', { role: 'columnheader', class: column.class }, column.name)))
  const grid = h('div', { class: 'grid ' + (options.class ?? ''), role: 'table', 'aria-label': label },
    h('div', { role: 'rowgroup', class: 'heads' }, head), body)
  const more = h('button', { class: 'more', type: 'button', hidden: true, onclick: () => { body.scrollTop = 0 } })
  const nothing = h('div', { class: 'empty', hidden: true })
  const element = h('div', { class: 'table' }, more, grid, nothing)
  const rows = new Map()
  let items = []
  let height = 0
  let unseen = 0

  function rowOf(item) {
    const key = options.key(item)
    let row = rows.get(key)
    if (row && row.item === item) return row
    const cells = columns.map(column => h('span', { role: 'cell', class: column.class }, column.cell(item)))
    const fresh = h('div', { class: 'row ' + (options.row?.(item) ?? ''), role: 'row' }, cells)
    fresh.item = item
    if (row && row.contains(document.activeElement)) {
      row.replaceChildren(...fresh.children) // the cells only: a focused row stays
      row.item = item
      row.querySelector('a, button')?.focus({ preventScroll: true })
      return row
    }
    row?.remove()
    rows.set(key, fresh)
    return fresh
  }

  function draw() {
    height ||= parseFloat(getComputedStyle(element).getPropertyValue('--row')) || 36
    const first = Math.max(0, Math.floor(body.scrollTop / height) - overscan)
    const last = Math.min(items.length, Math.ceil((body.scrollTop + body.clientHeight) / height) + overscan)
    const seen = new Set()
    for (let i = first; i < last; i++) {
      const row = rowOf(items[i])
      seen.add(row)
      const top = i * height + 'px'
      if (row.style.top !== top) row.style.top = top
      row.setAttribute('aria-rowindex', i + 2)
      if (!row.isConnected) place(row, i)
    }
    for (const [key, row] of rows) {
      if (seen.has(row) || row.contains(document.activeElement)) continue
      row.remove()
      rows.delete(key)
    }
    if (body.scrollTop < height) unseen = 0
    more.hidden = unseen === 0
    if (unseen) more.textContent = '↑ ' + number(unseen) + ' new'
  }

  // The order of the elements is that of the rows, so that the Tab key follows it.
  function place(row, i) {
    let next = space.lastElementChild
    while (next && Number(next.getAttribute('aria-rowindex')) > i + 2) next = next.previousElementSibling
    if (next) next.after(row)
    else space.prepend(row)
    row.setAttribute('aria-rowindex', i + 2)
  }

  // The body is as high as its rows, up to the limit of the style sheet.
  function resize() {
    space.style.height = items.length * (height || 36) + 'px'
    body.style.setProperty('--content', items.length * (height || 36) + 'px')
  }

  function set(next, added = 0) {
    const reading = body.scrollTop >= height && height
    items = next
    grid.setAttribute('aria-rowcount', items.length + 1)
    resize()
    grid.hidden = items.length === 0
    nothing.hidden = items.length > 0
    if (!items.length) nothing.replaceChildren(...[options.empty?.() ?? 'Nothing matches.'].flat())
    if (reading && added) {
      body.scrollTop += added * height // what the operator reads stays in place
      unseen += added
    }
    draw()
  }

  let frame
  const redraw = () => { frame ??= requestAnimationFrame(() => { frame = undefined; draw() }) }
  body.addEventListener('scroll', redraw, { passive: true })
  new ResizeObserver(() => {
    height = 0
    draw()
    resize()
  }).observe(body)
  body.addEventListener('keydown', event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    const row = event.target.closest('.row')
    if (!step || !row) return
    event.preventDefault()
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling
    next?.querySelector('a, button')?.focus()
  })
  return { element, set, size: () => items.length }
}
