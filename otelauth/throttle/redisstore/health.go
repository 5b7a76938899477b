// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// health is whether Redis is asked at all.
type health struct {
	down     atomic.Bool
	closed   atomic.Bool
	failures atomic.Int32  // in a row
	lost     chan struct{} // tells the worker to probe

	mu      sync.Mutex // orders the notices as the changes
	foreign time.Time  // when a foreign value was told last
}

func (h *health) usable() bool { return !h.down.Load() && !h.closed.Load() }

// The first number of a reply.
const (
	replyOK      = 0
	replyLate    = 1
	replyForeign = 2
)

var (
	errTimeout = errors.New("redisstore: Redis did not answer in time")
	errReply   = errors.New("redisstore: Redis gave a reply that the script does not give")
	errLate    = errors.New("redisstore: Redis took a guess for too late; its clock has jumped")
	errForeign = errors.New("redisstore: Redis holds a value that is not ours")
)

// ask runs the script once, within the timeout, whatever client it is: not every client is configured to heed
// a context. The caller's cancellation does not count, for a client that disconnects does not get its guess
// back. tooLate, when set, is given the reply that nobody waited for any more.
func (s *Store) ask(ctx context.Context, c *call, tooLate func([]int64)) ([]int64, error) {
	cmd := s.command(c, false)
	err := s.send(ctx, cmd, tooLate)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		cmd = s.command(c, true)
		err = s.send(ctx, cmd, tooLate)
	}
	if err == nil {
		return s.reply(c, cmd)
	}
	if !errors.Is(err, errTimeout) {
		err = fmt.Errorf("redisstore: %w", err)
	}
	s.failed(err)
	return nil, err
}

func (s *Store) send(ctx context.Context, cmd once, tooLate func([]int64)) error {
	return s.within(ctx, s.cfg.Timeout, func(ctx context.Context) error { return s.client.Process(ctx, cmd) }, func() {
		if values, err := cmd.Int64Slice(); err == nil && tooLate != nil {
			tooLate(values)
		}
	})
}

// within waits for do no longer than timeout. do itself goes on for up to patience, so that a connection that
// takes longer than a guess may wait is made and kept all the same; tooLate is then called at its end,
// instead of the return.
func (s *Store) within(ctx context.Context, timeout time.Duration, do func(context.Context) error, tooLate func()) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	done := make(chan error, 1)
	var over atomic.Bool
	go func() {
		defer cancel()
		err := do(ctx)
		if over.CompareAndSwap(false, true) {
			done <- err
		} else if tooLate != nil {
			tooLate()
		}
	}()
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	select {
	case err := <-done:
		return err
	case <-limit.C:
	}
	if over.CompareAndSwap(false, true) {
		return errTimeout
	}
	return <-done
}

// reply reads what the script returned.
func (s *Store) reply(c *call, cmd once) ([]int64, error) {
	values, err := cmd.Int64Slice()
	switch {
	case err != nil || len(values) < 2:
		s.failed(errReply)
		return nil, errReply
	case values[0] == replyForeign:
		s.health.failures.Store(0)
		i := min(max(int(values[1]), 1), len(c.keys)) - 1
		err := fmt.Errorf("%w: key %s", errForeign, c.keys[i])
		s.foreign(err)
		return nil, err
	}
	s.health.failures.Store(0)
	s.learn(values[1])
	return values, nil
}

// learn notes the server's clock.
func (s *Store) learn(server int64) { s.ahead.Store(server - time.Since(s.start).Microseconds()) }

// deadline is when what is sent now is void, in the server's microseconds; 0 while its clock is not known.
func (s *Store) deadline(timeout time.Duration) int64 {
	ahead := s.ahead.Load()
	if ahead == 0 {
		return 0
	}
	return ahead + (time.Since(s.start) + timeout + late).Microseconds()
}

// failed counts a failure, and takes Redis as lost when there were enough.
func (s *Store) failed(err error) {
	if s.health.failures.Add(1) < enough {
		return
	}
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if s.health.down.Swap(true) {
		return
	}
	s.notice("guess budgets are this process's own until Redis answers again; look at Redis and the way to it", err)
	select {
	case s.health.lost <- struct{}{}:
	default:
	}
}

// recovered takes Redis as found.
func (s *Store) recovered() {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	s.health.failures.Store(0)
	if s.health.down.Swap(false) {
		s.notice("guess budgets are shared through Redis again", nil)
	}
}

// foreign tells of a value that is not ours. Its budget is kept in memory: neither may it be destroyed, nor may
// whoever wrote it decide who is refused.
func (s *Store) foreign(err error) {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	now := s.cfg.Now()
	if t := s.health.foreign; !t.IsZero() && now.Sub(t) < time.Hour {
		return
	}
	s.health.foreign = now
	s.notice("the budgets under foreign keys are this process's own; set Config.Prefix to one that nobody else uses, or delete them", err)
}

func (s *Store) notice(message string, err error) {
	s.cfg.Notice(context.Background(), attempt.Notice{
		Kind: attempt.ThrottleStore, Time: s.cfg.Now(), Source: "redis", Message: message, Err: err,
	})
}
