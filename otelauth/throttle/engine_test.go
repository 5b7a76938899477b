// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// oracle is a Verifier that counts its hashes. A hash takes 60 ms of the bubble's time.
type oracle struct {
	mu     sync.Mutex
	users  map[string]string
	hashed int
}

func (o *oracle) Verify(_ context.Context, name string, secret credential.Secret) (*verify.Account, error) {
	time.Sleep(60 * time.Millisecond)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hashed++
	if pass, ok := o.users[name]; ok && pass == string(secret.Expose()) {
		return &verify.Account{Name: name}, nil
	}
	return nil, nil
}

func (o *oracle) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.hashed
}

// house is an engine with its throttle and its oracle.
type house struct {
	t *testing.T
	*oracle
	*throttle.Budgets
	engine *verify.Engine
}

func newHouse(t *testing.T, cfg throttle.Config, users map[string]string) *house {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = newMemory(t, throttle.MemoryConfig{Bytes: 1 << 20})
	}
	h := &house{t: t, oracle: &oracle{users: users}, Budgets: newGuesses(t, cfg)}
	var err error
	h.engine, err = verify.New(verify.Config{Verifier: h.oracle, Throttle: h.Budgets})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func newGuesses(t testing.TB, cfg throttle.Config) *throttle.Budgets {
	t.Helper()
	g, err := throttle.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (h *house) try(name, pass, network string) attempt.Result {
	return h.tryIn(h.t.Context(), name, pass, network)
}

func (h *house) tryIn(ctx context.Context, name, pass, network string) attempt.Result {
	var res attempt.Result
	h.engine.Verify(ctx, time.Now(), basic(h.t, name, pass), netip.MustParsePrefix(network), &res)
	return res
}

func (h *house) want(outcome attempt.Outcome, name, pass, network string) {
	h.t.Helper()
	if res := h.try(name, pass, network); res.Outcome != outcome {
		h.t.Errorf("%s with %q from %s: %v, want %v", name, pass, network, res.Outcome, outcome)
	}
}

func (h *house) left(s throttle.Subject, b budget.Kind, want int) {
	h.t.Helper()
	e, err := h.Explain(h.t.Context(), s)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, have := range e.Budgets {
		if have.Budget == b {
			if have.Left != want || have.Held != 0 {
				h.t.Errorf("the %v budget of %v has %d left and %d held, want %d and 0", b, s, have.Left, have.Held, want)
			}
			return
		}
	}
	h.t.Errorf("%v has no %v budget", s, b)
}

func basic(t testing.TB, name, pass string) credential.Field {
	t.Helper()
	token := base64.StdEncoding.EncodeToString([]byte(name + ":" + pass))
	f, problem := credential.Split(http.Header{"Authorization": {"Basic " + token}}, 1<<20)
	if problem != credential.NoDefect {
		t.Fatal(problem)
	}
	return f
}

// host returns the i-th of many networks, each in a /24 of its own.
func host(i int) string { return fmt.Sprintf("10.%d.%d.9/32", i/256, i%256) }

const home, office = "192.0.2.7/32", "198.51.100.4/32"

func everybody(n int) map[string]string {
	users := map[string]string{"alice": "wonderland", "bob": "builder"}
	for i := range n {
		users[fmt.Sprint("user", i)] = "right"
	}
	return users
}

// TestFirstLoginsAtOnceBehindOneAddress: after a deploy all colleagues log in at once from one
// address. None of them is refused, although they hold the network's budget for a moment, and
// neither is any later client.
func TestFirstLoginsAtOnceBehindOneAddress(t *testing.T) {
	t.Parallel()
	for _, n := range []int{200, 1000} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, throttle.Config{}, everybody(n))
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() { h.want(attempt.Success, fmt.Sprint("user", i), "right", office) })
			}
			wg.Wait()
			h.want(attempt.Success, "bob", "builder", office)
			h.left(throttle.Subject{Network: netip.MustParsePrefix(office)}, budget.Network, 300)
		})
	}
}

// TestAFleetWithOneStaleSecret: a fleet keeps using an old secret, from many addresses and from
// one. That is one wrong guess, and no other client is refused.
func TestAFleetWithOneStaleSecret(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]func(pod int) string{
		"an address each": host,
		"one address":     func(int) string { return office },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, throttle.Config{}, everybody(0))
				for range 3 {
					var wg sync.WaitGroup
					for pod := range 500 {
						wg.Go(func() { h.want(attempt.Failure, "alice", "stale", from(pod)) })
					}
					wg.Wait()
					h.left(throttle.Subject{Account: "alice"}, budget.Account, 49)
					time.Sleep(5 * time.Second)
				}
				h.want(attempt.Failure, "alice", "typo", home)
				h.want(attempt.Success, "alice", "wonderland", home)
				h.want(attempt.Success, "bob", "builder", office)
			})
		})
	}
}

