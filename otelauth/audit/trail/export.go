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
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ExportOptions configures [Export].
type ExportOptions struct {
	// From and To select the lines From to To-1, extended to whole entry bundles of 256 lines. To
	// 0 is the size of the newest checkpoint.
	From, To int64
	// Keys are the public keys of the trail.
	Keys []string
}

// Export writes a signed bundle for an auditor to w: a tar file in the layout of
// c2sp.org/tlog-tiles, with the newest checkpoint, the hash tiles that authenticate the selected
// lines, and the entry bundles of these lines. Any client of tlog-tiles verifies it. Each line is
// compared with its tile; the error is [ErrTampered] if one differs. After an error, w has an
// incomplete file.
func Export(ctx context.Context, dir string, w io.Writer, opts ExportOptions) error {
	p, err := newProver(dir, opts.Keys)
	if err != nil {
		return err
	}
	c, err := p.checkpoint(nil)
	if err != nil {
		return err
	}
	if opts.To == 0 {
		opts.To = c.Size
	}
	if opts.From < 0 || opts.From >= opts.To || opts.To > c.Size {
		return fmt.Errorf("%w: the lines %d to %d; choose lines from 0 to %d", ErrNotFound, opts.From, opts.To-1, c.Size-1)
	}
	x := export{prover: p, checkpoint: c, tar: tar.NewWriter(w), written: make(map[tlog.Tile]bool)}
	if err := x.file(checkpointName, c.Note); err != nil {
		return err
	}
	last := (opts.To - 1) / tileWidth
	for number := opts.From / tileWidth; number <= last; number++ {
		if err := x.bundle(ctx, number); err != nil {
			return err
		}
	}
	if err := x.edge(); err != nil {
		return err
	}
	return x.tar.Close()
}

type export struct {
	*prover
	checkpoint Checkpoint
	tar        *tar.Writer
	written    map[tlog.Tile]bool
}

func (x *export) file(name string, data []byte) error {
	err := x.tar.WriteHeader(&tar.Header{
		Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	})
	if err == nil {
		_, err = x.tar.Write(data)
	}
	if err != nil {
		return fmt.Errorf("trail: writing the bundle: %w; check the destination", err)
	}
	return nil
}

// tile writes a hash tile, authenticated by the checkpoint, and those above it.
func (x *export) tile(t tlog.Tile) ([]byte, error) {
	data, err := tlog.ReadTileData(t, x.store.reader(x.checkpoint))
	if err != nil {
		return nil, fmt.Errorf("trail: the hash tile %s: %w; verify the trail", tilePath(t), err)
	}
	if x.written[t] {
		return data, nil
	}
	x.written[t] = true
	if err := x.file(tilePath(t), data); err != nil {
		return nil, err
	}
	if above := x.at(t.L+1, t.N/tileWidth); above.W > 0 {
		_, err = x.tile(above)
	}
	return data, err
}

// at returns a tile of the tree; its width is 0 if there is none.
func (x *export) at(level int, number int64) tlog.Tile {
	hashes := x.checkpoint.Size >> (tileHeight * level)
	return tlog.Tile{H: tileHeight, L: level, N: number, W: int(max(0, min(tileWidth, hashes-number*tileWidth)))}
}

// edge writes the tiles that the root depends on.
func (x *export) edge() error {
	for _, t := range edgeTiles(x.checkpoint.Size) {
		if _, err := x.tile(t); err != nil {
			return err
		}
	}
	return nil
}

// bundle writes the entries of one tile of level 0: each with its length, two bytes.
func (x *export) bundle(ctx context.Context, number int64) error {
	t := x.at(0, number)
	hashes, err := x.tile(t)
	if err != nil {
		return err
	}
	var bundle []byte
	n := number * tileWidth
	end := n + int64(t.W)
	var changed error
	err = (&reader{disk: x.store.disk, dir: x.store.dir}).lines(ctx, n, end, func(l Line, _ error) bool {
		i := (n % tileWidth) * tlog.HashSize
		if h := tlog.RecordHash(l.JSON); l.Seq != n || string(h[:]) != string(hashes[i:i+tlog.HashSize]) {
			changed = fmt.Errorf("%w (line %d is not the one that was written)", ErrTampered, n)
			return false
		}
		bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(l.JSON)))
		bundle = append(bundle, l.JSON...)
		n++
		return true
	})
	if err := errors.Join(err, changed); err != nil {
		return err
	}
	if n != end {
		return fmt.Errorf("%w: line %d; pruned lines cannot be exported", ErrNotFound, n)
	}
	t.L = -1 // what package tlog calls the data of a tile
	return x.file(strings.Replace(tilePath(t), "tile/data/", "tile/entries/", 1), bundle)
}
