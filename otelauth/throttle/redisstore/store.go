// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package redisstore keeps guess budgets in Redis or Valkey, so that the processes of a service
// share them. An attacker who spreads guesses over ten replicas then has one budget and not ten.
//
// Each guess costs one round trip before its hash: one atomic script on the server's clock. The
// settlement of a guess is sent later, in the background and in batches.
//
// # When Redis does not answer
//
// Redis is lost when it answers nothing for [Config.Timeout], or after three failed commands in a
// row, such as refused connections. This process then decides from its own memory, which holds the
// guesses that it has decided before, and no guess waits for Redis until a probe succeeds. No user
// sees an error, and the operator gets one notice for each change.
//
// The timeout counts only while this process runs. If its CPU is busy hashing, or if it is stopped
// or throttled by its cgroup, it does not take its own delay for silence: its guesses wait. If it
// cannot ask at all, for example because every connection is in use, a guess is held and asked
// again.
//
// What the memory grants is charged to Redis before Redis is asked again. For n processes and a
// budget of b guesses, beside the guesses that come back with time:
//
//   - While Redis answers, at most b wrong guesses are judged, however busy the processes are.
//   - While Redis is lost and keeps its data (frozen, or cut off), at most n×b are judged in total:
//     each process has one budget, less the guesses that it judged before.
//   - Each loss of data in Redis (a restart without persistence) adds at most b.
//   - If a connection breaks during a command while Redis is not lost, the memory of the process
//     decides about that guess. The bounds above include it.
//   - A queue of 8192 charges waits for Redis. A charge that does not fit stays in the memory of
//     one process.
//
// Redis learns nothing about accounts or clients: keys are keyed hashes, values are times and
// counts. The store neither overwrites nor deletes a value that it did not write.
//
//	store, err := redisstore.New(redisstore.Config{
//		Client: redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"redis:6379"}}),
//	})
//
// # Requirements
//
// The store needs Redis 6 or later, or any Valkey. On a cluster all budgets of one [Config.Prefix]
// are in one slot, because the script must decide about all budgets of a guess in one step. So one
// node serves them, at some 10,000 guesses a second, and its loss is the loss of Redis. Services
// that need not share budgets should use different prefixes.
//
// A server without persistence loses budgets and known pairs when it restarts. Set
// maxmemory-policy to noeviction or volatile-ttl, because an evicted budget is full again. If the
// clock of the server's host goes back, budgets ignore that; if it jumps ahead, budgets fill as if
// no client had guessed in between. A client that can write to Redis can decide who is refused.
// Use TLS, and a user that may run only EVAL, EVALSHA, TIME, GET, SET, DEL and EXISTS, on the
// prefix of the store.
//
// # What else is shared
//
// The rules of Budgets.Allow and Budgets.Deny, and what package operator shares, are documents
// "{otelauth}:d:…", encrypted and authenticated with [throttle.Config].Key. Each process compares
// them five times a second. So a rule applies everywhere within a second. An attacker who can write
// to Redis cannot forge one, and an attacker who can read it learns nothing. While Redis
// is lost, a rule applies in its process; it is shared when Redis answers again.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/redishealth"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// Config configures a [Store]. Client is required; every other field has a default.
type Config struct {
	// Client is any client of go-redis: one server, Sentinel or Cluster. The store does not close
	// it and disables retries, so that no command is sent twice. If ContextTimeoutEnabled is set,
	// a command that no guess waits for ends after four times Timeout instead of the client's
	// ReadTimeout.
	Client redis.UniversalClient
	// Fallback decides while Redis does not, and mirrors it otherwise. Default: a throttle.Memory
	// of 64 MiB.
	Fallback throttle.Store
	// Prefix begins each key, in braces: "{otelauth}:p:…". Services with the same Prefix and the
	// same throttle.Config.Key share budgets. 1 to 64 letters, digits and "._-:". Default:
	// "otelauth". A key takes about 150 bytes of Redis and expires when its budget is full again.
	Prefix string
	// Timeout is how long Redis may answer nothing before it is lost, 50 ms to 10 s. Time in which
	// this process does not run does not count. The guesses in progress wait that long, once;
	// later guesses do not wait. Default: 500 ms.
	Timeout time.Duration
	// ProbeEvery is the time between two probes of a lost Redis, at least 1 ms. Default: 1 s.
	ProbeEvery time.Duration
	// Notice receives a notice when Redis is lost and when it is found again, and of foreign
	// values, at most once an hour. It must not block. Default: none.
	Notice func(context.Context, attempt.Notice)
	// Now returns the time of notices. Default: time.Now.
	Now func() time.Time

	wall func() time.Time // the server's clock, in tests; nil: the real one
}

