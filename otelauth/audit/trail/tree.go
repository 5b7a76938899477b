// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is the height of the tiles of c2sp.org/tlog-tiles, and tileWidth the number of their
// hashes.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// leafHash returns [tlog.RecordHash] of b without its first byte, which it replaces meanwhile. It
// hashes all with one call, which is faster for a short line.
func leafHash(b []byte) tlog.Hash {
	first := b[0]
	b[0] = 0 // the prefix of a leaf, RFC 6962 section 2.1
	h := sha256.Sum256(b)
	b[0] = first
	return h
}

// maxLevels is the number of tile levels of the largest tree.
const maxLevels = 8

// edge is the right edge of a tree: of each level of tiles the one that is not full. It is all
// that is needed to append hashes and to compute the root. The zero edge is the empty tree.
type edge struct {
	size  int64
	tiles [maxLevels][]byte
	// full gets each tile that becomes full; nil: nothing. It must copy hashes.
	full func(t tlog.Tile, hashes []byte)
}

// append adds the hash of the next line.
func (e *edge) append(h tlog.Hash) {
	n := e.size
	e.size++
	for level := range e.tiles {
		e.tiles[level] = append(e.tiles[level], h[:]...)
		hashes := e.tiles[level]
		if len(hashes) < tileWidth*tlog.HashSize {
			return
		}
		t := tlog.Tile{H: tileHeight, L: level, N: n >> tileHeight, W: tileWidth}
		if e.full != nil {
			e.full(t, hashes)
		}
		h, n = tileRoot(hashes), t.N
		e.tiles[level] = hashes[:0]
	}
}

// tileRoot returns the root of a full tile. It overwrites hashes.
func tileRoot(hashes []byte) tlog.Hash {
	at := func(i int) []byte { return hashes[i*tlog.HashSize : (i+1)*tlog.HashSize] }
	for width := tileWidth; width > 1; width /= 2 {
		for i := range width / 2 {
			parent := tlog.NodeHash(tlog.Hash(at(2*i)), tlog.Hash(at(2*i+1)))
			copy(at(i), parent[:])
		}
	}
	return tlog.Hash(at(0))
}

// ReadHashes returns the hashes that the root depends on. It implements [tlog.HashReader].
func (e *edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		t := tlog.TileForIndex(tileHeight, index)
		if t.L >= maxLevels || t.N != e.size>>(tileHeight*(t.L+1)) {
			return nil, fmt.Errorf("trail: the hash %d is not at the edge of a tree of %d lines", index, e.size)
		}
		data := e.tiles[t.L]
		t.W = len(data) / tlog.HashSize
		var err error
		if hashes[i], err = tlog.HashFromTile(t, data, index); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

// root returns the root of the tree.
func (e *edge) root() (tlog.Hash, error) { return tlog.TreeHash(e.size, e) }

// hasRoot reports whether root is that of the tree.
func (e *edge) hasRoot(root tlog.Hash) bool {
	h, err := e.root()
	return err == nil && h == root
}

// clone returns a copy that does not share memory with e and reports no full tiles.
func (e *edge) clone() *edge {
	c := &edge{size: e.size}
	for level, data := range e.tiles {
		c.tiles[level] = bytes.Clone(data)
	}
	return c
}

// partial returns the tiles that are not full, those of the size in c2sp.org/tlog-tiles.
func (e *edge) partial() []tile {
	var all []tile
	for level, data := range e.tiles {
		if len(data) > 0 {
			all = append(all, tile{
				Tile:   tlog.Tile{H: tileHeight, L: level, N: e.size >> (tileHeight * (level + 1)), W: len(data) / tlog.HashSize},
				hashes: data,
			})
		}
	}
	return all
}

// tile is a tile with its hashes.
type tile struct {
	tlog.Tile
	hashes []byte
}

// tilePath returns the path of t in c2sp.org/tlog-tiles, with slashes: "tile/0/x001/067.p/8".
func tilePath(t tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
}
