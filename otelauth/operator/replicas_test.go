// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/detect"
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

	b.toNow() // the time of its rule is that of the budgets, which have no fake clock
	start = time.Now()
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
		return err == nil && len(l.Acts) == 4 && slices.ContainsFunc(l.Acts, func(act operator.Act) bool { return act.ID == deny.Act.ID && act.Undoable })
	})
	a.toNow()
	undo, err := ca.Undo(t.Context(), deny.Act.ID, "false alarm")
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the undo at the first replica", func() bool {
		l, err := cb.Acts(t.Context(), nil)
		return err == nil && len(l.Acts) == 5 && slices.ContainsFunc(l.Acts, func(act operator.Act) bool { return act.ID == deny.Act.ID && act.UndoneBy == undo.Act.ID }) &&
			b.login(attacker, "bob", "builder") == http.StatusOK
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
	a.block() // in the memory of this process
	if r, err = c.Act(t.Context(), operator.ActRequest{Verb: operator.VerbClear, Account: "alice", Network: laptop, Reason: "ticket 7"}); err != nil ||
		r.Degraded == "" || !slices.Contains(r.Local, "budgets") || !strings.Contains(r.Sentence, "in this process only") || strings.Contains(r.Sentence, "\n") {
		t.Errorf("clear during the outage: %v %+v", err, r)
	}
	if got := a.login(laptop, "alice", alicePassword); got != http.StatusOK {
		t.Errorf("the clear does not apply here: %d", got)
	}
	if l, err := c.Budgets(t.Context(), nil); err != nil || len(l.Budgets) != 0 {
		t.Errorf("after the clear: %v %+v", err, l.Budgets)
	}
	srv.Restart(t)
	testkit.Eventually(t, "the end of the outage", func() bool {
		l, err := c.Budgets(t.Context(), nil)
		return err == nil && l.Degraded == "" && len(l.Rules) == 1
	})
	if l, err := c.Acts(t.Context(), nil); err != nil || len(l.Acts) != 2 {
		t.Errorf("after the outage: %v %+v", err, l.Acts)
	}
}

// TestEveryAnswerSaysWhatIsLocal asks for every answer at one process alone, at two replicas, and
// at a replica whose Redis is down.
func TestEveryAnswerSaysWhatIsLocal(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	alone := newService(t, operator.Config{Acts: true}, nil)
	a := newReplica(t, srv, operator.Config{Acts: true, SharedDetection: true})
	newReplica(t, srv, operator.Config{Acts: true})
	testkit.Eventually(t, "two replicas", func() bool { return a.meta(t, "GET", "/v1/status", nil).Replicas == 2 })
	act := func(verb string) *operator.ActRequest {
		return &operator.ActRequest{Verb: verb, Account: "alice", Reason: "ticket 7"}
	}
	for _, s := range []*service{alone, a} {
		s.op.Detection(detect.Detection{Rule: detect.Rules()[0], Episode: 7})
	}
	answers := []struct {
		method, path  string
		body          *operator.ActRequest
		alone, shared string
	}{
		{"GET", "/v1/status", nil, "status", "status"},
		{"GET", "/v1/attempts", nil, "attempts", "attempts"},
		{"GET", "/v1/traffic", nil, "traffic", "traffic"},
		{"GET", "/v1/episodes", nil, "episodes", "episodes of same_password"},
		{"GET", "/v1/episodes/0000000000000007", nil, "episodes", "addresses user_agents origins"},
		{"GET", "/v1/budgets", nil, "budgets rules", ""},
		{"GET", "/v1/budgets/explain?account=alice", nil, "budgets rules attempts", "attempts"},
		{"GET", "/v1/acts", nil, "acts", ""},
		{"GET", "/v1/live", nil, "acts status attempts episodes", "status attempts episodes of same_password"},
		{"POST", "/v1/acts", act(operator.VerbDeny), "acts rules", ""},
		{"POST", "/v1/acts", act(operator.VerbClear), "acts budgets", ""},
		{"POST", "/v1/acts", act(operator.VerbForget), "acts credentials and streams", "credentials and streams"},
	}
	for _, answer := range answers {
		if m := alone.meta(t, answer.method, answer.path, answer.body); m.Replicas != 1 || strings.Join(m.Local, " ") != answer.alone || m.Degraded != "" {
			t.Errorf("alone, %s %s: %+v, want %q", answer.method, answer.path, m, answer.alone)
		}
		if m := a.meta(t, answer.method, answer.path, answer.body); m.Replicas != 2 || strings.Join(m.Local, " ") != answer.shared || m.Degraded != "" {
			t.Errorf("with Redis, %s %s: %+v, want %q", answer.method, answer.path, m, answer.shared)
		}
	}
	srv.Kill()
	testkit.Eventually(t, "the outage", func() bool {
		a.login(laptop, "alice", "guess")
		return a.meta(t, "GET", "/v1/budgets", nil).Degraded != ""
	})
	for _, answer := range answers {
		m := a.meta(t, answer.method, answer.path, answer.body)
		own := strings.TrimPrefix(answer.alone, answer.shared) // what sharing adds is missing now
		for _, part := range []string{"budgets", "rules", "acts"} {
			if strings.Contains(own, part) && !slices.Contains(m.Local, part) || m.Degraded == "" {
				t.Errorf("without Redis, %s %s: %+v, want %q in local", answer.method, answer.path, m, part)
			}
		}
	}
}

// meta sends a request as root and returns what begins the answer.
func (s *service) meta(t *testing.T, method, path string, body *operator.ActRequest) (m operator.Meta) {
	t.Helper()
	var into any
	if body != nil {
		into = body
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := s.call(method, path, into, func(r *http.Request) {
		if strings.HasSuffix(path, "/live") {
			time.AfterFunc(100*time.Millisecond, cancel)
			*r = *r.WithContext(ctx)
		}
	})
	text := w.Body.String()
	if _, event, isLive := strings.Cut(text, "event: hello\ndata: "); isLive {
		text, _, _ = strings.Cut(event, "\n")
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s %s: %d %s: %v", method, path, w.Code, w.Body, err)
	}
	return m
}
