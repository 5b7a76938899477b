// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// A snapshot consists of: the magic line; the wall time of writing in nanoseconds; the number of
// records and the records; the width of the sketch, the number of its live cells and the cells;
// and an HMAC-SHA-256 over all of it. Numbers are little-endian. Moments are written as the time
// left, because each process has its own clock.

const snapshotMagic = "otelauth throttle 1\n"

// saved is one record in a snapshot.
type saved struct {
	Key    budget.Key
	Debt   int64 // nanoseconds until the budget is full
	Age    int32 // minutes since the success of a known pair; −1: not known
	Budget uint8
}

type savedCell struct {
	Index uint32
	Debt  uint32 // ticks
}

// Save writes the snapshot, or does nothing without a SnapshotFile. A snapshot holds known pairs
// and debts but no unsettled guesses, so stop serving requests before the last Save. An error
// leaves the previous snapshot in place.
func (m *Memory) Save() error {
	if m.cfg.SnapshotFile == "" {
		return nil
	}
	m.saving.Lock()
	defer m.saving.Unlock()
	err := writeFile(m.cfg.SnapshotFile, m.writeSnapshot)
	if err != nil {
		err = fmt.Errorf("throttle: the snapshot of guess budgets cannot be written; a restart would lose them: make the directory writable: %w", err)
		m.noticeSnapshot("guess budgets cannot be written to "+m.cfg.SnapshotFile+"; make the directory writable", err)
	}
	return err
}

func (m *Memory) noticeSnapshot(message string, err error) {
	m.cfg.Notice(context.Background(), attempt.Notice{
		Kind: attempt.ThrottleSnapshot, Time: m.cfg.Now(), Message: message, Err: err, Source: m.cfg.SnapshotFile,
	})
}

// writeFile writes a file of mode 0600 in one rename. It leaves no file behind if it fails.
func writeFile(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // the first error is returned
			_ = os.Remove(f.Name())
		}
	}()
	if err = write(f); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func (m *Memory) writeSnapshot(w io.Writer) error {
	mac := hmac.New(sha256.New, m.cfg.SnapshotKey)
	out := bufio.NewWriterSize(io.MultiWriter(w, mac), 1<<16)
	write := func(b []byte) { _, _ = out.Write(b) } // Flush returns the first error
	records := m.records()
	cells := m.debts.live(m.now())
	var buf []byte
	buf = append(buf, snapshotMagic...)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(m.cfg.Now().UnixNano()))
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(records)))
	write(buf)
	for _, r := range records {
		buf, _ = binary.Append(buf[:0], binary.LittleEndian, r)
		write(buf)
	}
	buf = binary.LittleEndian.AppendUint64(buf[:0], m.debts.width)
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(cells)))
	write(buf)
	for _, c := range cells {
		buf, _ = binary.Append(buf[:0], binary.LittleEndian, c)
		write(buf)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := w.Write(mac.Sum(nil))
	return err
}

// records returns the records to save, shard by shard.
func (m *Memory) records() []saved {
	var out []saved
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.Lock()
		now := m.now()
		for _, t := range []struct {
			buckets []bucket
			known   bool
		}{{sh.some.buckets, false}, {sh.known.buckets, true}} {
			for b := range t.buckets {
				for j := range t.buckets[b] {
					r := &t.buckets[b][j]
					if r.budget == 0 || !t.known && r.tat <= now {
						continue
					}
					s := saved{Key: r.key, Debt: int64(max(0, r.tat-now)), Age: -1, Budget: r.budget - 1}
					if t.known {
						s.Age = int32((now - success(r)) / time.Minute)
					}
					out = append(out, s)
				}
			}
		}
		sh.mu.Unlock()
	}
	return out
}

// live returns the cells that still hold a debt.
func (s *sketch) live(now time.Duration) []savedCell {
	var out []savedCell
	past := uint32(now / sketchTick)
	all := s.cells.Load()
	if all == nil {
		return nil
	}
	for i := range *all {
		if v := (*all)[i].Load(); v > past {
			out = append(out, savedCell{uint32(i), v - past})
		}
	}
	return out
}

// load reads the snapshot, and renames it if it is unusable. A missing file is an empty snapshot.
func (m *Memory) load() {
	name := m.cfg.SnapshotFile
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		if err = m.readSnapshot(data); err == nil {
			return
		}
	}
	broken := name + ".broken"
	message := "the snapshot of guess budgets is unusable and was renamed to " + broken + "; budgets start full and no pair is known"
	if renamed := os.Rename(name, broken); renamed != nil {
		message = "the snapshot of guess budgets is unusable and could not be renamed to " + broken + "; budgets start full and no pair is known"
		err = errors.Join(err, renamed)
	}
	m.noticeSnapshot(message, fmt.Errorf("throttle: %s: %w", name, err))
}

var errSnapshot = errors.New("the file is damaged or was signed with another key")

// readSnapshot restores the records of a snapshot. It restores nothing if the signature is wrong.
func (m *Memory) readSnapshot(data []byte) error {
	if len(data) < len(snapshotMagic)+sha256.Size || string(data[:len(snapshotMagic)]) != snapshotMagic {
		return errors.New("the file is not a snapshot of this version")
	}
	body, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	mac := hmac.New(sha256.New, m.cfg.SnapshotKey)
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), sum) {
		return errSnapshot
	}
	in := bytes.NewReader(body[len(snapshotMagic):])
	var head struct {
		Written int64
		Records uint32
	}
	if err := binary.Read(in, binary.LittleEndian, &head); err != nil {
		return errSnapshot
	}
	// The wall clock may have gone back since; then no time has passed.
	away := max(0, m.cfg.Now().Sub(time.Unix(0, head.Written)))
	now := m.now()
	for range head.Records {
		var s saved
		if err := binary.Read(in, binary.LittleEndian, &s); err != nil || budget.Kind(s.Budget) >= budget.NumKinds {
			return errSnapshot
		}
		m.restore(&s, away, now)
	}
	var width struct {
		Width uint64
		Cells uint32
	}
	if err := binary.Read(in, binary.LittleEndian, &width); err != nil {
		return errSnapshot
	}
	if width.Width != m.debts.width {
		return nil // Bytes has changed: the cells belong to other keys
	}
	past := uint32(min(away, budget.MaxSpan) / sketchTick)
	for range width.Cells {
		var c savedCell
		if err := binary.Read(in, binary.LittleEndian, &c); err != nil || uint64(c.Index) >= m.debts.size() {
			return errSnapshot
		}
		if c.Debt > past {
			m.debts.room()[c.Index].Store(uint32(now/sketchTick) + c.Debt - past + 1)
		}
	}
	return nil
}

func (m *Memory) restore(s *saved, away, now time.Duration) {
	tat := now + max(0, time.Duration(s.Debt)-away)
	if s.Age < 0 {
		if tat > now {
			if r := m.insert(&s.Key, budget.Kind(s.Budget), now); r != nil {
				r.tat = max(r.tat, tat)
			}
		}
		return
	}
	last := now - time.Duration(s.Age)*time.Minute - away
	if last < 0 {
		return
	}
	sh := &m.shards[shardOf(&s.Key)]
	r := sh.known.place(&s.Key, success)
	if r == nil || r.budget != 0 && success(r) > last {
		return
	}
	if r.budget == 0 {
		m.used.Add(1)
	}
	*r = record{key: s.Key, budget: s.Budget + 1, tat: tat, stamp: uint32(last / time.Minute)}
}
