// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// The names in the folder of a trail.
const (
	lockName       = "lock"
	checkpointName = "checkpoint"
	segmentsName   = "segments"
	tilesName      = "tile"
	debrisName     = "debris"
	// durableName holds a durablePoint.
	durableName = "tiles-flushed"
)

const segmentSuffix = ".jsonl"

// segmentName returns the file name of the segment whose first line has the number first.
func segmentName(first int64) string { return fmt.Sprintf("%020d", first) + segmentSuffix }

// parseSegmentName returns the number of the first line of a segment.
func parseSegmentName(name string) (first int64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok {
		return 0, false
	}
	first, err := strconv.ParseInt(digits, 10, 64)
	return first, err == nil && segmentName(first) == name
}

// listSegments returns the first numbers of the segments in dir, in order, and the names of
// other files.
func listSegments(d disk.FS, dir string) (firsts []int64, foreign []string, err error) {
	names, err := d.List(filepath.Join(dir, segmentsName))
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		if first, ok := parseSegmentName(name); ok {
			firsts = append(firsts, first)
		} else {
			foreign = append(foreign, name)
		}
	}
	slices.Sort(firsts)
	return firsts, foreign, nil
}

// writer appends lines to segments. It belongs to one goroutine.
type writer struct {
	disk disk.FS
	dir  string
	now  func() time.Time
	// keys sign the next checkpoint. The first one names it.
	keys []*Key

	// edge is that of the lines on disk.
	edge edge

	file  disk.File // nil: no segment is open
	id    disk.ID
	first int64 // number of its first line
	// offset is the size of the segment, all of it flushed.
	offset int64
	began  time.Time
	last   []byte // the last line on disk
	// cut is the segment whose tail behind offset is not on disk for sure; "" if there is none.
	cut       string
	cutOffset int64

	// What is written next: written bytes behind offset are written already, but not flushed.
	buf      []byte
	hashes   []tlog.Hash
	written  int64
	writeErr error
}

func (w *writer) segments() string { return filepath.Join(w.dir, segmentsName) }

func (w *writer) path() string { return filepath.Join(w.segments(), segmentName(w.first)) }

// writeBytes is how many bytes of a large commit are written at once, while the processor still has
// them in its cache.
const writeBytes = 256 << 10

// end returns where the next line begins.
func (w *writer) end() position { return position{w.first, w.offset} }

// stage adds a line to what is written next.
func (w *writer) stage(body []byte) {
	if len(w.buf) >= writeBytes { // never the last line, which flushed needs
		w.write()
	}
	var h tlog.Hash
	w.buf, h = appendLine(w.buf, w.edge.size+int64(len(w.hashes)), body)
	w.hashes = append(w.hashes, h)
}

// write writes buf to the segment, without a flush.
func (w *writer) write() {
	if w.writeErr == nil {
		_, w.writeErr = w.file.WriteAt(w.buf, w.offset+w.written)
	}
	w.written += int64(len(w.buf))
	w.buf = w.buf[:0]
}

func (w *writer) unstage() {
	w.buf, w.hashes, w.written, w.writeErr = w.buf[:0], w.hashes[:0], 0, nil
}

// flush writes what is staged to the segment. After an error nothing of it counts: the segment
// must be abandoned, because the system may have dropped the data and would not report that twice.
func (w *writer) flush() (kind anomalyKind, err error) {
	last := w.lastStaged()
	w.write()
	if w.writeErr != nil {
		return classify(w.writeErr, writeFailed), w.writeErr
	}
	if err := w.file.Sync(); err != nil {
		return classify(err, syncFailed), err
	}
	w.last = append(w.last[:0], last...)
	w.flushed()
	return "", nil
}

// lastStaged returns the last line of buf, without its newline.
func (w *writer) lastStaged() []byte {
	lines := w.buf[:len(w.buf)-1]
	return lines[bytes.LastIndexByte(lines, '\n')+1:]
}

func (w *writer) flushed() {
	w.offset += w.written
	for _, h := range w.hashes {
		w.edge.append(h)
	}
	w.unstage()
}

// seal signs a checkpoint of the lines on disk.
func (w *writer) seal() (Checkpoint, error) {
	root, err := w.edge.root()
	if err != nil {
		return Checkpoint{}, err
	}
	return sign(w.edge.size, root, w.keys...)
}

