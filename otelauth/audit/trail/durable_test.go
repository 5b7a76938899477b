// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk/disktest"
)

// Open reads only the lines after the last flush of the tiles, which is in the middle of a segment.
// Without that point, or with one that is wrong, it reads the segment and gets the same tree.
func TestOpenAfterFlush(t *testing.T) {
	t.Parallel()
	const point, segment = "/trail/tiles-flushed", "/trail/segments/00000000000000000000.jsonl"
	key, d := newKey(t), disktest.New(1)
	cfg := trail.Config{Dir: "/trail", Key: key}
	tr, err := trail.OpenOn(cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	var older trail.Checkpoint
	for i := range 300 { // more than a tile
		if i == 200 {
			if older, err = tr.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := decide(tr, fmt.Sprint("/", i), attempt.Success); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var size, first, offset int64
	var root string
	if _, err := fmt.Sscanf(string(d.Files()[point]), "%d %d %d %s", &size, &first, &offset, &root); err != nil || size < 290 || first != 0 {
		t.Fatalf("%s is %q, %v", point, d.Files()[point], err)
	}
	for name, tc := range map[string]struct {
		change func(d *disktest.Disk)
		isRead bool // the whole segment
	}{
		"as it is": {func(*disktest.Disk) {}, false},
		"missing":  {func(d *disktest.Disk) { _ = d.Remove(point) }, true},
		"of a previous version": {func(d *disktest.Disk) {
			d.Put(point, fmt.Append(nil, size))
		}, true},
		"another offset": {func(d *disktest.Disk) {
			d.Put(point, fmt.Appendf(nil, "%d %d %d %s\n", size, first, offset-7, root))
		}, true},
		"the end of another line": {func(d *disktest.Disk) {
			end := bytes.IndexByte(d.Files()[segment], '\n') + 1
			d.Put(point, fmt.Appendf(nil, "%d %d %d %s\n", size, first, end, root))
		}, true},
		"behind the end": {func(d *disktest.Disk) {
			d.Put(point, fmt.Appendf(nil, "%d %d %d %s\n", size, first, 1<<40, root))
		}, true},
		"another segment": {func(d *disktest.Disk) {
			d.Put(point, fmt.Appendf(nil, "%d %d %d %s\n", size, 7, offset, root))
		}, true},
		"another size": {func(d *disktest.Disk) {
			d.Put(point, fmt.Appendf(nil, "%d %d %d %s\n", size-1, first, offset, root))
		}, true},
		"another root": {func(d *disktest.Disk) {
			d.Put(point, fmt.Appendf(nil, "%d %d %d %s\n", size, first, offset, strings.Repeat("A", 43)+"="))
		}, true},
		"newer than the checkpoint": {func(d *disktest.Disk) { d.Put("/trail/checkpoint", older.Note) }, true},
		"too large": {func(d *disktest.Disk) {
			d.Put(point, fmt.Appendf(nil, "%d %d %d %s\n", 1<<40, first, offset, root))
		}, true},
		"a negative offset": {func(d *disktest.Disk) {
			d.Put(point, fmt.Appendf(nil, "%d %d %d %s\n", size, first, -5, root))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := disktest.With(1, d.Files())
			tc.change(good)
			if err := reopen(t, cfg, good); err != nil {
				t.Errorf("Open returns %v", err)
			}
			opts := trail.VerifyOptions{Keys: []string{key.Public()}}
			report, err := trail.VerifyOn(t.Context(), good, "/trail", opts)
			if err != nil || report.Size != 302 {
				t.Errorf("the trail has %d lines, %v", report.Size, err)
			}

			bad := disktest.With(1, d.Files())
			tc.change(bad)
			bad.Change(segment, func(b []byte) []byte { return bytes.Replace(b, []byte(`"/3"`), []byte(`"/4"`), 1) })
			if err := reopen(t, cfg, bad); (err != nil) != tc.isRead || err != nil && !errors.Is(err, trail.ErrTampered) {
				t.Errorf("Open returns %v for a line that was changed before the point", err)
			}
			var problem *trail.Problem
			_, err = trail.VerifyOn(t.Context(), bad, "/trail", opts)
			if !errors.As(err, &problem) || problem.Kind != trail.LineChanged || problem.Line != 4 {
				t.Errorf("Verify returns %v", err)
			}
		})
	}
}

// reopen opens a trail and closes it.
func reopen(t *testing.T, cfg trail.Config, d *disktest.Disk) error {
	t.Helper()
	tr, err := trail.OpenOn(cfg, d)
	if err != nil {
		return err
	}
	return tr.Close(t.Context())
}
