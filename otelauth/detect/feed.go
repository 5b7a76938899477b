// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"cmp"
	"context"
	"time"
)

// Feed brings the attempts of every process to every process, in one order. Package redisfeed has one. A Feed belongs to
// one Detector, which calls it from one goroutine at a time.
type Feed interface {
	// Key is what the processes of a feed have in common and nobody else knows: by it places in tables and the ids
	// of episodes are the same in all.
	Key() [16]byte
	// Exchange publishes out and returns what is new since the last call. told is up to where the caller has told
	// findings, or knows that another has. It waits a bounded time whatever ctx says. After an error none of out may be
	// taken as published, though it may have been: the caller hands it over again under the same numbers, and no
	// receiver sees a number twice.
	Exchange(ctx context.Context, out []Outgoing, told Position) (Exchanged, error)
}

// MaxBatchBytes bounds [Outgoing].Data.
const MaxBatchBytes = 16 << 10

// Outgoing is some attempts of this process.
type Outgoing struct {
	Number uint64 // from 1, one more each time
	Data   []byte // at most MaxBatchBytes, for detectors only
}

// Batch is some attempts of one process, as they are received.
type Batch struct {
	Position Position  // in the order; higher than that of the Batch before, unless the feed began anew
	Time     time.Time // when it was published, by the clock that all share
	Sender   uint64    // the process
	Own      bool      // which is this one
	Number   uint64
	Data     []byte // untrusted as to its form
}

// Position is a place in the order of a feed. The zero Position is before every other.
type Position struct{ Major, Minor uint64 }

// Compare returns -1, 0 or 1 as p is before, at or after q.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Major, q.Major), cmp.Compare(p.Minor, q.Minor))
}

// Exchanged is what [Feed.Exchange] brought.
type Exchanged struct {
	Batches []Batch
	// More says that more was there than one call returns.
	More bool
	// Told is up to where findings have been told by whoever led.
	Told Position
	// Lead says that this process is the one that tells, for longer than telling takes.
	Lead bool
	// Alone says that there is nobody to share with: until a call returns without it, this process adds up and tells by
	// itself. It is given instead of an error, without Batches, and nothing of out is to be handed over again.
	Alone bool
	// Anew says that the order began anew before Batches: positions of before mean nothing any longer.
	Anew bool
}
