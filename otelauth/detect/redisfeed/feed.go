// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package redisfeed shares attempts in Redis or Valkey, so that the detectors of all processes of a service add up the
// same: guesses that are spread over ten replicas are found as if there were one, and each finding is told once.
//
// A process sends what it has noted, and receives what all have, in one script ten times a second. One process at a
// time leads, by a lease, and tells what all find; when it ends, another takes over within [Config.Lease] and goes on
// where it ended. When Redis does not answer, each process adds up and tells alone, from all that it knows by then, and
// an operator sees one notice for each change.
//
// It refuses to tell Redis anything: what it holds is encrypted and authenticated under [Config.Key]. Not even the
// other processes learn names, addresses within a network, or what stems from a password (package detect, Sharing).
//
//	feed, err := redisfeed.New(redisfeed.Config{
//		Client: redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"redis:6379"}}),
//		Key:    secret,
//	})
//	d, err := detect.New(detect.Config{Feed: feed})
//
// Redis 6 or later, or any Valkey; on a cluster one node serves a [Config.Prefix]. Whoever can write to Redis, without
// the key, can add nothing to what is counted: what is not ours is passed over, and counted by [Feed.Rejected]. He can
// take away, and hold the lease: findings are then told 30 s late, by every process. He can repeat an old batch of a
// process of which no newer one is left. Give Redis TLS, and the service a user that may run EVAL, EVALSHA, TIME, GET,
// SET, DEL, STRLEN, PEXPIRE, XADD, XRANGE and XREVRANGE on its prefix and nothing else.
package redisfeed

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// Config is where attempts are shared. Client and Key are required; every other field has a default.
type Config struct {
	// Client is any client of go-redis: one server, Sentinel, Cluster. It is used as it is configured, only that no
	// command is sent twice, and it is not closed. With its ContextTimeoutEnabled a command that nobody waits for any
	// more ends after a second instead of its ReadTimeout.
	Client redis.UniversalClient
	// Key is at least 32 random octets, the same in all processes that share, and secret: a password has no place here.
	Key []byte
	// Prefix begins each of three keys, in braces: "{otelauth-detect}:attempts". 1 to 64 letters, digits and "._-:".
	// Default: "otelauth-detect".
	Prefix string
	// Timeout is the longest that the detector waits for Redis, 1 ms to 1 s. Default: 100 ms. No request waits.
	Timeout time.Duration
	// ProbeEvery is the time between two looks at a Redis that does not answer, at least 1 ms. Default: 1 s.
	ProbeEvery time.Duration
	// Lease is for how long a process that says nothing leads, 100 ms to 10 s. Default: 3 s.
	Lease time.Duration
	// MaxBytes is about how much Redis keeps for processes that start, so that they know what the others do; 1 MiB to
	// 4 GiB. An attempt takes some 100 bytes. Default: 64 MiB.
	MaxBytes int
	// Keep is for how long Redis keeps it when nothing is added, at least a minute. Default: 14 days.
	Keep time.Duration
	// Notice is told when attempts are no longer shared and when they are again, and of foreign entries, at most once
	// an hour. It must not block. nil: nobody.
	Notice func(context.Context, attempt.Notice)
	// Now dates notices. Default: time.Now.
	Now func() time.Time
	// Rand is the source of the random id of a process. Default: crypto/rand.Reader.
	Rand io.Reader
}

// The defaults of [Config].
const (
	DefaultPrefix     = "otelauth-detect"
	DefaultTimeout    = 100 * time.Millisecond
	DefaultProbeEvery = time.Second
	DefaultLease      = 3 * time.Second
	DefaultMaxBytes   = 64 << 20
	DefaultKeep       = 14 * 24 * time.Hour
)

const minKeyBytes = 32

// Feed is a [detect.Feed] in Redis. Make one with [New] for one Detector, and Close it after the Detector's Run has
// returned. Exchange is for one goroutine at a time, all else is safe for concurrent use.
type Feed struct {
	cfg                Config
	stream, lead, told string
	keys               keys
	peers              peers
	health             health

	sealed  []sealed // what Exchange was handed last, under its numbers
	highest uint64   // number that was sealed
	cursor  detect.Position
	caught  bool  // up with the stream
	offset  int64 // the server's clock minus ours, ms; valid when timed
	timed   bool
	mean    float64 // bytes of an entry, lately

	rejected atomic.Uint64
}

var _ detect.Feed = (*Feed)(nil)

