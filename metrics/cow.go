// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"maps"
	"sync"
	"sync/atomic"
)

// cow is a bounded map that is read without a lock and copied on each write. Its keys come from
// closed sets, so it is written a few times in the life of a process and read on every attempt. A sync.Map would
// allocate for each key that it is asked for.
type cow[K comparable, V any] struct {
	now   atomic.Pointer[map[K]V]
	write sync.Mutex
}

// load returns the value of k, if there is one.
func (c *cow[K, V]) load(k K) (v V, ok bool) {
	if m := c.now.Load(); m != nil {
		v, ok = (*m)[k]
	}
	return v, ok
}

// make returns the value of k, from build when there is none; build also returns the key to keep, which
// equals k. ok is false when k is new and the map holds limit keys already.
func (c *cow[K, V]) make(k K, limit int, build func(K) (K, V)) (v V, ok bool) {
	if m := c.now.Load(); m != nil && len(*m) >= limit {
		v, ok = (*m)[k]
		return v, ok // full for good: no lock
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
