// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// recovery finds the state of the tree in a folder. It reads the tiles at the last flush, and the
// lines after it.
type recovery struct {
	disk          disk.FS
	dir           string
	store         *tileStore
	writer        *writer
	now           func() time.Time
	key, previous *Key

	// What it finds.
	checkpoint Checkpoint // the newest one; Note is nil if there is none
	signer     *Key       // of checkpoint
	durable    durablePoint
	anomalies  []anomaly

	isMet  bool    // the tree had the root of checkpoint at its size
	firsts []int64 // of the segments
}

func (r *recovery) run() error {
	var err error
	if r.firsts, _, err = listSegments(r.disk, r.dir); err != nil {
		return fmt.Errorf("trail: %w; check the permissions of the folder", err)
	}
	if err := r.readCheckpoint(); err != nil {
		return err
	}
	r.readDurable()
	if err := r.dropEmpty(); err != nil {
		return err
	}
	if err := r.cutAbandoned(); err != nil {
		return err
	}
	if len(r.firsts) > 0 {
		if err := r.replay(); err != nil {
			return err
		}
	}
	return r.compare()
}

// readCheckpoint reads and verifies the newest checkpoint.
func (r *recovery) readCheckpoint() error {
	signed, err := disk.ReadFile(r.disk, filepath.Join(r.dir, checkpointName), maxNoteBytes)
	if isNotExist(err) || err == nil && len(signed) == 0 {
		if len(r.firsts) > 0 {
			r.anomalies = append(r.anomalies, anomaly{kind: checkpointMissing, time: r.now()})
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("trail: %w; check the permissions of the folder", err)
	}
	for _, k := range []*Key{r.key, r.previous} {
		if k == nil {
			continue
		}
		if r.checkpoint, err = openCheckpoint(signed, []note.Verifier{k.verifier}); err == nil {
			r.signer = k
			return nil
		}
	}
	return err
}

func (r *recovery) readDurable() {
	text, err := disk.ReadFile(r.disk, filepath.Join(r.dir, durableName), maxDurableBytes)
	if err != nil {
		return // it is only a shortcut
	}
	if p, err := parseDurable(text); err == nil {
		r.durable = p
	}
}

// dropEmpty removes segments without a whole line from the end: their first flush failed.
func (r *recovery) dropEmpty() error {
	for n := len(r.firsts); n > 0; n-- {
		first := r.firsts[n-1]
		line, err := r.firstLine(first)
		if err != nil {
			return err
		}
		if isWhole(line, first) {
			return nil
		}
		if first < r.checkpoint.Size {
			return fmt.Errorf("%w (%s has no header)", ErrTampered, segmentName(first))
		}
		path := r.path(first)
		info, err := r.disk.Stat(path)
		if err != nil {
			return fmt.Errorf("trail: %w; check the disk", err)
		}
		if info.Size == 0 {
			err = r.disk.Remove(path)
		} else {
			r.anomalies = append(r.anomalies, anomaly{kind: debris, time: r.now(), segment: segmentName(first)})
			err = r.writer.moveAway(path)
		}
		if err != nil {
			return fmt.Errorf("trail: %w; check the permissions of the folder", err)
		}
		r.firsts = r.firsts[:n-1]
	}
	return nil
}

func (r *recovery) path(first int64) string {
	return filepath.Join(r.dir, segmentsName, segmentName(first))
}

// firstLine returns the first line of a segment; nil if it has none.
func (r *recovery) firstLine(first int64) ([]byte, error) {
	f, err := r.disk.Open(r.path(first))
	if err != nil {
		return nil, fmt.Errorf("trail: %w; check the permissions of the folder", err)
	}
	defer func() { _ = f.Close() }()
	line, err := newLineReader(f, readLine).next()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errTorn) && !errors.Is(err, errTooLong) {
		return nil, fmt.Errorf("trail: %w; check the disk", err)
	}
	return line, nil
}

// header is what the first line of a segment says about the lines before it.
type header struct {
	Event    string `json:"event"`
	Note     string `json:"auth.trail.note"`
	Previous *int64 `json:"auth.trail.segment.previous.bytes"`
}

