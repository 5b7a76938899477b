// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// MemoryConfig is what a [Memory] may take, and where it survives a restart. The zero MemoryConfig is ready for use.
type MemoryConfig struct {
	// Bytes bounds the memory of the store. Default: 64 MiB, at least 1 MiB. Half is for budgets, 40 bytes each; a quarter for known
	// pairs, 40 bytes each; a quarter for the debts of budgets that had to make room, in 4-byte cells that several share. 64 MiB are
	// 819,200 budgets, 409,600 known pairs and 4.2 million cells. Nothing is taken before it is needed: a new store takes
	// some kilobytes, one with a hundred users a megabyte; its tables double when they are a third to two thirds full; the cells are taken
	// when one is full at its bound.
	Bytes int

	// SnapshotFile is where known pairs and debts outlive a restart; "" for nowhere. It is read by NewMemory, and written by
	// Save, by Close and every SnapshotEvery, with mode 0600, in one rename. It holds keys and times only. A file that is
	// damaged, or was signed with another key, is renamed to SnapshotFile + ".broken" and a notice says so.
	SnapshotFile string
	// SnapshotKey authenticates the file. Required, at least 32 bytes, when SnapshotFile is set; use Config.Key, without
	// which the keys in the file mean nothing.
	SnapshotKey []byte
	// SnapshotEvery is the time between two writes. Default: 5 min.
	SnapshotEvery time.Duration

	// Notice is told when a snapshot is set aside or cannot be written. nil: nobody.
	Notice func(context.Context, attempt.Notice)

	// Elapsed is the time since any fixed moment, which no change of the wall clock moves. nil: the monotonic clock.
	Elapsed func() time.Duration
	// Now is the wall clock, which dates a snapshot and nothing else. nil: time.Now.
	Now func() time.Time
}

// The defaults and bounds of [MemoryConfig].
const (
	defaultMemoryBytes   = 64 << 20
	minMemoryBytes       = 1 << 20
	defaultSnapshotEvery = 5 * time.Minute
	minKeyBytes          = 32
)

// Memory is the [Store] of one process. Make one with [NewMemory]. It is safe for concurrent use.
//
// It takes memory as it fills. A table that is full at its bound gives up the budget with the smallest debt, and remembers
// that debt in a sketch that never under-counts: hostile names push nobody's count out, the attacker's own included. Known
// pairs have a table that only a right password writes to; when it is full, the oldest success makes room. No budget with a
// guess on its way is given up; where a place cannot be had, the guess is Held.
//
// Where memory is bounded and names are not, a store must forget or suspect; this one suspects. While more distinct wrong guesses are hashed
// than it has room for, about 7,000 a second for minutes on end with 64 MiB, which takes a verifier without a password hash, strangers are
// refused before their time. Known pairs are not.
type Memory struct {
	cfg    MemoryConfig
	shards [numShards]shard
	debts  *sketch
	base   time.Duration // what the store's clock adds to Elapsed
	used   atomic.Int64

	saving sync.Mutex
	stop   chan struct{}
	ended  chan struct{}
	once   sync.Once
}

var _ budget.Store = (*Memory)(nil)

const numShards = 64 // as many as the bits of a set of them

// shard is a part of the budgets under a lock of its own.
type shard struct {
	mu     sync.Mutex
	some   table // budgets
	known  table // of pairs that succeeded
	cursor int   // the bucket to be swept next
	// inserted counts what was inserted.
	inserted uint
	_        [64]byte
}

// clockStart lies so far from 0 that every moment of a snapshot is positive.
const clockStart = 2 * budget.MaxSpan

