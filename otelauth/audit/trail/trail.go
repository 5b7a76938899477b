// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/internal/wide"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// ScopeName is the name of the instrumentation scope of the telemetry.
const ScopeName = "github.com/otelauth/otelauth-go/otelauth/audit/trail"

// Trail writes the record. Make it with [Open]. It is safe for concurrent use.
type Trail struct {
	cfg    Config
	disk   disk.FS
	folder *wide.Folder
	tel    *telemetry
	queue  *queue
	keeper *keeper
	store  tileStore
	lock   disk.Lock
	bodies sync.Pool // *[]byte
	// durableLines is after how many lines tiles are flushed, and a checkpoint is signed.
	durableLines int64

	attempts atomic.Int64 // the last number of a line of an attempt
	size     atomic.Int64 // lines on disk
	refused  atomic.Int64
	dropped  atomic.Int64
	newest   atomic.Pointer[signed]
	daily    daily

	unwitnessed chan Checkpoint // the newest one that no witness has seen

	calls   chan func() // run by the goroutine of the writer
	quit    chan struct{}
	done    chan struct{} // closed when the goroutine of the writer has ended
	closed  sync.Once
	pruning sync.Mutex
	writing
}

// signed is a checkpoint and when it was signed.
type signed struct {
	checkpoint Checkpoint
	at         time.Time
}

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
	Refused    int64      // verdicts that could not be recorded since Open, in Required
	Dropped    int64      // lines that were dropped since Open
}

// Begin returns ctx.
func (t *Trail) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// Ready returns an error while the trail is [Required] and cannot write: credentials must then be
// refused before they are verified.
func (t *Trail) Ready() error {
	if t.cfg.Durability != Required {
		return nil
	}
	return t.queue.whyDown()
}

// Decide writes the line "auth.attempt", unless it is folded. In [Required] it waits until the
// line is on disk; the error wraps [ErrUnavailable].
func (t *Trail) Decide(_ context.Context, req *attempt.Request, res *attempt.Result) error {
	if t.cfg.Durability == Off {
		return nil
	}
	isSuccess := res.Outcome == attempt.Success
	if res.Outcome == attempt.Error && res.ErrorType == attempt.TrailUnavailable {
		t.refuse(1)
		return nil
	}
	if !isSuccess && !t.admits(req, res) {
		return nil
	}
	var kv wide.Attributes
	kv.Attempt(req, res, &attempt.Response{})
	if t.cfg.Responses {
		res.Record = t.attempts.Add(1)
		kv.Add(attribute.Int64(semconv.KeyTrailAttempt, res.Record))
	}
	at := wide.VerdictTime(req, res)
	if at.IsZero() {
		at = t.cfg.Now()
	}
	err := t.write(at, semconv.EventAttempt, wide.SpanOf(req.Context, req), kv.All(), t.cfg.Durability == Required, !isSuccess)
	if err != nil {
		t.refuse(1)
	}
	return err
}

// admits reports whether a denial has a line of its own.
func (t *Trail) admits(req *attempt.Request, res *attempt.Result) bool {
	if t.daily.isSpent() {
		t.folder.Count(req.Context, req, res)
		return false
	}
	return t.folder.Attempt(req.Context, req, res, &attempt.Response{})
}

// refuse counts verdicts that were not recorded.
func (t *Trail) refuse(n int) {
	if t.cfg.Durability == Required {
		t.refused.Add(int64(n))
		t.tel.refused(int64(n))
	}
}

// End writes the line "auth.trail.response" if [Config.Responses] is set.
func (t *Trail) End(ctx context.Context, req *attempt.Request, res *attempt.Result, resp *attempt.Response) {
	if res.Record == 0 || !t.cfg.Responses || t.cfg.Durability == Off {
		return
	}
	var kv wide.Attributes
	kv.Add(attribute.Int64(semconv.KeyTrailAttempt, res.Record))
	kv.Response(res, resp)
	_ = t.write(t.cfg.Now(), semconv.EventTrailResponse, wide.SpanOf(ctx, req), kv.All(), false, res.Outcome != attempt.Success)
}

// Anonymous writes "auth.public.response" if a public endpoint answered 401 or 403, unless it is
// folded.
func (t *Trail) Anonymous(ctx context.Context, req *attempt.Request, resp *attempt.Response) {
	if t.cfg.Durability == Off || !wide.IsDenial(resp) {
		return
	}
	if t.daily.isSpent() {
		t.folder.Count(ctx, req, nil)
		return
	}
	if !t.folder.Public(ctx, req, resp) {
		return
	}
	var kv wide.Attributes
	kv.Public(req, resp)
	_ = t.write(t.cfg.Now(), semconv.EventPublicResponse, wide.SpanOf(ctx, req), kv.All(), false, true)
}

