// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// tileStore is the hash tiles of a trail on disk. It is safe for concurrent use.
type tileStore struct {
	disk disk.FS
	dir  string
}

func (s *tileStore) path(t tlog.Tile) string {
	return filepath.Join(s.dir, filepath.FromSlash(tilePath(t)))
}

// read returns the first t.W hashes of a tile, from the full tile or a partial one that has them.
func (s *tileStore) read(t tlog.Tile) ([]byte, error) {
	want := t.W * tlog.HashSize
	full := t
	full.W = tileWidth
	data, err := disk.ReadFile(s.disk, s.path(full), tileWidth*tlog.HashSize)
	if err == nil && len(data) == tileWidth*tlog.HashSize {
		return data[:want], nil
	}
	if t.W == tileWidth {
		return nil, errors.Join(fmt.Errorf("trail: the tile %s is missing or too short", tilePath(t)), err)
	}
	for _, w := range s.widths(t) {
		if w < t.W {
			continue
		}
		partial := t
		partial.W = w
		data, err = disk.ReadFile(s.disk, s.path(partial), int64(w*tlog.HashSize))
		if err == nil && len(data) == w*tlog.HashSize {
			return data[:want], nil
		}
	}
	return nil, errors.Join(fmt.Errorf("trail: the tile %s is missing or too short", tilePath(t)), err)
}

// widths returns the widths of the partial tiles of t that exist, that of t first.
func (s *tileStore) widths(t tlog.Tile) []int {
	all := []int{t.W}
	names, err := s.disk.List(filepath.Dir(s.path(t)))
	if err != nil {
		return all
	}
	for _, name := range names {
		if w, err := strconv.Atoi(name); err == nil && w > t.W && w < tileWidth {
			all = append(all, w)
		}
	}
	return all
}

// widest returns the hashes of the tile of level 0 with the given number, as many as there are; nil
// if there is none.
func (s *tileStore) widest(number int64) []byte {
	t := tlog.Tile{H: tileHeight, N: number, W: tileWidth}
	if data, err := s.read(t); err == nil {
		return data
	}
	t.W = 0
	for _, w := range s.widths(t) {
		t.W = max(t.W, w)
	}
	if t.W == 0 {
		return nil
	}
	data, err := s.read(t)
	if err != nil {
		return nil
	}
	return data
}

// write writes a tile. A full tile that does not exist needs no detour by another name: no
// checkpoint refers to it yet. One that a previous run has written stays as it is.
func (s *tileStore) write(t tile, flush bool) error {
	path := s.path(t.Tile)
	write := func() error {
		if t.W == tileWidth && !flush {
			if err := s.create(path, t.hashes); !errors.Is(err, fs.ErrExist) {
				return err
			}
			if data, err := disk.ReadFile(s.disk, path, int64(len(t.hashes))); err == nil && bytes.Equal(data, t.hashes) {
				return nil
			}
		}
		return disk.WriteFile(s.disk, filepath.Dir(path), path, t.hashes, flush)
	}
	err := write()
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.disk.MakeDir(filepath.Dir(path)); err != nil {
			return err
		}
		err = write()
	}
	return err
}

func (s *tileStore) create(path string, hashes []byte) error {
	f, err := s.disk.Create(path)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(hashes, 0)
	return errors.Join(err, f.Close())
}

// removePartial removes the partial tile t.
func (s *tileStore) removePartial(t tlog.Tile) {
	path := s.path(t)
	_ = s.disk.Remove(path)
	_ = s.disk.Remove(filepath.Dir(path)) // fails unless it is empty
}

// edge returns the edge of the tree of size lines.
func (s *tileStore) edge(size int64) (*edge, error) {
	e := &edge{size: size}
	for _, t := range edgeTiles(size) {
		data, err := s.read(t)
		if err != nil {
			return nil, err
		}
		e.tiles[t.L] = data
	}
	return e, nil
}

// edgeTiles returns the partial tiles of the tree of size lines.
func edgeTiles(size int64) []tlog.Tile {
	var all []tlog.Tile
	for level := range maxLevels {
		n := size >> (tileHeight * level)
		if w := int(n % tileWidth); w > 0 {
			all = append(all, tlog.Tile{H: tileHeight, L: level, N: n / tileWidth, W: w})
		}
	}
	return all
}

// Height returns the height of the tiles. It implements [tlog.TileReader] with ReadTiles and
// SaveTiles.
func (s *tileStore) Height() int { return tileHeight }

// ReadTiles returns the hashes of tiles.
func (s *tileStore) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(tiles))
	for i, t := range tiles {
		var err error
		if all[i], err = s.read(t); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// SaveTiles does nothing: the tiles are on disk.
func (s *tileStore) SaveTiles([]tlog.Tile, [][]byte) {}

// reader returns the hashes of the tree of c, authenticated.
func (s *tileStore) reader(c Checkpoint) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, s)
}
