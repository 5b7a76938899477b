// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Invariant 6 for the whole configuration: while it is replaced repeatedly, an account in both
// configurations is never refused and an account in neither never passes.
func TestReconfigureUnderLoad(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{Throttle: throttle.DangerouslyNone{}}, nil)
	configs := []otelauth.Config{
		{Realm: "a", Accounts: &verify.Static{Hashes: map[string]string{"alice": hash(t, "wonderland"), "bob": hash(t, "builder")}}},
		{Realm: "b", Accounts: &verify.Static{Hashes: map[string]string{"alice": hash(t, "wonderland"), "root": hash(t, "toor")}}},
	}
	for i := range configs {
		configs[i].TracerProvider, configs[i].MeterProvider, configs[i].LoggerProvider = s.TracerProvider(), s.MeterProvider(), s.LoggerProvider()
		configs[i].Routes = ordersMux()
		configs[i].Throttle = throttle.DangerouslyNone{} // mallory must be verified each time
	}
	var stop atomic.Bool
	var served atomic.Int64
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			for !stop.Load() {
				if w := s.do(request(t, "GET", "/orders", "alice", "wonderland")); w.Code != 200 {
					t.Errorf("alice: %d", w.Code)
				}
				if w := s.do(request(t, "GET", "/orders", "mallory", "builder")); w.Code != 401 {
					t.Errorf("mallory: %d", w.Code)
				}
				served.Add(1)
			}
		})
	}
	for i := range 20 {
		if err := s.mw.Reconfigure(configs[i%2]); err != nil {
			t.Fatal(err)
		}
		for seen := served.Load(); served.Load() == seen && !t.Failed(); {
			runtime.Gosched()
		}
	}
	stop.Store(true)
	clients.Wait()
}

// Credentials that the previous configuration verified are verified again: a removed user is
// refused at once.
func TestReconfigureEndsRemovedUsers(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, nil)
	for range 2 { // the second time from the cache
		if w := s.do(request(t, "GET", "/orders", "bob", "builder")); w.Code != 200 {
			t.Fatal(w.Code)
		}
	}
	if err := s.mw.Reconfigure(otelauth.Config{
		Accounts: &verify.Static{Hashes: map[string]string{"alice": hash(t, "wonderland")}}, IdentityKey: testKey,
		TracerProvider: s.TracerProvider(), MeterProvider: s.MeterProvider(), LoggerProvider: s.LoggerProvider(),
	}); err != nil {
		t.Fatal(err)
	}
	if w := s.do(request(t, "GET", "/orders", "bob", "builder")); w.Code != 401 {
		t.Errorf("bob: %d", w.Code)
	}
	if got := s.last(t); got.Reason != attempt.ReasonUnknownUser || got.Cache != attempt.Miss {
		t.Errorf("recorded %+v", got)
	}
	// The tables of the previous core are no longer counted.
	if n := s.Sum("auth.account.count"); n != 1 {
		t.Errorf("auth.account.count = %v", n)
	}
}

// A request ends under the configuration under which it began.
func TestReconfigureKeepsRunningRequests(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	s := newService(t, otelauth.Config{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(begun); <-release }))
	done := make(chan int)
	go func() { done <- s.do(request(t, "GET", "/", "alice", "wonderland")).Code }()
	select {
	case <-begun:
	case code := <-done:
		t.Fatalf("answered with %d", code)
	}
	if err := s.mw.Reconfigure(otelauth.Config{Verifier: instant{}, Observers: []attempt.Observer{}}); err != nil {
		t.Fatal(err)
	}
	close(release)
	if code := <-done; code != 200 || s.recorded() != 1 || s.last(t).Status != 200 {
		t.Errorf("%d, recorded %d times", code, s.recorded())
	}
}

func TestReconfigureWithProblemsChangesNothing(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{Realm: "before"}, nil)
	err := s.mw.Reconfigure(otelauth.Config{Realm: "after"})
	if err == nil || !strings.Contains(err.Error(), "neither Config.Accounts nor Config.Verifier") {
		t.Errorf("Reconfigure = %v", err)
	}
	if got := s.do(request(t, "GET", "/orders", "", "")).Header().Get("Www-Authenticate"); !strings.Contains(got, `"before"`) {
		t.Errorf("challenge %q", got)
	}
	if w := s.do(request(t, "GET", "/orders", "alice", "wonderland")); w.Code != 200 || s.last(t).Outcome != attempt.Success {
		t.Errorf("alice: %d", w.Code)
	}
	if n := s.Sum("auth.account.count"); n != 3 {
		t.Errorf("auth.account.count = %v: the previous core is no longer observed", n)
	}
}

