// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

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
	if err = errors.Join(c.write(ctx, f, keys), f.Close()); err != nil {
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

// write writes the tar file: what an auditor needs to read it, and what package trail exports.
func (c *trailExport) write(ctx context.Context, w io.Writer, keys []string) error {
	out := tar.NewWriter(w)
	for _, f := range []struct{ name, text string }{
		{"README.md", fmt.Sprintf(exportReadme, filepath.Base(c.File))},
		{"public-keys", strings.Join(keys, "\n") + "\n"},
	} {
		head := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.text)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
		if err := out.WriteHeader(head); err != nil {
			return err
		}
		if _, err := io.WriteString(out, f.text); err != nil {
			return err
		}
	}
	// A tar file ends with two empty blocks. Without them another one can follow.
	if err := out.Flush(); err != nil {
		return err
	}
	return trail.Export(ctx, c.Dir, w, trail.ExportOptions{From: c.From, To: c.To, Keys: keys})
}

// exportReadme is the README of an export.
const exportReadme = `# Lines of a trail

This file has lines of a tamper-evident record of authentication attempts, and their proof.

    otelauth trail verify --public-key KEY %s

verifies that each line is in the tree of the signed checkpoint. KEY is a file with the public key
of the trail. Get it from the owner by another way than this file: the copy in public-keys was
written by the same program as the rest. To detect that the owner shows different trails to different
people, compare the checkpoint with one from another source: --checkpoints FILE.

| file | content |
| --- | --- |
| checkpoint | the signed root of the tree (c2sp.org/tlog-checkpoint) |
| tile/entries/ | the lines, in bundles of 256 (c2sp.org/tlog-tiles) |
| tile/0/, tile/1/ … | the hashes that prove them |
| public-keys | the public keys of the trail |
`

// bundleLines is the number of lines of a whole entry bundle.
const bundleLines = 256

// firstBundle returns the first line of the first bundle of which no line was pruned.
func firstBundle(ctx context.Context, dir string) (int64, error) {
	for line, err := range trail.Lines(ctx, dir, 0) {
		return (line.Seq + bundleLines - 1) / bundleLines * bundleLines, err
	}
	return 0, nil
}
