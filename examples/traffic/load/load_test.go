// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package load_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/examples/shop/customers"
	"github.com/otelauth/otelauth-go/examples/traffic/load"
)

// answer is a target without a network.
type answer func(*http.Request) (int, error)

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	status, err := a(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
}

func Example() {
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, _, ok := r.BasicAuth(); ok && strings.HasPrefix(name, "member") {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer shop.Close()
	for i := range 3 {
		guess, _ := load.Stuffing.Guess(i)
		status, _, err := load.Do(context.Background(), load.NewClient(load.ClientConfig{}), shop.URL, guess)
		fmt.Println(guess.Name, guess.From, status, err)
	}
	// Output:
	// member0000 203.0.113.199 401 <nil>
	// member0001 203.0.113.199 401 <nil>
	// member0002 203.0.113.199 401 <nil>
}

func run(t *testing.T, cfg load.Config, target answer) *load.Summary {
	t.Helper()
	cfg.Client, cfg.Target = &http.Client{Transport: target}, "https://127.0.0.2:8443"
	sum, err := load.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestRateAndDurationAreBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		sum := run(t, load.Config{Rate: 50, Duration: 10 * time.Second, Attack: load.Spray}, func(r *http.Request) (int, error) {
			if r.Header.Get("User-Agent") != load.UserAgent || r.Header.Get("X-Forwarded-For") == "" {
				t.Error("a visit has no User-Agent of the generator")
			}
			return http.StatusOK, nil
		})
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if n := sum.Total(); n < 490 || n > 500 {
			t.Errorf("%d requests in 10 s at 50 a second", n)
		}
		if h, a := sum.Count(load.Honest, 200), sum.Count(load.Attacker, 200); h-a > 1 || a-h > 1 {
			t.Errorf("%d honest and %d hostile requests; they must alternate", h, a)
		}
	})
}

func TestInFlightIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var flying, most atomic.Int64
		sum := run(t, load.Config{Rate: 100, Duration: 5 * time.Second}, func(*http.Request) (int, error) {
			most.Store(max(most.Load(), flying.Add(1)))
			defer flying.Add(-1)
			time.Sleep(time.Minute) // a server that hangs
			return 0, errors.New("hung")
		})
		if most.Load() != load.MaxInFlight || sum.Total() != load.MaxInFlight {
			t.Errorf("%d at once, %d in all, want %d", most.Load(), sum.Total(), load.MaxInFlight)
		}
		if sum.Skipped() < 400 {
			t.Errorf("%d were not sent", sum.Skipped())
		}
		if err := sum.Failure(); err == nil || !strings.Contains(err.Error(), "hung") {
			t.Errorf("the failure is %v", err)
		}
		var table bytes.Buffer
		if err := sum.WriteTable(&table); err != nil || !strings.Contains(table.String(), "not sent") || !strings.Contains(table.String(), "no answer") {
			t.Errorf("%v, %q", err, table.String())
		}
	})
}

func TestLowAndSlowKeepsItsPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var times []time.Time
		passwords := make(map[string]bool)
		run(t, load.Config{Rate: 10, Duration: 5 * time.Minute, Attack: load.LowAndSlow}, func(r *http.Request) (int, error) {
			if r.Header.Get("X-Forwarded-For") == "203.0.113.77" {
				mu.Lock()
				defer mu.Unlock()
				times = append(times, time.Now())
				_, password, _ := r.BasicAuth()
				passwords[password] = true
			}
			return http.StatusOK, nil
		})
		if len(times) != 10 || len(passwords) != 10 {
			t.Fatalf("%d guesses of %d passwords in 5 min, want 10", len(times), len(passwords))
		}
		for i := 1; i < len(times); i++ {
			if d := times[i].Sub(times[i-1]); d != load.DefaultPace {
				t.Errorf("%v between guesses", d)
			}
		}
	})
}

func TestConfig(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: answer(func(*http.Request) (int, error) { t.Error("something was sent"); return 200, nil })}
	for name, cfg := range map[string]load.Config{
		"the rate":      {Rate: load.MaxRate + 1},
		"NaN":           {Rate: math.NaN()},
		"the duration":  {Duration: load.MaxDuration + 1},
		"the pace":      {Pace: time.Millisecond},
		"not an attack": {Attack: "flood"},
		"not the URL":   {Target: "127.0.0.1:8443"},
	} {
		cfg.Client = client
		if cfg.Target == "" {
			cfg.Target = "https://127.0.0.2:8443"
		}
		if _, err := load.Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := load.Run(t.Context(), load.Config{Client: client, Target: "https://u:canary-7@h:1:2"}); err == nil || strings.Contains(err.Error(), "canary-7") {
		t.Errorf("a password in the target: %v", err)
	}
	if _, err := load.Run(t.Context(), load.Config{Target: "https://127.0.0.2:8443"}); err == nil {
		t.Error("no client was no error")
	}
}

