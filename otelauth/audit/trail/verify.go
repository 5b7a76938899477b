// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// VerifyOptions configures [Verify]. Keys is required.
type VerifyOptions struct {
	// Keys are the public keys of the trail ([Key.Public]) from a source that the host cannot
	// change. A later key is accepted if the trail announces it under one of these.
	Keys []string
	// Checkpoints are signed checkpoints that were seen outside of the host, in any order. The
	// folder must contain the tree of each. Without one, the folder is only consistent in itself.
	Checkpoints [][]byte
	// Unsealed is how old a line may be that no checkpoint covers. Use the checkpoint interval of
	// a trail that is being written. Default: every line must be covered, as [Trail.Close] leaves
	// it.
	Unsealed time.Duration
	// Progress is called about ten times a second. Default: none.
	Progress func(Progress)
	// Now is the clock for Unsealed and Progress. Default: time.Now.
	Now func() time.Time
}

// Progress is how far a verification is.
type Progress struct {
	Lines, Bytes int64 // so far
	TotalBytes   int64 // of all segments
	Elapsed      time.Duration
}

// Report is the result of a verification.
type Report struct {
	Origin   string
	First    int64     // number of the first line that is kept
	Size     int64     // number of lines, pruned ones included
	Root     tlog.Hash // of the tree of Size lines
	Sealed   int64     // lines that the newest valid checkpoint covers
	Segments int
	Lines    int64 // that were read
	Bytes    int64
	Pruned   []PrunedRange
	Elapsed  time.Duration
	// Problems has the first [MaxProblems] problems, in the order of the lines.
	Problems []*Problem
}

// PrunedRange is a range of lines that was removed by [Trail.Prune].
type PrunedRange struct {
	From, To      int64 // lines From to To-1
	Root          tlog.Hash
	Actor, Reason string
	Time          time.Time
}

// MaxProblems bounds [Report.Problems].
const MaxProblems = 100

// ProblemKind is the class of a [Problem]. Its text never changes.
type ProblemKind string

// The kinds of problems.
const (
	// LineChanged means that a line is not the one that was written.
	LineChanged ProblemKind = "line_changed"
	// LineMissing means that lines are missing: inside of a segment, at its end, or the segments
	// after it.
	LineMissing ProblemKind = "line_missing"
	// LineReordered means that a line has another number than its place.
	LineReordered ProblemKind = "line_reordered"
	// LineInvalid means that a line is not valid JSON, or is too long.
	LineInvalid ProblemKind = "line_invalid"
	// Surplus means that bytes follow the last line of a segment.
	Surplus ProblemKind = "surplus"
	// SegmentMissing means that the first segments are missing and no line says that they were
	// pruned.
	SegmentMissing ProblemKind = "segment_missing"
	// TileChanged means that a hash tile is not that of the lines.
	TileChanged ProblemKind = "tile_changed"
	// ForeignFile means that a file in segments/ is not a segment.
	ForeignFile ProblemKind = "foreign_file"
	// CheckpointMissing means that there is no checkpoint.
	CheckpointMissing ProblemKind = "checkpoint_missing"
	// CheckpointInvalid means that a checkpoint is not signed by a key of the trail.
	CheckpointInvalid ProblemKind = "checkpoint_invalid"
	// NotSealed means that lines are older than [VerifyOptions.Unsealed] and no checkpoint covers
	// them.
	NotSealed ProblemKind = "not_sealed"
	// TooShort means that a checkpoint covers more lines than the folder has.
	TooShort ProblemKind = "too_short"
	// Fork means that a valid checkpoint has another root than the lines: they were changed
	// together with the hash tiles, or there are two trails of this name.
	Fork ProblemKind = "fork"
)

// Problem is one finding of a verification. It is an error.
type Problem struct { //nolint:errname // it is a finding, and an error by the way
	Kind    ProblemKind
	Segment string // file name; "" if it is not about one
	Line    int64  // number of the line; -1 if unknown
	Detail  string // one sentence
}

// Error returns the problem in one line.
func (p *Problem) Error() string {
	s := "trail: " + string(p.Kind)
	if p.Segment != "" {
		s += " in " + p.Segment
	}
	if p.Line >= 0 {
		s += fmt.Sprintf(" at line %d", p.Line)
	}
	return s + ": " + p.Detail
}

// VerificationError means that a folder does not verify.
type VerificationError struct {
	Problems []*Problem // as in the Report
}

// Error returns the first problem and the number of others.
func (e *VerificationError) Error() string {
	s := e.Problems[0].Error()
	if n := len(e.Problems) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// Unwrap returns the problems.
func (e *VerificationError) Unwrap() []error {
	all := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		all[i] = p
	}
	return all
}

// Verify reads the trail in dir and compares it with its checkpoints. It reads each segment once
// and in order, with a few MiB of memory, and needs no lock. The error is a *[VerificationError]
// if the trail does not verify; any other error means that it could not be read.
func Verify(ctx context.Context, dir string, opts VerifyOptions) (Report, error) {
	return verify(ctx, disk.OS{}, dir, opts)
}
