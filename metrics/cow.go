// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"maps"
	"sync"
	"sync/atomic"
)

// cow is a bounded map with copy-on-write: reads take no lock, each write copies. Its keys come
// from closed sets, so a process writes it a few times and reads it on every attempt. A sync.Map
// would allocate for each key of a lookup.
type cow[K comparable, V any] struct {
	now   atomic.Pointer[map[K]V]
	write sync.Mutex
}

// load returns the value of k; ok is false if there is none.
func (c *cow[K, V]) load(k K) (v V, ok bool) {
	if m := c.now.Load(); m != nil {
		v, ok = (*m)[k]
	}
	return v, ok
}

// make returns the value of k, and makes it with build if there is none. build also returns the
// key to keep, which equals k. ok is false if k is new and the map already has limit keys.
func (c *cow[K, V]) make(k K, limit int, build func(K) (K, V)) (v V, ok bool) {
	if m := c.now.Load(); m != nil && len(*m) >= limit {
		v, ok = (*m)[k]
		return v, ok // full, and no key ever leaves: no lock needed
	}
	c.write.Lock()
	defer c.write.Unlock()
	next := map[K]V{}
	if m := c.now.Load(); m != nil {
		if v, ok = (*m)[k]; ok {
			return v, true
		}
		if len(*m) >= limit {
			return v, false
		}
		next = maps.Clone(*m)
	}
	k, v = build(k)
	next[k] = v
	c.now.Store(&next)
	return v, true
}
