// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisfeed_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
	"github.com/otelauth/otelauth-go/otelauth/detect/redisfeed"
)

// TestSplit: processes that each see too few guesses detect them together, and one reports.
func TestSplit(t *testing.T) {
	t.Parallel()
	f := newFleet(t, startRedis(t), 3)
	f.spread("alice", 0, plenty)
	f.starts("split over three", 1)
	for i, p := range f {
		if p.feed.Rejected() != 0 || p.d.Unread() != 0 || p.d.Dropped() != 0 {
			t.Errorf("process %d: %d rejected, %d unread, %d dropped", i, p.feed.Rejected(), p.d.Unread(), p.d.Dropped())
		}
		for _, d := range p.found {
			for _, a := range d.Accounts {
				if a != hash("alice") {
					t.Errorf("account %q; want its hash", a)
				}
			}
			if d.NetworkCount < 10 || len(d.Networks) != 8 {
				t.Errorf("%d networks, listed %v", d.NetworkCount, d.Networks)
			}
		}
	}
	if e, ok := f[0].notes(); e+ok != 0 {
		t.Errorf("%v", f[0].notices)
	}

	// Without sharing no process detects it.
	for i := range 3 {
		alone := newProcess(t, startRedis(t))
		for g := i; g < plenty; g += 3 {
			alone.guess("alice", g, uint64(g+1))
		}
		alone.drain()
		if len(alone.found) != 0 {
			t.Errorf("process %d detects it without the others: %v", i, alone.found)
		}
	}
}

// TestStaleEverywhere: one old password from many unknown networks through many processes is not
// guessing.
func TestStaleEverywhere(t *testing.T) {
	t.Parallel()
	f := newFleet(t, startRedis(t), 12)
	for round := range 3 {
		for i, p := range f {
			for pod := range 4 {
				p.guess("ci", 16*round+i+pod, 42)
			}
			p.drain()
		}
	}
	f.drain()
	for _, p := range f {
		for _, d := range p.found {
			t.Errorf("%s: %d accounts, %d networks, %d attempts", d.Rule.Name, d.AccountCount, d.NetworkCount, d.Attempts)
		}
	}
}

// TestTakeover: when the leader is killed, another process continues within the lease. It repeats
// and misses nothing.
func TestTakeover(t *testing.T) {
	t.Parallel()
	f := newFleet(t, startRedis(t), 3)
	f.spread("alice", 0, plenty)
	f.starts("before", 1)
	leader := -1
	for i, p := range f {
		if p.count(detect.Start) == 1 {
			leader = i
		}
	}
	rest := append(append(fleet{}, f[:leader]...), f[leader+1:]...)
	rest.spread("bob", 100, plenty) // detected while no process leads
	if n := rest.count(detect.Start); n != 0 {
		t.Errorf("processes without the lease report %d detections", n)
	}
	rest.starts("after", 1)
	rest.spread("alice", 200, 40)
	rest.starts("the episode of alice continues", 1)
	if n := rest.count(detect.Update); n == 0 {
		t.Error("the new leader does not update the episode of alice")
	}
	id := f[leader].found[0].Episode
	for _, p := range rest {
		for _, d := range p.found {
			if d.Phase == detect.Update && d.Accounts[0] == hash("alice") && d.Episode != id {
				t.Errorf("episode %x continues as %x", id, d.Episode)
			}
		}
	}
}

// TestHandover: Close releases the lease at once.
func TestHandover(t *testing.T) {
	t.Parallel()
	f := newFleet(t, startRedis(t), 2, func(cfg *redisfeed.Config, _ *detect.Config) { cfg.Lease = 10 * time.Second })
	f.spread("alice", 0, plenty)
	f.starts("before", 1)
	begin := time.Now()
	i := 0
	if f[1].count(detect.Start) == 1 {
		i = 1
	}
	if err := f[i].feed.Close(); err != nil {
		t.Fatal(err)
	}
	rest := fleet{f[1-i]}
	rest.spread("bob", 100, plenty)
	rest.starts("after", 1)
	if d := time.Since(begin); d > 9*time.Second {
		t.Logf("took %v, as long as the lease: the machine is slow or Close did not release it", d)
	}
}

