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

// MemoryConfig configures a [Memory]. The zero MemoryConfig is ready for use.
type MemoryConfig struct {
	// Bytes bounds the memory of the store, at least 1 MiB. Default: 64 MiB. Half is for budgets
	// of 40 bytes, a quarter for known pairs of 40 bytes, and a quarter for the 4-byte cells that
	// hold the debts of evicted budgets. 64 MiB hold 819,200 budgets, 409,600 known pairs and 4.2
	// million cells. Memory is allocated on demand: a new store takes some kilobytes, one with a
	// hundred users a megabyte.
	Bytes int

	// SnapshotFile keeps known pairs and debts over a restart; "" for none. NewMemory reads it.
	// Save, Close and a timer write it, with mode 0600, in one rename. It is encrypted. NewMemory
	// renames a damaged file, or one of another key, to SnapshotFile + ".broken" and sends a
	// notice.
	SnapshotFile string
	// SnapshotKey encrypts the file. It is required with SnapshotFile, at least 32 bytes. Use
	// Config.Key, because the keys in the file are valid for that key only.
	SnapshotKey []byte
	// SnapshotEvery is the time between two snapshots. Default: 5 min.
	SnapshotEvery time.Duration

	// Notice receives a notice if a snapshot is unusable or cannot be written. Default: none.
	Notice func(context.Context, attempt.Notice)

	// Elapsed returns the time since any fixed moment and does not follow changes of the wall
	// clock. Default: the monotonic clock.
	Elapsed func() time.Duration
	// Now returns the wall clock time, which only dates snapshots. Default: time.Now.
	Now func() time.Time
}

const (
	defaultMemoryBytes   = 64 << 20
	minMemoryBytes       = 1 << 20
	defaultSnapshotEvery = 5 * time.Minute
	minKeyBytes          = 32
)

// Memory is the [Store] of one process. Create it with [NewMemory]. It is safe for concurrent use.
//
// A table that is full evicts the budget with the smallest debt and adds the debt to a sketch that
// never underestimates. So no client, an attacker included, gets a fresh budget by inventing
// names. Known pairs have a table of their own, which only right passwords fill; when it is full,
// the pair with the oldest success is evicted. A budget with an unsettled guess is never evicted.
// If there is no room, the guess is Held.
//
// The sketch overestimates when it is overloaded: above about 7,000 distinct wrong guesses a
// second for minutes with 64 MiB, which needs a verifier without a password hash. Then unknown
// pairs are refused too early. Known pairs are not affected.
type Memory struct {
	cfg    MemoryConfig
	shards [numShards]shard
	debts  *sketch
	base   time.Duration // the store's clock minus Elapsed
	used   atomic.Int64

	saving sync.Mutex
	stop   chan struct{}
	ended  chan struct{}
	once   sync.Once
}

var _ budget.Store = (*Memory)(nil)

const numShards = 64 // a set of shards fits into a uint64

// shard is a part of the budgets with its own lock.
type shard struct {
	mu     sync.Mutex
	some   table // pairs that have not succeeded, and all other budgets
	known  table // pairs that have succeeded
	cursor int   // the bucket to sweep next
	// inserted is the number of insertions.
	inserted uint
	_        [64]byte
}

// clockStart is so far from 0 that every moment of a snapshot is positive.
const clockStart = 2 * budget.MaxSpan

// withDefaults returns cfg with its defaults, or all its errors joined.
func (cfg MemoryConfig) withDefaults() (MemoryConfig, error) {
	var errs []error
	if cfg.Bytes == 0 {
		cfg.Bytes = defaultMemoryBytes
	}
	if cfg.Bytes < minMemoryBytes {
		errs = append(errs, fmt.Errorf(
			"throttle: MemoryConfig.Bytes is %d; give it at least %d, or leave it 0", cfg.Bytes, minMemoryBytes))
	}
	if cfg.SnapshotFile != "" && len(cfg.SnapshotKey) < minKeyBytes {
		errs = append(errs, fmt.Errorf(
			"throttle: MemoryConfig.SnapshotKey has %d bytes; a snapshot needs a key of at least %d", len(cfg.SnapshotKey), minKeyBytes))
	}
	if cfg.SnapshotEvery < 0 {
		errs = append(errs, errors.New("throttle: MemoryConfig.SnapshotEvery is negative; leave it 0 for the default"))
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
	return cfg, errors.Join(errs...)
}

// NewMemory returns a Memory with the budgets of its snapshot, or all errors of cfg joined. An
// unusable snapshot is not an error.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
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

// Len returns the number of budgets and known pairs held. A budget that is full again counts until
// it is swept.
func (m *Memory) Len() int { return int(m.used.Load()) }

func (m *Memory) now() time.Duration { return m.base + m.cfg.Elapsed() }

func shardOf(k *budget.Key) uint64 { return uint64(k[0]) % numShards }

// lock locks a set of shards in ascending order, which rules out deadlocks.
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

// shardsOf returns the set of shards that a bill touches.
func shardsOf(b *budget.Bill) (set uint64) {
	for i := range b.Charges {
		if b.Charges[i].Limit != (budget.Limit{}) {
			set |= 1 << shardOf(&b.Charges[i].Key)
		}
	}
	return set
}

// limitOf returns the limit of a bill for one budget, or the zero Limit if the bill does not
// charge it.
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
	a := m.judge(&b, now)
	if a.Verdict == Granted && b.Mode != budget.Check {
		m.pay(&b, &a, now)
	}
	return a, nil
}

