// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package redisstore keeps guess budgets in Redis or Valkey, so that the processes of a service share them: an
// attacker who spreads his guesses over ten replicas has one budget, not ten.
//
// Each guess costs one round trip before its hash: one atomic script on the server's clock. How the
// guess ended is sent later, in the background, many at once.
//
// # When Redis does not answer
//
// Redis is lost when it answers nothing for [Config.Timeout], or after three failed commands in a
// row, such as refused connections. Then this process judges from its own memory, which holds what
// the process has judged before; no guess waits for Redis any more until a probe succeeds. No user
// sees an error, and the operator gets one notice for each change.
//
// The timeout counts only while this process runs. A process whose CPU is busy hashing, that is
// stopped, or that its cgroup throttles, does not take its own delay for silence: its guesses wait.
// When it cannot ask at all, for instance because every connection is in use, a guess is held and
// asked again.
//
// What the memory grants is charged to Redis before Redis is asked again. So for n processes and a
// budget of b guesses, beside what comes back with time:
//
//   - While Redis answers, however busy the processes are, at most b wrong guesses are judged.
//   - When Redis is lost for some time and keeps its data (frozen, or cut off), at most n×b are
//     judged in total: each process has one budget, less what it judged before.
//   - Each time that Redis loses its data (a restart without persistence) adds at most b.
//   - A connection that breaks in mid-command, while Redis is not lost, leaves that one guess to
//     the memory of the process; the bounds above include it.
//   - Charges for Redis wait in a queue of 8192. What does not fit stays in the memory of one process.
//
// It refuses to learn anything about anybody: keys are keyed hashes, values are times and counts. It neither
// overwrites nor deletes a value that it did not write.
//
//	store, err := redisstore.New(redisstore.Config{
//		Client: redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"redis:6379"}}),
//	})
//
// Redis 6 or later, or any Valkey. On a cluster all budgets of one [Config.Prefix] are in one slot, because
// the budgets of one guess must be judged in one step: one node serves them (some 10,000 judged guesses a second;
// memory as in [Config.Prefix]), and its loss is the loss of Redis. Services that need not share budgets
// should have prefixes of their own.
//
// A server without persistence forgets budgets and known pairs when it restarts. maxmemory-policy should be
// noeviction or volatile-ttl: a budget that is evicted is full again. When the clock of the server's host
// goes back, budgets go on as if it had not; when it leaps ahead, they fill as if nobody had guessed
// meanwhile. Whoever can write to Redis decides who is refused: give it TLS, and the service a user that may
// run EVAL, EVALSHA, TIME, GET, SET, DEL and EXISTS on its prefix and nothing else.
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
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// Config is where budgets are shared. Client is required; every other field has a default.
type Config struct {
	// Client is any client of go-redis: one server, Sentinel, Cluster. It is used as it is configured, only
	// that no command is sent twice, and it is not closed. With its ContextTimeoutEnabled a command that
	// no guess waits for ends after four times Timeout instead of the client's ReadTimeout.
	Client redis.UniversalClient
	// Fallback judges while Redis does not, and mirrors it while it does. nil: a throttle.Memory of 64 MiB.
	Fallback budget.Store
	// Prefix begins each key, in braces: "{otelauth}:p:…". Services with the same Prefix, and the same
	// throttle.Config.Key, share budgets. 1 to 64 letters, digits and "._-:". Default: "otelauth". A key
	// takes about 150 bytes of Redis and expires when it says no more than that a budget is full.
	Prefix string
	// Timeout is how long Redis may answer nothing before it is lost, 50 ms to 10 s; time in which
	// this process does not run is not counted. The guesses under way wait that long, once; no
	// guess after them does. Default: 500 ms.
	Timeout time.Duration
	// ProbeEvery is the time between two looks at a Redis that does not answer, at least 1 ms. Default: 1 s.
	ProbeEvery time.Duration
	// Notice is told when budgets are no longer shared and when they are again, and of foreign values, at
	// most once an hour. It must not block. nil: nobody.
	Notice func(context.Context, attempt.Notice)
	// Now dates notices. nil: time.Now.
	Now func() time.Time

	wall func() time.Time // the server's clock, in tests; nil: its own
}

