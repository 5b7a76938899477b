// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"encoding/binary"
	"sync"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// repeats remembers the last wrong fingerprints of each account, so that a fleet of clients with
// one stale password, each in a network of its own, is charged to its account's budget once. Each
// network pays from its own budgets all the same: what it is answered does not depend on the
// fleet. The fingerprints are keyed with a key of this process and never leave it. The set is
// bounded: 65,536 accounts of 40 bytes. An account whose wrong password came again and again keeps
// its place when a flood of names comes by.
type repeats struct {
	stripes [64]struct {
		sync.Mutex
		buckets [128][8]wrongs
	}
}

// wrongs are the last wrong fingerprints of one account, newest first. 64 bits of a keyed hash are enough: a false match, one in
// 2^62, spares one wrong guess the account's budget.
type wrongs struct {
	account uint64
	prints  [rememberedWrongs]uint64
	warm    uint8 // how often the place may be spared yet
}

// rememberedWrongs is how many different wrong passwords of one account are known for repeats: more than one, because
// several fleets of clients may be stale at once.
const rememberedWrongs = 3

const warmest = 7

func print64(fingerprint *[16]byte) uint64 { return binary.LittleEndian.Uint64(fingerprint[:8]) }

func (r *repeats) at(account *budget.Key) (lock *sync.Mutex, bucket *[8]wrongs, tag uint64) {
	h := binary.LittleEndian.Uint64(account[:8])
	s := &r.stripes[h%64]
	return &s.Mutex, &s.buckets[h/64%128], binary.LittleEndian.Uint64(account[8:]) | 1
}

// note remembers a wrong password and reports whether it was one of the account's last already.
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

// note puts a fingerprint first, and reports whether it was there before.
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

// forget ends what note began: the password has turned out right.
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
