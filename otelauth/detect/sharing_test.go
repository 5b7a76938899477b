// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
)

// hub is the state that the feeds of one test share. Package redisfeed tests the real one.
type hub struct {
	batches  []feed.Batch
	reported feed.Position
	leader   *testFeed
	now      func() time.Time
	skew     time.Duration // of the hub's clock
	learned  []byte        // from Keep
	upTo     int           // the batches that it was learned from
	problem  error         // of Restore
}

type testFeed struct {
	hub    *hub
	id     uint64
	next   int
	alone  bool
	deaf   bool // published batches do not come back yet
	failed bool // an exchange publishes, but its reply is lost
	seen   map[uint64]uint64
}

func (*testFeed) Key() (k [16]byte) { return k }

func (f *testFeed) Shared() bool { return !f.alone }

func (f *testFeed) Keep(state []byte) func(context.Context) error {
	upTo := f.next
	return func(context.Context) error {
		if f.failed {
			return errors.New("the feed is full")
		}
		f.hub.learned, f.hub.upTo = state, upTo
		return nil
	}
}

func (f *testFeed) Restore(_ context.Context, restore func([]byte) error) error {
	if f.alone || f.failed {
		return errors.New("no answer")
	}
	if f.hub.learned == nil {
		return nil
	}
	if f.hub.problem = restore(f.hub.learned); f.hub.problem == nil {
		f.next = f.hub.upTo
	}
	return nil
}

func (f *testFeed) Exchange(_ context.Context, out []feed.Outgoing, reported feed.Position) (x feed.Exchanged, err error) {
	if f.alone {
		return feed.Exchanged{Alone: true}, nil
	}
	for _, o := range out {
		f.hub.batches = append(f.hub.batches, feed.Batch{
			Position: feed.Position{Major: uint64(len(f.hub.batches) + 1)}, Time: f.hub.now().Add(f.hub.skew), Sender: f.id, Number: o.Number,
			Data: o.Data,
		})
	}
	if f.failed {
		return x, errors.New("the reply is lost")
	}
	if f.hub.leader == f && reported.Compare(f.hub.reported) > 0 {
		f.hub.reported = reported
	}
	for ; !f.deaf && f.next < len(f.hub.batches); f.next++ {
		b := f.hub.batches[f.next]
		if b.Own = b.Sender == f.id; b.Number > f.seen[b.Sender] {
			f.seen[b.Sender] = b.Number
			x.Batches = append(x.Batches, b)
		}
	}
	x.Reported, x.Leads = f.hub.reported, f.hub.leader == f
	return x, nil
}

// dice is a source of randomness that differs between processes but not between runs.
type dice byte

func (d dice) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(d)
	}
	return len(b), nil
}

// newFleet returns n processes that share a clock. The first one is the leader.
func newFleet(t testing.TB, n int, change ...func(*detect.Config)) (*hub, []*testFeed, []*watch) {
	t.Helper()
	h := &hub{}
	feeds := make([]*testFeed, n)
	fleet := make([]*watch, n)
	for i := range fleet {
		feeds[i], fleet[i] = h.join(t, i+1, change...)
	}
	h.leader, h.now = feeds[0], func() time.Time { return fleet[0].now }
	return h, feeds, fleet
}

// join starts the process with a number.
func (h *hub) join(t testing.TB, number int, change ...func(*detect.Config)) (*testFeed, *watch) {
	t.Helper()
	f := &testFeed{hub: h, id: uint64(number), seen: map[uint64]uint64{}}
	return f, newWatch(t, append(change, func(cfg *detect.Config) { cfg.Feed, cfg.Rand = f, dice(number) })...)
}

func pass(fleet []*watch, d time.Duration) {
	for _, w := range fleet {
		w.pass(d)
	}
}