// The defaults and bounds of [Config].
const (
	DefaultPrefix     = "otelauth"
	DefaultTimeout    = 500 * time.Millisecond
	DefaultProbeEvery = time.Second
	MinTimeout        = 50 * time.Millisecond
	MaxTimeout        = 10 * time.Second
)

const (
	// enough failures in a row to take Redis as lost. One alone may be a fork of the server, or a lost packet.
	enough = 3
	// late is how far behind its deadline a guess may come to be executed: more than two clocks drift apart
	// between two guesses.
	late = 50 * time.Millisecond
	// maxEmptied bounds the work of emptying a budget of the fallback.
	maxEmptied = 1024
	// again is when a guess that other processes hold up asks again.
	again = 50 * time.Millisecond
)

// Store is a [throttle.Store] that many processes share. Make one with [New], and Close it. It is safe for
// concurrent use.
type Store struct {
	cfg      Config
	client   redis.UniversalClient
	local    budget.Store
	tag      string
	clockKey string
	sha      string
	start    time.Time

	health health
	ahead  atomic.Int64 // the server's clock minus ours, µs; 0: not known

	queue    queue
	flushing sync.Mutex
	// away is read-locked while the fallback judges, and locked when Redis takes over again, after
	// it has executed every charge of the fallback.
	away    sync.RWMutex
	probing atomic.Bool

	warm   chan struct{} // closed when there is a connection, or none to be had
	quit   chan struct{}
	closer sync.Once
	worker sync.WaitGroup
}

var _ budget.Store = (*Store)(nil)

