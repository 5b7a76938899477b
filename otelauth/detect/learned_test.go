// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/internal/snapshot"
)

// save stores what the process has learned.
func (w *watch) save() {
	w.t.Helper()
	if err := w.d.Save(); err != nil {
		w.t.Fatal(err)
	}
}

// trim removes the batches from the feed, as Redis does with old ones.
func (h *hub) trim() {
	for i := range h.batches {
		h.batches[i].Data = nil
		h.batches[i].Number = 0 // no process gets it
	}
}

// TestLearningSurvivesARestartOfAll: what a fleet has learned in 20 days finds a takeover two hours
// after all of it has restarted, although the feed has no attempt of these days. Without what it
// has learned, nothing does.
func TestLearningSurvivesARestartOfAll(t *testing.T) {
	t.Parallel()
	for _, with := range []bool{true, false} {
		h, _, fleet := newFleet(t, 2)
		for day := range 20 {
			fleet[day%2].now = fleet[0].now
			fleet[day%2].live(1, "alice", "")
			fleet[0].now = fleet[day%2].now
			pass(fleet[:1], 0)
		}
		if with {
			fleet[0].save()
		}
		h.trim()
		at := fleet[0].now.Add(2 * time.Hour)
		feed, w := h.join(t, 3)
		h.leader, h.now = feed, func() time.Time { return w.now }
		w.now = at
		w.pass(0)
		w.try(try{})
		w.none("the owner, after a restart")
		w.try(try{from: "198.51.100.200"})
		if got := w.starts(detect.NewNetwork) > 0; got != with {
			t.Errorf("with what was learned: %t; new_network: %t", with, got)
		}
		if h.problem != nil {
			t.Error(h.problem)
		}
	}
}

// TestRestartedProcessAgrees: a process that restarts in the middle of attacks detects what the
// others detect, also as the leader, and starts no open episode again.
func TestRestartedProcessAgrees(t *testing.T) {
	t.Parallel()
	seen := func(list *[]detect.Detection) func(*detect.Config) {
		return func(cfg *detect.Config) {
			cfg.OnEpisode = func(d detect.Detection) {
				if d.Rule.Name != detect.SamePassword && d.Rule.Name != detect.StaleCredential {
					*list = append(*list, d)
				}
			}
		}
	}
	for _, at := range []int{4, 9, 20, 35} {
		h, _, fleet := newFleet(t, 2)
		var stayed, restarted []detect.Detection
		_, fleet[1] = h.join(t, 2, seen(&stayed))
		attack := func(i int) {
			distribute(fleet, "alice", i, 1)
			w := fleet[i%2]
			w.try(try{name: fmt.Sprint("user", i), from: "198.51.100.7", password: uint64(i + 1), sensitive: true})
			w.try(try{name: fmt.Sprint("none", i), unknown: true, from: "198.51.101.7", password: uint64(i + 1)})
			w.try(try{name: "bob", from: "198.51.102.7", password: uint64(i + 1)})
			pass(fleet, time.Minute)
		}
		for i := range at {
			attack(i)
		}
		fleet[0].save()
		h.trim()
		stayed = nil
		now := fleet[0].now
		h.leader, fleet[0] = h.join(t, 3, seen(&restarted))
		fleet[0].now = now
		pass(fleet, 0)
		stayed, restarted = nil, nil // of the announcement of open episodes
		for i := at; i < at+40; i++ {
			attack(i)
		}
		pass(fleet, 6*24*time.Hour)
		if h.problem != nil {
			t.Fatal(h.problem)
		}
		if len(stayed) < 5 {
			t.Fatalf("%d detections; the test proves little", len(stayed))
		}
		if d := cmp.Diff(essence(stayed), essence(restarted)); d != "" {
			t.Errorf("restarted before attempt %d (-the other process +the restarted one):\n%s", at, d)
		}
		for _, d := range fleet[0].found {
			if d.Phase == detect.Start && d.First.Before(now.Add(-30*time.Minute)) && at > 30 {
				t.Errorf("%s of %v starts again", d.Rule.Name, d.Accounts)
			}
		}
	}
}

