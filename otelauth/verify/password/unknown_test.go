// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// counted is a store whose hashes count their runs.
type counted struct {
	accounts map[string]*verify.Account
	mix      *password.Mix
}

func (c *counted) Lookup(_ context.Context, name string) (*verify.Account, error) {
	return c.accounts[name], nil
}
func (c *counted) Canonical(name string) string    { return name }
func (c *counted) Decoy(key uint64) *password.Hash { return c.mix.Decoy(key) }
func (c *counted) Len() int                        { return len(c.accounts) }
func (c *counted) add(hash *password.Hash, r *rand.Rand) {
	c.accounts[fmt.Sprint("known", r.Uint64())] = &verify.Account{Password: hash}
}

// TestUnknownNamesCostWhatAccountsCost counts the runs of every scheme through the whole of
// package verify. Unknown names must run the same hashes as accounts, in the same shares. One
// name must always run the same hashes, in this process and in the next. The test does not use
// the clock.
func TestUnknownNamesCostWhatAccountsCost(t *testing.T) {
	t.Parallel()
	var runs strings.Builder // the schemes that one attempt has run
	scheme := func(name string) func(uint32) *password.Hash {
		return password.Counted(name, func() { runs.WriteString(name + " ") })
	}
	a, b, c := scheme("a"), scheme("b"), scheme("c")
	for name, kinds := range map[string][]kind{
		"half with a previous one": {{a(1), .5}, {a(1).WithPrevious(a(1)), .5}},
		"a tenth":                  {{a(1), .9}, {a(1).WithPrevious(a(1)), .1}},
		"nine tenths":              {{a(1), .1}, {a(1).WithPrevious(a(1)), .9}},
		"another cost":             {{a(1), .5}, {a(2).WithPrevious(a(1)), .5}},
		"another scheme":           {{a(1), .5}, {b(1).WithPrevious(a(1)), .5}},
		"on its way from a to b":   {{a(1), .4}, {b(1).WithPrevious(a(1)), .3}, {b(1), .3}},
		"crosswise":                {{a(1).WithPrevious(b(1)), .5}, {b(1).WithPrevious(a(1)), .5}},
		"all kinds":                {{a(1), .2}, {b(1), .1}, {c(1), .1}, {a(1).WithPrevious(a(2)), .2}, {b(1).WithPrevious(c(1)), .3}, {c(1).WithPrevious(a(1)), .1}},
		"nobody":                   {{a(1), .5}, {b(1), .5}},
		"two passwords":            {{a(1).WithPrevious(a(1)), 1}},
	} {
		sameShares(t, name, kinds, &runs)
	}
}

// kind is one part of a store's accounts.
type kind struct {
	hash  *password.Hash
	share float64
}

// sameShares compares the hashes that run for accounts and for other names. The hashes of kinds
// write to runs.
func sameShares(t *testing.T, store string, kinds []kind, runs *strings.Builder) {
	t.Helper()
	const names = 2000
	const accounts = 1000
	r := rand.New(rand.NewPCG(1, 2))
	s := &counted{accounts: map[string]*verify.Account{}}
	var hashes []*password.Hash
	for _, k := range kinds {
		for range int(math.Round(k.share * accounts)) {
			s.add(k.hash, r)
			hashes = append(hashes, k.hash)
		}
	}
	s.mix = password.NewMix(slices.Values(hashes))
	start := func() *verify.Engine {
		e, err := verify.New(verify.Config{Accounts: s, DecoyKey: bytes.Repeat([]byte{7}, 32)})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	engine, later := start(), start()
	work := func(e *verify.Engine, name, pass string) string {
		t.Helper()
		field, defect := credential.Split(http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+pass))}}, 0)
		if defect != credential.NoDefect {
			t.Fatal(defect)
		}
		runs.Reset()
		var res attempt.Result
		if e.Verify(t.Context(), time.Now(), field, netip.MustParsePrefix("192.0.2.1/32"), &res) != nil || res.Outcome != attempt.Failure {
			t.Fatalf("%s: %v", name, res.Outcome)
		}
		return runs.String()
	}
	shares := func(next func(i int) string) map[string]float64 {
		t.Helper()
		got := map[string]float64{}
		for i := range names {
			got[work(engine, next(i), fmt.Sprint("guess ", i))]++
		}
		for kind := range got {
			got[kind] /= names
		}
		return got
	}
	known := make([]string, 0, accounts)
	for name := range s.accounts {
		known = append(known, name)
	}
	of := shares(func(i int) string { return known[i%len(known)] })
	unknown := shares(func(i int) string { return fmt.Sprint("unknown", i) })
	for kind, share := range of {
		// Six standard deviations; the names and the key are always the same.
		if d := math.Abs(unknown[kind] - share); d > 6*math.Sqrt(share*(1-share)/names) {
			t.Errorf("%s: accounts run %q in %.1f %%, unknown names in %.1f %%", store, kind, 100*share, 100*unknown[kind])
		}
	}
	for kind := range unknown {
		if of[kind] == 0 {
			t.Errorf("%s: an unknown name runs %q, which no account does", store, kind)
		}
	}
	for i := range 200 {
		name := fmt.Sprint("unknown", i)
		first := work(engine, name, "guess a")
		if again, restarted := work(engine, name, "guess b"), work(later, name, "guess a"); first != again || first != restarted {
			t.Errorf("%s: %s runs %q, then %q, after a restart %q", store, name, first, again, restarted)
		}
	}
	t.Logf("%s: accounts %v, unknown names %v", store, of, unknown)
}
