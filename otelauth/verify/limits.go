// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"runtime"
	"time"
)

// Limits bounds what hashing may take of the machine. The zero Limits is ready for use.
type Limits struct {
	// Slots is how many hash functions run at once. Default: max(1, GOMAXPROCS−1), so that a flood
	// of guesses never takes the processor that serves everybody else; 32 in front of a
	// Verifier, which waits for somebody else's processor.
	Slots int
	// MemoryBytes bounds the memory of the hash functions that run at once; one that needs more runs
	// alone. Default: 512 MiB.
	MemoryBytes int64
	// Queued is how many attempts may wait for a slot. Default: 1024. Each costs about 300
	// bytes beside the goroutine that net/http gave it anyway.
	Queued int
	// MaxWait is the longest wait for a slot. Who would wait longer is refused at once. Default: 10 s.
	MaxWait time.Duration
}

// The defaults of [Limits].
const (
	DefaultMemoryBytes   = 512 << 20
	defaultQueued        = 1024
	defaultMaxWait       = 10 * time.Second
	DefaultVerifierSlots = 32
)

func (l Limits) withDefaults() Limits {
	if l.Slots <= 0 {
		l.Slots = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if l.MemoryBytes <= 0 {
		l.MemoryBytes = DefaultMemoryBytes
	}
	if l.Queued <= 0 {
		l.Queued = defaultQueued
	}
	if l.MaxWait <= 0 {
		l.MaxWait = defaultMaxWait
	}
	return l
}
