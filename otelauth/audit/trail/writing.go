// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// writing is the state of the goroutine that writes.
type writing struct {
	writer     writer
	isFinished bool          // Close is done
	durable    int64         // size of the newest tree whose tiles are flushed, or soon are
	woken      int           // callers that the last commit has woken
	took       time.Duration // of the last commit

	isFailed bool  // no segment is open; the next tick tries again
	failure  error // why
	// owed are the anomalies that the next segment begins with.
	owed       []anomaly
	lastSigned time.Time
	reported   int64     // of refused and dropped, in a line
	retained   time.Time // when Config.Retention was applied

	// elapsed is the time since Open by a clock that cannot be set.
	elapsed     func() time.Duration
	tickTime    time.Time
	tickElapsed time.Duration
}

// maxOwed bounds writing.owed.
const maxOwed = 64

// durableLines is after how many lines tiles are flushed, besides at the start of a segment: it bounds
// what Open reads.
const durableLines = 65_536

// collectTime is how long lines are collected for which no caller waits.
const collectTime = 100 * time.Millisecond

// tickInterval is how often the segment is inspected when no lines arrive.
const tickInterval = time.Second

func (t *Trail) run() {
	defer close(t.done)
	defer t.release()
	ticker := time.NewTicker(min(tickInterval, t.cfg.CheckpointInterval))
	defer ticker.Stop()
	var collected <-chan time.Time
	for {
		select {
		case <-t.queue.wake:
			t.gather()
			t.commitPending()
		case <-t.queue.soon:
			if collected == nil {
				collected = time.After(collectTime)
			}
		case <-collected:
			collected = nil
			t.commitPending()
		case <-ticker.C:
			t.tick()
		case f := <-t.calls:
			if f(); t.isFinished {
				return
			}
		case <-t.quit:
			return
		}
	}
}

// gather lets callers that the last commit has woken add their next lines, so that they share this
// commit. Otherwise the callers form two groups that wait for each other's flush. With so many
// callers that gathering takes longer than a commit, two groups are faster: one makes its lines
// while those of the other are flushed.
func (t *Trail) gather() {
	start := time.Now()
	for n := t.queue.queued(); n < t.woken && time.Since(start) < t.took; {
		runtime.Gosched()
		before := n
		if n = t.queue.queued(); n == before {
			return
		}
	}
}

// commitPending writes the lines that wait.
func (t *Trail) commitPending() {
	if t.isFailed {
		return
	}
	b := t.queue.take()
	if b == nil {
		return
	}
	start := time.Now()
	t.commit(b)
	t.took = time.Since(start)
	t.tel.committed(t.took)
	t.size.Store(t.writer.edge.size)
	if !t.isFailed && t.writer.edge.size-t.durable >= t.durableLines {
		if _, err := t.seal(true); err != nil {
			t.report(anomaly{kind: writeFailed, time: t.cfg.Now(), err: err})
		}
	}
}

// errLockRemoved is why a trail whose lock was removed writes nothing more: another process may
// write to the folder.
var errLockRemoved = errors.New("the lock of the folder was removed or replaced; open the trail again")

// inspect compares the lock and the segment with what this process made.
func (t *Trail) inspect() (kind anomalyKind, err error) {
	if !t.lock.IsHeld() {
		return replaced, errLockRemoved
	}
	return t.writer.inspect()
}

func (t *Trail) commit(b *batch) {
	w := &t.writer
	if kind, err := t.inspect(); kind != "" {
		t.changed(b, kind, err)
		return
	}
	if t.keeper.backlog() > maxTileBacklog {
		t.fail(b, anomaly{kind: writeFailed, err: errors.New("tiles cannot be written")})
		return
	}
	if w.offset >= t.cfg.SegmentBytes || w.now().Sub(w.began) >= t.cfg.SegmentAge {
		if t.begin(b) != nil {
			return
		}
		t.settle(b)
		return
	}
	b.bodies(func(body []byte, _ bool) { w.stage(body) })
	if kind, err := w.flush(); err != nil {
		t.fail(b, anomaly{kind: kind, err: err})
		return
	}
	t.settle(b)
}

