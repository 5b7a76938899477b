// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisfeed_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/detect/redisfeed"
)

const (
	learned  = "{otelauth-detect}:learned"
	aside    = "{otelauth-detect}:learned-broken"
	stream   = "{otelauth-detect}:attempts"
	reported = "{otelauth-detect}:reported"
)

// TestLearningSurvives: guesses that only what was learned has count after a restart of one process
// and of all, with and without the attempts in Redis. Without what was learned, they do not.
func TestLearningSurvives(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		stop func(f fleet, c *redis.Client) fleet // returns those that stay
		want int
	}{
		"all": {func(f fleet, c *redis.Client) fleet {
			f.save()
			c.Del(ctx, stream)
			return nil
		}, 1},
		"all, with the attempts": {func(f fleet, _ *redis.Client) fleet { f.save(); return nil }, 1},
		"one": {func(f fleet, c *redis.Client) fleet {
			f.save()
			c.Del(ctx, stream)
			return f[1:]
		}, 1},
		"nothing": {func(f fleet, c *redis.Client) fleet { c.Del(ctx, stream); return nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := startRedis(t)
			f := newFleet(t, srv, 2)
			f.spread("alice", 0, 10)
			f.drain()
			f.drain()
			if n := f.count(detect.Start); n != 0 {
				t.Fatalf("%d starts before the restart", n)
			}
			stay := of.stop(f, srv.Client(t))
			for _, p := range f {
				if err := p.feed.Close(); err != nil {
					t.Error(err)
				}
			}
			next := append(newFleet(t, srv, 1), stay...)
			next.spread("alice", 20, 4)
			next.drain()
			c := srv.Client(t)
			c.Del(ctx, reported)
			testkit.Eventually(t, "a process leads", func() bool { next.drain(); return c.Exists(ctx, reported).Val() == 1 })
			next.drain()
			if n := next.count(detect.Start); n != of.want {
				t.Errorf("%d starts, want %d", n, of.want)
			}
			for _, p := range next {
				if n := p.feed.Rejected(); n != 0 || len(p.notices) != 0 {
					t.Errorf("%d attempts are read again, notices %+v", n, p.notices)
				}
				for _, d := range p.found {
					if d.Phase == detect.Start && d.Attempts > 14 {
						t.Errorf("%d attempts are evidence, of 14", d.Attempts)
					}
				}
			}
		})
	}
}

// taught returns a Redis that keeps what a fleet of one process has learned from guesses of one
// account from so many networks.
func taught(t *testing.T, networks int) (server, fleet) {
	t.Helper()
	srv := startRedis(t)
	f := newFleet(t, srv, 1)
	f.spread("alice", 0, networks)
	f.drain()
	f.save()
	return srv, f
}

// TestRepeatedAfterARestart: a process that restarts does not take an old batch for a new one.
func TestRepeatedAfterARestart(t *testing.T) {
	t.Parallel()
	srv, _ := taught(t, 5)
	c := srv.Client(t)
	entries, err := c.XRange(ctx, stream, "-", "+").Result()
	if err != nil || len(entries) == 0 {
		t.Fatal(entries, err)
	}
	c.Del(ctx, stream)
	next := newFleet(t, srv, 1)
	if err := c.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: entries[0].Values}).Err(); err != nil {
		t.Fatal(err)
	}
	next.drain()
	if n := next[0].feed.Rejected(); n != 1 {
		t.Errorf("%d batches are rejected, want 1", n)
	}
}

// TestLearnedIsBounded: the value expires, and one that is too long is an error and is not stored.
func TestLearnedIsBounded(t *testing.T) {
	t.Parallel()
	srv, f := taught(t, 3)
	c := srv.Client(t)
	if n := c.StrLen(ctx, learned).Val(); n < 100 || n > 1<<20 {
		t.Errorf("%d bytes", n)
	}
	if ttl := c.PTTL(ctx, learned).Val(); ttl < 31*24*time.Hour || ttl > 32*24*time.Hour {
		t.Errorf("it expires in %v", ttl)
	}
	before := c.Get(ctx, learned).Val()
	long := make([]byte, 10<<20)
	_, _ = rand.Read(long)
	if err := f[0].feed.Keep(long)(ctx); err == nil || !strings.Contains(err.Error(), "at most 10485760: set fewer detect.Config.Entries (--detect-entries)") {
		t.Errorf("an error that does not help: %v", err)
	}
	if c.Get(ctx, learned).Val() != before {
		t.Error("the last good value is gone")
	}
	if err := f[0].feed.Keep(long[:9<<20])(ctx); err != nil {
		t.Error(err)
	}
	restored := 0
	other := newProcess(t, srv)
	if err := other.feed.Restore(ctx, func(state []byte) error { restored = len(state); return nil }); err != nil || restored != 9<<20 {
		t.Errorf("%d bytes come back, %v", restored, err)
	}
}

