// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Elements, texts, numbers and times. Nothing here parses markup: every text becomes a text node.

const svgNamespace = 'http://www.w3.org/2000/svg'

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat(Infinity).filter(child => child !== undefined && child !== null && child !== false))
  return element
}

// h returns an HTML element. Attributes that begin with "on" are listeners.
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children)

// s returns an SVG element.
export const s = (tag, attributes, ...children) => fill(document.createElementNS(svgNamespace, tag), attributes, children)

// hidden are characters that no one sees, or that change the order of others: controls, bidi
// controls, zero-width and other ignorable characters.
const hidden = /[\u0000-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffd\ud800-\udfff]|[\u{e0000}-\u{e0fff}\u{1d173}-\u{1d17a}]/u

const codeOf = character => '\u27e8U+' + character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0') + '\u27e9'

// plain returns text in which hidden characters are written out, for attributes.
export const plain = text => [...String(text)].map(c => hidden.test(c) ? codeOf(c) : c).join('')

// shown returns an element for a text that somebody else chose. Hidden characters are marked, and
// the direction of the text cannot leave the element.
export function shown(text, className = '') {
  const element = h('bdi', { class: ('shown ' + className).trim(), dir: 'ltr' })
  let run = ''
  for (const character of String(text)) {
    if (!hidden.test(character)) {
      run += character
      continue
    }
    element.append(run, h('span', { class: 'code' }, codeOf(character)))
    run = ''
  }
  element.append(run)
  return element
}

// setText changes the text of an element only if it differs, so that a screen reader does not
// repeat it.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

// replace exchanges the children of an element if their key differs from the one shown. A focused
// child therefore survives updates that change nothing.
export function replace(element, key, build) {
  if (element.dataset.key === key) return
  element.dataset.key = key
  element.replaceChildren(...[build()].flat(Infinity).filter(Boolean))
}

// reconcile makes the children of parent show items. It keeps the element of each key.
export function reconcile(parent, items, keyOf, create, update) {
  const old = new Map([...parent.children].map(child => [child.dataset.key, child]))
  let place = parent.firstElementChild
  for (const item of items) {
    const key = String(keyOf(item))
    let element = old.get(key)
    if (element) old.delete(key)
    else {
      element = create(item)
      element.dataset.key = key
    }
    update?.(element, item)
    if (element === place) place = place.nextElementSibling
    else parent.insertBefore(element, place)
  }
  for (const element of old.values()) element.remove()
}

const integers = new Intl.NumberFormat('en')
export const number = n => integers.format(n)
export const plural = (n, one, many = one + 's') => number(n) + ' ' + (n === 1 ? one : many)

// share returns a part of a whole in per cent.
export function share(part, whole) {
  if (!whole) return '–'
  const percent = 100 * part / whole
  if (percent > 0 && percent < 0.1) return '< 0.1 %'
  if (percent > 99.9 && percent < 100) return '> 99.9 %'
  return (percent < 10 ? percent.toFixed(1).replace('.0', '') : percent.toFixed(0)) + ' %'
}

const two = n => String(n).padStart(2, '0')

// clock returns the local time of day. date adds the day unless it is today.
export function clock(time, milliseconds = false) {
  const t = new Date(time)
  const text = two(t.getHours()) + ':' + two(t.getMinutes()) + ':' + two(t.getSeconds())
  return milliseconds ? text + '.' + String(t.getMilliseconds()).padStart(3, '0') : text
}

export function date(time) {
  const t = new Date(time)
  const today = new Date().toDateString() === t.toDateString()
  return (today ? '' : t.getFullYear() + '-' + two(t.getMonth() + 1) + '-' + two(t.getDate()) + ' ') + clock(t)
}

// stamp returns a <time> whose title is the exact time.
export const stamp = (time, text = date(time)) => h('time', { datetime: time, title: new Date(time).toISOString() }, text)

// span returns a duration in words.
export function span(seconds) {
  const n = Math.max(0, seconds)
  if (n < 0.001) return Math.round(n * 1e6) + ' µs'
  if (n < 1) return Math.round(n * 1000) + ' ms'
  if (n < 90) return Math.round(n) + ' s'
  if (n < 5400) return Math.round(n / 60) + ' min'
  if (n < 36 * 3600) return Math.floor(n / 3600) + ' h ' + Math.round(n % 3600 / 60) + ' min'
  return Math.round(n / 86400) + ' d'
}

// later calls a function once for all requests within some milliseconds.
export function later(milliseconds, call) {
  let timer
  return () => { timer ??= setTimeout(() => { timer = undefined; call() }, milliseconds) }
}

// pressed is what the page waits for while a button or key is held down; undefined otherwise.
let pressed

// released returns a promise that ends when nothing is held down and the click has been handled.
// What is under the pointer stays the same element until then: a click whose element was replaced
// between press and release is lost.
export const released = async () => { while (pressed) await pressed.promise }

// The release on a scroll bar is not reported, but a movement without a button is, and no press lasts
// longer than ten seconds.
function press() {
  pressed ??= Promise.withResolvers()
  pressed.late ??= setTimeout(release, 10000)
}

function release() {
  const held = pressed
  if (!held) return
  clearTimeout(held.late)
  setTimeout(() => { // after the click
    if (pressed === held) pressed = undefined
    held.resolve()
  })
}

addEventListener('pointerdown', press, true)
addEventListener('pointerup', release, true)
addEventListener('pointercancel', release, true)
addEventListener('pointermove', event => { if (!event.buttons) release() }, true)
addEventListener('keydown', event => { if (event.key === ' ') press() }, true) // clicks when it is released
addEventListener('keyup', event => { if (event.key === ' ') release() }, true)
