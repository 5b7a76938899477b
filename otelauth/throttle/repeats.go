// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"encoding/binary"
	"sync"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// repeats remembers the last wrong fingerprints of each account. A fleet of clients with one stale
// password, each in a network of its own, is then charged to the account's budget once. Each
// network still pays from its own budgets, so its answers do not depend on the fleet. The
// fingerprints are keyed with a key of this process and never leave it.
//
// The set is bounded: 65,536 accounts of 40 bytes. An account whose wrong password repeats often
// keeps its entry in a flood of names.
type repeats struct {
	stripes [64]struct {
		sync.Mutex
		buckets [128][8]wrongs
	}
}

// wrongs holds the last wrong fingerprints of one account, newest first. It keeps 64 bits of a
// keyed hash: a false match, one in 2^62, spares the account's budget one wrong guess.
type wrongs struct {
	account uint64
	prints  [rememberedWrongs]uint64
	warm    uint8 // how often eviction still spares this entry
}

// rememberedWrongs is the number of wrong passwords remembered for each account. It is more than
// one because several fleets may have stale passwords at once.
const rememberedWrongs = 3

const warmest = 7

func print64(fingerprint *[16]byte) uint64 { return binary.LittleEndian.Uint64(fingerprint[:8]) }

func (r *repeats) at(account *budget.Key) (lock *sync.Mutex, bucket *[8]wrongs, tag uint64) {
	h := binary.LittleEndian.Uint64(account[:8])
	s := &r.stripes[h%64]
	return &s.Mutex, &s.buckets[h/64%128], binary.LittleEndian.Uint64(account[8:]) | 1
}

// note records a wrong password and reports whether it was among the account's last ones.
func (r *repeats) note(account *budget.Key, fingerprint *[16]byte) (again bool) {
	mu, b, tag := r.at(account)
	mu.Lock()
	defer mu.Unlock()
	coldest := 0
	for i := range b {
		if b[i].account == tag {
			return b[i].note(print64(fingerprint))
		}
		if b[i].account == 0 {
			coldest = i
		} else if b[coldest].account != 0 && b[i].warm < b[coldest].warm {
			coldest = i
		}
	}
	if b[coldest].account != 0 {
		for i := range b {
			b[i].warm -= min(b[i].warm, 1)
		}
	}
	b[coldest] = wrongs{account: tag, prints: [rememberedWrongs]uint64{print64(fingerprint)}, warm: 1}
	return false
}

// note moves a fingerprint to the front and reports whether it was present.
func (w *wrongs) note(latest uint64) (again bool) {
	last := len(w.prints) - 1
	for i, p := range w.prints {
		if p == latest && p != 0 {
			last, again = i, true
			w.warm = warmest
			break
		}
	}
	copy(w.prints[1:last+1], w.prints[:last])
	w.prints[0] = latest
	return again
}

// forget removes a fingerprint, because its password has proved right.
func (r *repeats) forget(account *budget.Key, fingerprint *[16]byte) {
	mu, b, tag := r.at(account)
	mu.Lock()
	defer mu.Unlock()
	for i := range b {
		if b[i].account == tag {
			for j, p := range b[i].prints {
				if p == print64(fingerprint) {
					b[i].prints[j] = 0
				}
			}
		}
	}
}
