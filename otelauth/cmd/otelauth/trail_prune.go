// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	lognoop "go.opentelemetry.io/otel/log/noop"
	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// trailPrune removes old segments.
type trailPrune struct {
	trailFolder
	KeyFile string `required:"" placeholder:"FILE" help:"File with the private key of the trail, which signs the record of the removal."`
	Before  past   `required:"" placeholder:"WHEN" help:"Remove the segments whose lines are all older than this: a time (2026-12-31T12:00:00Z), a day in UTC (2026-12-31), or an age (90d)."`
	Actor   string `required:"" placeholder:"NAME" help:"Who removes the lines. It is recorded."`
	Reason  string `required:"" placeholder:"TEXT" help:"Why. It is recorded."`
}

// pruneTimeout bounds how long the folder stays locked.
const pruneTimeout = 10 * time.Minute

// Run removes the segments.
func (c *trailPrune) Run(t *terminal) (err error) {
	if c.Actor == "" || c.Reason == "" {
		return usageError{errors.New("--actor and --reason must not be empty, because they are recorded")}
	}
	key, err := readTrailKey(c.KeyFile)
	if err != nil {
		return usageError{err}
	}
	if err := checkFolder(c.Dir); err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, pruneTimeout)
	defer cancel()
	// Ordered, because a folder on any file system may be pruned.
	w, err := trail.Open(trail.Config{
		Dir: c.Dir, Key: key, Durability: trail.Ordered, Now: t.now,
		MeterProvider: metricnoop.NewMeterProvider(), LoggerProvider: lognoop.NewLoggerProvider(),
	})
	if errors.Is(err, trail.ErrLocked) {
		return fmt.Errorf("%w; a running gateway removes old segments itself, with --trail-retention", err)
	}
	if err != nil {
		return err
	}
	pruned, err := w.Prune(ctx, trail.PruneOptions{Before: c.Before.at(t.now()), Actor: c.Actor, Reason: c.Reason})
	if err = errors.Join(err, w.Close(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	if pruned == (trail.PrunedRange{}) {
		t.print("no segment is old enough: nothing was removed")
		return nil
	}
	t.print("removed lines %d to %d; keep the newest checkpoint outside of this host", pruned.From, pruned.To-1)
	return nil
}