func TestPublicTargets(t *testing.T) {
	t.Parallel()
	// The client refuses before it connects, so no packet leaves.
	for _, target := range []string{"https://192.0.2.1", "https://203.0.113.5:8443", "http://169.254.169.254"} {
		sum, err := load.Run(t.Context(), load.Config{Client: load.NewClient(load.ClientConfig{}), Target: target, Rate: 100, Duration: time.Minute})
		if !errors.Is(err, load.ErrPublicTarget) {
			t.Errorf("%s: %v, %v", target, sum, err)
		}
	}
	// A redirect is not followed.
	home := httptest.NewServer(http.RedirectHandler("http://192.0.2.1/", http.StatusFound))
	defer home.Close()
	status, _, err := load.Do(t.Context(), load.NewClient(load.ClientConfig{}), home.URL, load.Visit{Method: "GET", Path: "/"})
	if status != http.StatusFound || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
}

func TestAttacks(t *testing.T) {
	t.Parallel()
	tried, networks, passwords := make(map[string]int), make(map[netip.Prefix]bool), make(map[string]bool)
	customer := make(map[string]bool)
	for _, c := range customers.All {
		customer[c.Name] = true
	}
	for i := range 100 {
		v, ok := load.Spray.Guess(i)
		if !ok || v.From.String() != "198.51.100.66" {
			t.Fatalf("%v from %v", v, v.From)
		}
		tried[v.Name]++
	}
	for name := range customer {
		if tried[name] < 4 {
			t.Errorf("%s was tried %d times", name, tried[name])
		}
	}
	if tried["returns-desk"] == 0 {
		t.Error("no stranger's name was tried")
	}
	for i := range 512 {
		v, _ := load.Distributed.Guess(i)
		network, err := v.From.Prefix(24)
		if err != nil || !netip.MustParsePrefix("198.18.0.0/15").Contains(v.From) {
			t.Fatalf("%v: %v", v.From, err)
		}
		networks[network], passwords[v.Password] = true, true
		if v.Name != "alice" {
			t.Fatalf("it tries %s", v.Name)
		}
	}
	if len(networks) != 512 || len(passwords) != 512 {
		t.Errorf("%d networks, %d passwords", len(networks), len(passwords))
	}
	unknown := 0
	for i := range 40 {
		if v, _ := load.Stuffing.Guess(i); !customer[v.Name] {
			unknown++
		}
	}
	if unknown != 36 {
		t.Errorf("%d of 40 names are unknown", unknown)
	}
	if _, ok := load.None.Guess(0); ok {
		t.Error("none guesses")
	}
	for _, a := range load.Attacks() {
		if parsed, err := load.ParseAttack(string(a)); err != nil || parsed != a {
			t.Error(a, err)
		}
	}
}

func TestCrowd(t *testing.T) {
	t.Parallel()
	passwords := make(map[string]string)
	for _, c := range customers.All {
		passwords[c.Name] = c.Password
	}
	wrong, anonymous := 0, 0
	crowd, again := load.NewCrowd(7), load.NewCrowd(7)
	for range 2000 {
		v := crowd.Visit()
		if diff := cmp.Diff(v, again.Visit(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatal("the same seed simulates other visits")
		}
		switch {
		case v.Name == "":
			anonymous++
		case passwords[v.Name] != v.Password:
			wrong++
		}
		if !netip.MustParsePrefix("192.0.2.0/24").Contains(v.From) {
			t.Fatalf("from %v", v.From)
		}
	}
	if wrong < 20 || wrong > 120 || anonymous < 100 || anonymous > 700 {
		t.Errorf("of 2000 visits %d mistyped and %d had no credentials", wrong, anonymous)
	}
}

func TestVisitShowsNoPassword(t *testing.T) {
	t.Parallel()
	v := load.Visit{Who: load.Attacker, Method: "GET", Path: "/", Name: "bob", Password: "canary-password"}
	for _, text := range []string{fmt.Sprint(v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v)} {
		if strings.Contains(text, "canary") {
			t.Error(text)
		}
	}
	_, _, err := load.Do(t.Context(), &http.Client{Transport: answer(func(*http.Request) (int, error) { return 0, os.ErrDeadlineExceeded })}, "https://127.0.0.1", v)
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
}
