// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// tileBurst is how many full tiles are written at once, unless a checkpoint needs them before. New
// files make the flushes of the segment slower.
const tileBurst = 1024

// maxTileBacklog bounds the tiles that wait to be written: 64 MiB, of two million lines.
const maxTileBacklog = 8192

// keeper writes what is derived from the segments, tiles and the checkpoint, in the background.
type keeper struct {
	store tileStore
	// published is called when a checkpoint is on disk, failed when something could not be written.
	published func(c Checkpoint, isCosigned bool)
	failed    func(error)

	mu      sync.Mutex
	changed sync.Cond
	waiting []tile       // full tiles
	next    *publication // the newest checkpoint that is not on disk
	writes  int          // begun
	err     error        // of the last write; the next one waits for poke
	closed  bool
	isIdle  bool

	// Of the goroutine only.
	unflushed []tlog.Tile // written since the last flush
	kept      []tlog.Tile // partial tiles of the newest checkpoint
	durable   []tlog.Tile // partial tiles of the last flush
	size      int64       // of the newest checkpoint
	isFailing bool
}

// publication is a checkpoint that is to be put on disk, with the tiles of its edge.
type publication struct {
	checkpoint Checkpoint
	partial    []tile
	end        position
	flush      bool // flush all tiles
	isCosigned bool // its tiles are on disk, the note has new signatures
}

// position is where a line begins.
type position struct{ segment, offset int64 }

// durablePoint is a tree whose tiles are flushed, and where its next line begins. Open needs only
// the lines from there on.
type durablePoint struct {
	size int64
	position
	root tlog.Hash
}

// maxDurableBytes bounds the text of a durablePoint.
const maxDurableBytes = 200

func (p durablePoint) text() []byte {
	return fmt.Appendf(nil, "%d %d %d %v\n", p.size, p.segment, p.offset, p.root)
}

func parseDurable(text []byte) (p durablePoint, err error) {
	var root string
	if _, err = fmt.Sscanf(string(text), "%d %d %d %s\n", &p.size, &p.segment, &p.offset, &root); err != nil {
		return durablePoint{}, err
	}
	if p.root, err = tlog.ParseHash(root); err == nil && (p.segment < 0 || p.size < p.segment || p.offset < 0) {
		err = errors.New("trail: no such place")
	}
	return p, err
}

func newKeeper(store tileStore, published func(Checkpoint, bool), failed func(error)) *keeper {
	k := &keeper{store: store, published: published, failed: failed}
	k.changed.L = &k.mu
	return k
}

// add takes a full tile. It copies hashes.
func (k *keeper) add(t tlog.Tile, hashes []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting = append(k.waiting, tile{Tile: t, hashes: slices.Clone(hashes)})
	k.changed.Broadcast()
}

// publish takes a checkpoint whose tree has the edge e and ends at end. A later checkpoint replaces
// it if it is not on disk before.
func (k *keeper) publish(c Checkpoint, e *edge, end position, flush bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	flush = flush || k.next != nil && k.next.flush
	k.next = &publication{checkpoint: c, partial: e.clone().partial(), end: end, flush: flush}
	k.changed.Broadcast()
}

// cosigned takes the newest checkpoint with the signatures of a witness. A newer one overtakes it.
func (k *keeper) cosigned(c Checkpoint) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next == nil {
		k.next = &publication{checkpoint: c, isCosigned: true}
		k.changed.Broadcast()
	}
}

// backlog returns the number of tiles that wait.
func (k *keeper) backlog() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.waiting)
}

// poke makes the keeper try again after an error.
func (k *keeper) poke() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = nil
	k.changed.Broadcast()
}