func (r *recovery) header(first int64) (header, Checkpoint, error) {
	line, err := r.firstLine(first)
	if err != nil {
		return header{}, Checkpoint{}, err
	}
	return parseHeader(line)
}

// cutAbandoned cuts what follows the counted lines of segments that were abandoned, if the run
// that abandoned them could not.
func (r *recovery) cutAbandoned() error {
	for n := len(r.firsts) - 1; n > 0; n-- {
		h, _, err := r.header(r.firsts[n])
		if err != nil || h.Previous == nil {
			return nil //nolint:nilerr // replay reports a header that is not valid
		}
		path := r.path(r.firsts[n-1])
		info, err := r.disk.Stat(path)
		if err == nil && info.Size > *h.Previous {
			err = cutTo(r.disk, path, *h.Previous)
		}
		if err != nil {
			return fmt.Errorf("trail: %w; check the disk", err)
		}
	}
	return nil
}

// replay loads the edge before the last flush and adds the lines after it.
func (r *recovery) replay() error {
	begin, offset, err := r.findEdge()
	if err != nil {
		return err
	}
	if err := r.check(&r.writer.edge); err != nil {
		return err
	}
	for i := begin; i < len(r.firsts); i++ {
		end := int64(math.MaxInt64)
		if i+1 < len(r.firsts) {
			end = r.firsts[i+1]
		}
		if err := r.replaySegment(r.firsts[i], end, offset); err != nil {
			return err
		}
		offset = 0
	}
	return nil
}

// findEdge loads the edge at the last flush of the tiles, or at the beginning of the last segment
// whose tiles are good. It returns the index of the segment, and where in it the next line begins.
func (r *recovery) findEdge() (index int, offset int64, err error) {
	if i, ok := slices.BinarySearch(r.firsts, r.durable.segment); ok && r.isDurable(i) {
		if e, err := r.store.edge(r.durable.size); err == nil && e.hasRoot(r.durable.root) {
			r.setEdge(e)
			return i, r.durable.offset, nil
		}
	}
	for i := len(r.firsts) - 1; i >= 0; i-- {
		first := r.firsts[i]
		if i > 0 && (first > r.durable.size || r.checkpoint.Note != nil && first > r.checkpoint.Size) {
			continue // the tiles before it may not be on disk, or the checkpoint is to be met
		}
		e, err := r.store.edge(first)
		if err != nil {
			continue
		}
		_, c, err := r.header(first)
		if err != nil || c.Size != first || !e.hasRoot(c.Root) {
			continue
		}
		r.setEdge(e)
		return i, 0, nil
	}
	return 0, 0, fmt.Errorf("%w (no segment continues the hash tiles)", ErrTampered)
}

// isDurable reports whether the lines after the durable point may be added to its tree. i is the
// index of its segment.
func (r *recovery) isDurable(i int) bool {
	p := r.durable
	if r.checkpoint.Note != nil && p.size > r.checkpoint.Size {
		return false // the checkpoint is to be met
	}
	if i+1 < len(r.firsts) && p.size > r.firsts[i+1] {
		return false
	}
	if p.offset == 0 {
		return p.size == p.segment
	}
	line, err := r.lineBefore(p.position)
	if err != nil {
		return false
	}
	seq, _, err := parseSeq(line)
	return err == nil && seq == p.size-1
}

// lineBefore returns the line that ends at p, without its newline.
func (r *recovery) lineBefore(p position) ([]byte, error) {
	f, err := r.disk.Open(r.path(p.segment))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data := make([]byte, min(p.offset, MaxLineBytes+2)) // with its newline and that of the line before
	if _, err := f.ReadAt(data, p.offset-int64(len(data))); err != nil {
		return nil, err
	}
	line, isWhole := bytes.CutSuffix(data, []byte("\n"))
	if !isWhole {
		return nil, errTorn
	}
	return line[bytes.LastIndexByte(line, '\n')+1:], nil
}

func (r *recovery) setEdge(e *edge) {
	e.full = r.writer.edge.full
	r.writer.edge = *e
}

