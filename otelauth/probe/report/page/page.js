'use strict'
// The page of a report. All text of the report is set with textContent; Trusted Types forbid
// anything else. The data is in blocks of compressed JSON: "contents", and one block for each row.
;(() => {
  const $ = id => document.getElementById(id)
  const SEVERITIES = ['critical', 'high', 'medium', 'low', 'info']
  // verdict: the sign in a cell, and what it means. The most severe first.
  const VERDICTS = {
    opened: ['O', 'the answer has the content of the control'],
    leaking: ['L', 'the answer shows a secret, or differs between an account and an unknown name'],
    weak: ['W', 'a denial, or the right answer, with a flaw'],
    failed: ['5', 'an internal error, without the content'],
    unknown: ['?', 'no verdict is possible; the cell says why'],
    throttled: ['T', 'the target limits attempts, which is good'],
    'not-sent': ['–', 'the attempt was not made; the cell says why'],
    'soft-denied': ['s', 'a status of success with a login page or an error'],
    redirected: ['→', 'to a login page, or to another form of the path'],
    optional: ['o', 'anonymous callers get other content'],
    hidden: ['h', 'the answer of a path that does not exist'],
    refused: ['r', 'another 4xx: the target does not accept such a request'],
    denied: ['·', '401 or 403'],
    accepted: ['✓', 'the content, with the right to it'],
  }
  const EVIDENCE = {
    'secret leaked': ['S', 'a secret was in the telemetry', 'leaked'],
    missing: ['M', 'nothing was recorded of the attempt', 'missing'],
    'not counted': ['C', 'the metric did not count the attempt', 'wrong'],
    'wrong attribute': ['A', 'an attribute has a wrong value', 'wrong'],
    duplicate: ['D', 'recorded more than once', 'wrong'],
    unexpected: ['U', 'recorded though no attempt was made', 'wrong'],
    'span missing': ['P', 'sampled, and no span arrived', 'wrong'],
    'span in another trace': ['X', 'the span is in another trace than the event', 'wrong'],
    'attribute missing': ['I', 'the record lacks an attribute', 'wrong'],
    late: ['l', 'arrived after the limit', 'wrong'],
    unknown: ['?', 'the evidence decides nothing', 'unknown'],
    folded: ['f', 'a fold accounts for the attempt', 'folded'],
    recorded: ['✓', 'everything that is required arrived', 'recorded'],
    'not required': ['·', 'nothing arrived, and nothing had to', 'recorded'],
  }
  const rank = (table, name) => { const i = Object.keys(table).indexOf(name); return i < 0 ? 99 : i }
  const sign = (table, name) => (table[name] ?? ['?'])[0]
  const verdictClass = name => 'v-' + (name in VERDICTS ? name : 'unknown')
  const evidenceClass = name => { const c = EVIDENCE[name]?.[2] ?? 'unknown'; return c === 'unknown' ? 'v-unknown' : 'e-' + c }

  const isGap = name => Boolean(name) && !['recorded', 'not required', 'folded', 'unknown'].includes(name)

  // ---- text

  const INVISIBLE = /[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/gu
  const number = c => 'U+' + c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')
  // plain makes invisible characters visible in an attribute.
  const plain = s => String(s).replace(INVISIBLE, c => '⟨' + number(c) + '⟩')
  // text makes them visible in the page.
  function text(s, lines) {
    const out = document.createDocumentFragment()
    let at = 0
    for (const m of s.matchAll(INVISIBLE)) {
      if (lines && (m[0] === '\n' || m[0] === '\t')) continue
      if (lines && m[0] === '\r' && s[m.index + 1] === '\n') { out.append(s.slice(at, m.index)); at = m.index + 1; continue }
      out.append(s.slice(at, m.index), h('span', {class: 'ctl'}, number(m[0])))
      at = m.index + m[0].length
    }
    out.append(s.slice(at))
    return out
  }
  function h(name, attributes, ...children) {
    const e = document.createElement(name)
    for (const [k, v] of Object.entries(attributes ?? {})) {
      if (v === undefined || v === null || v === false) continue
      if (typeof v === 'function') e.addEventListener(k, v)
      else e.setAttribute(k, v === true ? '' : v)
    }
    for (const c of children.flat(3)) {
      if (c === undefined || c === null || c === false) continue
      e.append(c instanceof Node ? c : text(String(c)))
    }
    return e
  }
  const block = s => { const e = h('pre', {tabindex: 0}); e.append(text(s, true)); return e }
  const raw = s => h('span', {class: 'raw'}, s)
  const count = n => Number(n).toLocaleString('en')
  const many = (n, one, more = one + 's') => count(n) + ' ' + (n === 1 ? one : more)
  function duration(ns) {
    const s = ns / 1e9
    if (s >= 60) return Math.floor(s / 60) + ' min ' + Math.round(s % 60) + ' s'
    if (s >= 1) return s.toFixed(1) + ' s'
    return s >= 1e-3 ? (s * 1e3).toFixed(s < .01 ? 1 : 0) + ' ms' : Math.round(s * 1e6) + ' µs'
  }
  const isTime = t => t && !t.startsWith('0001-')
  const when = t => isTime(t) ? t.replace('T', ' ').replace(/\.\d+/, '').replace('Z', ' UTC') : '–'

  // ---- data

  async function read(id) {
    const bytes = Uint8Array.from(atob($(id).textContent), c => c.charCodeAt(0))
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))).json()
  }
  const kept = new Map()
  // attempts returns those of a row. The last rows are kept.
  async function attempts(row) {
    if (!kept.has(row)) {
      kept.set(row, read('row-' + row))
      if (kept.size > 32) kept.delete(kept.keys().next().value)
    }
    return kept.get(row)
  }

  let report, probes, rules, rows, findings, columns, judged
  const state = {view: 'findings', words: [], severities: new Set(), verdict: '', order: 'severity', only: false, telemetry: false}

  function prepare(contents) {
    ({report, probes, rows} = contents)
    rules = new Map(contents.rules.map(r => [r.rule, r]))
    findings = report.findings ?? []
    rows.forEach((row, i) => {
      row.index = i
      row.name = row.method + ' ' + row.path
      row.cells = []
      row.verdicts.forEach(([column, verdict], k) => {
        const cell = row.cells[column] ??= {verdict, evidence: undefined, n: 0, found: 0}
        cell.n++
        if (rank(VERDICTS, verdict) < rank(VERDICTS, cell.verdict)) cell.verdict = verdict
        const e = row.evidence?.[k]
        if (e && (!cell.evidence || rank(EVIDENCE, e) < rank(EVIDENCE, cell.evidence))) cell.evidence = e
      })
      judged ||= Boolean(row.evidence)
      row.worst = 9
      const said = [row.name, row.route ?? '', row.source ?? '', row.access ?? '', ...(row.groups ?? [])]
      for (const f of row.findings ?? []) {
        const finding = findings[f]
        finding.row = i
        said.push(finding.haystack ??= haystack(finding))
        if (!finding.accepted) row.worst = Math.min(row.worst, SEVERITIES.indexOf(finding.severity))
        for (const name of finding.probes ?? []) {
          const cell = row.cells[probes.findIndex(p => p.name === name)]
          if (cell && !finding.accepted) cell.found = Math.max(cell.found, 5 - SEVERITIES.indexOf(finding.severity))
        }
      }
      row.haystack = said.join('\n').toLowerCase()
    })
    const reasons = new Map((report.not_tested ?? []).filter(g => g.endpoint && !g.probe).map(g => [g.endpoint, g.why]))
    const none = probes.findIndex(p => p.name === 'none')
    for (const row of rows) {
      row.why = row.cells[none]?.verdict === 'opened' ? 'every caller gets the content: no other probe is needed' : row.cut ? 'the run ended here' : row.verdicts.length ? '' : 'not tested: ' + (reasons.get(row.name) ?? 'no reason is known')
    }
    columns = probes.map((_, i) => i).filter(i => rows.some(r => r.cells[i]))
    for (const f of findings) f.haystack ??= haystack(f)
  }
  const ruleOf = f => rules.get(f.rule) ?? {rule: f.rule, title: f.rule, cwe: 0, asvs: '', mend: ''}
  const endpointOf = f => f.endpoint?.path ? f.endpoint.method + ' ' + f.endpoint.path : ''
  function haystack(f) {
    return [endpointOf(f), f.rule, ruleOf(f).title, 'CWE-' + ruleOf(f).cwe, f.severity, f.detail, f.endpoint?.source ?? '', ...(f.probes ?? []), f.accepted?.reason ?? ''].join('\n').toLowerCase()
  }
  const matches = s => state.words.every(w => s.includes(w))

  // ---- findings

  function showFindings() {
    const groups = new Map()
    let n = 0
    for (const f of findings) {
      if (!matches(f.haystack) || state.severities.size && (!state.severities.has(f.severity) || f.accepted)) continue
      n++
      const key = f.severity + f.rule
      if (!groups.has(key)) groups.set(key, [])
      groups.get(key).push(f)
    }
    const list = [...groups.values()].sort((a, b) => SEVERITIES.indexOf(a[0].severity) - SEVERITIES.indexOf(b[0].severity))
    $('view-findings').replaceChildren(...list.map(ruleCard))
    if (!n && findings.length) $('view-findings').append(nothing('No finding matches.', 'Change the search, or press Escape in the field to clear it.'))
    if (!findings.length) {
      $('view-findings').append(nothing('No findings.', many(report.requests, 'request') + ' to ' + many(rows.length, 'endpoint') + ' found no endpoint that answers without the right password. See what was not tested before you rely on it.'))
    }
    return n
  }
  const nothing = (title, more) => h('p', {class: 'empty'}, h('b', null, title), more)

  function ruleCard(list) {
    const rule = ruleOf(list[0]), severity = list[0].severity
    const items = h('ul', {class: 'items'})
    const card = h('section', {class: 'rule sev-' + severity, 'aria-label': rule.title},
      h('header', {class: 'sev-' + severity},
        h('h2', null, h('span', {class: 'sev sev-' + severity}, severity), h('span', null, rule.title), h('span', {class: 'n'}, count(list.length))),
        rule.mend && h('p', {class: 'mend'}, h('b', null, 'How to mend: '), rule.mend),
        references(rule)),
      items)
    list.sort((a, b) => Boolean(a.accepted) - Boolean(b.accepted))
    let shown = 0
    const more = h('button', {class: 'more', type: 'button', click: () => add(500)})
    function add(n) {
      items.append(...list.slice(shown, shown + n).map(item))
      shown = Math.min(shown + n, list.length)
      more.textContent = 'Show ' + count(Math.min(500, list.length - shown)) + ' more of ' + count(list.length - shown)
      if (shown === list.length) more.remove()
      else card.append(more)
    }
    add(50)
    return card
  }
  function references(rule) {
    return h('p', {class: 'refs'},
      rule.cwe > 0 && h('a', {href: 'https://cwe.mitre.org/data/definitions/' + Number(rule.cwe) + '.html', rel: 'noreferrer', target: '_blank'}, 'CWE-' + rule.cwe),
      ' · OWASP ASVS 5.0, ' + rule.asvs + ' · rule ', h('code', null, rule.rule))
  }
  function item(f) {
    const where = f.row !== undefined && f.probes?.length
      ? h('button', {type: 'button', class: 'endpoint raw', click: () => open(f.row, f.probes[0])}, endpointOf(f))
      : h('span', {class: 'endpoint raw'}, endpointOf(f) || 'the whole target')
    const reach = f.row !== undefined ? f.probes ?? [] : []
    return h('li', {class: 'item' + (f.accepted ? ' accepted' : '')}, where,
      h('div', {class: 'what'}, f.detail,
        f.accepted && h('p', null, 'Accepted until ' + f.accepted.expires.slice(0, 10) + ': ' + f.accepted.reason),
        reach.length > 0 && h('p', {class: 'probes'}, 'found by ', reach.map(p => h('button', {type: 'button', click: () => open(f.row, p)}, p))),
        f.row === undefined && f.attempts?.length > 0 && h('details', null, h('summary', null, 'Request and answer'), f.attempts.map(a => attemptView(a, undefined, [])))))
  }

  // ---- not tested

  function showGaps() {
    const all = report.not_tested ?? []
    const groups = new Map()
    let n = 0
    for (const g of all) {
      if (!matches([g.why, g.endpoint ?? '', g.probe ?? ''].join('\n').toLowerCase())) continue
      n++
      if (!groups.has(g.why)) groups.set(g.why, [])
      groups.get(g.why).push(g)
    }
    const list = [...groups].map(([why, gaps]) => h('section', {class: 'gap'},
      h('h2', null, h('span', null, why), h('span', {class: 'n'}, many(gaps.reduce((sum, g) => sum + (g.times || 1), 0), 'time'))),
      h('ul', null, gaps.slice(0, 200).map(g => h('li', null,
        g.endpoint ? raw(g.endpoint) : g.times > 1 ? many(g.times, 'endpoint') : 'the target', g.probe && ' · probe ' + g.probe)),
      gaps.length > 200 && h('li', null, 'and ' + count(gaps.length - 200) + ' more; search to narrow them'))))
    $('view-gaps').replaceChildren(h('p', {class: 'lead'}, 'What this run says nothing about, and why. An endpoint that is not in the list of endpoints is not listed here either.'), ...list)
    if (!n) $('view-gaps').append(all.length ? nothing('Nothing matches.', '') : nothing('Nothing was left out.', 'Each probe was sent to each endpoint.'))
    return n
  }

  // ---- telemetry

  function showTelemetry() {
    const groups = new Map(), total = {}
    let n = 0
    for (const row of rows) {
      row.evidence?.forEach((e, k) => {
        if (!e) return
        total[e] = (total[e] ?? 0) + 1
        const probe = probes[row.verdicts[k][0]].name
        if (e === 'recorded' || e === 'not required' || !matches(row.haystack + '\n' + probe + '\n' + e)) return
        n++
        if (!groups.has(e)) groups.set(e, [])
        groups.get(e).push([row, probe])
      })
    }
    const names = Object.keys(total).sort((a, b) => rank(EVIDENCE, a) - rank(EVIDENCE, b))
    const t = report.telemetry
    $('view-telemetry').replaceChildren(
      h('p', {class: 'lead'}, 'What the service recorded of each attempt. Open an attempt to see what arrived beside what was expected.'),
      h('div', {class: 'counts'}, names.map(e => h('span', {class: 'chip'}, h('span', {class: 'swatch ' + evidenceClass(e), 'aria-hidden': 'true'}, sign(EVIDENCE, e)), e, h('b', null, count(total[e]))))),
      t && h('p', {class: 'lead'}, 'Arrived: ' + many(t.events, 'event') + ', ' + many(t.spans, 'span') + ', ' + many(t.points, 'metric point') + (t.max_delay_ns > 0 ? '. From answer to arrival: ' + duration(t.median_delay_ns) + ' in the median, ' + duration(t.p95_delay_ns) + ' for 95 %, ' + duration(t.max_delay_ns) + ' at most.' : '.')),
      ...[...groups].sort((a, b) => rank(EVIDENCE, a[0]) - rank(EVIDENCE, b[0])).map(([e, list]) => h('section', {class: 'gap'},
        h('h2', null, h('span', {class: 'swatch ' + evidenceClass(e), 'aria-hidden': 'true'}, sign(EVIDENCE, e)), h('span', null, e + ': ' + (EVIDENCE[e]?.[1] ?? '')), h('span', {class: 'n'}, count(list.length))),
        h('ul', null, list.slice(0, 300).map(([row, probe]) => h('li', null, h('button', {type: 'button', class: 'endpoint raw', click: () => open(row.index, probe)}, row.name), ' · ' + probe)),
          list.length > 300 && h('li', null, 'and ' + count(list.length - 300) + ' more; search to narrow them')))),
      t?.series?.length > 0 && seriesTable(t.series))
    if (!n) $('view-telemetry').append(nothing(state.words.length ? 'Nothing matches.' : 'Every attempt was recorded.', ''))
    return n
  }
  function seriesTable(series) {
    return h('div', null, h('h2', {class: 'part'}, 'Series of auth.attempts'), h('table', {class: 'compare'},
      h('thead', null, h('tr', null, ['Outcome', 'Method', 'Route', 'Attempts made', 'Counted', 'Verdict'].map(s => h('th', {scope: 'col'}, s)))),
      h('tbody', null, series.filter(s => s.least > 0 || s.counted > 0 || s.verdict !== 'recorded').map(s => h('tr', null, h('td', null, s.outcome), h('td', null, s.method ?? ''), h('td', null, raw(s.route ?? '')),
        h('td', null, s.least === s.most ? count(s.least) : count(s.least) + ' to ' + count(s.most)), h('td', null, count(s.counted)), h('td', {class: s.verdict === 'recorded' ? null : 'differs'}, s.verdict))))))
  }

  // ---- the run

  function showRun() {
    const fact = (name, value) => value !== undefined && value !== '' && value !== null && [h('dt', null, name), h('dd', null, value)]
    const took = Date.parse(report.ended) - Date.parse(report.started)
    const t = report.timing
    const baseline = (list, why) => (list ?? []).map(a => h('p', null, raw(a.id), ' ' + why + ' (' + a.reason + ', until ' + a.expires.slice(0, 10) + ')'))
    $('view-run').replaceChildren(
      h('h2', {class: 'part'}, 'Run'),
      h('dl', {class: 'about'},
        fact('Target', raw(report.target)), fact('Run', raw(report.run)), fact('Version', report.version),
        fact('Started', when(report.started)), fact('Duration', took >= 0 ? duration(took * 1e6) : ''), fact('Complete', report.complete ? 'yes' : 'no: ' + report.stopped),
        fact('Endpoints', count(rows.length)), fact('Requests', count(report.requests)),
        fact('Accounts', (report.identities ?? []).map(i => h('p', null, raw(i.name), i.groups?.length ? ', groups ' + i.groups.join(', ') : ''))),
        fact('Limits of the target', report.throttles),
        fact('Timing', t && (t.decided ? 'A wrong password takes ' + duration(Math.abs(t.difference_ns)) + (t.difference_ns < 0 ? ' less' : ' longer') + ' than an unknown name' : 'No significant difference between a wrong password and an unknown name')
          + ' (p = ' + t.p.toPrecision(2) + ', ' + count(t.samples) + ' requests of each kind).'),
        fact('Baseline', report.expired?.length || report.unused?.length ? [baseline(report.expired, 'has expired and accepts nothing'), baseline(report.unused, 'matches no finding: remove it')] : undefined)),
      h('h2', {class: 'part'}, 'Verdicts'),
      h('dl', {class: 'about'}, Object.entries(VERDICTS).map(([name, [s, meaning]]) => [
        h('dt', null, h('span', {class: 'swatch ' + verdictClass(name), 'aria-hidden': 'true'}, s), ' ' + name),
        h('dd', null, meaning + ': ' + count(report.verdicts?.[name] ?? 0))])),
      h('h2', {class: 'part'}, 'Probes'),
      h('dl', {class: 'about'}, probes.map(p => [h('dt', null, h('code', null, p.name)), h('dd', null, p.title)])),
      h('h2', {class: 'part'}, 'Keys'),
      h('dl', {class: 'keys'}, [['/', 'search'], ['1 … 5', 'the parts of the report'], ['← ↑ → ↓', 'move on the map'], ['Home, End', 'first and last probe of the endpoint'], ['Page Up, Page Down', 'ten endpoints'], ['Enter', 'open the cell'], ['n, N', 'next and previous finding on the map'], ['Escape', 'close the cell, clear the search']]
        .map(([k, what]) => [h('dt', null, h('kbd', null, k)), h('dd', null, what)])))
    return rows.length
  }

  // ---- the map

  const ROW = 22
  const grid = {shown: [], elements: new Map(), row: 0, column: 0, open: undefined,
    // spare returns the first of the empty columns at the end of a row, or -1.
    spare: row => { const last = columns.findLastIndex(p => row.cells[p]); return last < columns.length - 5 ? last + 1 : -1 }}

  function buildColumns() {
    const head = $('columns')
    head.replaceChildren(h('div', {class: 'corner', role: 'columnheader'}, 'Endpoint'))
    let group = ''
    grid.first = new Set()
    columns.forEach((p, c) => {
      const first = probes[p].group !== group
      group = probes[p].group
      if (first) grid.first.add(c)
      const width = columns.filter(q => probes[q].group === group).length
      head.append(h('div', {class: 'column' + (first ? ' first' : ''), role: 'columnheader', title: probes[p].name + ': ' + plain(probes[p].title), 'data-c': c},
        first && width > 2 && h('span', {class: 'group', 'aria-hidden': 'true'}, group), h('span', {class: 'name'}, probes[p].name)))
    })
    const template = 'var(--head) repeat(' + columns.length + ', var(--cell))'
    head.style.gridTemplateColumns = template
    grid.template = template
    const longest = rows.reduce((n, r) => Math.max(n, r.path.length), 0)
    $('grid').style.setProperty('--head', 'min(var(--widest), ' + Math.round(100 + longest * 7.6) + 'px)')
    $('grid').setAttribute('aria-colcount', columns.length + 1)
  }

  function showMap() {
    const order = {
      severity: (a, b) => a.worst - b.worst || a.index - b.index,
      path: (a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : a.index - b.index,
      listed: (a, b) => a.index - b.index,
    }[state.order]
    const has = state.verdict && (cell => (state.telemetry ? cell.evidence : cell.verdict) === state.verdict)
    grid.shown = rows.filter(r => matches(r.haystack) && (!state.only || r.findings?.length)
      && (!state.severities.size || (r.findings ?? []).some(f => state.severities.has(findings[f].severity)))
      && (!has || r.cells.some(c => c && has(c)))).sort(order)
    for (const e of grid.elements.values()) e.remove()
    grid.elements.clear()
    grid.row = Math.min(grid.row, Math.max(0, grid.shown.length - 1))
    $('cells').style.height = grid.shown.length * ROW + 'px'
    $('grid').setAttribute('aria-rowcount', grid.shown.length + 1)
    $('scroller').hidden = !grid.shown.length
    $('empty').hidden = grid.shown.length > 0
    $('empty').replaceChildren(...(rows.length ? nothing('No endpoint matches.', 'Change the search or the filters.') : nothing('No endpoints.', 'The attempts were not kept.')).childNodes)
    for (const e of $('columns').querySelectorAll('.column')) {
      const p = probes[columns[e.dataset.c]]
      e.classList.toggle('hit', state.words.length > 0 && matches((p.name + ' ' + p.title).toLowerCase()))
    }
    showLegend()
    paint()
    return grid.shown.length
  }

  function showLegend() {
    const table = state.telemetry ? EVIDENCE : VERDICTS, total = {}
    for (const row of rows) {
      if (state.telemetry) row.evidence?.forEach(e => { if (e) total[e] = (total[e] ?? 0) + 1 })
      else for (const [, v] of row.verdicts) total[v] = (total[v] ?? 0) + 1
    }
    const keys = Object.keys(total).sort((a, b) => rank(table, a) - rank(table, b)).map(v => h('button', {
      type: 'button', class: 'key', 'aria-pressed': String(state.verdict === v), title: table[v]?.[1],
      click: () => { state.verdict = state.verdict === v ? '' : v; show() },
    }, h('span', {class: 'swatch ' + (state.telemetry ? evidenceClass(v) : verdictClass(v)), 'aria-hidden': 'true'}, sign(table, v)), v, h('span', {class: 'n'}, count(total[v]))))
    const select = (label, value, options, change) => h('label', null, label + ' ', h('select', {change: e => { change(e.target.value); show() }},
      options.map(([v, name]) => h('option', {value: v, selected: v === value}, name))))
    const focused = $('legend').contains(document.activeElement) ? [...$('legend').querySelectorAll('button, select, input')].indexOf(document.activeElement) : -1
    if (judged && !state.telemetry) keys.push(h('span', {class: 'key'}, h('span', {class: 'swatch unrecorded', 'aria-hidden': 'true'}), 'telemetry has a gap'))
    $('legend').replaceChildren(...keys, h('span', {class: 'controls'},
      judged && select('Colour', state.telemetry ? 'telemetry' : 'answer', [['answer', 'by answer'], ['telemetry', 'by telemetry']], v => { state.telemetry = v === 'telemetry'; state.verdict = '' }),
      h('label', null, h('input', {type: 'checkbox', checked: state.only, change: e => { state.only = e.target.checked; show() }}), ' only with findings'),
      select('Order', state.order, [['severity', 'by severity'], ['path', 'by path'], ['listed', 'as listed']], v => { state.order = v })))
    if (focused >= 0) $('legend').querySelectorAll('button, select, input')[focused]?.focus()
  }

  // paint creates the rows in sight, and removes the others. The row of the active cell remains.
  function paint() {
    const top = $('scroller').scrollTop, height = $('scroller').clientHeight || 800
    const from = Math.max(0, Math.floor(top / ROW) - 12), to = Math.min(grid.shown.length, Math.ceil((top + height) / ROW) + 6)
    for (const [position, e] of grid.elements) {
      if ((position < from || position >= to) && position !== grid.row) { e.remove(); grid.elements.delete(position) }
    }
    const created = document.createDocumentFragment()
    const make = position => {
      if (grid.elements.has(position) || position >= grid.shown.length) return
      const e = rowElement(position)
      grid.elements.set(position, e)
      created.append(e)
    }
    for (let position = from; position < to; position++) make(position)
    make(grid.row)
    $('cells').append(created)
  }

  // blank returns an empty row. Copies of it are made faster than new rows.
  function blank() {
    return h('div', {class: 'row', role: 'row'},
      h('div', {role: 'rowheader'}, h('span', {class: 'method raw'}), raw('')),
      columns.map((p, c) => h('div', {role: 'gridcell', tabindex: -1, 'data-c': c, class: 'cell', 'aria-label': probes[p].name + ': not sent'})))
  }

  function rowElement(position) {
    const row = grid.shown[position]
    const e = (grid.blank ??= blank()).cloneNode(true)
    e.setAttribute('aria-rowindex', position + 2)
    e.dataset.p = position
    e.style.transform = 'translateY(' + position * ROW + 'px)'
    e.style.gridTemplateColumns = grid.template
    const head = e.firstChild
    head.className = 'rowhead ' + (row.worst < 9 ? 'sev-' + SEVERITIES[row.worst] : 'plain')
    head.title = [row.name, row.route && 'route ' + row.route, row.source && 'from ' + row.source].filter(Boolean).map(plain).join('\n')
    head.firstChild.append(text(row.method))
    head.lastChild.append(text(row.path))
    columns.forEach((p, c) => drawCell(e.children[c + 1], position, row, c, row.cells[p]))
    if (row.why && grid.spare(row) >= 0) {
      const why = h('div', {class: 'why', 'aria-hidden': 'true'}, row.why)
      why.style.left = 'calc(var(--head) + ' + grid.spare(row) + ' * var(--cell))'
      e.append(why)
    }
    return e
  }

  function drawCell(e, position, row, c, cell) {
    if (position === grid.row && c === grid.column) e.tabIndex = 0
    let classes = 'cell' + (grid.first.has(c) ? ' first' : '')
    if (cell) {
      const name = probes[columns[c]].name, shown = state.telemetry ? cell.evidence : cell.verdict
      e.ariaLabel = name + ': ' + cell.verdict + (cell.found ? ', finding' : '') + (cell.evidence ? ', telemetry ' + cell.evidence : '')
      if (state.verdict && shown !== state.verdict) classes += ' dim'
      if (isGap(cell.evidence) && !state.telemetry) classes += ' unrecorded'
      if (grid.open?.row === row.index && grid.open.probe === name) classes += ' open'
      if (shown) classes += ' ' + (state.telemetry ? evidenceClass(shown) : verdictClass(shown))
      if (cell.found > 1 && !['opened', 'leaking', 'weak'].includes(cell.verdict) && !state.telemetry) classes += ' found'
      if (shown) e.textContent = sign(state.telemetry ? EVIDENCE : VERDICTS, shown)
    }
    e.className = classes
  }
  const cellAt = (position, c) => grid.elements.get(position)?.children[c + 1]

  // goTo makes a cell the active one and scrolls to it.
  function goTo(position, c, focus = true) {
    position = Math.max(0, Math.min(grid.shown.length - 1, position))
    c = Math.max(0, Math.min(columns.length - 1, c))
    const before = cellAt(grid.row, grid.column)
    if (before) before.tabIndex = -1
    for (const e of $('columns').querySelectorAll('.on')) e.classList.remove('on')
    grid.row = position
    grid.column = c
    const box = $('scroller'), head = $('columns').offsetHeight
    const y = position * ROW
    if (y < box.scrollTop) box.scrollTop = y
    else if (y + ROW > box.scrollTop + box.clientHeight - head) box.scrollTop = y + ROW - box.clientHeight + head + 4
    paint()
    const e = cellAt(position, c)
    if (!e) return
    e.tabIndex = 0
    const rowhead = e.parentElement.firstChild.offsetWidth
    const x = e.offsetLeft
    if (x - rowhead < box.scrollLeft) box.scrollLeft = x - rowhead
    else if (x + e.offsetWidth > box.scrollLeft + box.clientWidth) box.scrollLeft = x + e.offsetWidth - box.clientWidth + 8
    $('columns').children[c + 1]?.classList.add('on')
    if (focus) e.focus({preventScroll: true})
    if (focus && grid.open && !$('pane').hidden) openCell()
  }
  function openCell() {
    const row = grid.shown[grid.row], probe = probes[columns[grid.column]]
    return row && open(row.index, probe.name, true)
  }
  // jump moves to the next cell with a finding.
  function jump(step) {
    const n = grid.shown.length * columns.length
    let at = grid.row * columns.length + grid.column
    for (let i = 0; i < n; i++) {
      at = (at + step + n) % n
      const cell = grid.shown[Math.floor(at / columns.length)].cells[columns[at % columns.length]]
      if (cell && (cell.found || ['opened', 'leaking', 'weak'].includes(cell.verdict))) return goTo(Math.floor(at / columns.length), at % columns.length)
    }
  }
  function gridKey(e) {
    if (e.ctrlKey && !['Home', 'End'].includes(e.key) || e.altKey || e.metaKey || !e.target.closest('[role=gridcell]')) return
    const move = {
      ArrowUp: [grid.row - 1, grid.column], ArrowDown: [grid.row + 1, grid.column], ArrowLeft: [grid.row, grid.column - 1], ArrowRight: [grid.row, grid.column + 1],
      PageUp: [grid.row - 10, grid.column], PageDown: [grid.row + 10, grid.column],
      Home: [e.ctrlKey ? 0 : grid.row, 0], End: [e.ctrlKey ? 1e9 : grid.row, 1e9],
    }[e.key]
    if (move) goTo(...move)
    else if (e.key === 'Enter' || e.key === ' ') openCell()?.then(() => $('pane').querySelector('h2')?.focus())
    else if (e.key === 'n' || e.key === 'N') jump(e.key === 'n' ? 1 : -1)
    else return
    e.preventDefault()
  }

  // ---- an attempt

  let opening = 0
  // open shows the attempts of a probe at an endpoint. quiet leaves the focus where it is.
  async function open(index, name, quiet) {
    const mine = ++opening
    const back = quiet ? undefined : document.activeElement
    const list = await attempts(index)
    if (mine !== opening) return
    const row = rows[index], probe = probes.find(p => p.name === name)
    grid.open = {row: index, probe: name, back: back ?? grid.open?.back}
    $('pane').hidden = false
    for (const e of $('cells').querySelectorAll('.open')) e.classList.remove('open')
    const position = grid.shown.indexOf(row), column = columns.findIndex(c => probes[c] === probe)
    if (position >= 0 && column >= 0) {
      if (state.view === 'map') goTo(position, column, false)
      cellAt(position, column)?.classList.add('open')
    }
    const mineAttempts = list.filter(a => a.probe === name)
    const control = name === 'control' ? undefined : list.find(a => a.probe === 'control')
    const concerned = (row.findings ?? []).map(f => findings[f]).filter(f => f.probes?.includes(name))
    $('pane').replaceChildren(
      h('header', null, h('div', null, h('h2', {tabindex: -1}, probe?.title ?? name), h('p', null, h('code', null, name), ' at ', raw(row.name))),
        h('button', {type: 'button', class: 'close', 'aria-label': 'Close', click: close}, '✕')),
      h('div', {class: 'body'},
        concerned.map(note),
        mineAttempts.map(a => attemptView(a, control, list)),
        !mineAttempts.length && h('p', {class: 'empty'}, h('b', null, 'Not sent.'), 'The probe does not apply to this endpoint, or another result made it needless. See "Not tested" for gaps.')))
    $('pane').scrollTop = 0
    if (!quiet) $('pane').querySelector('h2').focus()
    setHash()
  }
  function close() {
    const cell = grid.open && cellAt(grid.row, grid.column), back = grid.open?.back
    opening++
    for (const e of $('cells').querySelectorAll('.open')) e.classList.remove('open')
    grid.open = undefined
    $('pane').hidden = true
    if (state.view === 'map' && cell) cell.focus({preventScroll: true})
    else if (back?.isConnected) back.focus()
    setHash()
  }
  function note(f) {
    const rule = ruleOf(f)
    return h('div', {class: 'note sev-' + f.severity}, h('p', null, h('b', {class: 'sev-' + f.severity}, f.severity), ': ', h('b', null, rule.title)),
      h('p', null, f.detail), h('p', null, h('b', null, 'How to mend: '), rule.mend), references(rule),
      f.accepted && h('p', null, 'Accepted until ' + f.accepted.expires.slice(0, 10) + ': ' + f.accepted.reason))
  }

  function attemptView(a, control) {
    return h('article', null,
      h('p', {class: 'verdict'}, h('span', {class: 'swatch ' + verdictClass(a.verdict), 'aria-hidden': 'true'}, sign(VERDICTS, a.verdict)), a.verdict, a.identity && a.probe !== 'control' ? h('span', {class: 'quiet'}, 'as ' + a.identity) : null),
      h('p', {class: 'facts'}, [VERDICTS[a.verdict]?.[1], a.why].filter(Boolean).join(': ')),
      requestView(a), answerView(a.answer, 'Answer'),
      a.evidence && evidenceView(a),
      control && h('details', null, h('summary', null, 'The control, for comparison: the answer to the right credentials'), answerView(control.answer)))
  }
  function requestView(a) {
    const r = a.request ?? {}
    if (!r.method) return null
    const copy = h('button', {type: 'button', click: async () => {
      try { await navigator.clipboard.writeText(r.curl); copy.textContent = 'copied' } catch { getSelection().selectAllChildren(line); copy.textContent = 'selected' }
    }}, 'copy')
    const line = block(r.curl ?? '')
    return [h('h3', null, 'Request', r.curl && copy), r.curl && line,
      h('details', null, h('summary', null, 'As it was sent'), block([r.method + ' ' + r.target, ...(r.headers ?? []).map(f => f.name + ': ' + f.value)].map(s => s.replace(/[\r\n]/g, plain)).join('\n') + (r.body ? '\n\n' + r.body : '')))]
  }
  function answerView(r, title) {
    const facts = r.status
      ? [String(r.status), duration(r.latency_ns), many(r.body_bytes, 'byte') + (r.cut ? ' and more' : '')].join(' · ')
      : 'No answer' + (r.error ? ': ' + r.error : '')
    return [title && h('h3', null, title), h('p', {class: 'facts'}, facts),
      r.headers?.length > 0 && h('dl', {class: 'fields'}, r.headers.map(f => [h('dt', {class: 'raw'}, f.name), h('dd', {class: 'raw'}, f.value)])),
      r.excerpt ? [block(r.excerpt), r.body_bytes > new TextEncoder().encode(r.excerpt).length && h('p', {class: 'quiet'}, 'The start of the body.')] : r.status ? h('p', {class: 'quiet'}, 'No body.') : null]
  }

  // evidenceView shows what arrived beside what was expected.
  function evidenceView(a) {
    const e = a.evidence, want = e.expected ?? {}, arrived = e.arrived ?? []
    // "user" is the name or its hash.
    const value = (key, r) => r.attributes?.[key] ?? (key === 'user' ? r.attributes?.['user.name'] ?? r.attributes?.['user.hash'] : undefined)
    const keys = [...new Set([...Object.keys(want).sort(), ...(e.fields ?? []), ...arrived.flatMap(r => Object.keys(r.attributes ?? {}).sort())])]
    const differs = key => (e.fields ?? []).some(f => f === key || key === 'user' && f.startsWith('user.'))
    return [h('h3', null, 'Telemetry'),
      h('p', {class: 'verdict'}, h('span', {class: 'swatch ' + evidenceClass(e.verdict), 'aria-hidden': 'true'}, sign(EVIDENCE, e.verdict)), e.verdict,
        e.delay_ns > 0 && h('span', {class: 'quiet'}, duration(e.delay_ns) + ' after the answer')),
      (e.problems ?? []).map(p => h('p', {class: 'facts'}, p)),
      keys.length > 0 && h('table', {class: 'compare'},
        h('thead', null, h('tr', null, h('th', {scope: 'col'}, 'Attribute'), h('th', {scope: 'col'}, 'Expected'),
          arrived.length ? arrived.map(r => h('th', {scope: 'col'}, [r.signal, r.name].filter(Boolean).join(' ') + (r.line ? ' in line ' + r.line : ''))) : h('th', {scope: 'col'}, 'Arrived'))),
        h('tbody', null, keys.map(key => h('tr', null, h('th', {scope: 'row'}, raw(key)), h('td', null, raw(want[key] ?? '')),
          arrived.length ? arrived.map(r => h('td', {class: differs(key) ? 'differs' : null}, differs(key) && '≠ ', raw(value(key, r) ?? '–'))) : h('td', {class: 'differs'}, 'nothing'))))),
      h('details', null, h('summary', null, 'How the attempt is recognised'), h('dl', {class: 'fields'},
        [['trace id', a.trace_id], ['X-Request-Id', a.request_id], ['User-Agent', a.user_agent], ['client', a.client], ['sent', a.sent]].filter(f => f[1]).map(([k, v]) => [h('dt', null, k), h('dd', {class: 'raw'}, v)])))]
  }

  // ---- the whole page

  const VIEWS = [['findings', 'Findings'], ['map', 'Map'], ['telemetry', 'Telemetry'], ['gaps', 'Not tested'], ['run', 'About the run']]
  const views = () => VIEWS.filter(([v]) => v !== 'telemetry' || judged)

  function buildPage() {
    $('target').replaceChildren(text(report.target))
    const took = Date.parse(report.ended) - Date.parse(report.started)
    $('summary').textContent = [many(rows.length, 'endpoint'), many(columns.length, 'probe'), many(report.requests, 'request'), took >= 0 ? duration(took * 1e6) : '', when(report.started)].filter(Boolean).join(' · ')
    if (!report.complete) {
      $('banner').hidden = false
      $('banner').replaceChildren(h('b', null, 'The run is not complete'), ': ' + plain(report.stopped ?? ''))
    }
    const open = findings.filter(f => !f.accepted)
    const chips = SEVERITIES.map(s => [s, open.filter(f => f.severity === s).length]).filter(([, n]) => n)
      .map(([s, n]) => h('button', {type: 'button', class: 'chip sev-' + s, 'aria-pressed': 'false', 'data-severity': s, click: e => {
        const set = state.severities
        if (!set.delete(s)) set.add(s)
        e.currentTarget.setAttribute('aria-pressed', String(set.has(s)))
        if (state.view !== 'map') select('findings')
        show()
      }}, h('b', null, count(n)), s))
    if (!open.length) chips.push(h('span', {class: 'chip'}, 'no open finding'))
    if (open.length < findings.length) chips.push(h('span', {class: 'chip quiet'}, h('b', null, count(findings.length - open.length)), 'accepted'))
    $('severities').replaceChildren(...chips)
    $('tabs').replaceChildren(...views().map(([v, name]) => h('button', {type: 'button', class: 'tab', role: 'tab', id: 'tab-' + v, 'aria-controls': 'view-' + v, click: () => { select(v); show() }}, name, h('span', {class: 'n'}))))
    $('tab-map').querySelector('.n').textContent = count(rows.length)
    buildColumns()
  }
  function select(view) {
    if (grid.open && !['findings', 'map', 'telemetry'].includes(view)) close()
    state.view = view
    for (const [v] of VIEWS) {
      $('view-' + v).hidden = v !== view
      $('tab-' + v)?.setAttribute('aria-selected', String(v === view))
      if ($('tab-' + v)) $('tab-' + v).tabIndex = v === view ? 0 : -1
    }
    setHash()
  }
  // show draws the view that is selected, and the numbers of the others.
  function show() {
    const n = {findings: showFindings, map: showMap, telemetry: showTelemetry, gaps: showGaps, run: showRun}[state.view]()
    const open = findings.filter(f => matches(f.haystack)).length
    $('tab-findings').querySelector('.n').textContent = count(open)
    if (judged) $('tab-telemetry').querySelector('.n').textContent = count(rows.reduce((n, r) => n + (r.evidence ?? []).filter(isGap).length, 0))
    $('tab-gaps').querySelector('.n').textContent = count((report.not_tested ?? []).length)
    $('found').textContent = state.words.length && state.view !== 'run' ? count(n) + ' found' : ''
  }
  function setHash() {
    const cell = grid.open ? '/' + grid.open.row + '/' + encodeURIComponent(grid.open.probe) : ''
    try { history.replaceState(null, '', '#' + state.view + cell) } catch { /* a viewer in a sandbox */ }
  }
  async function followHash() {
    const [view, row, probe] = location.hash.slice(1).split('/')
    select(views().some(([v]) => v === view) ? view : 'findings')
    show()
    const name = probe && decodeURIComponent(probe)
    if (rows[row] && probes.some(p => p.name === name)) await open(Number(row), name)
  }

  // findAttempt looks for the attempt with a trace id or request id.
  let searching = 0
  async function findAttempt(id) {
    const mine = ++searching
    for (let i = 0; i < rows.length && mine === searching; i++) {
      const a = (await attempts(i)).find(a => a.trace_id === id || a.request_id === id || a.token === id)
      if (a && mine === searching) {
        state.words = []
        show()
        $('found').textContent = a.id
        return open(i, a.probe, true)
      }
      if (i % 20 === 0) $('found').textContent = 'looking in ' + count(rows.length) + ' endpoints'
    }
    if (mine === searching) $('found').textContent = 'no attempt has this id'
  }
  const isID = q => /^[0-9a-f]{32}$/.test(q) || q.startsWith(report.run + '-') && q.length > report.run.length + 1

  function search() {
    searching++
    const q = $('query').value.trim().toLowerCase()
    if (isID(q)) return findAttempt(q)
    state.words = q.split(/\s+/).filter(Boolean)
    grid.row = 0
    $('scroller').scrollTop = 0
    show()
  }

  function listen() {
    let timer, frame
    $('query').addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(search, 60) })
    $('query').addEventListener('keydown', e => {
      if (e.key === 'Escape') { $('query').value = ''; search() }
      if (e.key === 'Enter' || e.key === 'ArrowDown') {
        clearTimeout(timer); search()
        if (state.view === 'map') goTo(grid.row, grid.column)
        else $('view-' + state.view).querySelector('button')?.focus()
        e.preventDefault()
      }
    })
    $('scroller').addEventListener('scroll', () => { frame ??= requestAnimationFrame(() => { frame = undefined; paint() }) }, {passive: true})
    addEventListener('resize', () => { if (state.view === 'map') paint() })
    $('grid').addEventListener('keydown', gridKey)
    $('cells').addEventListener('click', e => {
      const cell = e.target.closest('[role=gridcell]')
      if (!cell) return
      goTo(Number(cell.parentElement.dataset.p), Number(cell.dataset.c))
      openCell()
    })
    $('cells').addEventListener('mouseover', e => { if (e.target.ariaLabel) e.target.title = e.target.ariaLabel })
    $('tabs').addEventListener('keydown', e => {
      const list = views().map(([v]) => v), step = {ArrowRight: 1, ArrowLeft: -1}[e.key]
      if (!step) return
      select(list[(list.indexOf(state.view) + step + list.length) % list.length])
      show()
      $('tab-' + state.view).focus()
    })
    document.addEventListener('keydown', e => {
      if (e.key === 'Escape' && !$('pane').hidden && e.target !== $('query')) return close()
      if (e.ctrlKey || e.altKey || e.metaKey || e.target.closest('input, select, textarea')) return
      if (e.key === '/') { e.preventDefault(); $('query').focus(); $('query').select() }
      const view = views()[Number(e.key) - 1]
      if (view) { select(view[0]); show(); $('tab-' + view[0]).focus() }
    })
    addEventListener('hashchange', followHash)
  }

  async function start() {
    try {
      prepare(await read('contents'))
    } catch (error) {
      $('summary').textContent = 'The report cannot be read: ' + (typeof DecompressionStream === 'undefined' ? 'this browser is too old (it lacks DecompressionStream)' : 'the file is damaged') + '. ' + error.message
      return
    }
    buildPage()
    listen()
    await followHash()
    document.documentElement.dataset.ready = Math.round(performance.now())
  }
  start()
})()
