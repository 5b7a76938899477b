// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"maps"
	"slices"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// OnReload registers fn. It is called for every reload, and once for every new reason why the
// previous accounts are still served. fn must not block and must not call Reload or Close. After
// stop, no new call begins.
func (f *File) OnReload(fn func(verify.Reload)) (stop func()) {
	key := &fn
	f.listenersMu.Lock()
	defer f.listenersMu.Unlock()
	if f.listeners == nil {
		f.listeners = make(map[*func(verify.Reload)]struct{})
	}
	f.listeners[key] = struct{}{}
	return func() {
		f.listenersMu.Lock()
		defer f.listenersMu.Unlock()
		delete(f.listeners, key)
	}
}

// report calls the listeners.
func (f *File) report(err error) {
	f.listenersMu.Lock()
	listeners := slices.Collect(maps.Keys(f.listeners))
	f.listenersMu.Unlock()
	r := verify.Reload{Source: f.cfg.Path, Time: f.cfg.Now(), Accounts: f.Len(), Err: err}
	for _, fn := range listeners {
		(*fn)(r)
	}
}