// distribute sends guesses for a name round robin, each from its own network.
func distribute(fleet []*watch, name string, from, n int) {
	for i := from; i < from+n; i++ {
		fleet[i%len(fleet)].try(try{name: name, from: network(i), password: uint64(1000 + i)})
		pass(fleet, 0)
	}
}

func reported(fleet []*watch, rule string, phase detect.Phase) (n int) {
	for _, w := range fleet {
		for _, d := range w.found {
			if d.Rule.Name == rule && d.Phase == phase {
				n++
			}
		}
	}
	return n
}

func wantReported(t *testing.T, what string, fleet []*watch, phase detect.Phase, want int) {
	t.Helper()
	if n := reported(fleet, detect.DistributedGuessing, phase); n != want {
		t.Errorf("%s: %s reported %d times; want %d", what, phase, n, want)
	}
}

// TestSharedEpisode: every process detects an episode and the leader reports it, also after a
// change of the leader, until its end.
func TestSharedEpisode(t *testing.T) {
	t.Parallel()
	h, feeds, fleet := newFleet(t, 3)
	distribute(fleet, "alice", 0, 15)
	wantReported(t, "by the leader", fleet[:1], detect.Start, 1)
	wantReported(t, "by all", fleet, detect.Start, 1)

	h.leader = nil // the leader hangs, so detections are held
	distribute(fleet, "bob", 100, 15)
	wantReported(t, "without a leader", fleet, detect.Start, 1)
	h.leader = feeds[1]
	pass(fleet, time.Second)
	wantReported(t, "by the next leader", fleet[1:2], detect.Start, 1)
	wantReported(t, "by all", fleet, detect.Start, 2)

	pass(fleet, 6*24*time.Hour)
	wantReported(t, "at the end", fleet, detect.End, 2)
	pass(fleet, time.Minute)
	wantReported(t, "after the end", fleet, detect.End, 2)
}

// TestEveryProcessSeesEpisodes: OnEpisode gets the detections of every process, also of those that
// do not report them.
func TestEveryProcessSeesEpisodes(t *testing.T) {
	t.Parallel()
	seen := map[uint64]int{}
	_, _, fleet := newFleet(t, 3, func(cfg *detect.Config) {
		cfg.OnEpisode = func(d detect.Detection) {
			if d.Phase == detect.Start && d.Rule.Name == detect.DistributedGuessing {
				seen[d.Episode]++
			}
		}
	})
	distribute(fleet, "alice", 0, 15)
	wantReported(t, "by all", fleet, detect.Start, 1)
	if len(seen) != 1 {
		t.Fatalf("%d episodes, want 1", len(seen))
	}
	for _, n := range seen {
		if n != len(fleet) {
			t.Errorf("%d of %d processes saw it", n, len(fleet))
		}
	}
}

// TestLostAnswer: a batch that is passed again counts once.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	_, feeds, fleet := newFleet(t, 2)
	for i := range 6 {
		feeds[0].failed = true
		fleet[0].try(try{from: network(i), password: uint64(i + 1)})
		pass(fleet, 0)
		feeds[0].failed = false
		pass(fleet, 0)
	}
	distribute(fleet, "alice", 50, 15)
	wantReported(t, "once", fleet, detect.Start, 1)
	for _, d := range fleet[0].found {
		if d.Phase == detect.Start && d.Attempts != 11 { // 10, and one for the other process
			t.Errorf("%d attempts are evidence; want 11", d.Attempts)
		}
	}
}

