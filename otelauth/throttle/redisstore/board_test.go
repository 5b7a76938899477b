// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budgettest"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

func TestBoardConformance(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	budgettest.RunBoard(t, func(t *testing.T) budget.Board {
		t.Helper()
		return newStore(t, redisstore.Config{Client: srv.Client(t), Prefix: "board"})
	})
}

var (
	rulesKey = bytes.Repeat([]byte{7}, 32)
	everyone = netip.MustParsePrefix("198.51.100.0/24")
	guesser  = throttle.Guess{Account: "alice", Network: netip.MustParsePrefix("198.51.100.66/32")}
)

// replica returns the budgets of one process, and its store.
func replica(t *testing.T, srv server, key []byte) (*throttle.Budgets, *redisstore.Store) {
	t.Helper()
	s := newStore(t, redisstore.Config{Client: srv.Client(t), Prefix: "rules", Timeout: 100 * time.Millisecond, ProbeEvery: 50 * time.Millisecond})
	b, err := throttle.New(throttle.Config{Store: s, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return b, s
}

func verdict(t *testing.T, b *throttle.Budgets) throttle.Verdict {
	t.Helper()
	d, err := b.Spend(t.Context(), guesser)
	if err != nil {
		t.Fatal(err)
	}
	if d.Verdict == throttle.Granted {
		b.Settle(t.Context(), guesser, throttle.Unjudged)
	}
	return d.Verdict
}

var carol = throttle.Act{By: "carol", Why: "ticket 7"}

// TestRulesAreShared puts a rule in force at one process and finds it at another one, and again
// after its revocation.
func TestRulesAreShared(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	a, _ := replica(t, srv, rulesKey)
	b, _ := replica(t, srv, rulesKey)
	denied := throttle.Subject{Network: everyone}
	if err := a.Deny(t.Context(), denied, throttle.Act{By: "carol", Why: "ticket 7", For: time.Hour}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	testkit.Eventually(t, "the rule at the other process", func() bool { return verdict(t, b) == throttle.Refused })
	t.Logf("the rule applied at the other process after %v", time.Since(start))
	rules := b.Rules()
	if len(rules) != 1 || rules[0].By != "carol" || rules[0].Why != "ticket 7" || !rules[0].Denied || time.Until(rules[0].Until) > time.Hour {
		t.Errorf("the rules of the other process are %+v", rules)
	}
	if err := b.Allow(t.Context(), throttle.Subject{Account: "alice"}, carol); err != nil {
		t.Fatal(err)
	}
	if err := b.Revoke(t.Context(), denied, carol); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the revocation at the first process", func() bool {
		rules := a.Rules()
		return len(rules) == 1 && rules[0].Subject.Account == "alice" && verdict(t, a) == throttle.Granted
	})
	late, _ := replica(t, srv, rulesKey)
	testkit.Eventually(t, "the rules at a process that starts later", func() bool { return len(late.Rules()) == 1 })
}

// TestRulesOfAnOutage makes a rule while Redis is down, and finds it everywhere when Redis is up
// again, with its data lost.
func TestRulesOfAnOutage(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	a, _ := replica(t, srv, rulesKey)
	b, _ := replica(t, srv, rulesKey)
	if err := a.Deny(t.Context(), throttle.Subject{Account: "bob"}, carol); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the first rule at the other process", func() bool { return len(b.Rules()) == 1 })
	srv.Kill()
	testkit.Eventually(t, "the outage", func() bool { verdict(t, a); _, ok := a.Sharing(); return !ok })
	if err := a.Deny(t.Context(), throttle.Subject{Network: everyone}, carol); err != nil {
		t.Fatal(err)
	}
	if verdict(t, a) != throttle.Refused {
		t.Error("the rule does not apply in its own process")
	}
	if shared, ok := a.Sharing(); !shared || ok {
		t.Error("Sharing does not report that the rule is pending")
	}
	srv.Restart(t) // without its data
	testkit.Eventually(t, "both rules at the other process", func() bool { return len(b.Rules()) == 2 })
	testkit.Eventually(t, "the end of the outage", func() bool { _, ok := a.Sharing(); return ok })
}

// TestRulesAreSealed checks that Redis learns nothing from a rule, and that no rule is taken over
// that another key has sealed.
func TestRulesAreSealed(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	a, store := replica(t, srv, rulesKey)
	if err := a.Deny(t.Context(), throttle.Subject{Account: "alice", Network: everyone}, carol); err != nil {
		t.Fatal(err)
	}
	content, err := store.Read(t.Context(), "rules")
	if err != nil || len(content) == 0 {
		t.Fatalf("the document: %v", err)
	}
	for _, secret := range []string{"alice", "198.51", "carol", "ticket"} {
		if strings.Contains(string(content), secret) {
			t.Errorf("Redis holds %q", secret)
		}
	}
	foreign, _ := replica(t, srv, bytes.Repeat([]byte{8}, 32))
	err = foreign.Documents().Update(context.Background(), "rules", time.Hour, func([]byte) ([]byte, error) { return []byte("{}"), nil })
	if !errors.Is(err, throttle.ErrForeignDocument) {
		t.Errorf("an update under another key: %v", err)
	}
	if err := foreign.Deny(t.Context(), throttle.Subject{Account: "bob"}, carol); err != nil {
		t.Fatal(err)
	}
	if _, ok := foreign.Sharing(); ok || len(foreign.Rules()) != 1 {
		t.Errorf("under another key: shared %v, rules %+v", ok, foreign.Rules())
	}
	if rules := a.Rules(); len(rules) != 1 || rules[0].Subject.Account != "alice" {
		t.Errorf("the rules are %+v", rules)
	}
}

// TestClearIsShared makes another process forget what it remembers of a cleared budget.
func TestClearIsShared(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	a, _ := replica(t, srv, rulesKey)
	b, _ := replica(t, srv, rulesKey)
	for i := range 20 {
		g := guesser
		g.Fingerprint[0] = byte(i + 1)
		d, err := b.Spend(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		if d.Verdict == throttle.Refused {
			break
		}
		b.Settle(t.Context(), g, throttle.Wrong)
	}
	if len(b.List()) == 0 {
		testkit.Eventually(t, "a refusal", func() bool {
			g := guesser
			g.Fingerprint[0] = 200
			d, err := b.Spend(t.Context(), g)
			return err == nil && d.Verdict == throttle.Refused
		})
	}
	if len(b.List()) != 1 {
		t.Fatalf("the list has %d cases", len(b.List()))
	}
	if err := a.Clear(t.Context(), throttle.Subject{Account: guesser.Account, Network: guesser.Network}, carol); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the end of the case at the other process", func() bool { return len(b.List()) == 0 })
	if verdict(t, b) != throttle.Granted {
		t.Error("the other process still refuses")
	}
}

// failing is a hook that fails the scripts of a client while it is set.
type failing struct{ atomic.Bool }

func (f *failing) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") && f.Load() {
			err := errors.New("the connection was reset")
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (f *failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestWatchAfterAFailedUpdate: an Update that fails although Redis answers every look is reported
// to the watcher, so that its content is shared later and not only with the next change.
func TestWatchAfterAFailedUpdate(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	client, fails := srv.Client(t), new(failing)
	client.AddHook(fails)
	s := newStore(t, redisstore.Config{Client: client, Prefix: "again"})
	calls := make(chan []byte, 100)
	defer s.Watch("rules", func(content []byte) { calls <- content })()
	if content := testkit.Receive(t, "a call", calls); content != nil {
		t.Fatalf("the first content is %q", content)
	}
	fails.Store(true)
	err := s.Update(t.Context(), "rules", time.Minute, func([]byte) ([]byte, error) { return []byte("one"), nil })
	if err == nil {
		t.Fatal("the update did not fail")
	}
	if content := testkit.Receive(t, "a call", calls); content != nil {
		t.Errorf("the content is %q", content)
	}
}