// judge returns the answer to a bill without a receipt. It changes nothing.
func (m *Memory) judge(b *budget.Bill, now time.Duration) (a budget.Answer) {
	pair, known := m.pair(b, now)
	a.Known = known
	refused, held := false, false
	for i := range budget.NumKinds {
		l := limitOf(b, i, known)
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
	case held:
		a.Verdict = Held
	default:
		a.Verdict = Granted
	}
	return a
}

// pay holds or charges a granted bill on each of its budgets. If a budget has no room for a
// record, it undoes the holds and makes the answer Held.
func (m *Memory) pay(b *budget.Bill, a *budget.Answer, now time.Duration) {
	for i := range budget.NumKinds {
		l := limitOf(b, i, a.Known)
		if l == (budget.Limit{}) {
			continue
		}
		// The record is looked up again, because a previous budget of this bill may have evicted
		// it.
		k := &b.Charges[i].Key
		rec := m.record(k, i, now)
		if rec == nil && b.Mode == budget.Hold {
			// Every record of the bucket has an unsettled guess.
			m.settle(b, a.Receipt, false, now)
			*a = budget.Answer{Verdict: Held, Budget: i, RetryAfter: time.Second, Known: a.Known}
			return
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
	a.PairLeft = max(0, a.PairLeft-1)
}

// record returns the record of a key. It creates one if there is none, and returns nil if there is
// no room.
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

// settle settles what a receipt holds.
func (m *Memory) settle(b *budget.Bill, r budget.Receipt, wrong bool, now time.Duration) {
	_, known := m.pair(b, now)
	for i := range budget.NumKinds {
		if r.Held&(1<<i) == 0 {
			continue
		}
		// A held budget is settled even if the pair has become known since and no longer pays
		// there.
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

// pair returns the record of the bill's pair, or nil, and whether the pair is known.
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

// success returns when a known pair last succeeded.
func success(r *record) time.Duration { return time.Duration(r.stamp) * time.Minute }

// learn makes the pair of a bill known or renews it. A pair that was not known gets a full budget.
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
		return // every record has an unsettled guess; the next success tries again
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

// state returns the state of a budget at now: from its record, or from the sketch if it has none.
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

// keep stores the state of a budget in its record, or in the sketch if it has none.
func (m *Memory) keep(r *record, k *budget.Key, b budget.Kind, h budget.Holds) {
	if r == nil {
		m.debts.raise(k, b, h.TAT)
		return
	}
	r.set(h)
}

// insert creates a record for a key that has none, with the debt in the sketch. It returns nil if
// every record of the bucket has an unsettled guess.
func (m *Memory) insert(k *budget.Key, b budget.Kind, now time.Duration) *record {
	sh := &m.shards[shardOf(k)]
	m.sweep(sh, now)
	r := sh.some.place(k, func(r *record) time.Duration {
		if r.stamp != 0 {
			return math.MaxInt64 // cleared by an operator, which is rare
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

// needed returns the moment until which a record is more exact than the sketch.
func needed(r *record) time.Duration { return max(r.tat, time.Duration(r.stamp)*sketchTick) }

// sweep frees the records of one bucket whose budgets are full again. Every second insertion
// sweeps one bucket, so a shard is swept four times before it can fill.
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
			return // every record has an unsettled guess
		}
	}
	// Other keys share the cells of the sketch, so they cannot be lowered. The record must stay
	// until they have decayed.
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

// saveNowAndThen writes snapshots until Close.
func (m *Memory) saveNowAndThen() {
	defer close(m.ended)
	tick := time.NewTicker(m.cfg.SnapshotEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.stop:
			return
		case <-tick.C:
			_ = m.Save() // Save sends a notice
		}
	}
}

// Close writes the snapshot, if there is a SnapshotFile, and stops the timer of NewMemory. The
// budgets remain usable. It is safe to call twice.
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
