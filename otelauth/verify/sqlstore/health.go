// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/scrub"
)

// ErrDown is the error if the database fails or does not answer in time.
var ErrDown = errors.New("the accounts cannot be read")

// ErrBusy is the error if a query cannot start within [Config.Timeout]; see [Config.MaxQueries].
var ErrBusy = errors.New("too many queries are waiting: raise Config.MaxQueries, or find what slows the database")

var errTimeout = errors.New("no answer within the timeout")

// The intervals at which a database that is down is probed.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// runWithin calls do and returns within limit, even if the driver ignores its context. do may
// then still be running. It is not shared with the Redis stores: a query ends at the deadline and
// with the Store, while their commands continue.
func (s *Store) runWithin(limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(s.life, limit)
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- do(ctx)
	}()
	select {
	case err := <-done:
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("%w of %v", errTimeout, limit)
		}
		return err
	case <-ctx.Done():
	}
	if s.life.Err() != nil {
		return ErrClosed
	}
	select {
	case err := <-done: // do returned at the deadline, or its return has canceled ctx
		if err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return err
		}
	case <-time.After(limit/4 + time.Millisecond):
	}
	return fmt.Errorf("%w of %v", errTimeout, limit)
}

// downError wraps the error of a query. It removes the name, because drivers quote their input
// and people type passwords into the name field.
func (s *Store) downError(err error, name string) error {
	const least = 3 // a shorter name is in many texts and not a secret
	if len(name) >= least {
		err = scrub.Error(err, name)
	}
	return fmt.Errorf("sqlstore: %s: %w: %w", s.cfg.Source, ErrDown, err)
}

// down returns why the database is down, or nil if it is up.
func (s *Store) down() error {
	if err := s.outage.Load(); err != nil {
		return *err
	}
	return nil
}

// suspectOutage makes the prober query now. One failure may be accidental or caused by one name;
// two are an outage.
func (s *Store) suspectOutage() {
	select {
	case s.suspicions <- struct{}{}:
	default:
	}
}

// probeWhileDown waits for a suspicion, then probes until the database answers. While the
// database is down, nothing else queries it.
func (s *Store) probeWhileDown() {
	defer s.ended.Done()
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.suspicions:
		}
		pause := firstPause
		for {
			err := s.probe(s.cfg.Timeout)
			if s.life.Err() != nil {
				return
			}
			if err == nil {
				if s.outage.Swap(nil) != nil {
					s.setProblem(&s.problems.down, nil)
					s.requestSample()
				}
				break
			}
			if s.outage.Swap(&err) == nil {
				s.setProblem(&s.problems.down, err)
			}
			select {
			case <-s.life.Done():
				return
			case <-s.suspicions: // Reload requests a probe
			case <-time.After(pause):
			}
			pause = min(2*pause, lastPause)
		}
	}
}

// probe queries a random name, and so checks the columns too.
func (s *Store) probe(limit time.Duration) error {
	probeName := s.cfg.Canonical("otelauth-probe-" + rand.Text())
	err := s.runWithin(limit, func(ctx context.Context) error {
		a, problem, err := s.query(ctx, probeName)
		if a != nil || problem != nil {
			return errors.New("Config.Query finds an account for a random name: it must select by its one parameter")
		}
		return err
	})
	if err != nil {
		return s.downError(err, probeName)
	}
	return nil
}