const (
	defaultPrefix     = "otelauth"
	defaultTimeout    = 500 * time.Millisecond
	defaultProbeEvery = time.Second
	minTimeout        = 50 * time.Millisecond
	maxTimeout        = 10 * time.Second
)

const (
	// late is how much later than its deadline the script may run. It exceeds the drift of two
	// clocks between two guesses.
	late = 50 * time.Millisecond
	// maxEmptied bounds the work of emptying a budget of the fallback.
	maxEmptied = 1024
	// again is when to ask again about a guess that other processes hold up.
	again = 50 * time.Millisecond
)

// Store is a [throttle.Store] that processes share. Create it with [New], and close it. It is safe
// for concurrent use.
type Store struct {
	cfg      Config
	client   redis.UniversalClient
	local    budget.Store
	tag      string
	clockKey string
	start    time.Time

	health  *redishealth.Health
	lost    chan struct{} // wakes the worker to probe
	closed  atomic.Bool
	replies replies
	ahead   atomic.Int64 // the server's clock minus ours, µs; 0: unknown

	board    board
	queue    queue
	flushing sync.Mutex
	// away is read-locked while the fallback decides. It is locked when Redis takes over again,
	// after Redis has executed every charge of the fallback.
	away    sync.RWMutex
	probing atomic.Bool

	warm   chan struct{} // closed after the first attempt to connect
	quit   chan struct{}
	closer sync.Once
	worker sync.WaitGroup
}

var _ budget.Store = (*Store)(nil)

var prefixes = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// New returns a Store, or all errors of cfg joined. It does not wait for Redis, so a service can
// start while Redis is down.
func New(cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Fallback == nil {
		memory, err := throttle.NewMemory(throttle.MemoryConfig{Notice: cfg.Notice})
		if err != nil {
			return nil, fmt.Errorf("redisstore: the fallback memory: %w", err)
		}
		cfg.Fallback = memory
	}
	s := &Store{cfg: cfg, client: cfg.Client, local: cfg.Fallback, tag: "{" + cfg.Prefix + "}", start: time.Now()}
	s.clockKey = s.tag + ":clock"
	s.health = redishealth.New(redishealth.Config{
		Kind: attempt.ThrottleStore, Notice: cfg.Notice, Now: cfg.Now,
		Down: "guess budgets are not shared until Redis answers again; check Redis and the network",
		Up:   "guess budgets are shared through Redis again",
	})
	s.warm, s.quit = make(chan struct{}), make(chan struct{})
	s.queue.wake = make(chan struct{}, 1)
	s.lost = make(chan struct{}, 1)
	s.worker.Go(s.work)
	return s, nil
}

