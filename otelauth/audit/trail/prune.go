// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// PruneOptions selects the segments that [Trail.Prune] removes. Actor and Reason are required.
type PruneOptions struct {
	// Before removes the segments whose lines were all written before it.
	Before time.Time
	// Actor and Reason are who removes the lines, and why. They are recorded.
	Actor, Reason string
}

// Prune removes old segments, never the newest one. Before, it writes a line "auth.trail.prune"
// with the range, the root, the actor and the reason, and signs a checkpoint that covers it, so
// the rest still verifies. Hash tiles stay, 32 bytes a line: checkpoints of the removed lines that
// are kept elsewhere can still be compared with them, and a witness that is behind gets its proof.
// The zero PrunedRange means that no segment is old enough. To prune a folder that no process
// writes to, open it with its Key.
func (t *Trail) Prune(ctx context.Context, opts PruneOptions) (PrunedRange, error) {
	if opts.Actor == "" || opts.Reason == "" {
		return PrunedRange{}, errors.New("trail: PruneOptions.Actor and Reason are required; say who removes the lines, and why")
	}
	t.pruning.Lock()
	defer t.pruning.Unlock()
	var (
		pruned PrunedRange
		old    []int64
	)
	err := t.call(ctx, func() error {
		t.commitPending()
		if t.isFailed {
			return t.failure
		}
		var err error
		if pruned, old, err = t.prunable(opts); err != nil || len(old) == 0 {
			return err
		}
		w := &t.writer
		w.stage(pruneBody(&pruned))
		if kind, err := w.flush(); err != nil {
			t.fail(new(batch), anomaly{kind: kind, err: err})
			return unavailable(anomaly{kind: kind, err: err})
		}
		t.size.Store(w.edge.size)
		_, err = t.seal(false)
		return err
	})
	if err != nil || len(old) == 0 {
		return PrunedRange{}, err
	}
	if err := t.drained(ctx); err != nil {
		return PrunedRange{}, err
	}
	for _, first := range old { // the oldest first, so that what is left has no gap
		if err := t.disk.Remove(filepath.Join(t.cfg.Dir, segmentsName, segmentName(first))); err != nil && !isNotExist(err) {
			return PrunedRange{}, fmt.Errorf("trail: %w; the next Prune removes the rest", err)
		}
	}
	return pruned, nil
}

// prunable returns the range of the segments that are old enough, and their first lines.
func (t *Trail) prunable(opts PruneOptions) (PrunedRange, []int64, error) {
	firsts, _, err := listSegments(t.disk, t.cfg.Dir)
	if err != nil {
		return PrunedRange{}, nil, fmt.Errorf("trail: %w; check the permissions of the folder", err)
	}
	r := recovery{disk: t.disk, dir: t.cfg.Dir}
	var pruned PrunedRange
	n := 0
	for n+1 < len(firsts) {
		line, err := r.firstLine(firsts[n+1])
		if err != nil {
			return PrunedRange{}, nil, err
		}
		l, err := parseLine(line)
		if err != nil {
			return PrunedRange{}, nil, fmt.Errorf("trail: %s: %w; verify the trail", segmentName(firsts[n+1]), err)
		}
		if !l.Time.Before(opts.Before) {
			break
		}
		_, c, err := parseHeader(line)
		if err != nil {
			return PrunedRange{}, nil, err
		}
		n++
		pruned = PrunedRange{
			From: firsts[0], To: c.Size, Root: c.Root, Actor: opts.Actor, Reason: opts.Reason, Time: t.cfg.Now().UTC(),
		}
	}
	return pruned, firsts[:n], nil
}

// retainInterval is how often Config.Retention is applied.
const retainInterval = time.Hour

// retain removes the segments that are older than Config.Retention, in the background.
func (t *Trail) retain(now time.Time) {
	if t.cfg.Retention == 0 || !t.retained.IsZero() && now.Sub(t.retained) < retainInterval {
		return
	}
	t.retained = now
	go func() {
		opts := PruneOptions{Before: now.Add(-t.cfg.Retention), Actor: "retention", Reason: "older than " + t.cfg.Retention.String()}
		if _, err := t.Prune(context.Background(), opts); err != nil && !errors.Is(err, ErrClosed) {
			t.report(anomaly{kind: classify(err, writeFailed), time: now, err: err})
		}
	}()
}