// TestAlone: a process without the feed reports its own detections. Afterwards no process reports
// them again, and it does not report those of the others again.
func TestAlone(t *testing.T) {
	t.Parallel()
	_, feeds, fleet := newFleet(t, 2)
	distribute(fleet, "alice", 0, 15)
	distribute(fleet, "carol", 50, 8)
	feeds[1].alone = true
	distribute(fleet[1:], "bob", 100, 15)
	wantReported(t, "alone", fleet[1:], detect.Start, 1)
	distribute(fleet[1:], "carol", 150, 4) // with the evidence from before
	wantReported(t, "alone", fleet[1:], detect.Start, 2)
	feeds[1].alone = false
	pass(fleet, 0)
	pass(fleet, 0)
	distribute(fleet, "bob", 200, 30)
	distribute(fleet, "alice", 300, 30)
	distribute(fleet, "carol", 400, 30)
	wantReported(t, "together again", fleet, detect.Start, 3)
	if reported(fleet[:1], detect.DistributedGuessing, detect.Update) == 0 {
		t.Error("an episode that was reported alone does not continue")
	}
	pass(fleet, 6*24*time.Hour)
	wantReported(t, "each once", fleet, detect.End, 3)
}

// TestNotBack: a batch that was published and did not come back is evaluated alone, once.
func TestNotBack(t *testing.T) {
	t.Parallel()
	_, feeds, fleet := newFleet(t, 2)
	distribute(fleet, "bob", 50, 2) // so that there are two
	feeds[1].deaf = true
	distribute(fleet[1:], "alice", 0, 9)
	feeds[1].alone, feeds[1].deaf = true, false
	distribute(fleet[1:], "alice", 9, 1)
	wantReported(t, "ten, of two processes", fleet, detect.Start, 0)
	distribute(fleet[1:], "alice", 10, 1)
	wantReported(t, "eleven", fleet, detect.Start, 1)
	feeds[1].alone = false
	pass(fleet, 0)
	if f := fleet[1].found; len(f) != 1 || f[0].Attempts != 11 {
		t.Errorf("reported %v; want one detection of 11 attempts", f)
	}
	if n := fleet[1].d.Dropped(); n != 0 {
		t.Errorf("%d dropped", n)
	}
}

// TestNothingLeaves: a feed gets no name, no address and no fingerprint.
func TestNothingLeaves(t *testing.T) {
	t.Parallel()
	const fingerprint = 0xf1e2d3c4b5a69788
	h, _, fleet := newFleet(t, 1)
	for _, o := range []attempt.Outcome{attempt.Failure, attempt.Success} {
		req := attempt.Request{Context: context.Background(), Time: monday, Client: netip.MustParseAddr("198.51.100.231"), Path: "/canary", UserAgent: "canary"}
		res := attempt.Result{Outcome: o, UserName: "canary", UserHash: "k:1", PasswordFingerprint: fingerprint}
		fleet[0].decide(&req, &res)
	}
	if len(h.batches) != 2 {
		t.Fatalf("%d batches", len(h.batches))
	}
	for _, b := range h.batches {
		if !bytes.Contains(b.Data, []byte("k:1")) || !bytes.Contains(b.Data, []byte{198, 51, 100}) {
			t.Error("the batch has neither hash nor network, so the test proves nothing")
		}
		for what, form := range map[string][]byte{
			"name": []byte("canary"), "address": {198, 51, 100, 231}, "fingerprint": binary.BigEndian.AppendUint64(nil, fingerprint),
			"fingerprint backwards": binary.LittleEndian.AppendUint64(nil, fingerprint), "fingerprint as varint": binary.AppendUvarint(nil, fingerprint),
		} {
			if bytes.Contains(b.Data, form) {
				t.Errorf("the %s leaves the process", what)
			}
		}
	}
}

// BenchmarkShared measures the cost of an attempt of the fleet for each process: decoding and
// evaluation.
func BenchmarkShared(b *testing.B) {
	_, _, fleet := newFleet(b, 1)
	req, res := sampleAttempt(attempt.Failure)
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		n++
		req.Client = netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		res.PasswordFingerprint = n
		_ = fleet[0].d.Decide(req.Context, req, res)
		if n%4096 == 0 {
			fleet[0].d.Drain(monday)
		}
	}
}