// Without a configured key user.hash is stable during the life of the process, and one event
// reports the random key.
func TestRandomIdentityKeySurvives(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, nil)
	cfg := otelauth.Config{
		Accounts: accounts(t), TracerProvider: s.TracerProvider(), MeterProvider: s.MeterProvider(), LoggerProvider: s.LoggerProvider(),
	}
	mw := newMiddleware(t, cfg)
	hashOf := func() string {
		_, res := mw.Authenticate(request(t, "GET", "/orders", "alice", "wonderland"))
		return res.UserHash
	}
	before := hashOf()
	for range 2 {
		if err := mw.Reconfigure(cfg); err != nil {
			t.Fatal(err)
		}
	}
	if after := hashOf(); after != before || !strings.HasPrefix(before, "r-") {
		t.Errorf("user.hash %q, then %q", before, after)
	}
	other := newMiddleware(t, cfg)
	if _, res := other.Authenticate(request(t, "GET", "/orders", "alice", "wonderland")); res.UserHash == before {
		t.Error("two processes have one random key")
	}
	notices := s.eventsNamed(string(attempt.IdentityKeyRandom))
	if len(notices) != 2 { // one for each Middleware
		t.Errorf("%d notices", len(notices))
	}
	rec := notices[0].Record
	if body := rec.Body().String(); !strings.Contains(body, "set an identity key") {
		t.Errorf("notice %q", body)
	}
}

// reloading is a store that reports its reloads.
type reloading struct {
	*verify.Static

	mu          sync.Mutex
	subscribers map[int]func(verify.Reload)
}

func (r *reloading) OnReload(fn func(verify.Reload)) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.subscribers == nil {
		r.subscribers = map[int]func(verify.Reload){}
	}
	id := len(r.subscribers)
	r.subscribers[id] = fn
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.subscribers, id)
	}
}

func (r *reloading) reload(reload verify.Reload) (called int) {
	for _, fn := range r.subscribers {
		fn(reload)
		called++
	}
	return called
}

var errRefused = errors.New("2 of 6 stored passwords are refused; replace them")

