// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"errors"
	"iter"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Line is one line of a trail.
type Line struct {
	Seq   int64
	Time  time.Time
	Event string
	// JSON is the line without its newline. It is valid until the next line is read.
	JSON []byte
}

// Lines returns the lines of the trail in dir from number from on, in order, without verifying
// them. It ends after the last whole line, or with an error.
func Lines(ctx context.Context, dir string, from int64) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) { yield(Line{}, errors.ErrUnsupported) }
}

// Inclusion is the proof that a line is in the tree of a checkpoint. [tlog.CheckRecord] verifies
// it with [tlog.RecordHash] of Line.
type Inclusion struct {
	Seq        int64
	Line       []byte
	Checkpoint Checkpoint
	Proof      tlog.RecordProof
}

// MarshalText returns the proof in the format of c2sp.org/tlog-proof.
func (i Inclusion) MarshalText() ([]byte, error) { return nil, errors.ErrUnsupported }

// ProveInclusion returns the proof that line seq is in the tree of checkpoint, or of the newest
// checkpoint of the folder if checkpoint is nil. keys verify the checkpoint.
func ProveInclusion(ctx context.Context, dir string, seq int64, checkpoint []byte, keys ...string) (Inclusion, error) {
	return Inclusion{}, errors.ErrUnsupported
}

// Consistency is the proof that the tree of Newer continues the tree of Older. [tlog.CheckTree]
// verifies it.
type Consistency struct {
	Older, Newer Checkpoint
	Proof        tlog.TreeProof
}

// ProveConsistency returns the proof that the tree of newer continues that of older. newer is the
// newest checkpoint of the folder if it is nil. keys verify both.
func ProveConsistency(ctx context.Context, dir string, older, newer []byte, keys ...string) (Consistency, error) {
	return Consistency{}, errors.ErrUnsupported
}
