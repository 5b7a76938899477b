// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/internal/redistest"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// newReplica returns a service that shares its budgets through Redis.
func newReplica(t *testing.T, srv *redistest.Server, cfg operator.Config) *service {
	t.Helper()
	store, err := redisstore.New(redisstore.Config{Client: srv.Client(t), Timeout: 100 * time.Millisecond, ProbeEvery: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	budgets, err := throttle.New(throttle.Config{
		Store: store, Key: bytes.Repeat([]byte{5}, 32), Identify: identityKey.Hash, NameOf: func(name string) string { return name },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, cfg, func(auth *otelauth.Config) { auth.Throttle = budgets })
	s.toNow()
	return s
}

// toNow sets the clock to the time of Redis.
func (s *service) toNow() { s.clock.Advance(time.Since(s.clock.Now())) }

// TestReplicas unblocks alice at one replica while another one has blocked her, and forgets her
// there.
func TestReplicas(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	closed := make(chan string, 1)
	a := newReplica(t, srv, operator.Config{Acts: true})
	b := newReplica(t, srv, operator.Config{Acts: true, CloseStreams: func(account string) int { closed <- account; return 1 }})
	ca, cb := a.client(operator.ClientConfig{}), b.client(operator.ClientConfig{})
	testkit.Eventually(t, "two replicas", func() bool {
		st, err := ca.Status(t.Context())
		return err == nil && st.Replicas == 2 && len(st.Peers) == 2
	})
	b.login(laptop, "alice", alicePassword)
	b.block()
	testkit.Eventually(t, "the blocked of the other replica", func() bool {
		l, err := ca.Budgets(t.Context(), nil)
		return err == nil && len(l.Budgets) == 1 && l.Budgets[0].Account == "alice" && len(l.Local) == 0 && l.Degraded == ""
	})
	e, err := ca.Explain(t.Context(), "alice", laptop)
	if err != nil || !e.Refused || e.Since == nil || !slices.Equal(e.Local, []string{"attempts"}) {
		t.Errorf("the explanation at the other replica: %v %+v", err, e)
	}
	r, err := ca.Act(t.Context(), operator.ActRequest{Verb: operator.VerbClear, Account: "alice", Reason: "ticket 7"})
	if err != nil || len(r.Local) != 0 {
		t.Fatalf("clear: %v %+v", err, r)
	}
	start := time.Now()
	testkit.Eventually(t, "alice is in at the other replica", func() bool { return b.login(laptop, "alice", alicePassword) == http.StatusOK })
	t.Logf("after the clear, alice was in at the other replica within %v", time.Since(start))

	for i := range 12 { // alice is known at the laptop now
		b.login(attacker, "alice", fmt.Sprint("wrong", i))
	}
	if r, err = ca.Act(t.Context(), operator.ActRequest{Verb: operator.VerbClear, Account: "alice", Network: attacker, Reason: "ticket 7"}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the clear at the replica that undoes it", func() bool {
		_, err := cb.Undo(t.Context(), r.Act.ID, "the caller was not alice")
		return err == nil
	})
	if e, err := ca.Explain(t.Context(), "alice", attacker); err != nil || !e.Refused {
		t.Errorf("after the undo of the clear at the other replica: %v %+v", err, e)
	}

	start = time.Now()
	// The acts are ordered by the clock of Redis, which each replica knows to within a round trip.
	b.clock.Advance(time.Second)
	deny, err := cb.Act(t.Context(), operator.ActRequest{Verb: operator.VerbDeny, Network: attacker, Reason: "attack", ForSeconds: 600})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the rule at the other replica", func() bool { return a.login(attacker, "bob", "builder") == http.StatusTooManyRequests })
	took := time.Since(start)
	t.Logf("the deny applied at the other replica after %v", took)
	if took > time.Second && !testkit.Race {
		t.Errorf("the deny applied at the other replica after %v, more than 1s", took)
	}
	testkit.Eventually(t, "the act at the other replica", func() bool {
		l, err := ca.Acts(t.Context(), nil)
		return err == nil && len(l.Acts) == 4 && l.Acts[0].ID == deny.Act.ID && l.Acts[0].Undoable
	})
	a.toNow()
	a.clock.Advance(time.Second)
	if _, err := ca.Undo(t.Context(), deny.Act.ID, "false alarm"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the undo at the first replica", func() bool {
		l, err := cb.Acts(t.Context(), nil)
		return err == nil && len(l.Acts) == 5 && l.Acts[1].UndoneBy == l.Acts[0].ID && b.login(attacker, "bob", "builder") == http.StatusOK
	})
	if _, err := ca.Act(t.Context(), operator.ActRequest{Verb: operator.VerbForget, Account: "alice", Reason: "stolen laptop"}); err != nil {
		t.Fatal(err)
	}
	if got := testkit.Receive(t, "the end of the streams of the other replica", closed); got != "alice" {
		t.Errorf("the streams of %q were closed", got)
	}
}

// TestReplicasWithoutRedis says what is local while Redis is down.
func TestReplicasWithoutRedis(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	a := newReplica(t, srv, operator.Config{Acts: true})
	c := a.client(operator.ClientConfig{})
	testkit.Eventually(t, "the own entry", func() bool {
		st, err := c.Status(t.Context())
		return err == nil && st.Replicas == 1 && st.Degraded == ""
	})
	srv.Kill()
	testkit.Eventually(t, "an answer that says so", func() bool {
		a.login(laptop, "alice", "guess")
		l, err := c.Budgets(t.Context(), nil)
		return err == nil && l.Degraded != "" && slices.Contains(l.Local, "rules")
	})
	r, err := c.Act(t.Context(), operator.ActRequest{Verb: operator.VerbDeny, Network: attacker, Reason: "attack"})
	if err != nil || r.Degraded == "" || !slices.Contains(r.Local, "rules") {
		t.Fatalf("deny during the outage: %v %+v", err, r)
	}
	if got := a.login(attacker, "bob", "builder"); got != http.StatusTooManyRequests {
		t.Errorf("the rule does not apply here: %d", got)
	}
	srv.Restart(t)
	testkit.Eventually(t, "the end of the outage", func() bool {
		l, err := c.Budgets(t.Context(), nil)
		return err == nil && l.Degraded == "" && len(l.Rules) == 1
	})
}