// begin starts a new segment with its header, then the given bodies. The Checkpoint is that of the
// header. After an error there is no open segment.
func (w *writer) begin(bodies ...[]byte) (Checkpoint, error) {
	w.unstage()
	c, err := w.seal()
	if err != nil {
		return Checkpoint{}, err
	}
	previous := int64(-1)
	if w.cut != "" {
		previous = w.cutOffset
	}
	if err := w.create(); err != nil {
		return Checkpoint{}, err
	}
	w.stage(headerBody(w.now(), c, previous))
	for _, body := range bodies {
		w.stage(body)
	}
	// The name is flushed first: lines in a file without a name are not on disk.
	err = w.disk.SyncDir(w.segments())
	if err == nil {
		_, err = w.flush()
	}
	if err == nil {
		w.began = w.now()
		return c, nil
	}
	w.unstage()
	w.release()
	_ = w.disk.Remove(w.path()) // otherwise create moves it away
	return Checkpoint{}, err
}

// create makes the file of the segment that begins at the edge, and opens it.
func (w *writer) create() error {
	w.release()
	first := w.edge.size
	path := filepath.Join(w.segments(), segmentName(first))
	// Only a segment that failed before its first flush has this name, or a foreign file.
	if _, err := w.disk.Stat(path); err == nil {
		if err := w.moveAway(path); err != nil {
			return err
		}
	}
	f, err := w.disk.Create(path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.file, w.id, w.first, w.offset, w.last = f, info.ID, first, 0, w.last[:0]
	return nil
}

// moveAway moves a file that is not part of the trail to debris/.
func (w *writer) moveAway(path string) error {
	debris := filepath.Join(w.dir, debrisName)
	if err := w.disk.MakeDir(debris); err != nil {
		return err
	}
	return w.disk.Rename(path, filepath.Join(debris, fmt.Sprintf("%s.%d", filepath.Base(path), w.now().UnixNano())))
}

// release closes the segment.
func (w *writer) release() {
	if w.file != nil {
		_ = w.file.Close() // everything that counts is flushed
		w.file = nil
	}
}

// abandon closes the segment after a failed write or flush. The tail that was flushed before is
// read again; what follows it is cut, now or later (see retryCut).
func (w *writer) abandon() error {
	if w.file == nil {
		return nil
	}
	w.unstage()
	err := w.checkTail()
	w.cut, w.cutOffset = w.path(), w.offset
	w.release()
	w.retryCut()
	return err
}

// checkTail reads the last line again.
func (w *writer) checkTail() error {
	if len(w.last) == 0 {
		return nil
	}
	got := make([]byte, len(w.last)+1)
	if _, err := w.file.ReadAt(got, w.offset-int64(len(got))); err != nil {
		return fmt.Errorf("the flushed tail cannot be read: %w", err)
	}
	if string(got[:len(w.last)]) != string(w.last) || got[len(w.last)] != '\n' {
		return errors.New("the flushed tail has changed")
	}
	return nil
}

// retryCut cuts what follows the flushed lines of an abandoned segment. Until it succeeds, the
// header of the next segment has the size that counts.
func (w *writer) retryCut() {
	if w.cut == "" {
		return
	}
	if cutTo(w.disk, w.cut, w.cutOffset) == nil {
		w.cut = ""
	}
}

// cutTo truncates a file to size and flushes that.
func cutTo(d disk.FS, path string, size int64) error {
	f, err := d.Edit(path)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// inspect compares the segment with what was written. kind is "" if no other program has changed
// it.
func (w *writer) inspect() (kind anomalyKind, err error) {
	info, err := w.file.Stat()
	if err != nil {
		return writeFailed, err
	}
	named, err := w.disk.Stat(w.path())
	switch {
	case err == nil && named.ID != w.id:
		return replaced, nil
	case info.Links == 0:
		return unlinked, nil
	case info.Size < w.offset:
		return truncated, nil
	case info.Size > w.offset:
		return appended, nil
	case isNotExist(err):
		return renamed, nil
	case err != nil:
		return writeFailed, err
	}
	return "", nil
}
