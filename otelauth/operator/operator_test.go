// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// TestUnblock is the way from "alice is locked out" to "alice is in".
func TestUnblock(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true}, nil)
	c := s.client(operator.ClientConfig{})
	s.block()
	if got := s.login(laptop, "alice", alicePassword); got != http.StatusTooManyRequests {
		t.Fatalf("the blocked alice is answered %d", got)
	}

	list, err := c.Budgets(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Budgets) != 1 || list.Budgets[0].Kind != "pair" || list.Budgets[0].Account != "alice" || list.Budgets[0].Network != laptop {
		t.Fatalf("the list of blocked is %+v", list.Budgets)
	}
	e, err := c.Explain(t.Context(), "alice", laptop)
	if err != nil {
		t.Fatal(err)
	}
	if !e.Refused || e.RefusedBy != "pair" || e.Until == nil || e.Since == nil || len(e.Attempts) == 0 {
		t.Fatalf("the explanation is %+v", e)
	}
	want := "alice from 192.0.2.7 cannot log in until "
	if !strings.HasPrefix(e.Sentence, want) {
		t.Errorf("the sentence is %q, not %q …", e.Sentence, want)
	}

	r, err := c.Act(t.Context(), operator.ActRequest{Verb: operator.VerbClear, Account: "alice", Network: laptop, Reason: "ticket 7"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Act.Actor != "carol" || r.Act.Reason != "ticket 7" || !r.Act.Undoable {
		t.Errorf("the act is %+v", r.Act)
	}
	if got := s.login(laptop, "alice", alicePassword); got != http.StatusOK {
		t.Errorf("after the clear, alice is answered %d", got)
	}
	if e, err = c.Explain(t.Context(), "alice", laptop); err != nil || e.Refused || !e.Known {
		t.Errorf("after the clear: %v %+v", err, e)
	}
	acted := 0
	for _, event := range s.recorder.Events() {
		if event.Name() == semconv.EventOperatorAct {
			acted++
		}
	}
	if acted != 1 {
		t.Errorf("%d events %s, want 1", acted, semconv.EventOperatorAct)
	}
}

// TestClearAccountOnly clears every pair of the account that has refused attempts.
func TestClearAccountOnly(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true}, nil)
	c := s.client(operator.ClientConfig{})
	s.block()
	if _, err := c.Act(t.Context(), operator.ActRequest{Verb: operator.VerbClear, Account: "alice", Reason: "ticket 8"}); err != nil {
		t.Fatal(err)
	}
	if got := s.login(laptop, "alice", alicePassword); got != http.StatusOK {
		t.Errorf("after the clear, alice is answered %d", got)
	}
}

// TestUndoOfClear takes a clear back, except for what would have come back meanwhile.
func TestUndoOfClear(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true}, nil)
	c := s.client(operator.ClientConfig{})
	s.block()
	act := func() string {
		t.Helper()
		r, err := c.Act(t.Context(), operator.ActRequest{Verb: operator.VerbClear, Account: "alice", Network: laptop, Reason: "ticket 7"})
		if err != nil || !r.Act.Undoable {
			t.Fatalf("%v %+v", err, r.Act)
		}
		return r.Act.ID
	}
	left := func(want int) {
		t.Helper()
		e, err := c.Explain(t.Context(), "alice", laptop)
		if err != nil || e.Budgets[0].Kind != "pair" || e.Budgets[0].Left != want || e.Refused != (want == 0) {
			t.Errorf("%d guesses are left, want %d: %v %+v", e.Budgets[0].Left, want, err, e)
		}
	}
	id := act()
	left(10)
	r, err := c.Undo(t.Context(), id, "the caller was not alice")
	if err != nil || r.Act.Undoes != id || r.Sentence != "The guesses that the clear gave back to alice from 192.0.2.7 are charged again." {
		t.Fatalf("undo: %v %+v", err, r)
	}
	left(0)
	if got := s.login(laptop, "alice", alicePassword); got != http.StatusTooManyRequests {
		t.Errorf("after the undo, alice is answered %d", got)
	}
	if _, err := c.Undo(t.Context(), id, "again"); code(err) != operator.CodeNotUndoable {
		t.Errorf("undo twice: %v", err)
	}

	id = act()
	s.clock.Advance(3 * time.Minute) // without the clear, three guesses would have come back
	if _, err := c.Undo(t.Context(), id, "wrong"); err != nil {
		t.Fatal(err)
	}
	left(3)

	id = act()
	s.clock.Advance(time.Hour)
	list, err := c.Acts(t.Context(), nil)
	if err != nil || list.Acts[0].ID != id || list.Acts[0].Undoable {
		t.Errorf("after an hour: %v %+v", err, list.Acts[0])
	}
	if _, err := c.Undo(t.Context(), id, "late"); code(err) != operator.CodeNotUndoable {
		t.Errorf("undo after an hour: %v", err)
	}
	left(10)
}