// TestRestartedProcessCountsTheOthers: a process that restarts requires as many more wrong
// passwords as the others, and does not continue what only the process with the fingerprints has
// detected.
func TestRestartedProcessCountsTheOthers(t *testing.T) {
	t.Parallel()
	h, _, fleet := newFleet(t, 2)
	for i := range 12 {
		fleet[0].try(try{name: fmt.Sprint("user", i), from: network(i), password: 7})
	}
	distribute(fleet, "alice", 0, 2)
	if fleet[0].starts(detect.SamePassword) != 1 {
		t.Fatal("same_password does not fire")
	}
	fleet[0].save()
	h.trim()
	now := fleet[0].now
	h.leader, fleet[0] = h.join(t, 3)
	fleet[0].now = now
	pass(fleet, 0)
	distribute(fleet[1:], "alice", 10, 8)
	pass(fleet, 0)
	wantReported(t, "ten passwords, of two processes", fleet, detect.Start, 0)
	distribute(fleet[1:], "alice", 20, 1)
	pass(fleet, 0)
	wantReported(t, "eleven", fleet[:1], detect.Start, 1)
	pass(fleet, 6*24*time.Hour)
	for _, d := range fleet[0].found {
		if d.Rule.Name == detect.SamePassword {
			t.Errorf("the restarted process reports the %s of %s", d.Phase, d.Rule.Name)
		}
	}
}

// essence lists what is the same in every process. A process that has restarted lacks what only
// fills the lists of a new episode: names, networks and traces of earlier attempts.
func essence(all []detect.Detection) (lines []string) {
	for _, d := range all {
		lines = append(lines, fmt.Sprintf("%s %v %x: %d attempts from %v to %v", d.Rule.Name, d.Phase, d.Episode, d.Attempts, d.First, d.Last))
	}
	slices.Sort(lines) // ends of one moment have no order
	return lines
}

// TestLearnedRevealsNothing: what a process stores has neither an address nor a user agent, a name
// or a fingerprint.
func TestLearnedRevealsNothing(t *testing.T) {
	t.Parallel()
	const fingerprint = 0xf1e2d3c4b5a69788
	h, _, fleet := newFleet(t, 1, custom(detect.Custom{Rules: []detect.CustomRule{
		{Name: "mine", Per: detect.PerAccount, Except: detect.Match{Accounts: []string{"canary"}}}, {Name: "passwords", Count: detect.CountPasswords},
	}}))
	for i := range 40 {
		for _, o := range []attempt.Outcome{attempt.Failure, attempt.Success} {
			req := attempt.Request{
				Context: context.Background(), Time: fleet[0].now, Client: netip.MustParseAddr("198.51.100.231"), Path: "/canary", UserAgent: "canary",
			}
			res := attempt.Result{Outcome: o, UserName: fmt.Sprint("canary", i), UserHash: fmt.Sprint("k:", i), PasswordFingerprint: fingerprint + uint64(i)}
			if o == attempt.Success {
				req.Client = netip.MustParseAddr("203.0.113.231")
			}
			fleet[0].decide(&req, &res)
			if o == attempt.Failure {
				res.PasswordFingerprint = fingerprint // same_password
				fleet[0].decide(&req, &res)
			}
		}
	}
	if fleet[0].starts(detect.PasswordSpray)+fleet[0].starts(detect.SamePassword) < 2 || fleet[0].starts("mine") < 32 {
		t.Fatal("no episodes, so the test proves nothing")
	}
	fleet[0].save()
	if !bytes.Contains(h.learned, []byte("k:")) || !bytes.Contains(h.learned, []byte{198, 51, 100, 0}) {
		t.Error("it has neither a hash nor a network, so the test proves nothing")
	}
	for what, form := range map[string][]byte{
		"a name or a user agent": []byte("canary"), "an address": {198, 51, 100, 231}, "another": {203, 0, 113, 231},
		"a fingerprint":            binary.BigEndian.AppendUint64(nil, fingerprint),
		"a fingerprint, backwards": binary.LittleEndian.AppendUint64(nil, fingerprint),
		"a fingerprint, as varint": binary.AppendUvarint(nil, fingerprint),
	} {
		if bytes.Contains(h.learned, form) {
			t.Errorf("what was learned has %s", what)
		}
	}
}