// NewMemory returns a Memory with the budgets of its snapshot, or every fault of cfg at once. A snapshot that cannot be used is no fault.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	var faults []error
	if cfg.Bytes == 0 {
		cfg.Bytes = defaultMemoryBytes
	}
	if cfg.Bytes < minMemoryBytes {
		faults = append(faults, fmt.Errorf("throttle: MemoryConfig.Bytes is %d; give it at least %d, or leave it 0", cfg.Bytes, minMemoryBytes))
	}
	if cfg.SnapshotFile != "" && len(cfg.SnapshotKey) < minKeyBytes {
		faults = append(faults, fmt.Errorf("throttle: MemoryConfig.SnapshotKey has %d bytes; a snapshot needs a key of at least %d", len(cfg.SnapshotKey), minKeyBytes))
	}
	if cfg.SnapshotEvery < 0 {
		faults = append(faults, errors.New("throttle: MemoryConfig.SnapshotEvery is negative; leave it 0 for the default"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if cfg.SnapshotEvery == 0 {
		cfg.SnapshotEvery = defaultSnapshotEvery
	}
	if cfg.Elapsed == nil {
		start := time.Now()
		cfg.Elapsed = func() time.Duration { return time.Since(start) }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Notice == nil {
		cfg.Notice = func(context.Context, attempt.Notice) {}
	}
	m := &Memory{cfg: cfg, debts: newSketch(cfg.Bytes / 4)}
	m.base = clockStart - cfg.Elapsed()
	for i := range m.shards {
		m.shards[i].some = newTable(cfg.Bytes / 2 / numShards)
		m.shards[i].known = newTable(cfg.Bytes / 4 / numShards)
	}
	if cfg.SnapshotFile != "" {
		m.load()
		m.stop, m.ended = make(chan struct{}), make(chan struct{})
		go m.saveNowAndThen()
	}
	return m, nil
}

// Len returns the number of budgets and known pairs held. Those that have filled up again count until their place is swept.
func (m *Memory) Len() int { return int(m.used.Load()) }

func (m *Memory) now() time.Duration { return m.base + m.cfg.Elapsed() }

func shardOf(k *budget.Key) uint64 { return uint64(k[0]) % numShards }

// lock locks the shards of a set, in ascending order, so that two calls never wait for each other.
func (m *Memory) lock(set uint64) {
	for rest := set; rest != 0; rest &= rest - 1 {
		m.shards[bits.TrailingZeros64(rest)].mu.Lock()
	}
}

func (m *Memory) unlock(set uint64) {
	for rest := set; rest != 0; rest &= rest - 1 {
		m.shards[bits.TrailingZeros64(rest)].mu.Unlock()
	}
}

// shardsOf is the set of shards that a bill touches.
func shardsOf(b *budget.Bill) (set uint64) {
	for i := range b.Charges {
		if b.Charges[i].Limit != (budget.Limit{}) {
			set |= 1 << shardOf(&b.Charges[i].Key)
		}
	}
	return set
}

// limitOf returns the limit that a bill sets for a budget; the zero Limit when it costs nothing there.
func limitOf(b *budget.Bill, i budget.Kind, known bool) budget.Limit {
	switch {
	case !known:
		return b.Charges[i].Limit
	case i == budget.Pair:
		return b.KnownPair
	}
	return budget.Limit{}
}

// Spend implements [Store].
func (m *Memory) Spend(_ context.Context, b budget.Bill) (budget.Answer, error) {
	set := shardsOf(&b)
	m.lock(set)
	defer m.unlock(set)
	now := m.now()

	var a budget.Answer
	pair, known := m.pair(&b, now)
	a.Known = known
	refused, held := false, false
	for i := range budget.NumKinds {
		l := limitOf(&b, i, a.Known)
		if l == (budget.Limit{}) {
			continue
		}
		k := &b.Charges[i].Key
		rec := pair
		if i != budget.Pair {
			rec = m.shards[shardOf(k)].some.find(k, i)
		}
		h := m.state(rec, k, i, l, b.Lease, now)
		if i == budget.Pair {
			a.PairLeft, a.PairWait = h.Free(l, now), l.Every
		}
		switch {
		case h.Left(l, now) < 1:
			if wait := l.Wait(h.TAT, now); !refused || wait > a.RetryAfter {
				a.Budget, a.RetryAfter = i, wait
			}
			refused = true
		case b.Mode != budget.Check && h.Free(l, now) < 1 && !refused && !held:
			held, a.Budget = true, i
		}
	}
	switch {
	case refused:
		a.Verdict = Refused
		return a, nil
	case held:
		a.Verdict = Held
		return a, nil
	case b.Mode == budget.Check:
		a.Verdict = Granted
		return a, nil
	}
	for i := range budget.NumKinds {
		l := limitOf(&b, i, a.Known)
		if l == (budget.Limit{}) {
			continue
		}
		// Looked up again, since the budgets before it may have taken its place.
		k := &b.Charges[i].Key
		rec := m.record(k, i, now)
		if rec == nil && b.Mode == budget.Hold {
			// Every place in the bucket has a guess on its way.
			m.settle(&b, a.Receipt, false, now)
			return budget.Answer{Verdict: Held, Budget: i, RetryAfter: time.Second, Known: a.Known}, nil
		}
		h := m.state(rec, k, i, l, b.Lease, now)
		if b.Mode == budget.Hold {
			a.Receipt.Epoch = h.Hold()
			a.Receipt.Held |= 1 << i
		} else {
			h.TAT = l.Charge(h.TAT, now, 1)
		}
		m.keep(rec, k, i, h)
	}
	a.Verdict, a.PairLeft = Granted, max(0, a.PairLeft-1)
	return a, nil
}

// record returns the record of a key, a new one where there is none, or nil where there is no place.
func (m *Memory) record(k *budget.Key, b budget.Kind, now time.Duration) *record {
	sh := &m.shards[shardOf(k)]
	if b == budget.Pair {
		if r := sh.known.find(k, b); r != nil {
			return r
		}
	}
	if r := sh.some.find(k, b); r != nil {
		return r
	}
	return m.insert(k, b, now)
}

// Settle implements [Store].
func (m *Memory) Settle(_ context.Context, b budget.Bill, r budget.Receipt, s Settlement) {
	set := shardsOf(&b)
	m.lock(set)
	defer m.unlock(set)
	now := m.now()
	m.settle(&b, r, s == Wrong, now)
	if s == Right && b.Charges[budget.Pair].Limit != (budget.Limit{}) {
		m.learn(&b, now)
	}
}

// settle ends what a receipt holds.
func (m *Memory) settle(b *budget.Bill, r budget.Receipt, wrong bool, now time.Duration) {
	_, known := m.pair(b, now)
	for i := range budget.NumKinds {
		if r.Held&(1<<i) == 0 {
			continue
		}
		// What was held is settled, although the pair may have become known meanwhile and cost nothing there any longer.
		l := b.Charges[i].Limit
		if i == budget.Pair && known {
			l = b.KnownPair
		}
		k := &b.Charges[i].Key
		rec := m.record(k, i, now)
		h := m.state(rec, k, i, l, b.Lease, now)
		h.Settle(l, now, r.Epoch, wrong)
		m.keep(rec, k, i, h)
	}
}

// pair returns the record of the bill's pair, nil when there is none, and whether the pair is known.
func (m *Memory) pair(b *budget.Bill, now time.Duration) (r *record, known bool) {
	if b.Charges[budget.Pair].Limit == (budget.Limit{}) {
		return nil, false
	}
	k := &b.Charges[budget.Pair].Key
	sh := &m.shards[shardOf(k)]
	if r = sh.known.find(k, budget.Pair); r != nil {
		return r, now-success(r) < b.Remember
	}
	return sh.some.find(k, budget.Pair), false
}

// success is when the pair of a record in the table of known pairs last succeeded.
func success(r *record) time.Duration { return time.Duration(r.stamp) * time.Minute }

// learn makes the pair of a bill known, or remembers it anew. One that was not known begins with a full budget.
func (m *Memory) learn(b *budget.Bill, now time.Duration) {
	k := &b.Charges[budget.Pair].Key
	sh := &m.shards[shardOf(k)]
	r := sh.known.find(k, budget.Pair)
	if r != nil {
		if now-success(r) >= b.Remember {
			r.tat = 0
		}
		r.stamp = uint32(now / time.Minute)
		return
	}
	r = sh.known.place(k, success)
	if r == nil {
		return // every place has a guess on its way: the next success will do
	}
	if r.budget == 0 {
		m.used.Add(1)
	} else if r.tat > now {
		m.debts.raise(&r.key, budget.Pair, r.tat)
	}
	fresh := record{key: *k, budget: uint8(budget.Pair) + 1, stamp: uint32(now / time.Minute)}
	if old := sh.some.find(k, budget.Pair); old != nil {
		fresh.epoch, fresh.current, fresh.previous = old.epoch, old.current, old.previous
		*old = record{}
		m.used.Add(-1)
	}
	*r = fresh
}

// state is what is known of a budget, up to now: its record, or what the sketch says where there is none.
func (m *Memory) state(r *record, k *budget.Key, b budget.Kind, l budget.Limit, lease, now time.Duration) budget.Holds {
	var h budget.Holds
	if r != nil {
		h = r.holds()
	} else {
		h.TAT = m.debts.tat(k, b)
	}
	h.Advance(l, lease, now)
	return h
}

// keep stores the state of a budget; where it has no record, in the sketch.
func (m *Memory) keep(r *record, k *budget.Key, b budget.Kind, h budget.Holds) {
	if r == nil {
		m.debts.raise(k, b, h.TAT)
		return
	}
	r.set(h)
}

// insert makes a record for a key that has none, with the debt that the sketch remembers. It returns nil when every place of
// the bucket has a guess on its way.
func (m *Memory) insert(k *budget.Key, b budget.Kind, now time.Duration) *record {
	sh := &m.shards[shardOf(k)]
	m.sweep(sh, now)
	r := sh.some.place(k, func(r *record) time.Duration {
		if r.stamp != 0 {
			return math.MaxInt64 // an operator's act; there are few
		}
		return r.tat
	})
	if r == nil {
		return nil
	}
	if r.budget == 0 {
		m.used.Add(1)
	} else if r.tat > now {
		m.debts.raise(&r.key, budget.Kind(r.budget-1), r.tat)
	}
	*r = record{key: *k, budget: uint8(b) + 1, tat: m.debts.tat(k, b)}
	return r
}

// needed is the moment up to which a record knows better than the sketch.
func needed(r *record) time.Duration { return max(r.tat, time.Duration(r.stamp)*sketchTick) }

// sweep frees the places of one bucket whose budgets are full again. Every second insertion sweeps one, so the whole
// shard is looked at four times before it could fill.
func (m *Memory) sweep(sh *shard, now time.Duration) {
	if sh.inserted++; sh.inserted%2 != 0 {
		return
	}
	if len(sh.some.buckets) == 0 {
		return
	}
	sh.cursor++
	if sh.cursor >= len(sh.some.buckets) {
		sh.cursor = 0
	}
	in := &sh.some.buckets[sh.cursor]
	for i := range in {
		if r := &in[i]; r.budget != 0 && !r.open() && needed(r) <= now {
			*r = record{}
			m.used.Add(-1)
		}
	}
}

// Look implements [Store].
func (m *Memory) Look(_ context.Context, b budget.Bill) (budget.View, error) {
	set := shardsOf(&b)
	m.lock(set)
	defer m.unlock(set)
	now := m.now()
	var v budget.View
	var pair *record
	pair, v.Known = m.pair(&b, now)
	for i := range budget.NumKinds {
		l := b.Charges[i].Limit
		if l == (budget.Limit{}) {
			continue
		}
		k := &b.Charges[i].Key
		rec := pair
		if i != budget.Pair {
			rec = m.shards[shardOf(k)].some.find(k, i)
		} else if v.Known {
			l = b.KnownPair
		}
		h := m.state(rec, k, i, l, b.Lease, now)
		v.Budgets[i] = budget.State{Left: h.Left(l, now), Held: h.Open(), Wait: l.Wait(h.TAT, now)}
	}
	return v, nil
}

// Clear implements [Store].
func (m *Memory) Clear(_ context.Context, k budget.Key, b budget.Kind) error {
	sh := &m.shards[shardOf(&k)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m.clear(sh, &k, b)
	return nil
}

func (m *Memory) clear(sh *shard, k *budget.Key, b budget.Kind) {
	if b == budget.Pair {
		if r := sh.known.find(k, b); r != nil {
			r.tat = 0
			return
		}
	}
	now := m.now()
	r := sh.some.find(k, b)
	debt := m.debts.tat(k, b)
	if r == nil {
		if debt <= now {
			return
		}
		if r = m.insert(k, b, now); r == nil {
			return // every place has a guess on its way
		}
	}
	// The cells of the sketch are others' too and cannot be lowered: the record must stay until they have passed.
	r.tat, r.stamp = 0, uint32(debt/sketchTick)
}

// Forget implements [Store].
func (m *Memory) Forget(_ context.Context, pair budget.Key) error {
	sh := &m.shards[shardOf(&pair)]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if r := sh.known.find(&pair, budget.Pair); r != nil {
		*r = record{}
		m.used.Add(-1)
	}
	m.clear(sh, &pair, budget.Pair)
	return nil
}

// saveNowAndThen writes the snapshot until Close.
func (m *Memory) saveNowAndThen() {
	defer close(m.ended)
	tick := time.NewTicker(m.cfg.SnapshotEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-tick.C:
			_ = m.Save() // told as a notice
		}
	}
}

// Close writes the snapshot, when there is a file for it, and ends what NewMemory began. The budgets stay usable.
func (m *Memory) Close() (err error) {
	if m.stop == nil {
		return nil
	}
	m.once.Do(func() {
		close(m.stop)
		<-m.ended
		err = m.Save()
	})
	return err
}
