// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/snapshot"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// The state in a snapshot consists of: the wall time of writing in nanoseconds; the number of
// records and the records; the width of the sketch, the number of its live cells and the cells.
// Numbers are little-endian. Moments are written as the time left, because each process has its
// own clock. Package snapshot encrypts and authenticates it.

const snapshotKind snapshot.Kind = "throttle"

func (m *Memory) file() snapshot.File {
	return snapshot.File{Name: m.cfg.SnapshotFile, Kind: snapshotKind, Secret: m.cfg.SnapshotKey}
}

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
	err := m.file().Write(m.snapshotState())
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

// snapshotState returns the state to save.
func (m *Memory) snapshotState() []byte {
	records := m.records()
	cells := m.debts.live(m.now())
	var buf []byte
	buf = binary.LittleEndian.AppendUint64(buf, uint64(m.cfg.Now().UnixNano()))
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(records)))
	buf, _ = binary.Append(buf, binary.LittleEndian, records)
	buf = binary.LittleEndian.AppendUint64(buf, m.debts.width)
	buf = binary.LittleEndian.AppendUint32(buf, uint32(len(cells)))
	buf, _ = binary.Append(buf, binary.LittleEndian, cells)
	return buf
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

// load reads the snapshot, and renames it if it is unusable.
func (m *Memory) load() {
	if err := m.file().Read("guess budgets", m.readState); err != nil {
		m.noticeSnapshot(err.Error()+"; budgets start full and no pair is known", fmt.Errorf("throttle: %w", err))
	}
}

// readState restores the records of a snapshot.
func (m *Memory) readState(state []byte) error {
	in := bytes.NewReader(state)
	var head struct {
		Written int64
		Records uint32
	}
	if err := binary.Read(in, binary.LittleEndian, &head); err != nil {
		return snapshot.ErrDamaged
	}
	// The wall clock may have gone back since; then no time has passed.
	away := max(0, m.cfg.Now().Sub(time.Unix(0, head.Written)))
	now := m.now()
	for range head.Records {
		var s saved
		if err := binary.Read(in, binary.LittleEndian, &s); err != nil || budget.Kind(s.Budget) >= budget.NumKinds {
			return snapshot.ErrDamaged
		}
		m.restore(&s, away, now)
	}
	var width struct {
		Width uint64
		Cells uint32
	}
	if err := binary.Read(in, binary.LittleEndian, &width); err != nil {
		return snapshot.ErrDamaged
	}
	if width.Width != m.debts.width {
		return nil // Bytes has changed: the cells belong to other keys
	}
	past := uint32(min(away, budget.MaxSpan) / sketchTick)
	for range width.Cells {
		var c savedCell
		if err := binary.Read(in, binary.LittleEndian, &c); err != nil || uint64(c.Index) >= m.debts.size() {
			return snapshot.ErrDamaged
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