// TestOneProcessKeeps: the leader stores what was learned, and not again if nothing is new; an
// error is reported and leads to another try.
func TestOneProcessKeeps(t *testing.T) {
	t.Parallel()
	var notices []attempt.Notice
	h, feeds, fleet := newFleet(t, 2, func(cfg *detect.Config) {
		cfg.Notice = func(_ context.Context, n attempt.Notice) { notices = append(notices, n) }
	})
	fleet[0].save()
	distribute(fleet, "alice", 0, 4)
	fleet[1].save()
	if h.learned != nil {
		t.Error("a process that does not lead, or that has learned nothing, stores")
	}
	feeds[0].failed = true
	if err := fleet[0].d.Save(); err == nil || len(notices) != 1 || notices[0].Kind != attempt.DetectionSnapshot || notices[0].Source != "redis" {
		t.Errorf("%v, notices %+v", err, notices)
	}
	feeds[0].failed = false
	fleet[0].save()
	if h.learned == nil {
		t.Fatal("nothing is stored after an error")
	}
	h.learned = nil
	fleet[0].save()
	if h.learned != nil {
		t.Error("it is stored again although nothing is new")
	}
	feeds[0].alone = true
	distribute(fleet[:1], "alice", 10, 1)
	fleet[0].save()
	if h.learned != nil {
		t.Error("a process without the feed stores")
	}
}

// TestLearnedLater: a process that starts while the feed is down detects alone, and gets what was
// learned when the feed is up. Its open episodes continue.
func TestLearnedLater(t *testing.T) {
	t.Parallel()
	h, _, fleet := newFleet(t, 1)
	fleet[0].live(20, "alice", "")
	fleet[0].save()
	h.trim()
	feed, w := h.join(t, 2)
	h.leader, h.now, feed.alone = feed, func() time.Time { return w.now }, true
	w.now = fleet[0].now
	for i := range 12 {
		w.try(try{name: fmt.Sprint("user", i), from: "198.51.100.7", password: uint64(i + 1)})
	}
	if w.starts(detect.PasswordSpray) != 1 {
		t.Fatal("it does not detect alone")
	}
	feed.alone = false
	w.pass(time.Second)
	w.try(try{from: "198.51.100.200"})
	if w.starts(detect.NewNetwork) != 1 {
		t.Error("nothing is known when the feed is up")
	}
	w.pass(6 * 24 * time.Hour)
	if ends := slices.DeleteFunc(slices.Clone(w.found), func(d detect.Detection) bool {
		return d.Phase != detect.End || d.Rule.Name != detect.PasswordSpray
	}); len(ends) != 1 || w.starts(detect.PasswordSpray) != 1 {
		t.Errorf("the spray ends %d times", len(ends))
	}
}

// TestLearnedCustom: a process that starts continues with the counts and open episodes that the
// leader has of the same rules of the operator. A process that runs counts its own attempts.
func TestLearnedCustom(t *testing.T) {
	t.Parallel()
	rules := func(within time.Duration) func(*detect.Config) {
		return custom(detect.Custom{Rules: []detect.CustomRule{
			{Name: "half", AtLeast: 4, Per: detect.PerAccount}, {Name: "open", Per: detect.PerAccount}, {Name: "differs", AtLeast: 3, Within: within},
		}})
	}
	h, _, fleet := newFleet(t, 2, only(), rules(time.Hour))
	fleet[0].try(try{})
	fleet[0].try(try{})
	fleet[1].try(try{})
	pass(fleet, 0)
	if fleet[0].starts("open") != 1 || fleet[1].starts("open") != 1 || fleet[0].found[0].Episode == 0 {
		t.Fatal("no episode to continue")
	}
	id := fleet[0].found[0].Episode
	fleet[0].save()
	h.trim()
	var listed []detect.Detection
	_, third := h.join(t, 3, only(), rules(2*time.Hour), func(cfg *detect.Config) {
		cfg.OnEpisode = func(d detect.Detection) { listed = append(listed, d) }
	})
	third.now = fleet[0].now
	third.pass(0)
	third.none("the start")
	if h.problem != nil || len(listed) != 1 || listed[0].Episode != id || len(listed[0].Addresses) != 0 || !slices.Equal(listed[0].Accounts, []string{"k:alice"}) {
		t.Errorf("%v; OnEpisode got %+v", h.problem, listed)
	}
	third.try(try{})
	third.none("three of four")
	third.try(try{})
	if third.starts("half") != 1 || third.starts("open") != 0 || third.starts("differs") != 0 {
		t.Errorf("starts: half %d, open %d, differs %d", third.starts("half"), third.starts("open"), third.starts("differs"))
	}
	third.pass(24 * time.Hour)
	if ends := slices.DeleteFunc(slices.Clone(third.found), func(d detect.Detection) bool {
		return d.Phase != detect.End || d.Rule.Name != "open"
	}); len(ends) != 1 || ends[0].Episode != id || ends[0].Attempts != 4 {
		t.Errorf("the ends are %+v", ends)
	}
	pass(fleet[:1], 24*time.Hour)
	if last := fleet[0].found[len(fleet[0].found)-1]; last.Phase != detect.End || last.Episode != id {
		t.Errorf("the leader reports no end: %+v", last)
	}
	fleet[1].try(try{})
	fleet[1].try(try{})
	if fleet[1].starts("half") != 0 {
		t.Error("a process counts the attempts of others")
	}
}

