// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

var (
	home   = netip.MustParsePrefix("192.0.2.7/32")
	office = netip.MustParsePrefix("198.51.100.9/32")
	away   = netip.MustParsePrefix("2001:db8:1:2::/64")
)

func field(t testing.TB, name, pass string) credential.Field {
	t.Helper()
	token := base64.StdEncoding.EncodeToString([]byte(name + ":" + pass))
	f, defect := credential.Split(http.Header{"Authorization": {"Basic " + token}}, 0)
	if defect != credential.NoDefect {
		t.Fatalf("Split(%q): %v", name, defect)
	}
	return f
}

func hashed(t testing.TB, p password.Params, pass string) *password.Hash {
	t.Helper()
	encoded, err := p.Hash([]byte(pass), nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := password.Parse(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var cheap = password.Params{Scheme: "bcrypt", BcryptCost: 4}

// store is a set of accounts that tests change while it serves.
type store struct {
	mu       sync.Mutex
	accounts map[string]*verify.Account
	mix      *password.Mix
	err      error
	lookups  int
	onLookup func(n int)
}

func newStore(accounts ...*verify.Account) *store {
	s := &store{accounts: map[string]*verify.Account{}}
	var hashes []*password.Hash
	for _, a := range accounts {
		s.accounts[a.Name] = a
		hashes = append(hashes, a.Password)
	}
	s.mix = password.NewMix(slices.Values(hashes))
	return s
}

func (s *store) Lookup(_ context.Context, name string) (*verify.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lookups++
	if s.onLookup != nil {
		s.onLookup(s.lookups)
	}
	return s.accounts[strings.ToLower(name)], s.err
}

func (s *store) alice(a *verify.Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts["alice"] = a
}

func (s *store) Canonical(name string) string    { return strings.ToLower(name) }
func (s *store) Decoy(key uint64) *password.Hash { return s.mix.Decoy(key) }
func (s *store) Len() int                        { return len(s.accounts) }

func newEngine(t testing.TB, cfg verify.Config) *verify.Engine {
	t.Helper()
	e, err := verify.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func try(t testing.TB, e *verify.Engine, f credential.Field, network netip.Prefix) attempt.Result {
	t.Helper()
	var res attempt.Result
	account := e.Verify(t.Context(), time.Now(), f, network, &res)
	if (account != nil) != (res.Outcome == attempt.Success) {
		t.Fatalf("account %v with outcome %v", account, res.Outcome)
	}
	return res
}

type want struct {
	outcome attempt.Outcome
	typ     attempt.ErrorType
	reason  attempt.Reason
	cache   attempt.CacheResult
	hashed  bool
}

func check(t testing.TB, what string, res attempt.Result, w want) {
	t.Helper()
	got := want{res.Outcome, res.ErrorType, res.Reason, res.Cache, res.Hash.Ran()}
	if got != w {
		t.Errorf("%s: got %+v, want %+v", what, got, w)
	}
}

var (
	hashedRight = want{outcome: attempt.Success, cache: attempt.Miss, hashed: true}
	hitRight    = want{outcome: attempt.Success, cache: attempt.Hit}
	throttled   = want{attempt.Throttled, attempt.RateLimited, attempt.ReasonBudgetEmpty, attempt.Hit, false}
)

func failed(reason attempt.Reason, cache attempt.CacheResult, hashed bool) want {
	return want{attempt.Failure, attempt.InvalidCredentials, reason, cache, hashed}
}

func TestACredentialIsHashedOnce(t *testing.T) {
	t.Parallel()
	e := newEngine(t, verify.Config{
		Accounts: newStore(&verify.Account{Name: "alice", Password: hashed(t, cheap, "wonderland")}),
		Identify: func(name string) string { return "k:" + name },
	})
	right, wrong, unknown := field(t, "Alice", "wonderland"), field(t, "alice", "looking-glass"), field(t, "mallory", "wonderland")
	check(t, "right, first", try(t, e, right, home), hashedRight)
	check(t, "right, again", try(t, e, right, home), hitRight)
	check(t, "wrong, first", try(t, e, wrong, home), failed(attempt.ReasonWrongPassword, attempt.Miss, true))
	check(t, "wrong, again", try(t, e, wrong, home), failed(attempt.ReasonWrongPassword, attempt.Hit, false))
	check(t, "unknown, first", try(t, e, unknown, home), failed(attempt.ReasonUnknownUser, attempt.Miss, true))
	check(t, "unknown, again", try(t, e, unknown, home), failed(attempt.ReasonUnknownUser, attempt.Hit, false))
	if got := e.Entries(); got != 3 {
		t.Errorf("Entries() = %d, want 3", got)
	}

	for _, c := range []struct {
		f          credential.Field
		name, hash string
	}{
		{right, "alice", "k:alice"},
		{wrong, "alice", "k:alice"},
		{unknown, "", "k:mallory"}, // a name that is not an account is never recorded
	} {
		for range 2 {
			res := try(t, e, c.f, home)
			if res.UserName != c.name || res.UserHash != c.hash {
				t.Errorf("user %q %q, want %q %q", res.UserName, res.UserHash, c.name, c.hash)
			}
		}
	}
}

// TestEveryRefusalCostsAHash: every refused attempt runs a hash of a scheme in the store.
func TestEveryRefusalCostsAHash(t *testing.T) {
	t.Parallel()
	h := hashed(t, cheap, "secret")
	e := newEngine(t, verify.Config{Accounts: newStore(
		&verify.Account{Name: "gone", Password: h, Disabled: true},
		&verify.Account{Name: "old", Password: h, Expires: time.Now().Add(-time.Hour)},
		&verify.Account{Name: "alice", Password: h},
	)})
	for _, c := range []struct {
		name, pass string
		reason     attempt.Reason
	}{
		{"gone", "secret", attempt.ReasonAccountDisabled},
		{"gone", "wrong", attempt.ReasonAccountDisabled},
		{"old", "secret", attempt.ReasonCredentialsExpired},
		{"alice", "wrong", attempt.ReasonWrongPassword},
		{"alice", "", attempt.ReasonWrongPassword},
		{"alice", strings.Repeat("x", 73), attempt.ReasonPasswordTooLong},
		{"nobody", "secret", attempt.ReasonUnknownUser},
		{"", "", attempt.ReasonUnknownUser},
	} {
		f := field(t, c.name, c.pass)
		res := try(t, e, f, home)
		check(t, c.name+" first", res, failed(c.reason, attempt.Miss, true))
		if res.Hash.Scheme != "bcrypt" || res.Hash.Outcome != attempt.Failure {
			t.Errorf("%s: hash run %+v, want a failed bcrypt", c.name, res.Hash)
		}
		check(t, c.name+" repeat", try(t, e, f, home), failed(c.reason, attempt.Hit, false))
	}
	// A password that is too long is refused in the same way for an unknown name.
	res := try(t, e, field(t, "nobody", strings.Repeat("x", 73)), home)
	if res.Outcome != attempt.Failure || !res.Hash.Ran() {
		t.Errorf("unknown with an over-long password: %+v", res)
	}
}

func TestAChangedAccountEndsAtOnce(t *testing.T) {
	t.Parallel()
	first, second := hashed(t, cheap, "wonderland"), hashed(t, cheap, "looking-glass")
	alice := &verify.Account{Name: "alice", Password: first, Groups: []string{"ops"}}
	s := newStore(alice)
	e := newEngine(t, verify.Config{Accounts: s})
	f := field(t, "alice", "wonderland")
	login := func(what string, w want) { t.Helper(); check(t, what, try(t, e, f, home), w) }

	login("first", hashedRight)
	s.alice(&verify.Account{Name: "alice", Password: first})
	login("same hash, another pointer", hitRight)
	var res attempt.Result
	if got := e.Verify(t.Context(), time.Now(), f, home, &res); len(got.Groups) != 0 {
		t.Errorf("groups %v after they were removed", got.Groups)
	}
	s.alice(&verify.Account{Name: "alice", Password: first, Disabled: true})
	login("disabled", failed(attempt.ReasonAccountDisabled, attempt.Miss, true))
	s.alice(alice)
	login("enabled again", hashedRight)
	s.alice(&verify.Account{Name: "alice", Password: first, Expires: time.Now().Add(-time.Second)})
	login("expired", failed(attempt.ReasonCredentialsExpired, attempt.Miss, true))
	s.alice(alice)
	login("prolonged", hashedRight)
	s.alice(&verify.Account{Name: "alice", Password: second})
	login("password changed", failed(attempt.ReasonWrongPassword, attempt.Miss, true))
	s.alice(alice)
	login("changed back", hashedRight)
	s.alice(nil)
	login("removed", failed(attempt.ReasonUnknownUser, attempt.Miss, true))
	s.alice(alice)
	login("there again", hashedRight)
}

// TestAnAccountChangedDuringTheHash: a password that is revoked while its hash runs is wrong when
// the hash ends.
func TestAnAccountChangedDuringTheHash(t *testing.T) {
	t.Parallel()
	h := hashed(t, cheap, "wonderland")
	s := newStore(&verify.Account{Name: "alice", Password: h})
	s.onLookup = func(n int) {
		if n == 2 { // the lookup after the hash
			delete(s.accounts, "alice")
		}
	}
	e := newEngine(t, verify.Config{Accounts: s})
	check(t, "removed meanwhile", try(t, e, field(t, "alice", "wonderland"), home),
		failed(attempt.ReasonWrongPassword, attempt.Miss, true))
}

func TestAFloodOfWrongCredentialsEvictsNoRightOne(t *testing.T) {
	t.Parallel()
	e := newEngine(t, verify.Config{
		Accounts:        newStore(&verify.Account{Name: "alice", Password: hashed(t, cheap, "wonderland")}),
		VerifiedEntries: 16, FailedEntries: 16,
	})
	f := field(t, "alice", "wonderland")
	check(t, "first", try(t, e, f, home), hashedRight)
	for i := range 60 {
		try(t, e, field(t, "alice", fmt.Sprint("guess", i)), away)
		try(t, e, field(t, fmt.Sprint("user", i), "wonderland"), away)
	}
	check(t, "after the flood", try(t, e, f, home), hitRight)
	if got := e.Entries(); got > 32 {
		t.Errorf("%d entries in spaces of 16 and 16", got)
	}
}

// TestCVE_2022_46146_and_GHSA_6765_c87h_8mrf: a cache key without length prefixes confuses one
// pair of name and password with another. Here the key is the token, in which only the first
// colon separates.
func TestCVE_2022_46146_and_GHSA_6765_c87h_8mrf(t *testing.T) {
	t.Parallel()
	e := newEngine(t, verify.Config{Accounts: newStore(&verify.Account{Name: "ab", Password: hashed(t, cheap, "c:d")})})
	check(t, "the right pair", try(t, e, field(t, "ab", "c:d"), home), hashedRight)
	for _, c := range [][2]string{{"a", "bc:d"}, {"abc", "d"}, {"ab:c", "d"}, {"", "abc:d"}, {"ab", "c:d "}, {"AB", "c:d0"}} {
		if res := try(t, e, field(t, c[0], c[1]), home); res.Outcome == attempt.Success && c[0] != "ab:c" {
			t.Errorf("%q is accepted as ab", c)
		}
	}
}

func TestEntriesExpire(t *testing.T) {
	t.Parallel()
	now := time.Now()
	e := newEngine(t, verify.Config{
		Accounts: newStore(&verify.Account{Name: "alice", Password: hashed(t, cheap, "wonderland")}),
		Now:      func() time.Time { return now },
	})
	at := func(d time.Duration) attempt.Result {
		var res attempt.Result
		e.Verify(t.Context(), now.Add(d), field(t, "alice", "wonderland"), home, &res)
		return res
	}
	check(t, "first", at(0), hashedRight)
	check(t, "just before", at(verify.DefaultTTL-1), hitRight)
	check(t, "at the end", at(verify.DefaultTTL), hashedRight)
}

func TestAStoreThatIsDown(t *testing.T) {
	t.Parallel()
	s := newStore(&verify.Account{Name: "alice", Password: hashed(t, cheap, "wonderland")})
	e := newEngine(t, verify.Config{Accounts: s})
	f := field(t, "alice", "wonderland")
	down := errors.New("store: connection refused")
	w := want{attempt.Error, attempt.AccountsUnavailable, attempt.ReasonVerifierFailed, attempt.NotLooked, false}
	s.err = down
	res := try(t, e, f, home)
	check(t, "never seen", res, w)
	if !errors.Is(res.Err, down) {
		t.Errorf("Err = %v", res.Err)
	}
	s.err = nil
	check(t, "up", try(t, e, f, home), hashedRight)
	s.err = down
	check(t, "recognised, but the store must be asked", try(t, e, f, home), w)
}

// TestAPanicSettlesTheGuess: a store that panics after the guess is paid does not keep the price.
func TestAPanicSettlesTheGuess(t *testing.T) {
	t.Parallel()
	th := &script{verdict: throttle.Granted}
	s := newStore(&verify.Account{Name: "alice", Password: hashed(t, cheap, "wonderland")})
	s.onLookup = func(n int) {
		if n == 2 { // the lookup after the hash
			panic("connection pool is gone")
		}
	}
	e := newEngine(t, verify.Config{Accounts: s, Throttle: th})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		e.Verify(t.Context(), time.Now(), field(t, "alice", "wonderland"), home, new(attempt.Result))
	}()
	if n, settled := th.taken(); n != 1 || !slices.Equal(settled, []throttle.Settlement{throttle.Unjudged}) {
		t.Errorf("%d guesses, settled %v, want one Unjudged", n, settled)
	}
}

// script is a Throttle whose verdicts the test sets.
type script struct {
	mu        sync.Mutex
	verdict   throttle.Verdict
	exhausted bool
	changed   chan struct{}
	spent     []throttle.Guess
	settled   []throttle.Settlement
}

func (s *script) Exhausted(throttle.Guess) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exhausted
}

func (s *script) Spend(_ context.Context, g throttle.Guess) (throttle.Decision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verdict == throttle.Granted {
		s.spent = append(s.spent, g)
	}
	return throttle.Decision{Verdict: s.verdict, RetryAfter: time.Minute, Changed: s.changed}, nil
}

func (s *script) Settle(ctx context.Context, _ throttle.Guess, how throttle.Settlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		panic("a settlement must not be canceled with its caller")
	}
	s.settled = append(s.settled, how)
}

func (s *script) Len() int { return 0 }

func (s *script) now(v throttle.Verdict, exhausted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdict, s.exhausted = v, exhausted
}

func (s *script) taken() (guesses int, settled []throttle.Settlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	guesses, settled = len(s.spent), s.settled
	s.spent, s.settled = nil, nil
	return guesses, settled
}

// TestARecognisedCredentialFromAnUnknownNetworkIsAGuess is step 3 of the design: the cache is not
// an oracle. A recognised credential from a new network is charged, refunded and refused like a
// guess.
func TestARecognisedCredentialFromAnUnknownNetworkIsAGuess(t *testing.T) {
	t.Parallel()
	th := &script{verdict: throttle.Granted}
	e := newEngine(t, verify.Config{
		Accounts: newStore(&verify.Account{Name: "alice", Password: hashed(t, cheap, "wonderland")}), Throttle: th,
	})
	f := field(t, "alice", "wonderland")
	expect := func(what string, guesses int, settled ...throttle.Settlement) {
		t.Helper()
		if g, s := th.taken(); g != guesses || !slices.Equal(s, settled) {
			t.Errorf("%s: %d guesses, settled %v; want %d, %v", what, g, s, guesses, settled)
		}
	}
	check(t, "first", try(t, e, f, home), hashedRight)
	expect("first", 1, throttle.Right)
	check(t, "again from home", try(t, e, f, home), hitRight)
	expect("again from home", 0)

	th.now(throttle.Refused, false)
	check(t, "from away, budget empty", try(t, e, f, away), throttled)
	check(t, "from home meanwhile", try(t, e, f, home), hitRight)
	th.now(throttle.Granted, false)
	check(t, "from away", try(t, e, f, away), hitRight)
	expect("from away", 1, throttle.Right)
	check(t, "from away again", try(t, e, f, away), hitRight)
	expect("from away again", 0)

	th.now(throttle.Refused, true)
	check(t, "from home, its own budget empty", try(t, e, f, home), throttled)
}

// TestAThrottledCallerLearnsNothingFromTheCache: a dictionary with the right password in it gets
// only refusals.
func TestAThrottledCallerLearnsNothingFromTheCache(t *testing.T) {
	t.Parallel()
	th := &script{verdict: throttle.Granted}
	e := newEngine(t, verify.Config{
		Accounts: newStore(&verify.Account{Name: "alice", Password: hashed(t, cheap, "wonderland")}), Throttle: th,
	})
	try(t, e, field(t, "alice", "wonderland"), home)
	try(t, e, field(t, "alice", "repeat"), away)
	th.now(throttle.Refused, true)
	for _, pass := range []string{"a", "b", "repeat", "wonderland", "c"} {
		for _, network := range []netip.Prefix{away, home} {
			res := try(t, e, field(t, "alice", pass), network)
			if res.Outcome != attempt.Throttled || res.RetryAfter != time.Minute || res.Hash.Ran() {
				t.Errorf("%q from %v: %+v, want throttled", pass, network, res)
			}
		}
	}
}

func TestWhatAGuessCosts(t *testing.T) {
	t.Parallel()
	th := &script{verdict: throttle.Granted}
	e := newEngine(t, verify.Config{
		Accounts: newStore(&verify.Account{Name: "alice", Password: hashed(t, cheap, "wonderland")}), Throttle: th,
	})
	for _, c := range []struct {
		repeat  bool
		settled []throttle.Settlement
	}{
		{false, []throttle.Settlement{throttle.Wrong}},
		{true, nil}, // a guess that is not hashed is not charged
	} {
		try(t, e, field(t, "ALICE", "wrong"), home)
		th.mu.Lock()
		g := th.spent[0]
		th.mu.Unlock()
		if g.Account != "alice" || g.Network != home || g.Fingerprint == [16]byte{} || g.Repeat != c.repeat || g.Returning {
			t.Errorf("guess %+v, want the canonical name, the network, a fingerprint and Repeat %t", g, c.repeat)
		}
		if n, settled := th.taken(); n != 1 || !slices.Equal(settled, c.settled) {
			t.Errorf("%d guesses settled %v, want one %v", n, settled, c.settled)
		}
	}
	f, _ := credential.Split(http.Header{"Authorization": {"Basic bm8tY29sb24="}}, 0)
	check(t, "malformed", try(t, e, f, home), want{attempt.Malformed, attempt.MalformedCredentials, attempt.ReasonNoColon, 0, false})
	if n, _ := th.taken(); n != 0 {
		t.Error("malformed credentials were charged")
	}
}

func TestAHeldGuessWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := &script{verdict: throttle.Held, changed: make(chan struct{})}
		e := newEngine(t, verify.Config{
			Accounts: newStore(&verify.Account{Name: "alice", Password: hashed(t, cheap, "wonderland")}), Throttle: th,
			Gate: verify.NewGate(verify.Limits{Queued: 1, MaxWait: time.Second}),
		})
		results := make(chan attempt.Result)
		ask := func(ctx context.Context) {
			var res attempt.Result
			e.Verify(ctx, time.Now(), field(t, "alice", "wonderland"), home, &res)
			results <- res
		}
		go ask(t.Context())
		synctest.Wait()
		go ask(t.Context())
		check(t, "no place to wait", <-results, want{attempt.Error, attempt.Overloaded, attempt.ReasonQueueFull, attempt.Miss, false})
		th.now(throttle.Granted, false)
		close(th.changed)
		check(t, "granted in the end", <-results, hashedRight)

		th.now(throttle.Held, false)
		th.changed = make(chan struct{})
		ask2 := func(ctx context.Context) {
			var res attempt.Result
			e.Verify(ctx, time.Now(), field(t, "alice", "other"), home, &res)
			results <- res
		}
		go ask2(t.Context())
		check(t, "too long", <-results, want{attempt.Error, attempt.Overloaded, attempt.ReasonQueueTimeout, attempt.Miss, false})
		ctx, cancel := context.WithCancel(t.Context())
		go ask2(ctx)
		synctest.Wait()
		cancel()
		check(t, "went away", <-results, want{attempt.Error, attempt.Canceled, "", attempt.Miss, false})
	})
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	_, err := verify.New(verify.Config{TTL: -1, VerifiedEntries: -1, Rand: strings.NewReader("short")})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"exactly one of", "Config.TTL", "Config.VerifiedEntries", "cache key"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
	if _, err := verify.New(verify.Config{Accounts: &verify.Static{}}); err == nil {
		t.Error("a store that does not validate was accepted")
	}
}