// settle ends a batch that is on disk.
func (t *Trail) settle(b *batch) {
	lines, late := len(b.lines), 0
	t.woken = b.waits
	if b.done != nil && t.queue.isExpired(b) {
		late = b.waits
	}
	t.queue.settle(b, nil, nil)
	t.tel.written(int64(lines))
	if late > 0 {
		t.refuseLate(late)
	}
	if t.queue.whyDown() == ErrTimeout { //nolint:errorlint // it is set as it is
		t.queue.setDown(nil)
	}
}

// refuseLate adds a line about callers that were answered 503 although their line is on disk.
func (t *Trail) refuseLate(n int) {
	a := anomaly{kind: timedOut, time: t.cfg.Now(), segment: segmentName(t.writer.first), count: int64(n)}
	if _, err := t.queue.add(a.body(), false); err != nil {
		t.drop(1)
	}
}

// expire is called when callers have waited too long.
func (t *Trail) expire(waits int) {
	t.tel.anomaly(anomaly{kind: timedOut, time: t.cfg.Now(), count: int64(waits), err: ErrTimeout})
}

// changed handles a segment that another program has changed: verdicts are refused until a new
// segment says so.
func (t *Trail) changed(b *batch, kind anomalyKind, err error) {
	a := anomaly{kind: kind, time: t.cfg.Now(), segment: segmentName(t.writer.first), err: err}
	t.owe(a)
	t.queue.setDown(unavailable(a))
	if b != nil {
		t.reject(b, unavailable(a))
	}
	t.writer.release()
	if kind == truncated || kind == appended {
		t.writer.cut = "" // evidence
	}
	_ = t.begin(nil) // after an error, the next tick tries again
}

// fail handles a failed write: the segment is abandoned, and the lines are written to a new one.
func (t *Trail) fail(b *batch, a anomaly) {
	a.time, a.segment = t.cfg.Now(), segmentName(t.writer.first)
	t.owe(a)
	if err := t.writer.abandon(); err != nil {
		t.owe(anomaly{kind: truncated, time: a.time, segment: a.segment, err: err})
	}
	if t.begin(b) == nil {
		t.settle(b)
	}
}

// owe reports an anomaly and keeps it for the next segment.
func (t *Trail) owe(a anomaly) {
	t.tel.anomaly(a)
	if len(t.owed) < maxOwed {
		t.owed = append(t.owed, a)
	}
}

// begin starts a segment with what is owed and the lines of b; nil: no lines. After an error the
// trail has failed and b was rejected.
func (t *Trail) begin(b *batch) error {
	if !t.lock.IsHeld() {
		t.down(b, errLockRemoved)
		return errLockRemoved
	}
	w := &t.writer
	var bodies [][]byte
	for i := range t.owed {
		bodies = append(bodies, t.owed[i].body())
	}
	if b != nil {
		b.bodies(func(body []byte, _ bool) { bodies = append(bodies, body) })
	}
	before := w.edge.clone()
	c, err := w.begin(bodies...)
	if err != nil {
		t.down(b, err)
		return err
	}
	t.owed = t.owed[:0]
	t.size.Store(w.edge.size)
	t.publish(c, before, position{segment: w.first}, true)
	pointCurrent(t.disk, t.cfg.Dir, w.first)
	if t.isFailed {
		t.isFailed, t.failure = false, nil
		a := anomaly{kind: recovered, time: t.cfg.Now(), segment: segmentName(w.first)}
		t.report(a)
	}
	t.queue.setDown(nil)
	t.queue.poke() // lines that were kept
	return nil
}

// down handles a segment that could not be begun. Ticks try again.
func (t *Trail) down(b *batch, err error) {
	a := anomaly{kind: classify(err, writeFailed), time: t.cfg.Now(), segment: segmentName(t.writer.edge.size), err: err}
	if !t.isFailed {
		t.owe(a)
	}
	t.isFailed, t.failure = true, unavailable(a)
	t.queue.setDown(t.failure)
	if b != nil {
		t.reject(b, t.failure)
	}
}

