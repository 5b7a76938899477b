// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package redisfeed shares attempts through Redis or Valkey, so that all processes of a service
// detect the same attacks: guesses over ten replicas count as if there were one, and one process
// reports.
//
// Each process runs a script ten times a second that sends its attempts and receives those of
// all. One process at a time holds a lease and reports; if it fails, another one continues within
// [Config.Lease]. While Redis does not answer, each process evaluates and reports its own
// attempts, and one notice is recorded for each change.
//
// The process that reports also stores what it has learned every five minutes
// (detect.Config.Snapshot.Every) and at its end. A process that starts continues from there, so a
// restart of any of them, or of all, loses nothing.
//
// Everything in Redis is encrypted and authenticated with [Config.Key]. Not even the other
// processes learn names, addresses within a network, or values computed from passwords; see
// section Sharing of package detect.
//
//	feed, err := redisfeed.New(redisfeed.Config{
//		Client: redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"redis:6379"}}),
//		Key:    secret,
//	})
//	d, err := detect.New(detect.Config{Feed: feed})
//
// It needs Redis 6 or later, or any Valkey. On a cluster one node serves a [Config.Prefix].
//
// An attacker who can write to Redis but has no key cannot add attempts: foreign entries are
// ignored and counted by [Feed.Rejected]. The attacker can delete entries. Holding the lease delays
// detections by 30 s, and then every process reports them. An old batch can be repeated if no newer
// batch of the same process is left. Use TLS, and a Redis user that may run only EVAL, EVALSHA,
// TIME, GET, SET, DEL, STRLEN, GETRANGE, PEXPIRE, XADD, XRANGE and XREVRANGE on the prefix.
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
	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
	"github.com/otelauth/otelauth-go/otelauth/internal/redishealth"
)

// Config configures a [Feed]. Client and Key are required; every other field has a default.
type Config struct {
	// Client is any client of go-redis: one server, Sentinel or Cluster. The Feed uses its
	// settings, except that it never retries a command, and does not close it. With
	// ContextTimeoutEnabled, a command that has timed out ends after a second instead of
	// ReadTimeout.
	Client redis.UniversalClient
	// Key is a secret of at least 32 random bytes, the same in all processes that share. It must
	// not be a password.
	Key []byte
	// Prefix is the part in braces of the Redis keys: "{otelauth-detect}:attempts", ":lead",
	// ":reported", ":learned" and ":learned-broken". It has 1 to 64 letters, digits and "._-:".
	// Default: "otelauth-detect".
	Prefix string
	// Timeout is how long the detector waits for Redis, 1 ms to 1 s. No request waits. Default:
	// 100 ms.
	Timeout time.Duration
	// ProbeEvery is the interval between attempts to reach a Redis that does not answer, 1 ms to
	// 1 h. Default: 1 s.
	ProbeEvery time.Duration
	// Lease is how long a process remains the leader without renewing it, 100 ms to 10 s.
	// Default: 3 s.
	Lease time.Duration
	// MaxBytes is the approximate size of the attempts that Redis keeps for processes that start
	// later, 1 MiB to 4 GiB. An attempt takes about 100 bytes. Default: 64 MiB.
	MaxBytes int
	// Keep is how long Redis keeps attempts if none is added, 1 minute to 365 days. Default: 14
	// days.
	Keep time.Duration
	// Notice, if not nil, is called when sharing stops and when it resumes, if what was learned is
	// unusable, and for foreign entries at most once an hour. It must not block.
	Notice func(context.Context, attempt.Notice)
	// Now is the clock of notices. Default: time.Now.
	Now func() time.Time
	// Rand is the source of the random id of this process. Default: crypto/rand.Reader.
	Rand io.Reader
}

const (
	defaultPrefix     = "otelauth-detect"
	defaultTimeout    = 100 * time.Millisecond
	defaultProbeEvery = time.Second
	defaultLease      = 3 * time.Second
	defaultMaxBytes   = 64 << 20
	defaultKeep       = 14 * 24 * time.Hour

	minKeyBytes = 32
)

// Feed shares attempts through Redis, as the field Feed of one detect.Config. Create it with
// [New], and call Close after Run of the Detector has returned. Exchange is for one goroutine at
// a time; all other methods are safe for concurrent use.
type Feed struct {
	cfg                    Config
	stream, lead, reported string // Redis keys
	learned, broken        string // Redis keys
	keys                   keys
	peers                  peers
	health                 *redishealth.Health
	probed                 time.Time // of the last command

	sealed    []sealed // the batches of the last Exchange
	highest   uint64   // the highest number that was sealed
	cursor    feed.Position
	isCurrent bool    // this process has read the stream up to its end
	offset    int64   // clock of the server minus ours in ms, if isTimed
	isTimed   bool    // offset is known
	mean      float64 // recent mean size of an entry in bytes

	rejected atomic.Uint64
}

var _ feed.Feed = (*Feed)(nil)

var prefixes = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// New returns a Feed, or one error that lists every problem of cfg. It does not wait for Redis: a
// service must start without it.
func New(cfg Config) (*Feed, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	tag := "{" + cfg.Prefix + "}:"
	f := &Feed{
		cfg: cfg, stream: tag + "attempts", lead: tag + "lead", reported: tag + "reported", learned: tag + "learned", broken: tag + "learned-broken",
	}
	if err := f.keys.derive(cfg.Key, cfg.Prefix, cfg.Rand); err != nil {
		return nil, fmt.Errorf("redisfeed: no keys; use crypto/rand.Reader as Config.Rand: %w", err)
	}
	f.cfg.Key = nil
	f.peers.of = map[sender]*peer{}
	f.health = redishealth.New(redishealth.Config{
		Kind: attempt.DetectionFeed, Notice: cfg.Notice, Now: cfg.Now,
		Down: "each process detects attacks in its own attempts only until Redis answers; check Redis and the network",
		Up:   "attempts are shared with the other processes again",
	})
	return f, nil
}

