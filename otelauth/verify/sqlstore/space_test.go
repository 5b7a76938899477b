// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// TestOlderReadingIsIgnored: two queries for one name may run at once, one of a stranger and one
// of a verified credential, and the older may be answered last. It must neither restore a revoked
// account nor remove a new one.
func TestOlderReadingIsIgnored(t *testing.T) {
	t.Parallel()
	alice := &verify.Account{Name: "alice"}
	for name, s := range map[string]*space{"one shard": newSpace(4), "many": newSpace(shardsFrom)} {
		s.put("alice", &reading{account: alice, at: 2})
		s.put("alice", &reading{at: 1})
		if r := s.get("alice"); r.at != 2 || r.account != alice {
			t.Errorf("%s: an older reading has replaced a newer one: %+v", name, r.at)
		}
		s.put("alice", &reading{at: 2})
		if r := s.get("alice"); r.account != nil {
			t.Errorf("%s: of two readings of one moment the later put does not count", name)
		}
	}
}

// TestNewestReadingStays: of many concurrent readings in an unknown order, the newest stays.
func TestNewestReadingStays(t *testing.T) {
	t.Parallel()
	s := newSpace(shardsFrom)
	const names, readings = 8, 200
	var all sync.WaitGroup
	for part := range 4 {
		all.Go(func() {
			for i := range readings {
				for n := range names {
					at := time.Duration((i*7+part*3)%readings + 1)
					s.put(fmt.Sprint("user", n), &reading{account: &verify.Account{Name: fmt.Sprint(at)}, at: at})
				}
			}
		})
	}
	all.Wait()
	for n := range names {
		if r := s.get(fmt.Sprint("user", n)); r == nil || r.at != readings || r.account.Name != fmt.Sprint(time.Duration(readings)) {
			t.Errorf("user%d: %+v", n, r)
		}
	}
}

// storeOfAlice returns a store with one account, alice, and its clock.
func storeOfAlice(t *testing.T) (*Store, *ticker) {
	t.Helper()
	b := sqlite(t)
	db := b.tables(t)
	b.insert(t, db, "alice", bcryptHash)
	clock := new(ticker)
	cfg := b.config(db)
	cfg.Now = clock.Now
	s := open(t, cfg)
	return s, clock
}

// TestALateAnswerIsIgnored: the answer to a query from before a removal or revocation may come
// after that to a later query. It must not restore the account, not even for the rest of TTL.
func TestALateAnswerIsIgnored(t *testing.T) {
	t.Parallel()
	s, clock := storeOfAlice(t)
	alice := recall(t, s, "alice")
	if alice == nil {
		t.Fatal("alice is not an account")
	}
	disabled := *alice
	disabled.Disabled = true
	for name, after := range map[string]*verify.Account{"removed": nil, "disabled": &disabled} {
		older := &reading{account: alice, at: s.now()}
		clock.Advance(1)
		newer := &reading{account: after, at: s.now()}
		s.read[verified].put("alice", newer)
		s.read[verified].put("alice", older)
		if a := recall(t, s, "alice"); a != nil && !a.Disabled {
			t.Errorf("%s: an earlier answer has restored the account", name)
		}
		clock.Advance(1)
		s.read[verified].put("alice", &reading{account: alice, at: s.now()})
		s.read[verified].put("alice", newer)
		if a := recall(t, s, "alice"); a == nil || a.Disabled {
			t.Errorf("%s: an earlier answer has removed the restored account", name)
		}
	}
}

// TestAccountsAndUnknownNamesTakeTheSamePath: a guess at either is one query in its request, also
// while the owner is logged in and whatever was read before. Only a verified credential is
// answered from memory.
func TestAccountsAndUnknownNamesTakeTheSamePath(t *testing.T) {
	t.Parallel()
	s, clock := storeOfAlice(t)
	for _, step := range []time.Duration{1, ttl/2 - 1, ttl / 2, ttl, 2 * ttl} {
		clock.Advance(step)
		if a, err := s.Recall(t.Context(), "alice"); a == nil || err != nil {
			t.Fatal(a, err)
		}
		for _, name := range []string{"alice", "nobody"} {
			for range 3 {
				clock.Advance(1)
				lookup(t, s, name)
				if r := s.read[strangers].get(name); r == nil || r.at != s.now() {
					t.Errorf("%s: a guess was answered from memory", name)
				}
			}
		}
	}
}