func unavailable(a anomaly) error {
	if a.err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, a.kind, a.err)
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, a.kind)
}

// reject ends a batch that is not on disk. The lines for which no caller waits are kept.
func (t *Trail) reject(b *batch, err error) {
	t.queue.settle(b, err, func(waits bool) bool { return !waits })
}

// tick does what is due every second.
func (t *Trail) tick() {
	now := t.cfg.Now()
	t.keeper.poke()
	t.writer.retryCut()
	if t.isFailed {
		t.lost(now)
		if t.begin(nil) != nil {
			return
		}
	} else if kind, err := t.inspect(); kind != "" {
		t.changed(nil, kind, err)
	}
	t.checkClock(now)
	t.lost(now)
	t.commitPending()
	if t.isFailed {
		return
	}
	t.retain(now)
	if err := t.sealDue(now); err != nil {
		t.report(anomaly{kind: writeFailed, time: now, err: err})
	}
}

// lost adds a line about verdicts and lines that could not be recorded.
func (t *Trail) lost(now time.Time) {
	total := t.refused.Load() + t.dropped.Load()
	n := total - t.reported
	if n == 0 {
		return
	}
	t.reported = total
	a := anomaly{kind: dropped, time: now, count: n}
	if t.isFailed {
		t.owe(a)
		return
	}
	t.report(a)
}

// maxClockStep is how much the clock may be ahead of or behind the monotonic clock after a tick.
const maxClockStep = time.Second

// checkClock notices that the clock was set, and begins a segment that says so.
func (t *Trail) checkClock(now time.Time) {
	elapsed := t.elapsed()
	step := now.Round(0).Sub(t.tickTime.Round(0)) - (elapsed - t.tickElapsed)
	t.tickTime, t.tickElapsed = now, elapsed
	if step.Abs() <= maxClockStep {
		return
	}
	t.queue.setDown(unavailable(anomaly{kind: clockStepped}))
	t.owe(anomaly{kind: clockStepped, time: now, segment: segmentName(t.writer.first), err: fmt.Errorf("the clock was set by %v", step)})
	_ = t.begin(nil) // after an error, the next tick tries again
}

// sealDue signs a checkpoint if the interval is over and it would cover new lines.
func (t *Trail) sealDue(now time.Time) error {
	if since := now.Sub(t.lastSigned); since >= 0 && since < t.cfg.CheckpointInterval {
		return nil
	}
	if t.newest.Load().checkpoint.Size == t.writer.edge.size {
		t.tel.confirm(now)
		return nil
	}
	_, err := t.seal(false)
	return err
}

// seal signs a checkpoint of the lines on disk. flush flushes their tiles too.
func (t *Trail) seal(flush bool) (Checkpoint, error) {
	c, err := t.writer.seal()
	if err != nil {
		return Checkpoint{}, err
	}
	t.publish(c, &t.writer.edge, t.writer.end(), flush)
	return c, nil
}

func (t *Trail) publish(c Checkpoint, e *edge, end position, flush bool) {
	t.lastSigned = t.cfg.Now()
	if flush {
		t.durable = c.Size
	}
	t.newest.Store(&signed{c, t.lastSigned})
	t.keeper.publish(c, e, end, flush)
}

// finish writes what waits, signs, and releases the folder.
func (t *Trail) finish() error {
	t.lost(t.cfg.Now())
	t.queue.close()
	var err error
	if t.isFailed {
		err = t.begin(nil)
	}
	t.commitPending()
	if t.isFailed {
		err = t.failure
	}
	if err == nil {
		_, err = t.seal(false)
	}
	if err == nil {
		err = t.keeper.drain()
	}
	t.isFinished = true
	return err
}

// release ends what the trail has started.
func (t *Trail) release() {
	t.keeper.close()
	t.writer.release()
	t.tel.close()
	_ = t.lock.Close() // the system unlocks it in any case
}
