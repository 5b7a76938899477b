// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Loads the scripts of the page after its first frame, so that they do not delay it. A page that no
// one sees has no frame.

function load() {
  for (const name of document.querySelector('meta[name=otelauth-scripts]').content.split(' ')) {
    const link = document.createElement('link')
    link.rel = 'modulepreload'
    link.href = new URL(name, import.meta.url)
    document.head.append(link)
  }
  import('./app.js')
}

if (document.hidden) load()
else requestAnimationFrame(() => setTimeout(load))