var prefixes = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// New returns a Feed, or every fault of cfg at once. It does not wait for Redis: a service must start without it.
func New(cfg Config) (*Feed, error) {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("redisfeed: "+format, args...))
		}
	}
	fault(cfg.Client == nil, "set Config.Client")
	fault(len(cfg.Key) < minKeyBytes, "Config.Key has %d octets; use at least %d random ones, the same in all processes", len(cfg.Key), minKeyBytes)
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	fault(!prefixes.MatchString(cfg.Prefix), "Config.Prefix %q; use 1 to 64 letters, digits and \"._-:\"", cfg.Prefix)
	for _, f := range []struct {
		name            string
		value           *time.Duration
		byDefault       time.Duration
		least, greatest time.Duration
	}{
		{"Timeout", &cfg.Timeout, DefaultTimeout, time.Millisecond, time.Second},
		{"ProbeEvery", &cfg.ProbeEvery, DefaultProbeEvery, time.Millisecond, time.Hour},
		{"Lease", &cfg.Lease, DefaultLease, 100 * time.Millisecond, 10 * time.Second},
		{"Keep", &cfg.Keep, DefaultKeep, time.Minute, 365 * 24 * time.Hour},
	} {
		if *f.value == 0 {
			*f.value = f.byDefault
		}
		fault(*f.value < f.least || *f.value > f.greatest, "Config.%s is %v; use %v to %v", f.name, *f.value, f.least, f.greatest)
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	fault(cfg.MaxBytes < 1<<20 || cfg.MaxBytes > 4<<30, "Config.MaxBytes is %d; use 1 MiB to 4 GiB", cfg.MaxBytes)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Notice == nil {
		cfg.Notice = func(context.Context, attempt.Notice) {}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	tag := "{" + cfg.Prefix + "}:"
	f := &Feed{cfg: cfg, stream: tag + "attempts", lead: tag + "lead", told: tag + "told"}
	if err := f.keys.derive(cfg.Key, cfg.Prefix, cfg.Rand); err != nil {
		return nil, fmt.Errorf("redisfeed: no keys: %w", err)
	}
	f.cfg.Key = nil
	f.peers.of = map[sender]*peer{}
	return f, nil
}

// Key implements [detect.Feed].
func (f *Feed) Key() [16]byte { return f.keys.tables }

// Shared reports whether attempts are shared at the moment: whether Redis answers.
func (f *Feed) Shared() bool { return !f.health.down.Load() }

// Rejected returns how many entries of the stream, and values beside it, were passed over because no process with the
// key has written them, or because they came a second time.
func (f *Feed) Rejected() uint64 { return f.rejected.Load() }

// Close hands the lead over, so that nobody waits for the lease to end. The client stays open.
func (f *Feed) Close() error {
	if f.health.down.Load() {
		return nil
	}
	cmd := f.command(release, []string{f.lead}, f.keys.self.text())
	if err := f.send(context.Background(), cmd); err != nil {
		return fmt.Errorf("redisfeed: the lead ends with its lease, Redis did not answer: %w", err)
	}
	return nil
}

// Exchange implements [detect.Feed], in one round trip.
func (f *Feed) Exchange(ctx context.Context, out []detect.Outgoing, told detect.Position) (detect.Exchanged, error) {
	if f.health.waits(f.cfg.ProbeEvery) {
		return f.byItself()
	}
	if err := f.seal(out); err != nil {
		return detect.Exchanged{}, err
	}
	begin := time.Now()
	r, err := f.exchange(ctx, told)
	if err != nil {
		if f.failed(err) {
			return f.byItself()
		}
		return detect.Exchanged{}, err
	}
	f.recovered()
	f.sealed = nil
	var x detect.Exchanged
	if p := f.readTold(r.told); p.Compare(r.last) <= 0 {
		x.Told = p // what is told of a stream that is gone says nothing of this one
	}
	if r.last.Compare(f.cursor) < 0 {
		// The clock of the server went back while it forgot, or the stream is another one.
		f.cursor, f.caught = detect.Position{}, false
		x.Anew, x.More, x.Told = true, true, detect.Position{}
		return x, nil
	}
	for _, e := range r.entries {
		f.cursor = e.at
		if b, ok := f.receive(e); ok {
			x.Batches = append(x.Batches, b)
		}
	}
	f.caught = len(r.entries) < maxEntries
	x.More = !f.caught
	// What is left of the lease must do for telling.
	x.Lead = r.lead && time.Since(begin) < f.cfg.Lease/2
	return x, nil
}

func (f *Feed) byItself() (detect.Exchanged, error) {
	f.sealed, f.caught = nil, false
	return detect.Exchanged{Alone: true}, nil
}
