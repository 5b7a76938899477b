// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"archive/tar"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ExportReport is the result of [VerifyExport].
type ExportReport struct {
	Checkpoint Checkpoint
	From, To   int64 // lines From to To-1 are in the file
	Bytes      int64 // of these lines
	Elapsed    time.Duration
}

// The bounds of an exported file.
const (
	maxExportFiles = 64 << 20
	maxBundleBytes = tileWidth * (MaxLineBytes + 2)
)

// VerifyExport verifies a file that [Export] wrote: its checkpoint is signed by one of keys, and
// each of its lines is in the tree of the checkpoint. The error is a *[Problem] if the file does
// not verify; any other error means that it could not be read.
func VerifyExport(ctx context.Context, file string, keys ...string) (ExportReport, error) {
	start := time.Now()
	f, err := os.Open(file)
	if err != nil {
		return ExportReport{}, err
	}
	defer func() { _ = f.Close() }() // only read
	e := exported{file: f, places: map[string]place{}}
	if err := e.index(); err != nil {
		return ExportReport{}, err
	}
	r := ExportReport{}
	signed, err := e.read("checkpoint", maxNoteBytes)
	if err != nil {
		return r, &Problem{Kind: CheckpointMissing, Line: -1, Detail: "the file has no checkpoint; export it again"}
	}
	if r.Checkpoint, err = ParseCheckpoint(signed, keys...); err != nil {
		return r, &Problem{Kind: CheckpointInvalid, Line: -1, Detail: err.Error()}
	}
	err = e.verify(ctx, &r)
	r.Elapsed = time.Since(start)
	return r, err
}

// exported is a tar file with an index.
type exported struct {
	file    *os.File
	places  map[string]place
	bundles []int64 // numbers of the entry bundles, in order
}

// place is where a file of the tar file is.
type place struct{ offset, size int64 }

// index reads the heads of the tar file.
func (e *exported) index() error {
	counted := &countingReader{r: e.file}
	archive := tar.NewReader(counted)
	for {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("trail: %s is not a file of otelauth trail export: %w; export it again", e.file.Name(), err)
		}
		if head.Typeflag != tar.TypeReg {
			continue
		}
		name := path.Clean(head.Name)
		if _, twice := e.places[name]; twice || len(e.places) >= maxExportFiles {
			return fmt.Errorf("trail: %s has %.100q twice, or too many files; export it again", e.file.Name(), name)
		}
		e.places[name] = place{counted.n, head.Size}
		if n, ok := bundleNumber(name); ok {
			e.bundles = append(e.bundles, n)
		}
	}
	slices.Sort(e.bundles)
	return nil
}

// countingReader counts the bytes that were read.
type countingReader struct {
	r *os.File
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// read returns the content of a file of the tar file.
func (e *exported) read(name string, maxBytes int64) ([]byte, error) {
	at, ok := e.places[name]
	if !ok {
		return nil, fmt.Errorf("trail: %s is missing: %w", name, os.ErrNotExist)
	}
	if at.size > maxBytes {
		return nil, fmt.Errorf("trail: %s has %d bytes, more than %d; export it again", name, at.size, maxBytes)
	}
	b := make([]byte, at.size)
	if _, err := e.file.ReadAt(b, at.offset); err != nil {
		return nil, err
	}
	return b, nil
}

// bundlePath returns the path of an entry bundle: "tile/entries/x001/234" or
// "tile/entries/x001/234.p/7".
func bundlePath(n int64, width int) string {
	return "tile/entries/" + strings.TrimPrefix(tilePath(tlog.Tile{H: tileHeight, N: n, W: width}), "tile/0/")
}

// bundleNumber returns the number of the entry bundle at a path.
func bundleNumber(name string) (n int64, ok bool) {
	rest, ok := strings.CutPrefix(name, "tile/entries/")
	if !ok {
		return 0, false
	}
	rest, _, _ = strings.Cut(rest, ".p/")
	digits := strings.NewReplacer("x", "", "/", "").Replace(rest)
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && bundlePath(n, tileWidth) == "tile/entries/"+rest
}

// exportedTiles reads the hash tiles of the file. It implements [tlog.TileReader].
type exportedTiles struct{ e *exported }

func (t exportedTiles) Height() int { return tileHeight }

func (t exportedTiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(wanted))
	for i, tile := range wanted {
		data, err := t.e.read(tilePath(tile), tileWidth*tlog.HashSize)
		if err != nil && tile.W < tileWidth { // a full tile has the hashes of a partial one
			full := tile
			full.W = tileWidth
			data, err = t.e.read(tilePath(full), tileWidth*tlog.HashSize)
		}
		if err != nil {
			return nil, err
		}
		all[i] = data[:min(len(data), tile.W*tlog.HashSize)]
	}
	return all, nil
}

func (t exportedTiles) SaveTiles([]tlog.Tile, [][]byte) {}

// verify compares each line with its hash in the tree.
func (e *exported) verify(ctx context.Context, r *ExportReport) error {
	if len(e.bundles) == 0 {
		return &Problem{Kind: SegmentMissing, Line: -1, Detail: "the file has no lines; export it again"}
	}
	tree := tlog.TileHashReader(tlog.Tree{N: r.Checkpoint.Size, Hash: r.Checkpoint.Root}, exportedTiles{e})
	r.From = e.bundles[0] * tileWidth
	r.To = r.From
	for _, n := range e.bundles {
		if err := ctx.Err(); err != nil {
			return err
		}
		if n*tileWidth != r.To {
			return &Problem{Kind: LineMissing, Line: r.To, Detail: fmt.Sprintf("the lines %d to %d are not in the file", r.To, n*tileWidth-1)}
		}
		if err := e.bundle(tree, n, r); err != nil {
			return err
		}
	}
	return nil
}

// bundle verifies the lines of one entry bundle.
func (e *exported) bundle(tree tlog.HashReader, n int64, r *ExportReport) error {
	width := int(min(tileWidth, r.Checkpoint.Size-n*tileWidth))
	if width <= 0 {
		return &Problem{Kind: TooShort, Line: n * tileWidth, Detail: fmt.Sprintf("the checkpoint covers %d lines only", r.Checkpoint.Size)}
	}
	data, err := e.read(bundlePath(n, width), maxBundleBytes)
	if err != nil {
		return &Problem{Kind: LineMissing, Line: n * tileWidth, Detail: err.Error()}
	}
	indexes := make([]int64, width)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, n*tileWidth+int64(i))
	}
	hashes, err := tree.ReadHashes(indexes)
	if err != nil {
		return &Problem{Kind: TileChanged, Line: n * tileWidth, Detail: "the hashes do not prove the lines of this bundle: " + err.Error()}
	}
	for i, hash := range hashes {
		seq := n*tileWidth + int64(i)
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return &Problem{Kind: LineMissing, Line: seq, Detail: "the bundle ends before this line"}
		}
		line := data[2 : 2+int(binary.BigEndian.Uint16(data))]
		data = data[2+len(line):]
		if tlog.RecordHash(line) != hash {
			return &Problem{Kind: LineChanged, Line: seq, Detail: "the line is not the one that was written"}
		}
		r.Bytes += int64(len(line))
	}
	if len(data) > 0 {
		return &Problem{Kind: Surplus, Line: r.To + int64(width) - 1, Detail: fmt.Sprintf("%d bytes follow the last line of a bundle", len(data))}
	}
	r.To += int64(width)
	return nil
}