// TestTheLastThreeWrongPasswordsAreKnown: three fleets may have stale secrets at once. A fourth
// secret evicts the oldest and is charged.
func TestTheLastThreeWrongPasswordsAreKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, throttle.Config{}, everybody(0))
		account := throttle.Subject{Account: "alice"}
		for range 3 {
			for _, pass := range []string{"a", "b", "c"} {
				h.want(attempt.Failure, "alice", pass, office)
			}
		}
		h.left(account, budget.Account, 47)
		h.want(attempt.Failure, "alice", "d", home)
		h.want(attempt.Failure, "alice", "a", home)
		h.left(account, budget.Account, 45)
	})
}

// TestTheRightAnswerInTheMiddleOfADictionary: a dictionary with the right password in the middle
// gets 429 throughout, even if the password is cached.
func TestTheRightAnswerInTheMiddleOfADictionary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, throttle.Config{}, everybody(0))
		h.want(attempt.Success, "alice", "wonderland", home)
		dictionary := func(from string, free, reserve int) {
			t.Helper()
			for i := range free {
				h.want(attempt.Failure, "alice", fmt.Sprint(from, i), from)
			}
			hashed := h.count()
			for i := range reserve {
				h.want(attempt.Throttled, "alice", fmt.Sprint(from, free+i), from)
			}
			if n := h.count() - hashed; n != reserve {
				t.Errorf("%d were hashed in a reserve of %d", n, reserve)
			}
			hashed = h.count()
			for i := range 60 {
				pass := fmt.Sprint(from, 1000+i)
				if i == 30 {
					pass = "wonderland"
				}
				res := h.try("alice", pass, from)
				if res.Outcome != attempt.Throttled || res.Hash.Ran() || res.RetryAfter <= 0 || res.RetryAfter > time.Minute {
					t.Errorf("%q from %s: %+v, want throttled", pass, from, res)
				}
			}
			if n := h.count() - hashed; n != 0 {
				t.Errorf("%d of the refused were hashed", n)
			}
		}
		dictionary(office, 10, 0)
		h.want(attempt.Success, "alice", "wonderland", home)
		// From the owner's own address there is also the reserve of the known pair.
		dictionary(home, 10, 90)
		time.Sleep(time.Minute)
		h.want(attempt.Success, "alice", "wonderland", home)
	})
}

// TestOfAHundredAtOnceFiveAreHashed: of 100 distinct wrong passwords at the same moment on a
// budget of 5, 5 are hashed (django-axes: 15 to 20 on a budget of 3).
func TestOfAHundredAtOnceFiveAreHashed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		five := throttle.Limit{Burst: 5, Every: time.Hour}
		h := newHouse(t, throttle.Config{Limits: throttle.Limits{NewPair: five}}, everybody(0))
		start := time.Now()
		var wg sync.WaitGroup
		var mu sync.Mutex
		outcomes := map[attempt.Outcome]int{}
		for i := range 100 {
			wg.Go(func() {
				res := h.try("alice", fmt.Sprint("guess", i), office)
				mu.Lock()
				defer mu.Unlock()
				outcomes[res.Outcome]++
			})
		}
		wg.Wait()
		if h.count() != 5 || outcomes[attempt.Failure] != 5 || outcomes[attempt.Throttled] != 95 {
			t.Errorf("%d were hashed; %v", h.count(), outcomes)
		}
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("who waited was recorded after %v, want at once when the five had settled", took)
		}
	})
}

func TestADisconnectedGuessStaysSpent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, throttle.Config{}, everybody(0))
		for i := range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if res := h.tryIn(ctx, "alice", fmt.Sprint("guess", i), office); res.Outcome == attempt.Success {
				t.Errorf("%+v", res)
			}
			cancel()
		}
		h.left(throttle.Subject{Account: "alice", Network: netip.MustParsePrefix(office)}, budget.Pair, 0)
		h.want(attempt.Throttled, "alice", "wonderland", office)
	})
}

