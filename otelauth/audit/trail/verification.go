// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// verification is one run of Verify.
type verification struct {
	ctx     context.Context
	disk    disk.FS
	dir     string
	opts    VerifyOptions
	store   tileStore
	report  Report
	trusted []note.Verifier

	edge edge
	// other is the tree with the hashes of the tiles, since the first line that differs from its
	// tile; nil: none has. Whichever has the root of the next checkpoint is right.
	other     *edge
	differs   int64 // number of that line
	differsIn string

	tile     []byte // the hashes of the tile of the next line; nil: there is none
	tileOf   int64  // its number
	claims   []claim
	announce string // the public key that the last line of this kind announced
	gaps     []gap  // missing segments
	removals []removal
	unsealed time.Time
	lines    *lineReader

	reorderedIn string // the last segment with such a problem
	isForked    bool   // the tree has another root than a checkpoint
	isStopped   bool   // the rest cannot be verified

	total   int64 // bytes of the segments
	start   time.Time
	shownAt time.Time
}

// claim is a checkpoint that the tree must contain.
type claim struct {
	Checkpoint
	source   string
	isHeader bool // of a segment
}

// gap is lines that are missing.
type gap struct {
	from, to int64
	root     tlog.Hash // of the tree before to
}

// removal is what a line says about lines that were pruned. Without a checkpoint that covers the
// line, anybody may have written it.
type removal struct {
	line int64
	PrunedRange
}