func TestReloadsAreRecorded(t *testing.T) {
	t.Parallel()
	store := &reloading{Static: accounts(t)}
	s := newService(t, otelauth.Config{Accounts: store}, nil)
	at := time.Unix(1_800_000_000, 0)
	store.reload(verify.Reload{Source: "/etc/users", Time: at, Accounts: 3})
	store.reload(verify.Reload{Source: "/etc/users", Time: at, Accounts: 3, Err: errStore})
	events := s.eventsNamed(string(attempt.AccountReload))
	if len(events) != 2 || events[0].Attribute("auth.account.source") != "/etc/users" || events[0].Attribute("auth.account.count") != "3" ||
		events[0].Attributes().Has("exception.message") || events[1].Attribute("exception.message") != errStore.Error() {
		t.Errorf("events %v", events)
	}
	if n := s.Sum("auth.account.reloads"); n != 2 {
		t.Errorf("auth.account.reloads = %v", n)
	}
	// The store describes the problem: it may serve the previous accounts, or only some of the new
	// ones.
	store.reload(verify.Reload{Source: "postgres", Time: at, Accounts: 6, Err: errRefused})
	for i, want := range []string{"accounts reloaded", "accounts: " + errStore.Error(), "accounts: 2 of 6 stored passwords are refused; replace them"} {
		rec := s.eventsNamed(string(attempt.AccountReload))[i].Record
		if got := rec.Body().String(); got != want {
			t.Errorf("notice %d reads %q, want %q", i, got, want)
		}
	}

	// With another store the previous one has no subscriber. After Close no store has one, and the
	// Middleware keeps verifying.
	if err := s.mw.Reconfigure(otelauth.Config{Verifier: instant{}, LoggerProvider: s.LoggerProvider(), MeterProvider: s.MeterProvider()}); err != nil {
		t.Fatal(err)
	}
	if n := store.reload(verify.Reload{}); n != 0 {
		t.Errorf("%d subscribers remain", n)
	}
	for range 2 {
		if err := s.mw.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if w := s.do(request(t, "GET", "/orders", "alice", "any")); w.Code != 200 {
		t.Errorf("closed: %d", w.Code)
	}
	if n := s.Sum("auth.cache.entry.count"); n != 0 {
		t.Errorf("closed, and auth.cache.entry.count = %v", n)
	}
}

func TestZeroMiddleware(t *testing.T) {
	t.Parallel()
	mw := new(otelauth.Middleware)
	w := httptest.NewRecorder()
	mw.Wrap(http.HandlerFunc(ok)).ServeHTTP(w, request(t, "GET", "/", "alice", "wonderland"))
	if w.Code != 503 || strings.Contains(w.Body.String(), "ok") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if user, res := mw.Authenticate(request(t, "GET", "/", "alice", "wonderland")); user.Name != "" || res.Outcome != attempt.Error {
		t.Errorf("%v %v", user, res)
	}
	if err := mw.Close(); err != nil {
		t.Error(err)
	}
	if err := mw.Reconfigure(otelauth.Config{Accounts: accounts(t), Observers: []attempt.Observer{}}); err != nil {
		t.Fatal(err)
	}
	if user, _ := mw.Authenticate(request(t, "GET", "/", "alice", "wonderland")); user.Name != "alice" {
		t.Error("a zero Middleware cannot be configured later")
	}
}

// Every problem is reported, together with all others.
func TestConfigProblems(t *testing.T) {
	t.Parallel()
	prefix := netip.Prefix{}
	secret := []byte("not-long-enough")
	_, err := otelauth.New(otelauth.Config{
		Realm:                         "a\nb",
		Public:                        []string{"/", "nonsense", "GET /{x"},
		Sensitive:                     []string{"GET"},
		TrustedProxies:                []netip.Prefix{prefix, netip.MustParsePrefix("0.0.0.0/0")},
		ForwardedHeader:               clientip.Header(9),
		TrustedCallers:                []netip.Prefix{prefix},
		DangerouslyAllowPlaintextFrom: []netip.Prefix{prefix},
		IdentityKey:                   otelauth.IdentityKey{ID: "A!", Secret: secret, Previous: []otelauth.IdentityKey{{ID: "A!", Secret: secret}}},
		UserNames:                     7,
		CacheTTL:                      -1,
		CacheEntries:                  -1,
		MaxHeaderBytes:                -1,
		Observers:                     []attempt.Observer{nil},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, problem := range []string{
		"Config.Realm", "neither Config.Accounts nor Config.Verifier", `Config.Public[0] "/"`, `Config.Public[1] "nonsense"`,
		`Config.Public[2] "GET /{x"`, `Config.Sensitive[0] "GET"`, "TrustedProxies[0]", "TrustedProxies[1]", "Header(9)", "Config.TrustedCallers[0]",
		"Config.DangerouslyAllowPlaintextFrom[0]", "Config.IdentityKey.Secret", "Config.IdentityKey.ID", "Config.IdentityKey.Previous[0].Secret",
		"Config.IdentityKey.Previous[0].ID is invalid", "Config.IdentityKey.Previous[0].ID is used twice", "Config.UserNames", "Config.CacheTTL",
		"Config.CacheEntries", "Config.MaxHeaderBytes", "Config.Observers[0]",
	} {
		if !strings.Contains(err.Error(), problem) {
			t.Errorf("%s is not reported", problem)
		}
	}
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, "otelauth: ") && !strings.HasPrefix(line, "clientip: ") {
			t.Errorf("an error without the package name: %q", line)
		}
		if strings.Contains(line, ".go:") {
			t.Errorf("an error with a source path: %q", line)
		}
	}
	if strings.Contains(err.Error(), string(secret)) {
		t.Error("the error contains the key")
	}
	if !t.Failed() {
		return
	}
	t.Log(err)
}

func TestConfigProblemsOfValues(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  otelauth.Config
		want string
	}{
		"both":          {otelauth.Config{Accounts: accounts(t), Verifier: instant{}}, "both Config.Accounts and Config.Verifier"},
		"empty store":   {otelauth.Config{Accounts: &verify.Static{}}, "Static.Hashes is empty"},
		"plaintext":     {otelauth.Config{Accounts: &verify.Static{Hashes: map[string]string{"alice": "wonderland"}}}, `Static.Hashes["alice"]`},
		"no randomness": {otelauth.Config{Accounts: accounts(t), Rand: strings.NewReader("few")}, "randomness"},
	} {
		mw, err := otelauth.New(tc.cfg)
		if mw != nil || err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "wonderland") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "no randomness" && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The documented defaults.
func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	clock := time.Now()
	var mu sync.Mutex
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	advance := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); clock = clock.Add(d) }
	for name, tc := range map[string]struct {
		cfg otelauth.Config
		ttl time.Duration
	}{
		"accounts": {otelauth.Config{Accounts: accounts(t)}, 5 * time.Minute},
		"verifier": {otelauth.Config{Verifier: instant{}}, time.Minute},
		"chosen":   {otelauth.Config{Accounts: accounts(t), CacheTTL: time.Second}, time.Second},
	} {
		tc.cfg.Now, tc.cfg.Observers = now, []attempt.Observer{}
		mw := newMiddleware(t, tc.cfg)
		try := func() attempt.CacheResult {
			_, res := mw.Authenticate(request(t, "GET", "/", "alice", "wonderland"))
			return res.Cache
		}
		first := try()
		advance(tc.ttl - 1)
		within := try()
		advance(2)
		if after := try(); first != attempt.Miss || within != attempt.Hit || after != attempt.Miss {
			t.Errorf("%s: %v, %v, %v", name, first, within, after)
		}
	}
}
