// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"runtime"
	"time"
)

// Limits bounds the processors, memory and time that hashing may take. The zero Limits has the
// defaults.
type Limits struct {
	// Slots is the number of hashes that run at once. Default: max(1, GOMAXPROCS−1), so that a
	// flood of guesses leaves one processor free. For a Verifier, which waits for another
	// machine, it is [DefaultVerifierSlots].
	Slots int
	// MemoryBytes bounds the memory of the hashes that run at once. A hash that needs more runs
	// alone. Default: [DefaultMemoryBytes].
	MemoryBytes int64
	// Queued is the number of attempts that may wait for a slot. Each takes about 300 bytes,
	// besides its goroutine. Default: 1024.
	Queued int
	// MaxWait is the longest wait for a slot. An attempt that would wait longer is refused at
	// once. Default: 10 s.
	MaxWait time.Duration
}

// Defaults of [Limits]. Slots has the last one in front of a [Verifier].
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
