// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package enumeration

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// The names have the same length. alice logs in from home, bobby has an account and never logs
// in, and nemos is unknown.
const (
	alice, bobby, unknown = "alice", "bobby", "nemos"
	home, away            = "192.0.2.7", "198.51.100.9"
)

// scenario is one way to find out whether target is an account. It returns the answers that the
// attacker compares.
type scenario struct {
	name string
	play func(w *world, target string) []answer
}

// elsewhere returns an address in a network of its own.
func elsewhere(i int) string { return fmt.Sprintf("10.%d.%d.9", i/250, i%250) }

func scenarios() []scenario { return append(guessers(), neighbours()...) }

// guessers returns scenarios in networks without accounts, and of budgets that others have used
// up.
func guessers() []scenario {
	budgets := throttle.DefaultLimits()
	return []scenario{
		{"first try and repeats, across refreshes of the store and the life of the cache", func(w *world, target string) (seen []answer) {
			for range 8 { // sqlstore's TTL is 5 s
				seen = append(seen, w.send(target, "guess", away))
				time.Sleep(1300 * time.Millisecond)
			}
			for _, pause := range []time.Duration{sqlTTL / 2, sqlTTL, verify.DefaultTTL, verify.DefaultTTL - time.Second, 2 * time.Second} {
				time.Sleep(pause)
				seen = append(seen, w.send(target, "guess", away), w.send(target, "another", away))
			}
			return seen
		}},
		{"a throttled guesser", func(w *world, target string) (seen []answer) {
			for i := range budgets.NewPair.Burst + 5 {
				seen = append(seen, w.send(target, fmt.Sprint("guess", i), away))
			}
			for i := range 3 {
				seen = append(seen, w.send(target, fmt.Sprint("guess", i), away))
				time.Sleep(time.Minute)
				seen = append(seen, w.send(target, fmt.Sprint("later", i), away), w.send(target, fmt.Sprint("later", i), away))
			}
			return seen
		}},
		{"another network than that of an owner at work", func(w *world, target string) (seen []answer) {
			for i := range budgets.NewPair.Burst + 5 {
				w.send(alice, "right", home)
				seen = append(seen, w.send(target, fmt.Sprint("guess", i), away))
				time.Sleep(time.Second)
				w.send(alice, "right", home)
				seen = append(seen, w.send(target, fmt.Sprint("guess", i), away))
			}
			return seen
		}},
		{"an account whose budget is empty", func(w *world, target string) (seen []answer) {
			w.send(alice, "right", home)
			for i := range budgets.Account.Burst + 10 {
				w.send(target, fmt.Sprint("guess", i), elsewhere(i/8))
			}
			for i := range 5 {
				seen = append(seen, w.send(target, fmt.Sprint("here", i), home), w.send(target, fmt.Sprint("here", i), away))
			}
			return seen
		}},
		{"a network whose budget is empty", func(w *world, target string) (seen []answer) {
			w.send(alice, "right", home)
			for i := range budgets.Network.Burst + 10 {
				w.send(fmt.Sprint("spray", i), "guess", home)
			}
			for i := range 5 {
				seen = append(seen, w.send(target, fmt.Sprint("guess", i), home))
			}
			return seen
		}},
	}
}

// neighbours returns scenarios in the network of alice.
func neighbours() []scenario {
	budgets := throttle.DefaultLimits()
	return []scenario{
		{"the network of an owner", func(w *world, target string) (seen []answer) {
			w.send(alice, "right", home)
			for i := range budgets.NewPair.Burst + budgets.KnownPair.Burst + 5 {
				seen = append(seen, w.send(target, fmt.Sprint("guess", i), home))
				if i%20 == 0 {
					seen = append(seen, w.send(target, fmt.Sprint("guess", i), home))
				}
			}
			for i := range 3 {
				time.Sleep(time.Minute)
				seen = append(seen, w.send(target, fmt.Sprint("later", i), home), w.send(target, fmt.Sprint("more", i), home))
			}
			return seen
		}},
		{"the network of an owner who is at work", func(w *world, target string) (seen []answer) {
			for i := range budgets.NewPair.Burst + 10 {
				w.send(alice, "right", home)
				seen = append(seen, w.send(target, fmt.Sprint("guess", i), home))
				w.send(alice, "right", home)
				time.Sleep(time.Second)
			}
			return seen
		}},
	}
}

// sqlTTL is the default of sqlstore.Config.TTL.
const sqlTTL = 5 * time.Second

// answers returns the answers of a scenario for one name.
func answers(t *testing.T, s scenario, open opener, target string) (seen []answer) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		seen = s.play(newWorld(t, open), target)
		time.Sleep(time.Second) // queries beside the last request
	})
	return seen
}

// TestEveryNameSeesTheSameSequence: without a right password, a client gets the same answers,
// after the same work, for every name and from every network.
func TestEveryNameSeesTheSameSequence(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			if k.Name != "static" {
				testkit.OnlyLong(t)
			}
			open := k.fill(t, []user{{alice, cheap(t)}, {bobby, cheap(t)}})
			for _, s := range scenarios() {
				want := answers(t, s, open, unknown)
				for _, target := range []string{alice, bobby} {
					if d := cmp.Diff(want, answers(t, s, open, target)); d != "" {
						t.Errorf("%s: %s differs from an unknown name:\n%s", s.name, target, d)
					}
				}
			}
		})
	}
}

