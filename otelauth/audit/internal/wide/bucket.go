// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package wide

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// key is what identical events have in common. It has no pointers and no padding, so it is hashed
// as memory.
type key struct {
	hi, lo  uint64 // the network's bits; all zero when the client is unknown
	scheme  uint64 // keyed hash of auth.scheme
	account uint64 // keyed hash, of successes and of the bucket of an account
	route   uint64 // keyed hash, of successes only
	family  uint8  // 4, 6, or 0 when the client is unknown
	scope   scope
	kind    kind
	outcome attempt.Outcome
	errType attempt.ErrorType
	reason  uint8 // see reasons
	answer  uint8 // see answer
	flags   uint8
}

type kind uint8

const (
	ofAttempt kind = iota
	ofPublicResponse
)

// scope is how many clients share a bucket.
type scope uint8

const (
	host    scope = iota // IPv4 /32, IPv6 /64: what one customer of a provider has
	site                 // /24, /48
	account              // one account, from any network
	allNetworks
)

const (
	siteTimes    = 8
	accountTimes = 2
)

// The first denials of a site in firstPeriod, as one limit.
const (
	firstCount  = 3
	firstPeriod = time.Hour
)

const (
	flagExposed uint8 = 1 << iota
	flagRehash
	flagPrevious
)

// place sets the network of k to the host of a.
func (k *key) place(a netip.Addr) {
	a = plainAddr(a)
	if !a.IsValid() {
		return
	}
	b := a.As16()
	k.hi, k.lo, k.family = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]), 4
	if a.Is6() {
		k.lo, k.family = 0, 6
	}
}

// atSite returns k for the site of its host.
func (k key) atSite() key {
	k.scope = site
	switch k.family {
	case 4:
		k.lo &^= 0xff
	case 6:
		k.hi &^= 0xffff
	}
	return k
}

// atAccount returns k for an account, whatever the network.
func (k key) atAccount(hash uint64) key {
	k.scope, k.account = account, hash
	k.hi, k.lo, k.family = 0, 0, 0
	return k
}

// network returns the network of k; the zero Prefix if it is unknown.
func (k *key) network() netip.Prefix {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.hi)
	binary.BigEndian.PutUint64(b[8:], k.lo)
	a, long := netip.AddrFrom16(b), k.scope == site
	switch {
	case k.family == 4 && long:
		return netip.PrefixFrom(a.Unmap(), 24)
	case k.family == 4:
		return netip.PrefixFrom(a.Unmap(), 32)
	case k.family == 6 && long:
		return netip.PrefixFrom(a, 48)
	case k.family == 6:
		return netip.PrefixFrom(a, 64)
	}
	return netip.Prefix{}
}

// limit is a GCRA with the period of a fold. Times are in nanoseconds since the folder was made.
type limit struct {
	every, burst, period int64
	once                 bool // the period begins with the one event that is emitted
}

func newLimit(burst int, every, period time.Duration, times int64) limit {
	each := max(int64(every)/times, 1)
	return limit{every: each, burst: each * int64(burst) * times, period: int64(period)}
}

// newRate returns a limit of burst events at once, and then perFiveSeconds of five seconds.
func newRate(burst, perFiveSeconds int) limit {
	every := int64(5*time.Second) / int64(perFiveSeconds)
	return limit{every: every, burst: every * int64(burst)}
}

// bucket is the state of one limit for one key, and its fold. It is 64 bytes.
type bucket struct {
	key  key
	tat  int64 // when the limit is full again (the theoretical arrival time of the GCRA)
	open *Fold // nil: nothing is folded
}

// isIdle reports whether b has the same meaning as no bucket.
func (b *bucket) isIdle(now int64, lim *limit) bool {
	return b.open == nil && (b.tat <= now || b.isStale(now, lim))
}

// isStale reports whether b is from before the clock was set back. Attempts that overtake each
// other are not that late.
func (b *bucket) isStale(now int64, lim *limit) bool { return b.tat > now+2*lim.burst }

// take spends one event of lim. It reports whether one was left.
func (b *bucket) take(now int64, lim *limit) bool {
	if b.isStale(now, lim) {
		b.tat = now
	}
	tat := min(max(b.tat, now), now+lim.burst)
	if tat+lim.every > now+lim.burst {
		return false
	}
	b.tat = tat + lim.every
	return true
}

// expired removes and returns the fold if its period is over, or if the clock was set back beyond
// its beginning.
func (b *bucket) expired(now int64, period int64) *Fold {
	f := b.open
	if f == nil || now < f.due && now >= f.due-2*period {
		return nil
	}
	b.open = nil
	return f
}

const ways = 8

// table is a set-associative map of fixed size from keys to buckets. A new key replaces an idle
// bucket only, so no key can evict the count of another. The first event allocates the memory. 64
// locks guard the sets.
type table struct {
	seed  maphash.Seed
	sets  [][ways]bucket
	size  int // number of sets
	once  sync.Once
	made  atomic.Bool
	locks [64]struct {
		sync.Mutex
		_ [56]byte // one lock a cache line
	}
}

func newTable(seed maphash.Seed, entries int) *table {
	return &table{seed: seed, size: (entries + ways - 1) / ways}
}

// locked returns the bucket of k, a new one if necessary, and the lock that the caller must
// unlock; nil if there is no room.
func (t *table) locked(k key, now int64, lim *limit) (*bucket, *sync.Mutex) {
	t.once.Do(func() {
		t.sets = make([][ways]bucket, t.size)
		t.made.Store(true)
	})
	h := maphash.Comparable(t.seed, k)
	i := int(h % uint64(t.size))
	mu := &t.locks[i%len(t.locks)].Mutex
	set := &t.sets[i]
	mu.Lock()
	var free *bucket
	for w := range set {
		b := &set[w]
		if b.key == k {
			return b, mu
		}
		if free == nil && b.isIdle(now, lim) {
			free = b
		}
	}
	if free == nil {
		mu.Unlock()
		return nil, nil
	}
	*free = bucket{key: k, tat: now}
	return free, mu
}

// sweep removes every fold that is due and calls emit with it, without a lock. It returns when
// the next one is due.
func (t *table) sweep(now int64, period int64, all bool, emit func(*Fold)) (next int64) {
	next = never
	if !t.made.Load() {
		return next
	}
	var done [ways]*Fold
	for i := range t.sets {
		mu, n := &t.locks[i%len(t.locks)].Mutex, 0
		mu.Lock()
		for w := range t.sets[i] {
			b := &t.sets[i][w]
			f := b.expired(now, period)
			if f == nil && all {
				f, b.open = b.open, nil
			}
			if f != nil {
				done[n] = f
				n++
			} else if b.open != nil {
				next = min(next, b.open.due)
			}
		}
		mu.Unlock()
		for _, f := range done[:n] {
			emit(f)
		}
	}
	return next
}