var prefixes = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// New returns a Store, or every fault of cfg at once. It does not wait for Redis: a service must start
// without it.
func New(cfg Config) (*Store, error) {
	var faults []error
	if cfg.Client == nil {
		faults = append(faults, errors.New("redisstore: set Config.Client"))
	}
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultPrefix
	}
	if !prefixes.MatchString(cfg.Prefix) {
		faults = append(faults, fmt.Errorf("redisstore: Config.Prefix %q; use 1 to 64 letters, digits and \"._-:\"", cfg.Prefix))
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Timeout < MinTimeout || cfg.Timeout > MaxTimeout {
		faults = append(faults, fmt.Errorf("redisstore: Config.Timeout is %v; use %v to %v", cfg.Timeout, MinTimeout, MaxTimeout))
	}
	if cfg.ProbeEvery == 0 {
		cfg.ProbeEvery = DefaultProbeEvery
	}
	if cfg.ProbeEvery < time.Millisecond {
		faults = append(faults, fmt.Errorf("redisstore: Config.ProbeEvery is %v; use at least 1ms", cfg.ProbeEvery))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if cfg.Fallback == nil {
		memory, err := throttle.NewMemory(throttle.MemoryConfig{Notice: cfg.Notice})
		if err != nil {
			return nil, fmt.Errorf("redisstore: the memory to fall back to: %w", err)
		}
		cfg.Fallback = memory
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Notice == nil {
		cfg.Notice = func(context.Context, attempt.Notice) {}
	}
	s := &Store{cfg: cfg, client: cfg.Client, local: cfg.Fallback, tag: "{" + cfg.Prefix + "}", start: time.Now()}
	s.clockKey = s.tag + ":clock"
	s.sha = s.digest()
	s.warm, s.quit = make(chan struct{}), make(chan struct{})
	s.queue.wake = make(chan struct{}, 1)
	s.health.lost = make(chan struct{}, 1)
	s.worker.Go(s.work)
	return s, nil
}

// Shared reports whether budgets are shared at the moment: whether Redis answers.
func (s *Store) Shared() bool { return !s.health.down.Load() }

// Len returns how many budgets this process's memory holds, which knows of those that it has met itself.
func (s *Store) Len() int { return s.local.Len() }

// Close sends what is still to be settled, gives up at the first failure, and ends what New began. The client
// and the fallback stay open. Guesses go on to be judged by the fallback alone.
func (s *Store) Close() error {
	s.health.closed.Store(true)
	s.closer.Do(func() { close(s.quit) })
	s.worker.Wait()
	return nil
}

// Spend implements [throttle.Store]. It returns no error that the fallback does not return.
//
// The fallback judges only after Redis was lost or has failed this guess. While this process is too
// busy to ask, the guess is Held.
func (s *Store) Spend(ctx context.Context, b budget.Bill) (budget.Answer, error) {
	for s.health.usable() {
		a, err := s.shared(ctx, &b)
		switch {
		case err == nil:
			return s.mirror(ctx, b, a)
		case errors.Is(err, errBusy) && b.Mode != budget.Take:
			return budget.Answer{Verdict: throttle.Held, RetryAfter: again}, nil
		case !errors.Is(err, errSilent):
			return s.alone(ctx, b)
		}
		// Redis is lost now, unless a probe has found it again meanwhile.
	}
	return s.alone(ctx, b)
}

// alone lets the fallback judge, and charges to Redis what it grants. The charge is queued before
// the guess is hashed, so that Redis knows of it before it is asked about another one.
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
	// A frozen server executes what it finds in its sockets when it thaws, long after the callers
	// were judged by the fallback. So a guess carries a deadline, in the server's time. A reply
	// that it has passed, because that clock has jumped or this process was slow to send, also
	// says what the time is now.
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

// mirror keeps the fallback in step with what Redis said.
func (s *Store) mirror(ctx context.Context, b budget.Bill, a budget.Answer) (budget.Answer, error) {
	if a.Verdict == throttle.Refused {
		s.empty(ctx, &b, &a)
	}
	if a.Verdict != throttle.Granted || b.Mode == budget.Check && !a.Known {
		return a, nil
	}
	own, err := s.local.Spend(ctx, b)
	if err == nil && a.Known && !own.Known {
		// Another process saw the pair succeed.
		s.local.Settle(ctx, b, own.Receipt, throttle.Right)
		own, err = s.local.Spend(ctx, b)
	}
	if err == nil && own.Verdict == throttle.Granted {
		a.Receipt.Second.Held, a.Receipt.Second.Epoch = own.Receipt.Held, own.Receipt.Epoch
	}
	return a, nil
}

// empty takes from the fallback what it has left of a budget that Redis says is empty, other processes' guesses
// among those that emptied it. There is nothing left of it at the next refusal, and little to do.
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
			// Redis has charged it. What it charged beside the pair depends on whether it knew the
			// pair, so only the pair's guess is given back.
			p.receipt.Held = 1 << budget.Pair
		}
	}
	if p.receipt.Held != 0 || how == throttle.Right {
		s.queue.push(p)
	}
}

// Look implements [throttle.Store]. While Redis does not answer it reports the fallback.
func (s *Store) Look(ctx context.Context, b budget.Bill) (budget.View, error) {
	if s.health.usable() {
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

// Clear implements [throttle.Store]. An error says that the budget is clear in this process only.
func (s *Store) Clear(ctx context.Context, k budget.Key, b budget.Kind) error {
	if int(b) >= numBudgets {
		return fmt.Errorf("redisstore: no such budget: %d", b)
	}
	return errors.Join(s.local.Clear(ctx, k, b), s.everywhere(ctx, s.clearCall(opClear, &k, b)))
}

// Forget implements [throttle.Store]. An error says that the pair is forgotten in this process only.
func (s *Store) Forget(ctx context.Context, pair budget.Key) error {
	return errors.Join(s.local.Forget(ctx, pair), s.everywhere(ctx, s.clearCall(opForget, &pair, budget.Pair)))
}

func (s *Store) everywhere(ctx context.Context, c *call) error {
	if !s.health.usable() {
		return errors.New("redisstore: done in this process only, Redis does not answer; repeat it when it does")
	}
	s.flush() // what was settled before must not undo it
	if _, err := s.ask(ctx, c, nil); err != nil {
		return fmt.Errorf("redisstore: done in this process only, repeat it: %w", err)
	}
	return nil
}