// replaySegment adds the lines of a segment from offset on, up to the line end. A torn tail of the
// last segment is moved to debris/.
func (r *recovery) replaySegment(first, end, offset int64) error {
	f, err := r.disk.Edit(r.path(first))
	if err != nil {
		return fmt.Errorf("trail: %w; check the permissions of the folder", err)
	}
	defer func() { _ = f.Close() }()
	e := &r.writer.edge
	lines := newLineReader(f, readAll)
	lines.offset = offset
	var problem error
	position := offset
	for e.size < end {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && !r.accepts(line, e.size) {
			err = errNotALine
		}
		if err != nil {
			problem = err
			break
		}
		e.append(lines.leaf())
		position = lines.position()
		if err := r.check(e); err != nil {
			return err
		}
	}
	if end != math.MaxInt64 {
		if e.size != end {
			return fmt.Errorf("%w (%s ends at line %d)", ErrTampered, segmentName(first), e.size)
		}
		return nil
	}
	if problem != nil {
		if err := r.moveTail(f, first, position, problem); err != nil {
			return err
		}
	}
	// The previous run may have ended between a write and its flush.
	if err := f.Sync(); err != nil {
		return fmt.Errorf("trail: %w; check the disk", err)
	}
	return nil
}

// accepts reports whether line has the number seq. A line that the checkpoint does not cover must
// also be whole: a crash may have left anything there.
func (r *recovery) accepts(line []byte, seq int64) bool {
	if seq < r.checkpoint.Size {
		n, _, err := parseSeq(line)
		return err == nil && n == seq
	}
	return isWhole(line, seq)
}

// check compares the tree with the checkpoint when it has its size.
func (r *recovery) check(e *edge) error {
	if r.checkpoint.Note == nil || e.size != r.checkpoint.Size {
		return nil
	}
	if !e.hasRoot(r.checkpoint.Root) {
		return fmt.Errorf("%w (the lines before %d are not those of the checkpoint)", ErrTampered, e.size)
	}
	r.isMet = true
	return nil
}

// moveTail moves what follows position to debris/.
func (r *recovery) moveTail(f disk.File, first, position int64, cause error) error {
	if !errors.Is(cause, errTorn) && !errors.Is(cause, errTooLong) && !errors.Is(cause, errNotALine) {
		return fmt.Errorf("trail: %w; check the disk", cause)
	}
	if r.writer.edge.size < r.checkpoint.Size {
		return fmt.Errorf("%w (line %d of %s: %w)", ErrTampered, r.writer.edge.size, segmentName(first), cause)
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("trail: %w; check the disk", err)
	}
	if err := r.copyTail(f, first, position, info.Size); err != nil {
		return fmt.Errorf("trail: moving the torn tail of a segment: %w; free space on the disk", err)
	}
	if err := f.Truncate(position); err != nil {
		return fmt.Errorf("trail: %w; check the disk", err)
	}
	r.anomalies = append(r.anomalies, anomaly{kind: debris, time: r.now(), segment: segmentName(first), err: cause})
	return nil
}

func (r *recovery) copyTail(f disk.File, first, from, to int64) error {
	dir := filepath.Join(r.dir, debrisName)
	if err := r.disk.MakeDir(dir); err != nil {
		return err
	}
	out, err := r.disk.Create(filepath.Join(dir, fmt.Sprintf("%s.%d.%d", segmentName(first), from, r.now().UnixNano())))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(out, 0), io.NewSectionReader(f, from, to-from))
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close(), r.disk.SyncDir(dir))
}

// compare reports a checkpoint that the tree does not contain.
func (r *recovery) compare() error {
	switch {
	case r.checkpoint.Note == nil || r.checkpoint.Size == 0 || r.isMet:
		return nil
	case r.checkpoint.Size > r.writer.edge.size:
		return fmt.Errorf("%w (it has %d lines, and its checkpoint covers %d)", ErrTampered, r.writer.edge.size, r.checkpoint.Size)
	}
	return fmt.Errorf("%w (its checkpoint is older than the lines that were pruned)", ErrTampered)
}
