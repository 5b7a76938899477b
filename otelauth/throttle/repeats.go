// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"encoding/binary"
	"sync"
)

// repeats remembers the last wrong fingerprints of each account, so that a stale client that sends one wrong password all
// day is charged for one guess. They are keyed with a key of this process and never leave it. It is bounded: 65,536 accounts of 40 bytes.
// An account whose wrong password came again and again keeps its place when a flood of names comes by.
type repeats struct {
	stripes [64]struct {
		sync.Mutex
		buckets [128][8]wrongs
	}
}

// wrongs are the last wrong fingerprints of one account, newest first. 64 bits of a keyed hash are enough: a false match, one in
// 2^62, makes one wrong guess free.
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

func (r *repeats) at(account *Key) (lock *sync.Mutex, bucket *[8]wrongs, tag uint64) {
	h := binary.LittleEndian.Uint64(account[:8])
	s := &r.stripes[h%64]
	return &s.Mutex, &s.buckets[h/64%128], binary.LittleEndian.Uint64(account[8:]) | 1
}

// has reports whether this wrong password is one of the account's last.
func (r *repeats) has(account *Key, fingerprint *[16]byte) bool {
	mu, b, tag := r.at(account)
	mu.Lock()
	defer mu.Unlock()
	for i := range b {
		w := &b[i]
		if w.account != tag {
			continue
		}
		for j, p := range w.prints {
			if p == print64(fingerprint) && p != 0 {
				copy(w.prints[1:j+1], w.prints[:j])
				w.prints[0] = p
				w.warm = warmest
				return true
			}
		}
		return false
	}
	return false
}

// note remembers a wrong password.
func (r *repeats) note(account *Key, fingerprint *[16]byte) {
	mu, b, tag := r.at(account)
	mu.Lock()
	defer mu.Unlock()
	coldest := 0
	for i := range b {
		if b[i].account == tag {
			w := &b[i]
			for _, p := range w.prints {
				if p == print64(fingerprint) {
					return
				}
			}
			copy(w.prints[1:], w.prints[:])
			w.prints[0] = print64(fingerprint)
			return
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
}

// forget ends what note began: the password has turned out right.
func (r *repeats) forget(account *Key, fingerprint *[16]byte) {
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
