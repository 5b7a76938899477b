// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0
//
// The site on Node without a framework: the path is that of new URL(), decoded, as many tutorials
// have it.

const http = require('node:http')
const path = require('node:path')

const marker = (p) => {
  if (/^\/(admin|access)(\/|$)/.test(p) || p === '/u/me' || /^\/files\/private(\/|$)/.test(p)) return 'restricted'
  if (p === '/healthz' || p.startsWith('/static/') || /^\/u\/[^/]+$/.test(p)) return 'public'
  return 'protected'
}

const answer = (url) => {
  const pathname = new URL(url, 'http://internal.example').pathname
  const found = [marker(decodeURIComponent(pathname)), marker(path.posix.normalize(decodeURIComponent(pathname)))]
  return ['restricted', 'protected', 'public'].find((kind) => found.includes(kind))
}

const [host, port] = process.argv[2].split(':')
http.createServer({ maxHeaderSize: 65536, keepAliveTimeout: 60000 }, (req, res) => {
  try {
    res.end('marker=' + answer(req.url))
  } catch {
    res.writeHead(400).end()
  }
}).listen(+port, host)