// TestNewcomer: a process that starts later has the evidence of the others, and does not report
// it again.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	f := newFleet(t, srv, 1)
	f.spread("alice", 0, plenty)
	f.starts("before", 1)
	f.spread("bob", 100, 6) // not enough yet
	if err := f[0].feed.Close(); err != nil {
		t.Fatal(err)
	}
	next := newFleet(t, srv, 1)
	next.spread("bob", 106, plenty)
	next.starts("bob, of whom it read the first guesses", 1)
	for _, d := range next[0].found {
		if d.Accounts[0] != hash("bob") {
			t.Errorf("reported again: %v", d)
		}
	}
}

// outage checks what a fleet reports while Redis is down and afterwards.
func outage(t *testing.T, srv server, away, back func()) {
	t.Helper()
	f := newFleet(t, srv, 2, impatient)
	f.spread("alice", 0, plenty)
	f.starts("before", 1)
	f.spread("carol", 300, 6)

	away()
	testkit.Eventually(t, "both notice", func() bool { f.drain(); return !f[0].feed.Shared() && !f[1].feed.Shared() })
	for i := range plenty {
		f[0].guess("bob", 100+i, uint64(i+1))
	}
	f[:1].starts("alone", f[:1].count(detect.Start)+1)
	if n := f.count(detect.Start); n != 2 {
		t.Errorf("%d starts; want alice's and bob's", n)
	}

	back()
	testkit.Eventually(t, "both are back", func() bool { f.drain(); return f[0].feed.Shared() && f[1].feed.Shared() })
	f.drain()
	f.spread("bob", 400, 24) // reported during the outage
	f.spread("alice", 500, 24)
	f.starts("nothing is reported again", 2)
	f.spread("carol", 306, plenty) // began before the outage
	f.starts("across the outage", 3)
	for i, p := range f {
		if e, ok := p.notes(); e != 1 || ok != 1 {
			t.Errorf("process %d: %d notices of loss, %d of return; want one each: %v", i, e, ok, p.notices)
		}
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	outage(t, srv, srv.Kill, func() { srv.Restart(t) })
}

func TestFrozen(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	srv := startRedis(t)
	outage(t, srv, func() { srv.Freeze(t) }, func() { srv.Thaw(t) })
}

// TestAbsent: a service starts without Redis, and detects.
func TestAbsent(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	srv := startRedis(t)
	srv.Kill()
	f := fleet{newProcess(t, srv, impatient)}
	f.spread("alice", 0, plenty)
	f.starts("without Redis", 1)
}

// TestForeign: entries of other writers are counted and ignored.
func TestForeign(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	c := srv.Client(t)
	var arrived atomic.Int64
	f := newFleet(t, srv, 2, func(cfg *redisfeed.Config, _ *detect.Config) {
		cfg.Client = redis.NewClient(&redis.Options{Addr: srv.Addr, Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			return counted{c, &arrived}, err
		}})
		t.Cleanup(func() { _ = cfg.Client.Close() })
	})
	f.spread("alice", 0, 4)
	stream := "{otelauth-detect}:attempts"
	testkit.Eventually(t, "four are sent", func() bool { f.drain(); return c.XLen(ctx, stream).Val() >= 4 })
	entries, err := c.XRange(ctx, stream, "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	ours := entries[0].Values["b"].(string)
	forged := []byte(ours)
	forged[len(forged)-1] ^= 1
	forged[24]++ // an unused number
	other := newProcess(t, srv, func(cfg *redisfeed.Config, _ *detect.Config) { cfg.Key = []byte(strings.Repeat("x", 32)) })
	before := f[0].feed.Rejected()
	for i := range 15 {
		other.guess("alice", 50+i, uint64(i))
		other.drain()
	}
	for _, values := range []map[string]any{
		{"b": ""}, {"b": "nonsense"}, {"x": ours}, {"b": ours, "c": "more"}, {"b": ours}, {"b": string(forged)},
		{"b": strings.Repeat("z", 16<<10)}, {"b": strings.Repeat("z", 32<<20)}, {"b": "\x02" + ours[1:]},
	} {
		if err := c.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: values}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	// A position that would suppress every detection.
	if err := c.Set(ctx, "{otelauth-detect}:reported", strings.Repeat("\xff", 32), 0).Err(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "9 of the test's and 15 of another key are rejected", func() bool { f.drain(); return f[0].feed.Rejected()-before >= 9+15 })
	if n := arrived.Load(); n > 1<<20 {
		t.Errorf("%d bytes arrived; an entry of 32 MiB must stay on the server", n)
	}
	if len(f[0].found)+len(f[1].found) != 0 {
		t.Errorf("foreign entries are evaluated: %v %v", f[0].found, f[1].found)
	}
	f.spread("alice", 4, plenty)
	f.starts("among foreign entries", 1)
	if e, ok := f[0].notes(); e != 1 || ok != 0 {
		t.Errorf("%d notices of foreign values, %d of return; want 1 and 0", e, ok)
	}
}

// counted is a connection that counts what it reads.
type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// TestForgedPosition: only a process with the key can confirm reports.
func TestForgedPosition(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	c := srv.Client(t)
	p := newProcess(t, srv)
	p.guess("alice", 1, 1)
	p.drain() // sends
	p.drain() // leads
	p.drain() // confirms
	x, err := p.feed.Exchange(ctx, nil, feed.Position{})
	if err != nil || x.Reported == (feed.Position{}) {
		t.Fatal(x, err)
	}
	value, err := c.Get(ctx, "{otelauth-detect}:reported").Bytes()
	if err != nil {
		t.Fatal(err)
	}
	value[len(value)-1] ^= 1
	if err := c.Set(ctx, "{otelauth-detect}:reported", value, 0).Err(); err != nil {
		t.Fatal(err)
	}
	x, err = p.feed.Exchange(ctx, nil, feed.Position{})
	if err != nil || x.Reported != (feed.Position{}) || p.feed.Rejected() != 1 {
		t.Errorf("reported up to %v, %d rejected, %v; want the zero position and one rejected", x.Reported, p.feed.Rejected(), err)
	}
}

// TestLate: a server that was paused ignores what it finds in its sockets: the sender has
// evaluated it alone.
func TestLate(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	srv := startRedis(t)
	c := srv.Client(t)
	p := newProcess(t, srv)
	p.guess("alice", 1, 1)
	testkit.Eventually(t, "the first is sent", func() bool { p.drain(); return c.XLen(ctx, "{otelauth-detect}:attempts").Val() == 1 })
	srv.Freeze(t)
	p.guess("alice", 2, 2)
	testkit.Eventually(t, "given up", func() bool { p.drain(); return !p.feed.Shared() })
	<-time.After(200 * time.Millisecond) // longer than Timeout and its tolerance
	srv.Thaw(t)
	testkit.Eventually(t, "the server answers", srv.Answers)
	if n := c.XLen(ctx, "{otelauth-detect}:attempts").Val(); n != 1 {
		t.Errorf("%d entries; want only the first", n)
	}
}

// TestWrongType: the value of another application under our key is not changed.
func TestWrongType(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	c := srv.Client(t)
	if err := c.Set(ctx, "{otelauth-detect}:attempts", "theirs", 0).Err(); err != nil {
		t.Fatal(err)
	}
	f := fleet{newProcess(t, srv)}
	f.spread("alice", 0, plenty)
	f.starts("alone", 1)
	if v := c.Get(ctx, "{otelauth-detect}:attempts").Val(); v != "theirs" {
		t.Errorf("the value of the other application is now %q", v)
	}
}

// TestUsurper: a leader that reports nothing delays detections but does not suppress them.
func TestUsurper(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	if err := srv.Client(t).Set(ctx, "{otelauth-detect}:lead", "usurper", 0).Err(); err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, srv, 2)
	f.spread("alice", 0, plenty)
	f.drain()
	if n := f.count(detect.Start); n != 0 {
		t.Fatalf("reported %d times without the lease", n)
	}
	for _, p := range f {
		p.d.Drain(time.Now().Add(31 * time.Second))
	}
	if n := f.count(detect.Start); n != 2 {
		t.Errorf("reported %d times; want both to report late", n)
	}
}

