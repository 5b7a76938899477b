// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0
//
// The site in Express 5. Its routes match in any letter case, as they do by default.

const express = require('express')

const app = express()
const mark = (kind) => (req, res) => res.type('text/plain').send('marker=' + kind)

app.all('/healthz', mark('public'))
app.use('/static', mark('public'))
app.all('/u/me', mark('restricted'))
app.all('/u/:id', mark('public'))
app.use(['/admin', '/access', '/files/private'], mark('restricted'))
app.use(mark('protected'))
// A path that cannot be decoded.
app.use((err, req, res, next) => res.status(400).end())

const [host, port] = process.argv[2].split(':')
require('node:http').createServer({ maxHeaderSize: 65536, keepAliveTimeout: 60000 }, app).listen(+port, host)