func verify(ctx context.Context, d disk.FS, dir string, opts VerifyOptions) (Report, error) {
	trusted, err := parseVerifiers(opts.Keys)
	if err != nil {
		return Report{}, err
	}
	if len(trusted) == 0 {
		return Report{}, errors.New("trail: VerifyOptions.Keys is empty; give the public key of the trail, from a source outside of the host")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	v := &verification{
		ctx: ctx, disk: d, dir: dir, opts: opts, store: tileStore{disk: d, dir: dir}, trusted: trusted, start: opts.Now(), tileOf: -1,
	}
	v.report.Origin = trusted[0].Name()
	if err := v.run(); err != nil {
		return v.report, err
	}
	v.report.Elapsed = opts.Now().Sub(v.start)
	if len(v.report.Problems) > 0 {
		return v.report, &VerificationError{Problems: v.report.Problems}
	}
	return v.report, nil
}

func (v *verification) problem(kind ProblemKind, segment string, line int64, format string, args ...any) {
	if len(v.report.Problems) < MaxProblems {
		v.report.Problems = append(v.report.Problems, &Problem{Kind: kind, Segment: segment, Line: line, Detail: fmt.Sprintf(format, args...)})
	}
}

func (v *verification) run() error {
	v.readClaims() // before the lines, so that a trail that is being written has them
	firsts, foreign, err := listSegments(v.disk, v.dir)
	if isNotExist(err) {
		return fmt.Errorf("%w: %s has no segments", ErrNotFound, v.dir)
	}
	if err != nil {
		return fmt.Errorf("trail: %w; check the permissions of the folder", err)
	}
	for _, name := range foreign {
		v.problem(ForeignFile, name, -1, "the file is not part of the trail; move it away")
	}
	sizes := make([]int64, len(firsts))
	for i, first := range firsts {
		info, err := v.disk.Stat(v.path(first))
		if err != nil {
			return fmt.Errorf("trail: %w; check the permissions of the folder", err)
		}
		sizes[i] = info.Size
		v.total += info.Size
	}
	v.report.Segments = len(firsts)
	if len(firsts) > 0 {
		v.report.First = firsts[0]
	}
	for i, first := range firsts {
		if v.skipTo(first, false); v.isStopped {
			break
		}
		end := int64(math.MaxInt64)
		if i+1 < len(firsts) {
			end = firsts[i+1]
		}
		if err := v.segment(first, end, sizes[i]); err != nil {
			return err
		}
	}
	if !v.isStopped {
		v.finish()
	}
	return nil
}

func (v *verification) path(first int64) string {
	return filepath.Join(v.dir, segmentsName, segmentName(first))
}

// readClaims reads the checkpoints, in the order of their sizes.
func (v *verification) readClaims() {
	own, err := disk.ReadFile(v.disk, filepath.Join(v.dir, checkpointName), maxNoteBytes)
	if err != nil || len(own) == 0 {
		v.problem(CheckpointMissing, "", -1, "the folder has no checkpoint")
	} else {
		v.claim(own, "the checkpoint of the folder")
	}
	for i, signed := range v.opts.Checkpoints {
		v.claim(signed, fmt.Sprintf("checkpoint %d of those seen outside", i+1))
	}
	slices.SortStableFunc(v.claims, func(a, b claim) int { return cmp.Compare(a.Size, b.Size) })
}

func (v *verification) claim(signed []byte, source string) {
	c, err := parseNote(signed)
	if err != nil {
		v.problem(CheckpointInvalid, "", -1, "%s: %v", source, err)
		return
	}
	v.claims = append(v.claims, claim{c, source, false})
}

// parseNote parses a signed checkpoint without checking its signatures.
func parseNote(signed []byte) (Checkpoint, error) {
	if len(signed) > maxNoteBytes {
		return Checkpoint{}, fmt.Errorf("it has %d bytes, more than %d", len(signed), maxNoteBytes)
	}
	text, _, ok := strings.Cut(string(signed), "\n\n")
	if !ok {
		return Checkpoint{}, errors.New("it is not a signed note")
	}
	c, err := parseCheckpointText(text + "\n")
	c.Note = signed
	return c, err
}

// skipTo continues at the line first if lines before it are missing. isKnown means that they are
// reported already.
func (v *verification) skipTo(first int64, isKnown bool) {
	at := v.edge.size
	if at >= first {
		return
	}
	v.decide(true)
	e, err := v.store.edge(first)
	if err != nil {
		v.problem(SegmentMissing, "", at, "the lines %d to %d are missing, and their hash tiles too; nothing after them can be verified", at, first-1)
		v.isStopped = true
		return
	}
	if !isKnown {
		root, _ := e.root() // the zero root is that of no removal
		v.gaps = append(v.gaps, gap{at, first, root})
	}
	v.passClaims(first)
	v.edge = *e
	v.meet()
}

// passClaims checks the checkpoints whose sizes are among missing lines, by the tiles.
func (v *verification) passClaims(to int64) {
	for len(v.claims) > 0 && v.claims[0].Size < to {
		c := v.claims[0]
		v.claims = v.claims[1:]
		if !v.isSigned(c) {
			continue
		}
		e, err := v.store.edge(c.Size)
		if err != nil {
			v.problem(TileChanged, "", -1, "%s: it covers %d lines of those that are missing, and so are the hash tiles to compare it with", c.source, c.Size)
		} else if !e.hasRoot(c.Root) {
			v.problem(Fork, "", -1, "%s: the hash tiles do not have its root at %d lines", c.source, c.Size)
		}
	}
}

// segment reads the lines first to end-1.
func (v *verification) segment(first, end, size int64) error {
	f, err := v.disk.Open(v.path(first))
	if err != nil {
		return fmt.Errorf("trail: %w; check the permissions of the folder", err)
	}
	defer func() { _ = f.Close() }()
	if v.lines == nil {
		v.lines = newLineReader(nil, readAll)
	}
	v.lines.reset(io.NewSectionReader(f, 0, size))
	name := segmentName(first)
	for v.edge.size < end {
		if v.edge.size%tileWidth == 0 {
			if err := v.progress(); err != nil {
				return err
			}
		}
		line, err := v.lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if done, err := v.next(name, first, end, line, err); done || err != nil {
			return err
		}
	}
	v.report.Bytes += size
	if end == math.MaxInt64 {
		return nil
	}
	if v.edge.size < end {
		v.problem(LineMissing, name, v.edge.size, "the lines up to %d are missing: the end of this segment, or the segment %s",
			end-1, segmentName(v.edge.size))
		v.skipTo(end, true)
	} else if rest := size - v.lines.position(); rest > 0 {
		v.problem(Surplus, name, -1, "%d bytes follow its last line", rest)
	}
	return nil
}

// next handles one line of a segment. done reports that the rest of the segment cannot be read.
func (v *verification) next(name string, first, end int64, line []byte, err error) (done bool, _ error) {
	n := v.edge.size
	switch {
	case errors.Is(err, errTorn), errors.Is(err, errTooLong):
		if end == math.MaxInt64 && errors.Is(err, errTorn) && v.opts.Unsealed > 0 && v.sealed() <= n {
			return true, nil // a line that is being written
		}
		v.problem(LineInvalid, name, n, "%v", err)
		return true, nil
	case err != nil:
		return true, fmt.Errorf("trail: %s: %w; check the disk", name, err)
	}
	seq, rest, err := parseSeq(line)
	switch {
	case err != nil:
		v.problem(LineInvalid, name, n, "%v", err)
	case seq != n:
		if v.isOutOfOrder(name, seq, line, end) {
			return false, nil
		}
		n = v.edge.size
	}
	if n == first {
		v.header(name, line)
	} else if isAboutTrail(rest) {
		v.aboutTrail(name, line)
	}
	v.add(name, line, v.lines.leaf())
	return false, nil
}

// isOutOfOrder handles a line whose number seq is not that of its place, and reports whether it is
// to be left out. A line that comes too early shows that the lines before it are missing: their
// hashes are taken from the tiles.
func (v *verification) isOutOfOrder(name string, seq int64, line []byte, end int64) bool {
	n := v.edge.size
	if seq < n {
		v.reordered(name, n, seq)
		return true
	}
	if h, ok := v.tiled(seq); !ok || seq >= end || h != tlog.RecordHash(line) {
		v.reordered(name, n, seq)
		return false
	}
	v.problem(LineMissing, name, n, "the lines %d to %d are missing", n, seq-1)
	v.skipTo(seq, true)
	return v.isStopped
}

// reordered reports the first line of a segment that is not in its place.
func (v *verification) reordered(name string, at, seq int64) {
	if v.reorderedIn != name {
		v.reorderedIn = name
		v.problem(LineReordered, name, at, "the line has the number %d", seq)
	}
}

// sealed returns the size of the largest checkpoint.
func (v *verification) sealed() int64 {
	if n := len(v.claims); n > 0 {
		return max(v.claims[n-1].Size, v.report.Sealed)
	}
	return v.report.Sealed
}

// add adds the line with the hash h to the tree, and compares it with its tile and with the checkpoints of the
// new size.
func (v *verification) add(name string, line []byte, h tlog.Hash) {
	n := v.edge.size
	if tiled, ok := v.tiled(n); ok && tiled != h && v.other == nil {
		v.other, v.differs, v.differsIn = v.edge.clone(), n, name
	}
	if v.other != nil {
		if tiled, ok := v.tiled(n); ok {
			v.other.append(tiled)
		} else {
			v.other.append(h)
		}
	}
	v.edge.append(h)
	v.report.Lines++
	if len(v.claims) > 0 && v.claims[0].Size <= v.edge.size {
		v.meet()
	}
	if v.edge.size > v.sealed() && v.unsealed.IsZero() {
		if l, err := parseLine(line); err == nil {
			v.unsealed = l.Time
		} else {
			v.unsealed = time.Unix(0, 0)
		}
	}
}

// tiled returns the hash of line n in its tile.
func (v *verification) tiled(n int64) (h tlog.Hash, ok bool) {
	if number := n >> tileHeight; number != v.tileOf {
		v.tileOf, v.tile = number, v.store.widest(number)
	}
	i := int(n%tileWidth) * tlog.HashSize
	if i+tlog.HashSize > len(v.tile) {
		return tlog.Hash{}, false
	}
	return tlog.Hash(v.tile[i : i+tlog.HashSize]), true
}

// meet checks the checkpoints of the size of the tree.
func (v *verification) meet() {
	for len(v.claims) > 0 && v.claims[0].Size <= v.edge.size {
		c := v.claims[0]
		v.claims = v.claims[1:]
		if v.isSigned(c) {
			v.hasRoot(c)
		}
	}
}

// isSigned reports whether a trusted key has signed c.
func (v *verification) isSigned(c claim) bool {
	if _, err := openCheckpoint(c.Note, v.trusted); err != nil {
		v.problem(CheckpointInvalid, "", -1, "%s: %v", c.source, err)
		return false
	}
	return true
}

// hasRoot compares the tree with a checkpoint of its size, whose signature is good.
func (v *verification) hasRoot(c claim) {
	tree := &v.edge
	if c.Size == 0 {
		tree = new(edge)
	}
	if tree.hasRoot(c.Root) {
		v.decide(false)
		v.report.Sealed = max(v.report.Sealed, c.Size)
		return
	}
	if v.other != nil && v.other.hasRoot(c.Root) {
		v.decide(true)
		v.report.Sealed = max(v.report.Sealed, c.Size)
		return
	}
	if v.isForked && c.isHeader {
		return // the checkpoint before it says so
	}
	v.isForked = true
	line, in := int64(-1), ""
	if v.other != nil {
		line, in = v.differs, v.differsIn
	}
	v.problem(Fork, in, line, "%s: it has another root at %d lines", c.source, c.Size)
}

// decide ends the doubt about a line that differs from its tile. isTileRight reports that the tree
// of the tiles has the signed root.
func (v *verification) decide(isTileRight bool) {
	if v.other == nil {
		return
	}
	if isTileRight {
		v.problem(LineChanged, v.differsIn, v.differs, "the line is not the one that was written")
		v.edge = *v.other
	} else {
		v.problem(TileChanged, v.differsIn, v.differs, "the hash tile does not have this line")
	}
	v.other = nil
}

// isAboutTrail reports whether the event of a line begins with "auth.trail.". rest is the line
// behind its number.
func isAboutTrail(rest []byte) bool {
	const at = len(`,"time":"`) + len(timeFormat) + len(`","event":"`)
	return len(rest) > at && bytes.HasPrefix(rest[at:], []byte("auth.trail."))
}

// header checks the first line of a segment.
func (v *verification) header(name string, line []byte) {
	_, c, err := parseHeader(line)
	if err != nil {
		v.problem(LineInvalid, name, v.edge.size, "the first line is not the header of a segment")
		return
	}
	var h header
	_ = json.Unmarshal(line, &h) // parseHeader has
	c.Note = []byte(h.Note)
	if c.Size != v.edge.size {
		v.problem(LineReordered, name, v.edge.size, "the header of the segment is about line %d", c.Size)
		return
	}
	own := claim{c, "the header of " + name, true}
	if v.isSigned(own) {
		v.hasRoot(own)
	}
}

// statement is a line about the trail.
type statement struct {
	Event  string    `json:"event"`
	Time   time.Time `json:"time"`
	Public string    `json:"auth.trail.key.public"`
	Note   string    `json:"auth.trail.note"`
	Root   string    `json:"auth.trail.root"`
	From   int64     `json:"auth.trail.prune.from"`
	To     int64     `json:"auth.trail.prune.to"`
	Actor  string    `json:"auth.trail.prune.actor"`
	Reason string    `json:"auth.trail.prune.reason"`
}

// aboutTrail follows the lines that announce keys and removals.
func (v *verification) aboutTrail(name string, line []byte) {
	var s statement
	if err := json.Unmarshal(line, &s); err != nil {
		v.problem(LineInvalid, name, v.edge.size, "the line is not valid JSON")
		return
	}
	switch s.Event {
	case semconv.EventTrailPrune:
		root, err := tlog.ParseHash(s.Root)
		if err != nil {
			v.problem(LineInvalid, name, v.edge.size, "the line has no root")
			return
		}
		v.removals = append(v.removals, removal{v.edge.size, PrunedRange{s.From, s.To, root, s.Actor, s.Reason, s.Time}})
	case semconv.EventTrailKey:
		v.keyChange(name, &s)
	}
}

// keyChange trusts an announced key once a trusted key has signed a checkpoint of the announcement
// together with it.
func (v *verification) keyChange(name string, s *statement) {
	if s.Note == "" {
		v.announce = s.Public
		return
	}
	next, err := note.NewVerifier(s.Public)
	if err != nil || s.Public != v.announce {
		v.problem(CheckpointInvalid, name, v.edge.size, "the line names a key that was not announced")
		return
	}
	c, err := openCheckpoint([]byte(s.Note), v.trusted)
	if err == nil {
		_, err = openCheckpoint([]byte(s.Note), []note.Verifier{next})
	}
	if err != nil || c.Size != v.edge.size {
		v.problem(CheckpointInvalid, name, v.edge.size, "the change of key is not signed by both keys")
		return
	}
	v.hasRoot(claim{c, "the change of key", false})
	v.trusted = withVerifier(v.trusted, next)
}

// finish checks what is known only at the end.
func (v *verification) finish() {
	v.report.Size = v.edge.size
	isShort := false
	for _, c := range v.claims {
		if v.isSigned(c) {
			isShort = true
			v.problem(TooShort, "", v.edge.size, "%s covers %d lines, and the folder has %d", c.source, c.Size, v.edge.size)
		}
	}
	if v.report.Sealed < v.edge.size && !isShort {
		v.notSealed()
	}
	for _, r := range v.removals {
		if r.line < v.report.Sealed {
			v.report.Pruned = append(v.report.Pruned, r.PrunedRange)
		}
	}
	for _, g := range v.gaps {
		if !v.isPruned(g) {
			v.problem(SegmentMissing, "", g.from, "the lines %d to %d are missing, and no line that a checkpoint covers says that they were pruned", g.from, g.to-1)
		}
	}
	v.report.Root, _ = v.edge.root() // the edge has every hash of it
	slices.SortStableFunc(v.report.Problems, func(a, b *Problem) int { return cmp.Compare(a.Line, b.Line) })
}

func (v *verification) notSealed() {
	if v.other != nil {
		v.problem(LineChanged, v.differsIn, v.differs, "the line differs from its hash tile, and no checkpoint covers it")
	}
	age := v.opts.Now().Sub(v.unsealed)
	// A time in the future would never be too old.
	if v.opts.Unsealed > 0 && age.Abs() <= v.opts.Unsealed {
		return
	}
	v.problem(NotSealed, "", v.report.Sealed, "no checkpoint covers the lines %d to %d", v.report.Sealed, v.edge.size-1)
}

func (v *verification) isPruned(g gap) bool {
	if g.from != 0 {
		return false // only the beginning is ever pruned
	}
	for _, p := range v.report.Pruned {
		// A removal that was interrupted leaves later segments of its range.
		if p.To == g.to && p.Root == g.root || p.To > g.to {
			return true
		}
	}
	return false
}

// progress reports the progress, and the end of the context.
func (v *verification) progress() error {
	if err := v.ctx.Err(); err != nil {
		return context.Cause(v.ctx)
	}
	if v.opts.Progress == nil {
		return nil
	}
	now := v.opts.Now()
	if now.Sub(v.shownAt) < 100*time.Millisecond {
		return nil
	}
	v.shownAt = now
	v.opts.Progress(Progress{Lines: v.report.Lines, Bytes: v.report.Bytes + v.lines.position(), TotalBytes: v.total, Elapsed: now.Sub(v.start)})
	return nil
}
