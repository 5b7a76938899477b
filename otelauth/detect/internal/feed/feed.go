// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package feed is the contract between a detector and a feed that shares attempts between
// processes. It is internal because package redisfeed is the only feed.
package feed

import (
	"cmp"
	"context"
	"time"
)

// Feed brings the attempts of every process to every process, in one order. A Feed belongs to one
// detector, which calls it from one goroutine at a time.
type Feed interface {
	// Key returns a secret that all processes of the feed share. Places in tables and ids of
	// episodes depend on it, so they are the same in all processes.
	Key() [16]byte
	// Exchange publishes out and returns what is new since the last call. reported is the position
	// up to which the caller has reported detections, or knows that another process has. Exchange
	// waits a bounded time, whatever the deadline of ctx.
	//
	// After an error the caller passes the same batches again under the same numbers, even if they
	// may have been published: no receiver gets a number twice.
	Exchange(ctx context.Context, out []Outgoing, reported Position) (Exchanged, error)
	// Keep returns a function that stores state, which is what the caller has learned from the
	// batches that it has got, for processes that start later. It replaces what was stored before.
	// The function may run at the same time as the other methods, and waits a bounded time.
	Keep(state []byte) (store func(context.Context) error)
	// Restore passes to restore what a process has stored, or does nothing if there is nothing.
	// Exchange then continues behind the batches that it was learned from. If the stored state or
	// restore fails, it reports that to the operator and returns nil. The caller calls it before
	// the first Exchange, and again after an error, which means that the feed did not answer.
	Restore(ctx context.Context, restore func(state []byte) error) error
	// Shared reports whether the feed is up: if not, Exchange returns [Exchanged].Alone.
	Shared() bool
}

// MaxBatchBytes is the most bytes that [Outgoing].Data may have.
const MaxBatchBytes = 16 << 10

// Outgoing is a batch of attempts of this process.
type Outgoing struct {
	Number uint64 // 1 for the first batch, then one more each time
	Data   []byte // at most MaxBatchBytes; only detectors interpret it
}

// Batch is a received batch of attempts of one process.
type Batch struct {
	Position Position  // after that of the previous Batch, unless the feed began a new order
	Time     time.Time // of the publication, by the clock of the feed
	Sender   uint64    // identifies the process
	Own      bool      // reports whether Sender is this process
	Number   uint64    // Outgoing.Number at the sender
	Data     []byte    // authenticated, but of untrusted format
}

// Position is a place in the order of a feed. The zero Position is before every other.
type Position struct{ Major, Minor uint64 }

// Compare returns -1 if p is before q, 0 if they are equal, and 1 if p is after q.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Major, q.Major), cmp.Compare(p.Minor, q.Minor))
}

// Exchanged is the result of [Feed.Exchange].
type Exchanged struct {
	Batches []Batch
	// More reports whether the feed has more batches than one call returns.
	More bool
	// Reported is the position up to which a leader has reported detections.
	Reported Position
	// Leads reports whether this process is the leader, for longer than reporting takes.
	Leads bool
	// Alone reports whether the feed is down. Then the caller evaluates its own attempts and
	// reports their detections, until a call returns without Alone. Exchange returns it instead of
	// an error and without Batches. The caller does not pass out again.
	Alone bool
	// Restarted reports whether a new order begins with Batches. Earlier positions are then
	// invalid.
	Restarted bool
}