// TestDenyAndUndo puts a rule in force, replaces it, and undoes both.
func TestDenyAndUndo(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true}, nil)
	c := s.client(operator.ClientConfig{})
	act := func(verb string, seconds int64) operator.ActResult {
		t.Helper()
		s.clock.Advance(time.Minute)
		r, err := c.Act(t.Context(), operator.ActRequest{Verb: verb, Network: "198.51.100.0/24", Reason: "attack", ForSeconds: seconds})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	deny := act(operator.VerbDeny, 3600)
	if got := s.login(attacker, "alice", alicePassword); got != http.StatusTooManyRequests {
		t.Errorf("from the denied network: %d", got)
	}
	e, err := c.Explain(t.Context(), "", attacker)
	if err != nil || e.RefusedBy != "rule" || e.Rule == nil || e.Rule.Actor != "carol" || !strings.Contains(e.Sentence, "is blocked until") {
		t.Errorf("the explanation is %v %+v", err, e)
	}
	allow := act(operator.VerbAllow, 0)
	if got := s.login(attacker, "alice", alicePassword); got != http.StatusOK {
		t.Errorf("from the allowed network: %d", got)
	}
	if _, err := c.Undo(t.Context(), deny.Act.ID, "wrong"); code(err) != operator.CodeNotUndoable {
		t.Errorf("undo of a replaced rule: %v", err)
	}
	if r, err := c.Undo(t.Context(), allow.Act.ID, "wrong"); err != nil || r.Act.Undoes != allow.Act.ID {
		t.Fatalf("undo: %v %+v", err, r)
	}
	list, err := c.Budgets(t.Context(), nil)
	if err != nil || len(list.Rules) != 1 || list.Rules[0].Effect != operator.VerbDeny || list.Rules[0].Until == nil {
		t.Fatalf("after the undo the previous rule is in force again, but: %v %+v", err, list.Rules)
	}
	if got := s.login(attacker, "alice", alicePassword); got != http.StatusTooManyRequests {
		t.Errorf("from the denied network again: %d", got)
	}
	if _, err := c.Undo(t.Context(), allow.Act.ID, "again"); code(err) != operator.CodeNotUndoable {
		t.Errorf("undo twice: %v", err)
	}
	acts, err := c.Acts(t.Context(), nil)
	if err != nil || len(acts.Acts) != 3 || acts.Acts[0].Verb != operator.VerbUndo || acts.Acts[1].UndoneBy != acts.Acts[0].ID {
		t.Errorf("the acts are %v %+v", err, acts.Acts)
	}
	s.clock.Advance(2 * time.Hour)
	if got := s.login(attacker, "alice", alicePassword); got != http.StatusOK {
		t.Errorf("after the end of the rule: %d", got)
	}
}

// TestForget ends the credentials that are remembered.
func TestForget(t *testing.T) {
	t.Parallel()
	closed := ""
	s := newService(t, operator.Config{Acts: true, CloseStreams: func(account string) int { closed = account; return 2 }}, nil)
	c := s.client(operator.ClientConfig{})
	s.login(laptop, "alice", alicePassword)
	s.login(laptop, "alice", alicePassword)
	r, err := c.Act(t.Context(), operator.ActRequest{Verb: operator.VerbForget, Account: "alice", Reason: "stolen laptop"})
	if err != nil || r.Act.Credentials != 1 || r.Act.Streams != 2 || closed != "alice" {
		t.Fatalf("forget: %v %+v, closed %q", err, r.Act, closed)
	}
	s.login(laptop, "alice", alicePassword)
	st, err := c.Status(t.Context())
	if err != nil || st.Cache.Hits != 1 || st.Cache.Misses != 2 {
		t.Errorf("the cache is used %v %+v, want 1 hit and 2 misses", err, st.Cache)
	}
}

func code(err error) string {
	var f *operator.Refusal
	if errors.As(err, &f) {
		return f.Code
	}
	return fmt.Sprint(err)
}

// TestAttempts filters the recent attempts.
func TestAttempts(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{}, nil)
	c := s.client(operator.ClientConfig{})
	s.login(laptop, "", "")
	s.login(laptop, "alice", alicePassword)
	s.clock.Advance(10 * time.Minute)
	s.login(attacker, "alice", "guess")
	s.login(attacker, "mallory", "guess")
	s.login("2001:db8::1", "bob", "builder")
	for _, tc := range []struct {
		query string
		want  []string // accounts or outcomes of the newest first
	}{
		{"", []string{"success bob", "failure ", "failure alice", "success alice", "missing "}},
		{"outcome=failure,missing", []string{"failure ", "failure alice", "missing "}},
		{"account=alice", []string{"failure alice", "success alice"}},
		{"account=mallory", []string{"failure "}},
		{"network=198.51.100.0/24", []string{"failure ", "failure alice"}},
		{"network=2001:db8::1", []string{"success bob"}},
		{"since=5m&limit=1", []string{"success bob"}},
		{"before=3", []string{"success alice", "missing "}},
		{"route=/nowhere", nil},
	} {
		q, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		list, err := c.Attempts(t.Context(), q)
		if err != nil {
			t.Errorf("%q: %v", tc.query, err)
			continue
		}
		var got []string
		for _, a := range list.Attempts {
			got = append(got, a.Outcome+" "+a.Account)
			if a.Route != "/orders" || a.Method != "GET" || a.Hash == "" && a.Outcome != "missing" || a.TraceID == "" {
				t.Errorf("%q: %+v", tc.query, a)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%q: %q, want %q", tc.query, got, tc.want)
		}
		if tc.query == "since=5m&limit=1" && !list.More {
			t.Errorf("%q: more is false", tc.query)
		}
	}
}

