// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// trailExport writes lines for an auditor.
type trailExport struct {
	trailFolder
	File string `arg:"" help:"The tar file to write."`
	publicKeys
	From int64 `placeholder:"LINE" help:"The number of the first line. Lines are exported in bundles of 256. Default: the first bundle that is kept."`
	To   int64 `placeholder:"LINE" help:"The number after the last line. Default: all lines that the newest checkpoint covers."`
}

// Run writes the file.
func (c *trailExport) Run(t *terminal) error {
	keys, err := c.publicKeys.read()
	if err != nil {
		return err
	}
	if err := checkFolder(c.Dir); err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	if c.From == 0 {
		if c.From, err = firstBundle(ctx, c.Dir); err != nil {
			return interrupted(ctx, err)
		}
	}
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: choose another name; nothing was changed", c.File)
	}
	if err != nil {
		return err
	}
	err = trail.Export(ctx, c.Dir, f, trail.ExportOptions{From: c.From, To: c.To, Keys: keys})
	if err = errors.Join(err, f.Close()); err != nil {
		return interrupted(ctx, errors.Join(err, os.Remove(c.File)))
	}
	report, err := trail.VerifyExport(ctx, c.File, keys...)
	if err != nil {
		return interrupted(ctx, errors.Join(err, os.Remove(c.File)))
	}
	t.print("lines %d to %d are in %s; the auditor verifies them with:", report.From, report.To-1, c.File)
	t.print("  otelauth trail verify --public-key KEY %s", c.File)
	return nil
}

// bundleLines is the number of lines of a whole entry bundle.
const bundleLines = 256

// firstBundle returns the first line of the first bundle of which no line was pruned.
func firstBundle(ctx context.Context, dir string) (int64, error) {
	for line, err := range trail.Lines(ctx, dir, 0) {
		return (line.Seq + bundleLines - 1) / bundleLines * bundleLines, err
	}
	return 0, nil
}