// complete sets the defaults and returns one error that lists every problem.
func (cfg *Config) complete() error {
	var problems []error
	refuse := func(isWrong bool, format string, args ...any) {
		if isWrong {
			problems = append(problems, fmt.Errorf("redisfeed: "+format, args...))
		}
	}
	refuse(cfg.Client == nil, "Config.Client is nil; set it to a client of go-redis")
	refuse(len(cfg.Key) < minKeyBytes, "Config.Key has %d bytes; use at least %d random ones, the same in all processes",
		len(cfg.Key), minKeyBytes)
	if cfg.Prefix == "" {
		cfg.Prefix = defaultPrefix
	}
	refuse(!prefixes.MatchString(cfg.Prefix), "Config.Prefix %q; use 1 to 64 letters, digits and \"._-:\"", cfg.Prefix)
	for _, f := range []struct {
		name            string
		value           *time.Duration
		byDefault       time.Duration
		least, greatest time.Duration
	}{
		{"Timeout", &cfg.Timeout, defaultTimeout, time.Millisecond, time.Second},
		{"ProbeEvery", &cfg.ProbeEvery, defaultProbeEvery, time.Millisecond, time.Hour},
		{"Lease", &cfg.Lease, defaultLease, 100 * time.Millisecond, 10 * time.Second},
		{"Keep", &cfg.Keep, defaultKeep, time.Minute, 365 * 24 * time.Hour},
	} {
		if *f.value == 0 {
			*f.value = f.byDefault
		}
		refuse(*f.value < f.least || *f.value > f.greatest, "Config.%s is %v; use %v to %v", f.name, *f.value, f.least, f.greatest)
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	refuse(cfg.MaxBytes < 1<<20 || cfg.MaxBytes > 4<<30, "Config.MaxBytes is %d; use 1 MiB to 4 GiB", cfg.MaxBytes)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Notice == nil {
		cfg.Notice = func(context.Context, attempt.Notice) {}
	}
	return errors.Join(problems...)
}

// Key returns a secret that is derived from Config.Key. Package detect calls it.
func (f *Feed) Key() [16]byte { return f.keys.tables }

// Shared reports whether attempts are shared now, which means that Redis answers.
func (f *Feed) Shared() bool { return !f.health.IsDown() }

// Rejected returns the number of values in Redis that were ignored, because no process with the
// key has written them or because they were repeated.
func (f *Feed) Rejected() uint64 { return f.rejected.Load() }

// Close releases the lease, so that the next leader need not wait for its end. It does not close
// the client. It returns an error if Redis does not answer, and nil if Redis was down before; the
// lease then ends by itself.
func (f *Feed) Close() error {
	if f.health.IsDown() {
		return nil
	}
	if _, err := f.run(context.Background(), &release, []string{f.lead}, f.keys.self.text()); err != nil {
		return fmt.Errorf("redisfeed: the lease was not released and ends by itself; check Redis: %w", err)
	}
	return nil
}

// Exchange publishes and receives batches in one round trip. Package detect calls it.
func (f *Feed) Exchange(ctx context.Context, out []feed.Outgoing, reported feed.Position) (feed.Exchanged, error) {
	if f.isWaiting() {
		return f.alone()
	}
	if err := f.seal(out); err != nil {
		return feed.Exchanged{}, err
	}
	begin := time.Now()
	r, err := f.exchange(ctx, reported)
	if err != nil {
		f.health.Failed(err, false)
		if f.health.IsDown() {
			return f.alone()
		}
		return feed.Exchanged{}, err
	}
	f.health.Recovered()
	f.sealed = nil
	var x feed.Exchanged
	if p := f.openPosition(r.reported); p.Compare(r.last) <= 0 {
		x.Reported = p // a position beyond the end belongs to an earlier stream
	}
	if r.last.Compare(f.cursor) < 0 {
		// The server has lost the stream and its clock has stepped back, or it is another stream.
		f.cursor, f.isCurrent = feed.Position{}, false
		x.Restarted, x.More, x.Reported = true, true, feed.Position{}
		return x, nil
	}
	for _, e := range r.entries {
		f.cursor = e.at
		if b, ok := f.receive(e); ok {
			x.Batches = append(x.Batches, b)
		}
	}
	f.isCurrent = len(r.entries) < maxEntries
	x.More = !f.isCurrent
	// The rest of the lease must suffice for reporting.
	x.Leads = r.leads && time.Since(begin) < f.cfg.Lease/2
	return x, nil
}

// isWaiting reports whether it is too early to try a Redis that is down.
func (f *Feed) isWaiting() bool {
	now := time.Now()
	if f.health.IsDown() && now.Sub(f.probed) < f.cfg.ProbeEvery {
		return true
	}
	f.probed = now
	return false
}

func (f *Feed) alone() (feed.Exchanged, error) {
	f.sealed, f.isCurrent = nil, false
	return feed.Exchanged{Alone: true}, nil
}