// TestRevealsNothing: neither the connection nor Redis has a name, a user.hash, an address, a
// route or a fingerprint.
func TestRevealsNothing(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	wire := srv.monitor(t)
	f := newFleet(t, srv, 2)
	const fingerprint = 0xf1e2d3c4b5a69788
	for i := range 20 {
		f[i%2].guess("canary", i, fingerprint)
		f[i%2].guess("canary", i, fingerprint+uint64(i))
	}
	f.drain()
	f.spread("canary", 0, plenty)
	f.starts("the canary is detected", 1)
	f.save()
	var held strings.Builder
	c := srv.Client(t)
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil || len(keys) < 4 {
		t.Fatal(keys, err)
	}
	for _, k := range keys {
		dump, err := c.Dump(ctx, k).Result()
		if err != nil {
			t.Fatal(err)
		}
		if ttl := c.PTTL(ctx, k).Val(); ttl <= 0 {
			t.Errorf("%s does not expire: %v", k, ttl)
		}
		held.WriteString(k + dump)
	}
	entries, err := c.XRange(ctx, "{otelauth-detect}:attempts", "-", "+").Result()
	if err != nil || len(entries) == 0 {
		t.Fatal(len(entries), err)
	}
	for _, e := range entries {
		held.WriteString(e.Values["b"].(string))
	}
	held.WriteString(wire())
	all := held.String()
	if !strings.Contains(all, "evalsha") {
		t.Fatal("MONITOR shows no command, so the test proves nothing")
	}
	for what, form := range map[string]string{
		"name": "canary", "hash": hash("canary"), "route": "/orders", "address": address(1), "network": "203.0.1",
		"fingerprint": string(binary.BigEndian.AppendUint64(nil, fingerprint)), "little endian": string(binary.LittleEndian.AppendUint64(nil, fingerprint)),
		"hex": fmt.Sprintf("%x", uint64(fingerprint)), "decimal": fmt.Sprint(uint64(fingerprint)), "key": string(secret), "hex key": hex.EncodeToString(secret),
	} {
		if strings.Contains(all, form) {
			t.Errorf("Redis has the %s", what)
		}
	}
}

// TestBounded: Redis keeps about MaxBytes, however many attempts there are.
func TestBounded(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	p := newProcess(t, srv, func(cfg *redisfeed.Config, _ *detect.Config) { cfg.MaxBytes = 1 << 20 })
	for i := range 40_000 { // about 3 MB
		p.guess(fmt.Sprint("user", i), i, uint64(i+1))
		if i%4000 == 0 {
			p.drain()
		}
	}
	p.drain()
	c := srv.Client(t)
	n, err := c.MemoryUsage(ctx, "{otelauth-detect}:attempts", 0).Result()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the stream takes %d bytes", n)
	if n > 5<<18 {
		t.Errorf("the stream takes %d bytes; want about 1 MiB", n)
	}
	if p.d.Dropped() != 0 || p.feed.Rejected() != 0 {
		t.Errorf("%d dropped, %d rejected", p.d.Dropped(), p.feed.Rejected())
	}
}