// withDefaults returns cfg with its defaults except Fallback, or all its errors joined.
func (cfg Config) withDefaults() (Config, error) {
	var errs []error
	if cfg.Client == nil {
		errs = append(errs, errors.New("redisstore: set Config.Client"))
	}
	if cfg.Prefix == "" {
		cfg.Prefix = defaultPrefix
	}
	if !prefixes.MatchString(cfg.Prefix) {
		errs = append(errs, fmt.Errorf("redisstore: Config.Prefix is %q; use 1 to 64 letters, digits and \"._-:\"", cfg.Prefix))
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Timeout < minTimeout || cfg.Timeout > maxTimeout {
		errs = append(errs, fmt.Errorf("redisstore: Config.Timeout is %v; use %v to %v", cfg.Timeout, minTimeout, maxTimeout))
	}
	if cfg.ProbeEvery == 0 {
		cfg.ProbeEvery = defaultProbeEvery
	}
	if cfg.ProbeEvery < time.Millisecond {
		errs = append(errs, fmt.Errorf("redisstore: Config.ProbeEvery is %v; use at least 1ms", cfg.ProbeEvery))
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Notice == nil {
		cfg.Notice = func(context.Context, attempt.Notice) {}
	}
	return cfg, errors.Join(errs...)
}

// Shared reports whether Redis answers, so that budgets are shared at the moment.
func (s *Store) Shared() bool { return !s.health.IsDown() }

// Len returns the number of budgets in the memory of this process, which holds those that it has
// met.
func (s *Store) Len() int { return s.local.Len() }

// Close sends the remaining settlements, stops at the first failure, and ends the goroutine of
// New. The client and the fallback stay open. Later guesses are decided by the fallback alone. The
// error is always nil.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.closer.Do(func() { close(s.quit) })
	s.worker.Wait()
	return nil
}

// Spend implements [throttle.Store]. It returns only errors of the fallback.
//
// The fallback decides only if Redis is lost or has failed this guess. While this process is too
// busy to ask Redis, the guess is Held.
func (s *Store) Spend(ctx context.Context, b budget.Bill) (budget.Answer, error) {
	for s.isUsable() {
		a, err := s.shared(ctx, &b)
		switch {
		case err == nil:
			return s.mirror(ctx, b, a)
		case errors.Is(err, errBusy) && b.Mode != budget.Take:
			return budget.Answer{Verdict: throttle.Held, RetryAfter: again}, nil
		case !errors.Is(err, errSilent):
			return s.alone(ctx, b)
		}
		// Redis is lost now, unless a probe has found it in the meantime.
	}
	return s.alone(ctx, b)
}

// alone lets the fallback decide and charges its grant to Redis. The charge is queued before the
// guess is hashed, so Redis has it before it is asked about another guess.
func (s *Store) alone(ctx context.Context, b budget.Bill) (budget.Answer, error) {
	s.away.RLock()
	defer s.away.RUnlock()
	a, err := s.local.Spend(ctx, b)
	a.Receipt.Second.Held, a.Receipt.Second.Epoch = a.Receipt.Held, a.Receipt.Epoch
	a.Receipt.Held, a.Receipt.Epoch = 0, 0
	if err == nil && a.Verdict == throttle.Granted && b.Mode != budget.Check {
		b.Mode = budget.Take
		a.Receipt.Epoch = s.queue.push(pending{bill: b, take: true})
	}
	return a, err
}

// shared asks Redis.
func (s *Store) shared(ctx context.Context, b *budget.Bill) (a budget.Answer, err error) {
	// A frozen server executes the commands in its sockets when it thaws, long after the fallback
	// has decided about them. So a guess carries a deadline, in the server's time. A reply that
	// the deadline has passed carries the server's time too. The deadline is computed anew then,
	// because that clock has jumped or this process was slow to send.
	for range 2 {
		reply, err := s.ask(ctx, s.spendCall(b, s.deadline()), func(reply []int64) {
			if len(reply) >= 10 && reply[0] == replyOK && reply[8] != 0 {
				r := budget.Receipt{Held: uint8(reply[8]), Epoch: reply[9]}
				s.queue.push(pending{bill: *b, receipt: r, how: throttle.Unjudged})
			}
		})
		if err != nil {
			return a, err
		}
		if reply[0] == replyLate {
			continue
		}
		if len(reply) < 10 {
			return a, errReply
		}
		a.Verdict = throttle.Verdict(reply[2])
		a.Budget = budget.Kind(reply[3])
		a.RetryAfter = duration(reply[4])
		a.Known = reply[5] == 1
		a.PairLeft = int(reply[6])
		a.PairWait = duration(reply[7])
		a.Receipt.Held = uint8(reply[8])
		a.Receipt.Epoch = reply[9]
		if a.Verdict == throttle.Held {
			a.RetryAfter = again
		}
		return a, nil
	}
	return a, errBusy
}

// mirror applies the answer of Redis to the fallback.
func (s *Store) mirror(ctx context.Context, b budget.Bill, a budget.Answer) (budget.Answer, error) {
	if a.Verdict == throttle.Refused {
		s.empty(ctx, &b, &a)
	}
	if a.Verdict != throttle.Granted || b.Mode == budget.Check && !a.Known {
		return a, nil
	}
	own, err := s.local.Spend(ctx, b)
	if err == nil && a.Known && !own.Known {
		// Another process has seen the pair succeed.
		s.local.Settle(ctx, b, own.Receipt, throttle.Right)
		own, err = s.local.Spend(ctx, b)
	}
	if err == nil && own.Verdict == throttle.Granted {
		a.Receipt.Second.Held, a.Receipt.Second.Epoch = own.Receipt.Held, own.Receipt.Epoch
	}
	return a, nil
}

// empty spends the rest of a budget in the fallback that Redis reports as empty, because other
// processes spent it too. At the next refusal there is little left to spend.
func (s *Store) empty(ctx context.Context, b *budget.Bill, a *budget.Answer) {
	if int(a.Budget) >= numBudgets {
		return
	}
	rest := budget.Bill{Mode: budget.Take, KnownPair: b.KnownPair, Remember: b.Remember, Lease: b.Lease}
	rest.Charges[a.Budget] = b.Charges[a.Budget]
	for range maxEmptied {
		if own, err := s.local.Spend(ctx, rest); err != nil || own.Verdict != throttle.Granted {
			return
		}
	}
}

// Settle implements [throttle.Store]. It does not wait for Redis.
func (s *Store) Settle(ctx context.Context, b budget.Bill, r budget.Receipt, how throttle.Settlement) {
	s.local.Settle(ctx, b, budget.Receipt{Held: r.Second.Held, Epoch: r.Second.Epoch}, how)
	p := pending{bill: b, receipt: budget.Receipt{Held: r.Held, Epoch: r.Epoch}, how: how}
	if r.Held == 0 && r.Epoch != 0 {
		// The fallback granted it, and a charge was queued under the number r.Epoch.
		p.receipt = budget.Receipt{}
		if how != throttle.Wrong && !s.queue.remove(r.Epoch) {
			// Redis has executed the charge. What it charged beside the pair depends on whether it
			// knew the pair, so only the pair's guess is given back.
			p.receipt.Held = 1 << budget.Pair
		}
	}
	if p.receipt.Held != 0 || how == throttle.Right {
		s.queue.push(p)
	}
}

// Look implements [throttle.Store]. While Redis is lost it reports the fallback.
func (s *Store) Look(ctx context.Context, b budget.Bill) (budget.View, error) {
	if s.isUsable() {
		if reply, err := s.ask(ctx, s.lookCall(&b), nil); err == nil && len(reply) >= 3 {
			v := budget.View{Known: reply[2] == 1}
			for rest := reply[3:]; len(rest) >= 4; rest = rest[4:] {
				if i := rest[0]; i >= 0 && int(i) < numBudgets {
					v.Budgets[i] = budget.State{Left: int(rest[1]), Held: int(rest[2]), Wait: duration(rest[3])}
				}
			}
			return v, nil
		}
	}
	return s.local.Look(ctx, b)
}

// Clear implements [throttle.Store]. The error is a budget.ErrHere if the budget is clear in this
// process only.
func (s *Store) Clear(ctx context.Context, k budget.Key, b budget.Kind) error {
	if int(b) >= numBudgets {
		return fmt.Errorf("redisstore: unknown budget %d", b)
	}
	if err := s.local.Clear(ctx, k, b); err != nil {
		return err
	}
	return s.everywhere(ctx, s.clearCall(opClear, &k, b))
}

// Forget implements [throttle.Store]. An error means that the pair is forgotten in this process
// only.
func (s *Store) Forget(ctx context.Context, pair budget.Key) error {
	return errors.Join(s.local.Forget(ctx, pair), s.everywhere(ctx, s.clearCall(opForget, &pair, budget.Pair)))
}

func (s *Store) everywhere(ctx context.Context, c *redishealth.Call) error {
	if !s.isUsable() {
		return fmt.Errorf("redisstore: Redis does not answer: %w", budget.ErrHere)
	}
	s.flush() // otherwise earlier settlements would undo it
	if _, err := s.ask(ctx, c, nil); err != nil {
		return fmt.Errorf("redisstore: %w: %w", err, budget.ErrHere)
	}
	return nil
}