// TestStaleThroughAll: one old password at each of twelve processes is not twelve guesses.
func TestStaleThroughAll(t *testing.T) {
	t.Parallel()
	_, _, fleet := newFleet(t, 12)
	for i := range 36 {
		fleet[i%12].try(try{from: network(i % 15), password: 7})
		pass(fleet, time.Second)
	}
	for _, w := range fleet {
		w.none("a stale password")
	}
}

// TestSamePasswordOfOne: the process that has the fingerprints detects and reports same_password,
// even if another one leads.
func TestSamePasswordOfOne(t *testing.T) {
	t.Parallel()
	_, _, fleet := newFleet(t, 2)
	for i := range 12 {
		fleet[1].try(try{name: "user" + network(i), from: network(i), password: 7})
		pass(fleet, 0)
	}
	if a, b := fleet[0].starts(detect.SamePassword), fleet[1].starts(detect.SamePassword); a != 0 || b != 1 {
		t.Errorf("reported by %d and %d; want by the second only", a, b)
	}
}

type compass struct{ t *testing.T }

func (c compass) Locate(addr netip.Addr) (float64, float64, bool) {
	if addr.Unmap().As4()[3] == 0 {
		c.t.Errorf("located %v; the sender must locate it, because it has the whole address", addr)
	}
	if addr.As4()[0] == 203 {
		return 35.6, 139.7, true
	}
	return 52.5, 13.4, true
}

// TestSharedTravel: the process that has the address locates it.
func TestSharedTravel(t *testing.T) {
	t.Parallel()
	_, _, fleet := newFleet(t, 2, func(cfg *detect.Config) { cfg.Locator = compass{t} })
	fleet[0].try(try{})
	pass(fleet, 8*24*time.Hour)
	fleet[0].try(try{})
	pass(fleet, time.Hour)
	fleet[1].try(try{from: network(5)})
	pass(fleet, 0)
	if fleet[0].starts(detect.ImpossibleTravel) != 1 || fleet[1].starts("") != 0 {
		t.Errorf("%v %v", fleet[0].found, fleet[1].found)
	}
}

// TestSharedClocks: wrong clocks of a sender or the feed shift evidence by at most a minute.
func TestSharedClocks(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-400 * 24 * time.Hour, 400 * 24 * time.Hour} {
		h, _, fleet := newFleet(t, 2)
		fleet[1].now = fleet[1].now.Add(skew) // the sender
		for i := range 15 {
			req := attempt.Request{Context: context.Background(), Time: fleet[1].now, Client: netip.MustParseAddr(network(i))}
			res := attempt.Result{
				Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, UserName: "alice", UserHash: "k:alice", PasswordFingerprint: uint64(i + 1),
			}
			fleet[1].decide(&req, &res)
		}
		h.skew = max(skew, 0) // the clock of a feed may be ahead, for example after a forged entry
		distribute(fleet[:1], "bob", 100, 15)
		for _, d := range fleet[0].found {
			if d.Phase == detect.Start && (d.First.Before(monday.Add(-time.Minute)) || d.Last.After(monday.Add(time.Second))) {
				t.Errorf("skew %v: from %v to %v", skew, d.First, d.Last)
			}
		}
		wantReported(t, skew.String(), fleet[:1], detect.Start, 2)
	}
}

// TestUnread: a batch of another version is ignored and counted.
func TestUnread(t *testing.T) {
	t.Parallel()
	h, _, fleet := newFleet(t, 2)
	for i, data := range []string{"", "\x02\x01", "\x01\x09", "\x01\x01cut", "\x01\x02cut"} {
		h.batches = append(h.batches, feed.Batch{
			Position: feed.Position{Major: uint64(i + 1)}, Time: monday, Sender: 9, Number: uint64(i + 1), Data: []byte(data),
		})
	}
	pass(fleet, 0)
	if n := fleet[0].d.Unread(); n != 5 {
		t.Errorf("%d unread; want 5", n)
	}
	fleet[0].none("unreadable batches")
}