// Notice writes a line named after the kind of n.
func (t *Trail) Notice(ctx context.Context, n attempt.Notice) {
	if t.cfg.Durability == Off || n.Kind == attempt.TrailAnomaly {
		return
	}
	var kv wide.Attributes
	kv.Str("body", n.Message, wide.MaxMessageBytes)
	kv.Notice(&n)
	at := n.Time
	if at.IsZero() {
		at = t.cfg.Now()
	}
	_ = t.write(at, string(n.Kind), trace.SpanContextFromContext(ctx), kv.All(), false, false)
}

// Flush writes the folded events now. It does not wait for the disk.
func (t *Trail) Flush() {
	if t.cfg.Durability != Off {
		t.folder.Flush()
	}
}

// suppressed writes a folded event.
func (t *Trail) suppressed(f *wide.Fold, now time.Time) {
	var kv wide.Attributes
	kv.Suppressed(f)
	_ = t.write(now, semconv.EventEventsSuppressed, trace.SpanContext{}, kv.All(), false, true)
}

// write adds a line. With waits it returns when the line is on disk, or with an error.
// fromOutside counts it for the daily bound.
func (t *Trail) write(
	at time.Time, event string, span trace.SpanContext, attrs []attribute.KeyValue, waits, fromOutside bool,
) error {
	buf, _ := t.bodies.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	*buf = appendBody((*buf)[:0], at, event, span, attrs)
	size := len(*buf)
	b, err := t.queue.add(*buf, waits)
	t.bodies.Put(buf)
	if err != nil {
		if !waits {
			t.drop(1)
		}
		return err
	}
	if fromOutside && t.daily.spend(at, int64(size)) {
		t.report(anomaly{kind: dailyBound, time: t.cfg.Now()})
	}
	if !waits {
		return nil
	}
	<-b.done
	return b.err
}

func (t *Trail) drop(n int) {
	t.dropped.Add(int64(n))
	t.tel.dropped(int64(n))
}

// report emits the event of a, counts it, notifies, and adds a line.
func (t *Trail) report(a anomaly) {
	t.tel.anomaly(a)
	if _, err := t.queue.add(a.body(), false); err != nil {
		t.drop(1)
	}
}

// Checkpoint waits until all lines so far are on disk, and signs a checkpoint that covers them.
func (t *Trail) Checkpoint(ctx context.Context) (Checkpoint, error) {
	var c Checkpoint
	err := t.call(ctx, func() error {
		t.commitPending()
		if t.isFailed {
			return t.failure
		}
		var err error
		c, err = t.seal(false)
		return err
	})
	if err != nil {
		return Checkpoint{}, err
	}
	return c, t.drained(ctx)
}

// drained waits until tiles and the checkpoint are on disk.
func (t *Trail) drained(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- t.keeper.drain() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// call runs f in the goroutine of the writer.
func (t *Trail) call(ctx context.Context, f func() error) error {
	if t.cfg.Durability == Off {
		return ErrNotFound
	}
	result := make(chan error, 1)
	select {
	case t.calls <- func() { result <- f() }:
	case <-t.done:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Status returns the state of the trail.
func (t *Trail) Status() Status {
	s := Status{Durability: t.cfg.Durability}
	if t.cfg.Durability == Off {
		return s
	}
	s.Size, s.Queued, s.Err = t.size.Load(), int64(t.queue.queued()), t.queue.whyDown()
	s.Refused, s.Dropped = t.refused.Load(), t.dropped.Load()
	if n := t.newest.Load(); n != nil {
		s.Checkpoint, s.Signed = n.checkpoint, n.at
	}
	return s
}

// Close writes what waits, signs the last checkpoint and unlocks the folder. Close the servers
// before it: later verdicts are refused in [Required]. When ctx ends first, its error is returned
// and lines may be without a checkpoint.
func (t *Trail) Close(ctx context.Context) error {
	if t.cfg.Durability == Off {
		return nil
	}
	t.folder.Flush()
	var err error
	t.closed.Do(func() {
		err = t.call(ctx, t.finish)
		t.queue.close()
		close(t.quit)
	})
	if err != nil {
		return err
	}
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// daily is the bytes of lines that callers without an account have caused today (UTC).
type daily struct {
	limit int64
	now   func() time.Time
	day   atomic.Int64
	spent atomic.Int64
}

const secondsPerDay = 24 * 60 * 60

// spend adds a line. It reports whether the bound was reached with it.
func (d *daily) spend(at time.Time, size int64) (isReached bool) {
	if day := at.Unix() / secondsPerDay; d.day.Swap(day) != day {
		d.spent.Store(0)
	}
	before := d.spent.Add(size) - size
	return before < d.limit && before+size >= d.limit
}

// isSpent reports whether denials are only counted.
func (d *daily) isSpent() bool {
	return d.spent.Load() >= d.limit && d.day.Load() == d.now().Unix()/secondsPerDay
}
