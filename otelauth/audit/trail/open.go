// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/otelauth/audit/internal/wide"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// The limits of individual denials. They bound what callers without an account can write: about
// 60 lines and as many counts a second.
const (
	foldBurst     = 20
	foldEvery     = 10 * time.Second
	foldPeriod    = 800 * time.Millisecond // with a sixteenth and collectTime below a second
	foldEntries   = 64
	foldPerSecond = 50
)

// Open opens the trail in cfg.Dir, or begins a new one. It keeps every whole line of a previous
// run and starts a new segment. The error is [ErrLocked], [ErrFileSystem], [ErrTampered] or
// [ErrKey], or joins all errors of cfg.
func Open(cfg Config) (*Trail, error) { return open(cfg, disk.OS{}, durableLines) }

// open is Open on a disk. Tiles are flushed after so many lines.
func open(cfg Config, d disk.FS, lines int64) (*Trail, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	isClockOwn := cfg.Now == nil
	cfg = cfg.withDefaults()
	t := &Trail{cfg: cfg, disk: d, durableLines: lines, calls: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	t.unwitnessed = make(chan Checkpoint, 1)
	if cfg.Durability == Off {
		return t, nil
	}
	start := cfg.Now()
	t.elapsed = func() time.Duration { return cfg.Now().Sub(start) }
	if isClockOwn {
		t.elapsed = func() time.Duration { return time.Since(start) }
	}
	t.tickTime, t.tickElapsed = start, t.elapsed()
	if err := t.openFolder(); err != nil {
		return nil, err
	}
	if err := t.start(); err != nil {
		return nil, errors.Join(err, t.lock.Close())
	}
	return t, nil
}

// openFolder makes the folder and locks it.
func (t *Trail) openFolder() error {
	for _, dir := range []string{t.cfg.Dir, filepath.Join(t.cfg.Dir, segmentsName), filepath.Join(t.cfg.Dir, tilesName)} {
		if err := t.disk.MakeDir(dir); err != nil {
			return fmt.Errorf("trail: %w; check the path and its permissions", err)
		}
	}
	kind, err := t.disk.Kind(t.cfg.Dir)
	if err != nil {
		return fmt.Errorf("trail: %w; check the path", err)
	}
	if kind != "" && t.cfg.Durability == Required {
		return fmt.Errorf("%w (%s is on %s)", ErrFileSystem, t.cfg.Dir, kind)
	}
	t.lock, err = t.disk.Lock(filepath.Join(t.cfg.Dir, lockName))
	if errors.Is(err, disk.ErrLocked) {
		return fmt.Errorf("%w (%s)", ErrLocked, t.cfg.Dir)
	}
	if err != nil {
		return fmt.Errorf("trail: %w; check the permissions of the folder", err)
	}
	err = errors.Join(t.disk.SyncDir(t.cfg.Dir), t.disk.SyncDir(filepath.Dir(t.cfg.Dir)))
	if err != nil {
		return errors.Join(fmt.Errorf("trail: %w; check the disk", err), t.lock.Close())
	}
	return nil
}

// start recovers what a previous run has left, begins a segment and starts the goroutines.
func (t *Trail) start() error {
	cfg := &t.cfg
	t.store = tileStore{disk: t.disk, dir: cfg.Dir}
	t.writer = writer{disk: t.disk, dir: cfg.Dir, now: cfg.Now, keys: []*Key{cfg.Key}}
	t.daily = daily{limit: cfg.DailyBytes, now: cfg.Now}
	t.queue = newQueue(cfg.QueueEntries, cfg.Timeout, t.expire)
	t.keeper = newKeeper(t.store, t.published, func(err error) {
		t.report(anomaly{kind: classify(err, writeFailed), time: cfg.Now(), err: err})
	})
	t.writer.edge.full = t.keeper.add
	r := recovery{disk: t.disk, dir: cfg.Dir, store: &t.store, writer: &t.writer, now: cfg.Now, key: cfg.Key, previous: cfg.PreviousKey}
	if err := r.run(); err != nil {
		return err
	}
	t.keeper.kept, t.keeper.durable = edgeTiles(r.checkpoint.Size), edgeTiles(r.durable.size)
	t.attempts.Store(t.writer.edge.size)
	var err error
	if t.tel, err = newTelemetry(cfg, func() occupancy { return occupancy{t.size.Load(), int64(t.queue.queued())} }); err != nil {
		return err
	}
	t.folder = wide.NewFolder(wide.Limits{
		SuccessPeriod: foldPeriod, Burst: foldBurst, Every: foldEvery, Period: foldPeriod, Entries: foldEntries, PerSecond: foldPerSecond, Now: cfg.Now,
	}, t.suppressed)
	go t.keeper.run()
	for _, a := range r.anomalies {
		t.owe(a)
	}
	if err := t.first(r.signer); err != nil {
		t.keeper.close()
		t.writer.release()
		t.tel.close()
		return err
	}
	if cfg.Witness != nil {
		go t.witness()
	}
	go t.run()
	return nil
}

// first begins the first segment of this run. signer signed the checkpoints until now: if it is
// another key, the new one is announced.
func (t *Trail) first(signer *Key) error {
	isNewKey := signer != nil && signer != t.cfg.Key
	if isNewKey {
		t.writer.keys = []*Key{signer}
	}
	if err := t.begin(nil); err != nil {
		return fmt.Errorf("trail: the first segment: %w", err)
	}
	if isNewKey {
		if err := t.announce(signer); err != nil {
			return fmt.Errorf("trail: announcing the key: %w; check the disk, and open the trail again", err)
		}
	}
	return t.keeper.drain()
}

// announce writes the line with the new key, and the line with a checkpoint that both keys have
// signed. The folder keeps the checkpoint of the previous key until both are on disk.
func (t *Trail) announce(previous *Key) error {
	if err := t.keeper.drain(); err != nil {
		return err
	}
	w := &t.writer
	w.stage(keyBody(t.cfg.Now(), t.cfg.Key, nil))
	if _, err := w.flush(); err != nil {
		return err
	}
	t.writer.keys = []*Key{t.cfg.Key, previous}
	c, err := w.seal()
	if err != nil {
		return err
	}
	sealed, end := w.edge.clone(), w.end()
	w.stage(keyBody(t.cfg.Now(), t.cfg.Key, c.Note))
	if _, err := w.flush(); err != nil {
		return err
	}
	t.size.Store(w.edge.size)
	t.publish(c, sealed, end, false)
	t.writer.keys = []*Key{t.cfg.Key}
	return nil
}

// published is called by the keeper when a checkpoint is on disk.
func (t *Trail) published(c Checkpoint, isCosigned bool) {
	t.tel.published(c)
	if t.cfg.Witness != nil && !isCosigned {
		select {
		case <-t.unwitnessed: // replaced by the newer one
		default:
		}
		select {
		case t.unwitnessed <- c:
		default:
		}
	}
}

// witness has checkpoints cosigned, one at a time, until the trail is closed.
func (t *Trail) witness() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-t.done
		cancel()
	}()
	for {
		select {
		case <-t.done:
			return
		case c := <-t.unwitnessed:
			t.cosign(ctx, c)
		}
	}
}

func (t *Trail) cosign(ctx context.Context, c Checkpoint) {
	prove := func(size int64) (tlog.TreeProof, error) { return tlog.ProveTree(c.Size, size, t.store.reader(c)) }
	signatures, err := t.cfg.Witness.Cosign(ctx, c, prove)
	if err == nil && len(c.Note)+len(signatures) > maxNoteBytes {
		err = errors.New("the signatures of the witness are too long")
	}
	if err != nil {
		if ctx.Err() == nil {
			t.report(anomaly{kind: witnessFailed, time: t.cfg.Now(), err: err})
		}
		return
	}
	c.Note = append(append([]byte(nil), c.Note...), signatures...)
	t.keeper.cosigned(c)
}