// TestLearnedCustomLater: the open episodes of a process that started without the feed continue
// when it gets what the leader has learned, as many as memory has room for.
func TestLearnedCustomLater(t *testing.T) {
	t.Parallel()
	rule := custom(detect.Custom{Rules: []detect.CustomRule{{Name: "mine", Per: detect.PerAccount}}})
	h, _, fleet := newFleet(t, 1, only(), rule)
	for i := range 20 {
		fleet[0].try(try{name: fmt.Sprint("leader", i)})
	}
	fleet[0].save()
	feed, w := h.join(t, 2, only(), rule)
	h.now, feed.alone = func() time.Time { return w.now }, true
	w.now = fleet[0].now
	for i := range 20 {
		w.try(try{name: fmt.Sprint("own", i)})
	}
	if w.starts("mine") != 20 {
		t.Fatal("it does not detect alone")
	}
	feed.alone = false
	w.pass(time.Second)
	if h.problem != nil || w.starts("mine") != len(w.found) {
		t.Errorf("%v; %d events, %d of them starts", h.problem, len(w.found), w.starts("mine"))
	}
	w.try(try{name: "own0"})
	w.pass(24 * time.Hour)
	ended := map[uint64]bool{}
	for _, d := range w.found {
		if d.Phase == detect.End {
			ended[d.Episode] = true
		}
	}
	for _, d := range w.found {
		if d.Phase == detect.Start && !ended[d.Episode] {
			t.Errorf("the episode about %v does not end", d.Accounts)
		}
	}
	if len(ended) != 32 || w.starts("mine") != 20 {
		t.Errorf("%d episodes end, want 32; %d starts", len(ended), w.starts("mine"))
	}
}

// TestLearnedThatIsRefused: a state that is cut off, or from the future, changes nothing.
func TestLearnedThatIsRefused(t *testing.T) {
	t.Parallel()
	h, _, fleet := newFleet(t, 1)
	fleet[0].live(20, "alice", "")
	fleet[0].save()
	good := h.learned
	for name, c := range map[string]struct {
		state []byte
		back  time.Duration
		want  error
	}{
		"empty":           {[]byte{}, 0, snapshot.ErrDamaged},
		"cut off":         {good[:len(good)-9], 0, snapshot.ErrDamaged},
		"cut in front":    {good[:12], 0, snapshot.ErrDamaged},
		"many senders":    {append(bytes.Repeat([]byte{0xff}, 8), good[8:]...), 0, snapshot.ErrDamaged},
		"from the future": {good, 25 * time.Hour, snapshot.ErrFuture},
		"good":            {good, 0, nil},
	} {
		h.learned = c.state
		_, w := h.join(t, 2)
		w.now = fleet[0].now.Add(-c.back)
		w.try(try{})
		if !errors.Is(h.problem, c.want) {
			t.Errorf("%s: %v, want %v", name, h.problem, c.want)
		}
	}
}

// TestRunKeeps: Run stores what was learned now and then, and at its end.
func TestRunKeeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _, fleet := newFleet(t, 1, func(cfg *detect.Config) { cfg.Snapshot.Every = time.Minute; cfg.Now = time.Now })
		h.now = time.Now
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- fleet[0].d.Run(ctx) }()
		guess := func() {
			req, res := sampleAttempt(attempt.Failure)
			req.Time = time.Time{}
			_ = fleet[0].d.Decide(req.Context, req, res)
		}
		guess()
		time.Sleep(61 * time.Second) // of the bubble
		synctest.Wait()
		first := h.learned
		if first == nil {
			t.Error("nothing is stored after the interval")
		}
		guess()
		time.Sleep(time.Second)
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if cmp.Equal(first, h.learned, cmpopts.EquateEmpty()) {
			t.Error("nothing is stored at the end")
		}
	})
}
