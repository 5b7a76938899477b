// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/internal/redishealth"
)

// replies counts the replies of Redis.
type replies struct {
	answered atomic.Uint64 // replies of any kind since the start
	// unfinished is the count of the last command that the client gave up before Redis answered or
	// was lost.
	unfinished atomic.Pointer[silence]
}

// isUsable reports whether guesses are decided by Redis.
func (s *Store) isUsable() bool { return !s.health.IsDown() && !s.closed.Load() }

// Codes at the start of a reply.
const (
	replyOK      = 0
	replyLate    = 1
	replyForeign = 2
)

var (
	errSilent  = errors.New("redisstore: Redis answers nothing")
	errBusy    = errors.New("redisstore: this process is too busy to ask Redis")
	errReply   = errors.New("redisstore: Redis sent a reply that is not from the script; look for a proxy or a fork of Redis")
	errLate    = errors.New("redisstore: a command reached Redis after its deadline")
	errForeign = errors.New("redisstore: Redis holds a value that this package did not write; set another prefix")
)

// ask runs the script once and waits for its reply, however the client is configured. It ignores
// the cancellation of the caller, because a client that disconnects does not get its guess back.
// If tooLate is set, it receives a reply that arrives after ask has returned.
//
// The error is errBusy if this process could not ask, which is not evidence against Redis.
func (s *Store) ask(ctx context.Context, c *redishealth.Call, tooLate func([]int64)) ([]int64, error) {
	cmd, err := c.Run(func(cmd redishealth.Command) error { return s.send(ctx, cmd, tooLate) })
	switch {
	case err == nil:
		return s.reply(c, cmd)
	case errors.Is(err, errBusy):
		return nil, err
	case !errors.Is(err, errSilent):
		err = fmt.Errorf("redisstore: %w", err)
	}
	s.failed(err)
	return nil, err
}

func (s *Store) send(ctx context.Context, cmd redishealth.Command, tooLate func([]int64)) error {
	return s.within(ctx, func(ctx context.Context) error { return s.client.Process(ctx, cmd) }, func() {
		if values, err := cmd.Int64Slice(); err == nil && tooLate != nil {
			tooLate(values)
		}
	})
}

// within runs do and waits until it ends or Redis is silent. do may continue for up to patience,
// so that a slow connection is still made and kept. If tooLate is set, within calls it when such a
// do ends. It is not shared with redisfeed and sqlstore, whose deadlines read a clock.
func (s *Store) within(ctx context.Context, do func(context.Context) error, tooLate func()) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience*s.cfg.Timeout)
	done := make(chan error, 1)
	var over atomic.Bool
	go func() {
		defer cancel()
		err := do(ctx)
		if isReply(err) {
			s.replies.answered.Add(1)
		}
		if over.CompareAndSwap(false, true) {
			done <- err
		} else if tooLate != nil {
			tooLate()
		}
	}()
	quiet := s.replies.silence()
	step := time.NewTimer(s.cfg.Timeout / silenceSteps)
	defer step.Stop()
	for {
		select {
		case err := <-done:
			if isOwnDelay(err) {
				unfinished := quiet
				s.replies.unfinished.Store(&unfinished)
				return fmt.Errorf("%w: %w", errBusy, err)
			}
			return err
		case <-step.C:
		}
		err := quiet.step(s.replies.answered.Load())
		if err != nil && over.CompareAndSwap(false, true) {
			return err
		}
		step.Reset(s.cfg.Timeout / silenceSteps)
	}
}

// silence measures how long a guess has waited for a Redis that answers nothing at all.
//
// It counts steps, each of which begins when the previous one was counted, and never reads a
// clock. While the process has no CPU, is stopped, or is throttled by its cgroup, no step is
// counted, and the whole stall counts as one step. A reply that waits in the socket is read
// between two steps, because the runtime polls the network at least once each 10 ms. A reply to
// any other command restarts the count. So does one that a pool with too few connections waits
// for.
type silence struct {
	answered    uint64 // replies to this process, at the last step
	quiet, long int    // steps since the last reply, and since the beginning
}

// silence returns a new count. If Redis has answered nothing since the client gave up a command,
// it continues the count of that command: the client reads a clock, so on a busy CPU it gives up
// earlier.
func (r *replies) silence() silence {
	q := silence{answered: r.answered.Load()}
	if last := r.unfinished.Load(); last != nil && last.answered == q.answered {
		q.quiet = last.quiet
	}
	return q
}

const (
	// silenceSteps is the number of steps in a Config.Timeout.
	silenceSteps = 20
	// patience is how many times Config.Timeout within waits for a command while Redis answers
	// others.
	patience = 4
)

// step counts one step. It returns errSilent if Redis is lost, errBusy if the wait is too long
// although Redis answers other commands, and nil to continue.
func (q *silence) step(answered uint64) error {
	q.long++
	q.quiet++
	if answered != q.answered {
		q.answered, q.quiet = answered, 0
	}
	switch {
	case q.quiet >= silenceSteps:
		return errSilent
	case q.long >= patience*silenceSteps:
		return errBusy
	}
	return nil
}

// isReply reports whether a command ended with a reply of Redis, which may be an error reply.
func isReply(err error) bool {
	var refusal redis.Error
	return err == nil || errors.As(err, &refusal)
}

// isOwnDelay reports whether a command ended because time passed in this process: in the queue for
// a connection, or on a clock that the client reads. Only [silence] decides whether Redis was
// silent then.
func isOwnDelay(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// reply decodes the reply of the script.
func (s *Store) reply(c *redishealth.Call, cmd redishealth.Command) ([]int64, error) {
	values, err := cmd.Int64Slice()
	switch {
	case err != nil || len(values) < 2:
		s.failed(errReply)
		return nil, errReply
	case values[0] == replyForeign:
		s.health.Answered()
		i := min(max(int(values[1]), 1), len(c.Keys)) - 1
		err := fmt.Errorf("%w: key %s", errForeign, c.Keys[i])
		// Its budget is kept in memory: the value must not be destroyed, and its writer must not
		// decide who is refused.
		s.health.Foreign("budgets under foreign keys are not shared; set an unused prefix, or delete the keys", err)
		return nil, err
	}
	s.health.Answered()
	s.learn(values[1])
	return values, nil
}

// learn records the server's clock.
func (s *Store) learn(server int64) { s.ahead.Store(server - time.Since(s.start).Microseconds()) }

// deadline returns the server's time, in microseconds, after which a command sent now is void; 0
// while its clock is unknown.
func (s *Store) deadline() int64 {
	ahead := s.ahead.Load()
	if ahead == 0 {
		return 0
	}
	return ahead + (time.Since(s.start) + s.cfg.Timeout + late).Microseconds()
}

// failed counts a failure. Redis is lost if it is silent, or after three failures in a row. The
// worker probes it then.
func (s *Store) failed(err error) {
	if !s.health.Failed(err, errors.Is(err, errSilent)) {
		return
	}
	select {
	case s.lost <- struct{}{}:
	default:
	}
}