// TestARightSecretFromManyAddressesAtOnce: a fleet with the right secret at many addresses costs
// nothing, and each of its addresses becomes known.
func TestARightSecretFromManyAddressesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, throttle.Config{}, everybody(0))
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() { h.want(attempt.Success, "alice", "wonderland", host(i)) })
		}
		wg.Wait()
		// The gate runs this many hashes at once. No hash may profit from what another network
		// sends before that proves right.
		if n := h.count(); n > verify.DefaultVerifierSlots {
			t.Errorf("%d were hashed", n)
		}
		h.left(throttle.Subject{Account: "alice"}, budget.Account, 50)
		for i := range 200 {
			e, err := h.Explain(t.Context(), throttle.Subject{Account: "alice", Network: netip.MustParsePrefix(host(i))})
			if err != nil || !e.Known || e.Reserve.Left != 90 || e.Budgets[budget.Pair].Left != 10 {
				t.Errorf("%s: %+v, %v; want a known pair with everything left", host(i), e, err)
			}
		}
	})
}

// TestTheOwnerIsNotLockedOut: neither a botnet nor an attacker behind the same address locks the
// owner out of a network known for the account.
func TestTheOwnerIsNotLockedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, throttle.Config{}, everybody(0))
		h.want(attempt.Success, "alice", "wonderland", home)
		for i := range 200 {
			h.try("alice", fmt.Sprint("botnet", i), host(i))
		}
		h.want(attempt.Throttled, "alice", "wonderland", office)
		for i := range 400 {
			h.try(fmt.Sprint("victim", i), "spray", home)
		}
		h.want(attempt.Throttled, "bob", "builder", home)
		time.Sleep(verify.DefaultVerifierTTL) // the cache has expired, the throttle remembers
		for i := range 400 {
			h.try(fmt.Sprint("victim", i), "again", home)
		}
		h.want(attempt.Throttled, "bob", "builder", home)
		hashed := h.count()
		h.want(attempt.Success, "alice", "wonderland", home)
		if h.count() != hashed+1 {
			t.Error("the owner was recognised by the cache: this test proves nothing")
		}
	})
}

// TestAnotherUsersLoginClearsNothing: in django-defender a login of another user clears the block
// of the address.
func TestAnotherUsersLoginClearsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, throttle.Config{}, map[string]string{"alice": "wonderland", "mallory": "mine"})
		h.want(attempt.Success, "mallory", "mine", office)
		for i := range 10 {
			h.want(attempt.Failure, "alice", fmt.Sprint("guess", i), office)
			h.want(attempt.Success, "mallory", "mine", office)
		}
		time.Sleep(2 * verify.DefaultVerifierTTL)
		h.want(attempt.Success, "mallory", "mine", office)
		h.want(attempt.Failure, "alice", "guess10", office) // two guesses came back in two minutes
		h.want(attempt.Failure, "alice", "guess11", office)
		h.want(attempt.Throttled, "alice", "wonderland", office)
	})
}

// trimmed is a store that normalises names, as many do.
type trimmed struct {
	*verify.Static
}

func (s trimmed) Canonical(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

func (s trimmed) Lookup(ctx context.Context, name string) (*verify.Account, error) {
	return s.Static.Lookup(ctx, s.Canonical(name))
}

// TestOneAccountInManySpellings: in django-defender and Authelia a trailing space, another case or
// an alias doubles the budget. Here the store maps spellings to one account. An unknown name is
// refused at the same guess; otherwise 429 would reveal accounts.
func TestOneAccountInManySpellings(t *testing.T) {
	t.Parallel()
	encoded, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte("wonderland"), nil)
	if err != nil {
		t.Fatal(err)
	}
	static := verify.Static{Hashes: map[string]string{"alice": encoded}}
	for _, spellings := range [][]string{{"alice", "Alice", "ALICE ", " alice", "alicE\t"}, {"nobody", "Nobody", "NOBODY ", " nobody", "nobodY\t"}} {
		th := newGuesses(t, throttle.Config{Store: newMemory(t, throttle.MemoryConfig{Bytes: 1 << 20}), Elapsed: newClock().Elapsed})
		e, err := verify.New(verify.Config{Accounts: trimmed{&static}, Throttle: th})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			var res attempt.Result
			name := spellings[i%len(spellings)]
			if strings.ContainsAny(name, "\t") {
				name = strings.TrimRight(name, "\t") + "  "
			}
			e.Verify(t.Context(), time.Now(), basic(t, name, fmt.Sprint("guess", i)), netip.MustParsePrefix(office), &res)
			want := attempt.Failure
			if i >= 10 {
				want = attempt.Throttled
			}
			if res.Outcome != want {
				t.Errorf("guess %d as %q: %v, want %v", i, name, res.Outcome, want)
			}
		}
	}
}
