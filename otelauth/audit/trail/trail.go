// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"errors"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// ScopeName is the name of the instrumentation scope of the telemetry.
const ScopeName = "github.com/otelauth/otelauth-go/otelauth/audit/trail"

// Trail writes the record. Make it with [Open]. It is safe for concurrent use.
type Trail struct{}

var (
	_ attempt.Observer          = (*Trail)(nil)
	_ attempt.ReadyObserver     = (*Trail)(nil)
	_ attempt.AnonymousObserver = (*Trail)(nil)
	_ attempt.NoticeObserver    = (*Trail)(nil)
	_ attempt.Flusher           = (*Trail)(nil)
)

// Status is the state of a [Trail] at one moment.
type Status struct {
	Durability Durability
	Size       int64      // lines on disk
	Queued     int64      // lines that wait for the disk
	Checkpoint Checkpoint // the newest one
	Signed     time.Time  // when it was signed
	Err        error      // why the trail cannot write; nil if it can
	Refused    int64      // verdicts refused with 503 since Open, in Required
	Dropped    int64      // lines dropped since Open, in Ordered
}

// Open opens the trail in cfg.Dir, or begins a new one. It keeps every whole line of a previous
// run and starts a new segment. The error is [ErrLocked], [ErrFileSystem], [ErrTampered] or
// [ErrKey], or joins all errors of cfg.
func Open(cfg Config) (*Trail, error) { return nil, errors.ErrUnsupported }

// Begin returns ctx.
func (t *Trail) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// Ready returns an error while the trail is [Required] and cannot write: credentials must then be
// refused before they are verified.
func (t *Trail) Ready() error { return nil }

// Decide writes the line "auth.attempt", unless it is folded. In [Required] it waits until the
// line is on disk; the error wraps [ErrUnavailable].
func (t *Trail) Decide(ctx context.Context, req *attempt.Request, res *attempt.Result) error {
	return nil
}

// End writes the line "auth.trail.response" if [Config.Responses] is set.
func (t *Trail) End(ctx context.Context, req *attempt.Request, res *attempt.Result, resp *attempt.Response) {
}

// Anonymous writes "auth.public.response" if a public endpoint answered 401 or 403, unless it is
// folded.
func (t *Trail) Anonymous(ctx context.Context, req *attempt.Request, resp *attempt.Response) {}

// Notice writes a line named after the kind of n.
func (t *Trail) Notice(ctx context.Context, n attempt.Notice) {}

// Flush writes the folded events now. It does not wait for the disk.
func (t *Trail) Flush() {}

// Checkpoint waits until all lines so far are on disk, and signs a checkpoint that covers them.
func (t *Trail) Checkpoint(ctx context.Context) (Checkpoint, error) {
	return Checkpoint{}, errors.ErrUnsupported
}

// Status returns the state of the trail.
func (t *Trail) Status() Status { return Status{} }

// Close writes what waits, signs the last checkpoint and unlocks the folder. Close the servers
// before it: later verdicts are refused in [Required]. When ctx ends first, its error is returned
// and lines may be without a checkpoint.
func (t *Trail) Close(ctx context.Context) error { return nil }
