// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// ErrDown is in the error of every question that a database left unanswered, or answered with an error.
var ErrDown = errors.New("the accounts cannot be read")

// ErrBusy is in the error of a question that did not get its turn; see [Config.MaxQueries].
var ErrBusy = errors.New("too many queries are waiting: raise Config.MaxQueries or see what slows the database")

var errTimeout = errors.New("no answer within the timeout")

// The pace at which a database that is down is asked whether it is up again.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// within runs do for no longer than limit, whether or not the driver heeds its context. do may then still be running.
func (s *Store) within(limit time.Duration, do func(context.Context) error) error {
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
	case err := <-done: // it came with the deadline, or it was its end that ended ctx
		if err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return err
		}
	case <-time.After(limit/4 + time.Millisecond):
	}
	return fmt.Errorf("%w of %v", errTimeout, limit)
}

// unreadable says that a question failed. Drivers quote what they were sent, and people type passwords into the name field.
func (s *Store) unreadable(err error, name string) error {
	const least = 3 // a shorter name is no secret and stands in any text
	if t := err.Error(); len(name) >= least && strings.Contains(t, name) {
		err = redacted{strings.ReplaceAll(t, name, credential.Redacted), err}
	}
	return fmt.Errorf("sqlstore: %s: %w: %w", s.cfg.Source, ErrDown, err)
}

// redacted keeps the kind of an error and not its text.
type redacted struct {
	text string
	err  error
}

func (r redacted) Error() string        { return r.text }
func (r redacted) Is(target error) bool { return errors.Is(r.err, target) }

// down returns why nobody need ask, nil when the database is up.
func (s *Store) down() error {
	if err := s.lost.Load(); err != nil {
		return *err
	}
	return nil
}

// doubt has the database asked again: one failure may be a glitch or one name's, two are an outage.
func (s *Store) doubt() {
	select {
	case s.doubts <- struct{}{}:
	default:
	}
}

// watch is the one who asks while the database is down.
func (s *Store) watch() {
	defer s.ended.Done()
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.doubts:
		}
		pause := firstPause
		for {
			err := s.probe(s.cfg.Timeout)
			if s.life.Err() != nil {
				return
			}
			if err == nil {
				if s.lost.Swap(nil) != nil {
					s.trouble(&s.troubles.down, nil)
					s.resample()
				}
				break
			}
			if s.lost.Swap(&err) == nil {
				s.trouble(&s.troubles.down, err)
			}
			select {
			case <-s.life.Done():
				return
			case <-s.doubts: // Reload wants to know now
			case <-time.After(pause):
			}
			pause = min(2*pause, lastPause)
		}
	}
}

// probe asks for a name that nobody has, and so checks the columns too.
func (s *Store) probe(limit time.Duration) error {
	nobody := s.cfg.Canonical("otelauth-probe-" + rand.Text())
	err := s.within(limit, func(ctx context.Context) error {
		a, fault, err := s.query(ctx, nobody)
		if a != nil || fault != nil {
			return errors.New("Config.Query finds an account for a name that nobody has: it must select by its one parameter")
		}
		return err
	})
	if err != nil {
		return s.unreadable(err, nobody)
	}
	return nil
}