// TestTraffic counts attempts over time, by endpoint, account and network.
func TestTraffic(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{}, nil)
	c := s.client(operator.ClientConfig{})
	s.login(laptop, "alice", alicePassword)
	s.clock.Advance(30 * time.Minute)
	for range 3 {
		s.login(attacker, "alice", "guess")
	}
	traffic, err := c.Traffic(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]uint64{}
	for i, b := range traffic.Buckets {
		for o, n := range b.Outcomes {
			sums[o] += n
		}
		if i > 0 && b.Time.Sub(traffic.Buckets[i-1].Time) != 10*time.Second {
			t.Fatalf("the bucket %d begins at %v", i, b.Time)
		}
	}
	last := traffic.Buckets[len(traffic.Buckets)-1]
	if len(traffic.Buckets) != 360 || sums["success"] != 1 || sums["failure"] != 3 || last.Outcomes["failure"] != 3 {
		t.Errorf("%d buckets with %v, the last has %v", len(traffic.Buckets), sums, last)
	}
	if len(traffic.Endpoints) != 1 || traffic.Endpoints[0].Name != "/orders" || traffic.Endpoints[0].Denied != 3 {
		t.Errorf("endpoints: %+v", traffic.Endpoints)
	}
	if len(traffic.Networks) != 1 || traffic.Networks[0].Name != attacker || len(traffic.Accounts) != 1 || traffic.Accounts[0].Name != "alice" {
		t.Errorf("since 5 minutes: %+v %+v", traffic.Networks, traffic.Accounts)
	}
	s.clock.Advance(90 * time.Minute)
	st, err := c.Status(t.Context())
	if err != nil || st.Outcomes[0].Outcome != "success" || st.Outcomes[0].Total != 1 || st.Outcomes[0].LastMinute != 0 {
		t.Errorf("status: %v %+v", err, st.Outcomes)
	}
}

// TestSentences explains each state.
func TestSentences(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true}, nil)
	c := s.client(operator.ClientConfig{})
	for _, tc := range []struct{ account, network, want string }{
		{"alice", laptop, "Nothing blocks alice from 192.0.2.7. 10 of 10 tries are left."},
		{"alice", "", "Nothing blocks alice. 50 of 50 tries are left."},
		{"", laptop, "Nothing blocks 192.0.2.7. 300 of 300 tries are left."},
		{"", "192.0.2.0/24", "Nothing blocks 192.0.2.0/24. 1200 of 1200 tries are left."},
		{"nobody", laptop, `There is no account "nobody"; guesses at any name are limited alike. Nothing blocks nobody from 192.0.2.7. 10 of 10 tries are left.`},
	} {
		e, err := c.Explain(t.Context(), tc.account, tc.network)
		if err != nil || e.Sentence != tc.want {
			t.Errorf("%s %s: %v\n%s\nwant\n%s", tc.account, tc.network, err, e.Sentence, tc.want)
		}
	}
	s.block()
	s.clock.Advance(2 * time.Second)
	at := s.clock.Now().UTC()
	e, err := c.Explain(t.Context(), "alice", laptop)
	want := fmt.Sprintf("alice from 192.0.2.7 cannot log in until %s UTC (in 58 seconds), because too many wrong passwords were tried "+
		"for alice from 192.0.2.7. After 10 wrong passwords there is one more try each minute. "+
		"The last refused attempt came at %s UTC from 192.0.2.7; there were too many before it.",
		at.Add(58*time.Second).Format("15:04:05"), at.Add(-2*time.Second).Format("15:04:05"))
	if err != nil || e.Sentence != want {
		t.Errorf("%v\n%s\nwant\n%s", err, e.Sentence, want)
	}
}

// TestDetectionOff: the status lists the rules that are off by default, until ListDetection lists
// those that a service turns on and off.
func TestDetectionOff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		describe func(*operator.Status)
		want     []string
	}{
		{nil, []string{detect.UnusualHour}},
		{func(s *operator.Status) { s.ListDetection(&detect.Config{Off: []string{detect.NewNetwork}}) }, []string{detect.NewNetwork, detect.UnusualHour}},
		{func(s *operator.Status) { s.ListDetection(&detect.Config{On: []string{detect.UnusualHour}}) }, []string{}},
	} {
		st, err := newService(t, operator.Config{Describe: test.describe}, nil).client(operator.ClientConfig{}).Status(t.Context())
		if err != nil || st.DetectionOff == nil || !slices.Equal(st.DetectionOff, test.want) {
			t.Errorf("off: %q, %v; want %q", st.DetectionOff, err, test.want)
		}
	}
}