// drain waits until the newest checkpoint and its tiles are on disk, or until a write that begins
// from now on fails.
func (k *keeper) drain() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = nil
	k.changed.Broadcast()
	for before := k.writes; k.err == nil && !(k.isIdle && k.next == nil); {
		k.changed.Wait()
		if k.writes == before && k.err != nil {
			k.err = nil
			k.changed.Broadcast()
		}
	}
	if k.err != nil {
		return fmt.Errorf("trail: the checkpoint cannot be written: %w; check the disk and the permissions", k.err)
	}
	return nil
}

// close ends run.
func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.changed.Broadcast()
}

// run works until close.
func (k *keeper) run() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		for !k.closed && (k.err != nil || k.next == nil && len(k.waiting) < tileBurst) {
			k.isIdle = true
			k.changed.Broadcast()
			k.changed.Wait()
		}
		if k.closed {
			return
		}
		k.isIdle = false
		tiles, next := k.waiting, k.next
		k.waiting, k.next = nil, nil
		k.writes++
		k.mu.Unlock()
		rest, err := k.write(tiles, next)
		k.mu.Lock()
		if err != nil {
			k.waiting = append(rest, k.waiting...)
			if k.next == nil {
				k.next = next
			} else if next != nil {
				k.next.flush = k.next.flush || next.flush
			}
			k.err = err
		}
	}
}

// write puts tiles and then next on disk. After an error it returns the tiles that are not.
func (k *keeper) write(tiles []tile, next *publication) (rest []tile, err error) {
	for i, t := range tiles {
		if err := k.store.write(t, false); err != nil {
			return tiles[i:], k.report(err)
		}
		k.unflushed = append(k.unflushed, t.Tile)
	}
	if next != nil {
		if next.isCosigned && next.checkpoint.Size != k.size {
			return nil, nil
		}
		if err := k.put(next); err != nil {
			return nil, k.report(err)
		}
		k.size = next.checkpoint.Size
		k.published(next.checkpoint, next.isCosigned)
	}
	k.isFailing = false
	return nil, nil
}

func (k *keeper) report(err error) error {
	if !k.isFailing {
		k.isFailing = true
		k.failed(err)
	}
	return err
}

func (k *keeper) put(p *publication) error {
	for _, t := range p.partial {
		if err := k.store.write(t, p.flush); err != nil {
			return err
		}
	}
	if p.flush {
		if err := k.flush(p.checkpoint.Size); err != nil {
			return err
		}
	}
	name := filepath.Join(k.store.dir, checkpointName)
	if err := disk.WriteFile(k.store.disk, k.store.dir, name, p.checkpoint.Note, true); err != nil {
		return err
	}
	edge, before := edgeTiles(p.checkpoint.Size), k.kept
	if p.flush { // after the checkpoint, which is therefore never older
		point := durablePoint{p.checkpoint.Size, p.end, p.checkpoint.Root}
		name := filepath.Join(k.store.dir, durableName)
		if err := disk.WriteFile(k.store.disk, k.store.dir, name, point.text(), true); err != nil {
			return err
		}
		before = append(before, k.durable...)
		k.durable = edge
	}
	k.kept = edge
	for _, t := range before {
		if !slices.Contains(k.kept, t) && !slices.Contains(k.durable, t) {
			k.store.removePartial(t)
		}
	}
	return nil
}

// flush flushes the tiles of the tree of size lines.
func (k *keeper) flush(size int64) error {
	dirs := make(map[string]bool)
	var names []string
	for _, t := range slices.Concat(k.unflushed, edgeTiles(size)) {
		path := k.store.path(t)
		for dir := filepath.Dir(path); len(dir) >= len(k.store.dir); dir = filepath.Dir(dir) {
			dirs[dir] = true
		}
		if t.W == tileWidth { // a partial one was flushed when it was written
			names = append(names, path)
		}
	}
	if err := k.store.disk.SyncFiles(names); err != nil {
		return err
	}
	for dir := range dirs {
		if err := k.store.disk.SyncDir(dir); err != nil {
			return err
		}
	}
	k.unflushed = k.unflushed[:0]
	return nil
}