// TestFullTablesFit: what was learned with full tables of the default size is stored, and restored.
func TestFullTablesFit(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	srv := startRedis(t)
	size := func(_ *redisfeed.Config, cfg *detect.Config) { cfg.Entries = 0 }
	p := newProcess(t, srv, size)
	c := srv.Client(t)
	for i := range 200_000 {
		name := fmt.Sprint("user", i%40_000)
		req := &attempt.Request{
			Context: ctx, Time: time.Now(), Scheme: attempt.SchemeBasic, Route: "/orders",
			Client: netip.AddrFrom4([4]byte{byte(20 + i*7919>>16&63), byte(i * 7919 >> 8), byte(i * 7919), 7}),
		}
		res := &attempt.Result{Outcome: attempt.Success, UserName: name, UserHash: name}
		if i%4 == 0 {
			res.Outcome, res.ErrorType, res.PasswordFingerprint = attempt.Failure, attempt.InvalidCredentials, uint64(i+1)
		}
		if err := p.d.Decide(ctx, req, res); err != nil {
			t.Fatal(err)
		}
		if i%4000 == 0 {
			p.drain()
		}
	}
	testkit.Eventually(t, "it is stored", func() bool {
		p.drain()
		if err := p.d.Save(); err != nil {
			t.Fatal(err)
		}
		return c.Exists(ctx, learned).Val() == 1
	})
	if p.d.Dropped() != 0 {
		t.Fatalf("%d dropped", p.d.Dropped())
	}
	n := c.StrLen(ctx, learned).Val()
	begin := time.Now()
	next := newProcess(t, srv, size)
	next.drain()
	t.Logf("%d bytes, restored in %v", n, time.Since(begin))
	if n < 3<<20 || len(next.notices) != 0 {
		t.Errorf("%d bytes, notices %+v; want full tables", n, next.notices)
	}
}

// TestLearnedIsBroken: a value that is unusable is copied and reported, and the process starts with
// the attempts in Redis.
func TestLearnedIsBroken(t *testing.T) {
	t.Parallel()
	same := func(good string) string { return good }
	for name, b := range map[string]struct {
		value  func(good string) string
		change func(*redisfeed.Config, *detect.Config)
		want   string
		kept   bool
	}{
		"cut off":         {func(good string) string { return good[:len(good)-1] }, nil, "cut off or damaged", true},
		"text":            {func(string) string { return "theirs" }, nil, "cut off or damaged", true},
		"another version": {func(good string) string { return strings.Replace(good, "snapshot 1", "snapshot 9", 1) }, nil, "another version of this program: start that version", true},
		"another key": {same, func(cfg *redisfeed.Config, _ *detect.Config) { cfg.Key = bytes.Repeat([]byte("x"), 32) },
			"another key: restore that key", true},
		"another prefix":  {same, func(cfg *redisfeed.Config, _ *detect.Config) { cfg.Prefix = "other" }, "another key", true},
		"too long":        {func(string) string { return strings.Repeat("z", 11<<20) }, nil, "longer than 10485760 bytes: delete it", false},
		"of another type": {nil, nil, "WRONGTYPE", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, _ := taught(t, 9)
			c := srv.Client(t)
			good := c.Get(ctx, learned).Val()
			key, broken := learned, aside
			if name == "another prefix" {
				key, broken = "{other}:learned", "{other}:learned-broken"
			}
			c.Del(ctx, key)
			value := ""
			if b.value == nil {
				c.RPush(ctx, key, "theirs")
			} else {
				value = b.value(good)
				c.Set(ctx, key, value, 0)
			}
			p := newProcess(t, srv, func(cfg *redisfeed.Config, dcfg *detect.Config) {
				if b.change != nil {
					b.change(cfg, dcfg)
				}
			})
			p.drain()
			var notes []attempt.Notice
			for _, n := range p.notices {
				if n.Kind == attempt.DetectionSnapshot {
					notes = append(notes, n)
				}
			}
			if len(notes) != 1 || notes[0].Err == nil || notes[0].Source != "redis" {
				t.Fatalf("notices %+v", p.notices)
			}
			for _, part := range []string{b.want, key, "detection learns from the attempts that Redis has"} {
				if !strings.Contains(notes[0].Message, part) {
					t.Errorf("%q lacks %q", notes[0].Message, part)
				}
			}
			if got := c.Get(ctx, broken).Val(); b.kept && got != value {
				t.Errorf("the last good value is not kept: %d bytes", len(got))
			}
			if b.change == nil {
				p.guess("alice", 100, 100)
				p.guess("alice", 101, 101) // the eleventh, of two processes
				testkit.Eventually(t, "it continues the attempts in Redis", func() bool {
					p.drain()
					p.drain()
					p.d.Drain(time.Now().Add(time.Minute)) // overdue, whoever leads
					return p.count(detect.Start) == 1
				})
			}
		})
	}
}

// TestRunStores: Run stores what was learned, also at its end.
func TestRunStores(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	c := srv.Client(t)
	p := newProcess(t, srv, func(_ *redisfeed.Config, cfg *detect.Config) { cfg.Snapshot.Every = 20 * time.Millisecond })
	run, stop := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- p.d.Run(run) }()
	p.guess("alice", 1, 1)
	testkit.Eventually(t, "it is stored", func() bool { return c.Exists(ctx, learned).Val() == 1 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := p.feed.Close(); err != nil {
		t.Error(err)
	}
	c.Del(ctx, learned, reported)
	p = newProcess(t, srv) // every five minutes
	run, stop = context.WithCancel(ctx)
	go func() { ended <- p.d.Run(run) }()
	p.guess("alice", 2, 2)
	testkit.Eventually(t, "the next process leads", func() bool { return c.Exists(ctx, reported).Val() == 1 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if c.Exists(ctx, learned).Val() != 1 {
		t.Error("it is not stored at the end")
	}
}