// TestMixedStores uses a store with hashes of several schemes. Each name always has the same
// cost, and whether it hashes does not depend on the name.
func TestMixedStores(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	k := kindNamed(t, "htpasswd")
	hashes := []string{
		k.hash(t, 4), encode(t, password.Params{Scheme: "argon2id", MemoryKiB: 64, Passes: 1, Lanes: 1}),
		k.hash(t, 5), encode(t, password.Params{Scheme: "argon2id", MemoryKiB: 128, Passes: 1, Lanes: 1}),
	}
	var users []user
	for i := range 60 {
		users = append(users, user{fmt.Sprintf("known%03d", i), hashes[i%len(hashes)]})
	}
	users = append(users, user{alice, hashes[0]}, user{bobby, hashes[1]})
	open := k.fill(t, users)
	for _, s := range scenarios() {
		want := answers(t, s, open, unknown)
		for _, target := range []string{alice, bobby} {
			if d := cmp.Diff(ofAnyScheme(want), ofAnyScheme(answers(t, s, open, target))); d != "" {
				t.Errorf("%s: %s differs:\n%s", s.name, target, d)
			}
		}
	}
	// The schemes of unknown names have the same distribution as those of accounts.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, open)
		var spread [2]sample
		for i := range 60 {
			for class, format := range []string{"known%03d", "other%03d"} {
				v := 0.0
				if w.send(fmt.Sprintf(format, i), "guess", elsewhere(i)).Hashed == "argon2id" {
					v = 1
				}
				spread[class] = append(spread[class], v)
			}
		}
		if c := compare(spread[0], spread[1]); c.p < alpha {
			t.Errorf("the schemes of unknown names have another distribution: p = %.2g", c.p)
		}
	})
}

// ofAnyScheme keeps only whether something was hashed.
func ofAnyScheme(seen []answer) (out []answer) {
	for _, a := range seen {
		if a.Hashed != "" {
			a.Hashed = "some scheme"
		}
		out = append(out, a)
	}
	return out
}

// TestOtherNetworksDoNotShow: the answers to a network do not depend on what another one has
// sent.
func TestOtherNetworksDoNotShow(t *testing.T) {
	t.Parallel()
	for _, k := range kinds()[:3] {
		open := k.fill(t, []user{{alice, cheap(t)}, {bobby, cheap(t)}})
		sequence := func(others bool) (seen []answer) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, open)
				for i := range throttle.DefaultLimits().NewPair.Burst + 5 {
					pass := fmt.Sprint("stale", i)
					if others && i < 5 {
						w.send(bobby, pass, elsewhere(1))
						time.Sleep(sqlTTL)
					}
					seen = append(seen, w.send(bobby, pass, away), w.send(bobby, pass, away))
				}
			})
			return seen
		}
		alone, together := sequence(false), sequence(true)
		for i := range alone {
			a, b := alone[i], together[i]
			// The time that passes changes budgets and what the store remembers, and the other
			// network's query counts too.
			a.Header, a.Waited, a.Queries = "", 0, 0
			b.Header, b.Waited, b.Queries = "", 0, 0
			if d := cmp.Diff(a, b); d != "" {
				t.Errorf("%s: answer %d depends on another network:\n%s", k.Name, i, d)
			}
		}
	}
}

// TestThrottledGuessesCauseNoQuery: a rate-limited client causes no query, whatever it sends.
func TestThrottledGuessesCauseNoQuery(t *testing.T) {
	t.Parallel()
	k := kindNamed(t, "SQLite")
	open := k.fill(t, []user{{alice, cheap(t)}})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, open)
		for i := range throttle.DefaultLimits().Network.Burst {
			w.send(fmt.Sprint("name", i), "guess", away)
		}
		before := w.queries.Load()
		for i := range 100 {
			for _, name := range []string{alice, fmt.Sprint("new", i), fmt.Sprint("name", i)} {
				if a := w.send(name, "guess", away); a.Status != 429 {
					t.Fatalf("%s: %d", name, a.Status)
				}
			}
		}
		if n := w.queries.Load() - before; n != 0 {
			t.Errorf("%d queries for guesses that were refused", n)
		}
	})
}

// leak is a store that queries once more for an account, such as one that reads groups
// separately.
type leak struct{ verify.Accounts }

func (l leak) Lookup(ctx context.Context, name string) (*verify.Account, error) {
	a, err := l.Accounts.Lookup(ctx, name)
	if a != nil {
		time.Sleep(queryTime)
	}
	return a, err
}

// TestTheSequencesSeeALeak: every scenario with a lookup detects a store that takes longer for
// accounts.
func TestTheSequencesSeeALeak(t *testing.T) {
	t.Parallel()
	k := kindNamed(t, "static")
	honest := k.fill(t, []user{{alice, cheap(t)}, {bobby, cheap(t)}})
	open := func(t *testing.T, now func() time.Time, took time.Duration, queries *atomic.Int64) verify.Accounts {
		t.Helper()
		return leak{honest(t, now, took, queries)}
	}
	for _, s := range scenarios() {
		want, got := answers(t, s, open, unknown), answers(t, s, open, bobby)
		hashed := false
		for _, a := range want {
			hashed = hashed || a.Hashed != ""
		}
		if hashed && cmp.Equal(want, got) {
			t.Errorf("%s: a store that takes longer for accounts was not found", s.name)
		}
	}
}
