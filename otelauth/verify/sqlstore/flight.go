// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"fmt"
	"time"
)

// lane is who asks.
type lane uint8

const (
	strangers lane = iota
	verified       // with a credential that was right before: only those, or a flood of guesses would show which names are known
	lanes
)

// maxFlights bounds the names of one lane that are being asked for. One more is answered [ErrBusy] at once.
const maxFlights = 1024

// flight is one question for one name, for everybody who wants to know.
type flight struct {
	done chan struct{}
	r    *reading
	err  error
}

// ask asks the database for the name, or joins those who do. It ends with ctx; the query goes on.
func (s *Store) ask(ctx context.Context, name string, l lane) (*reading, error) {
	f, err := s.depart(name, l)
	if err != nil {
		return nil, err
	}
	select {
	case <-f.done:
		return f.r, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("sqlstore: %s: the caller left: %w", s.cfg.Source, ctx.Err())
	}
}

func (s *Store) depart(name string, l lane) (*flight, error) {
	s.flightsMu.Lock()
	defer s.flightsMu.Unlock()
	if f := s.flights[l][name]; f != nil {
		return f, nil
	}
	if len(s.flights[l]) >= maxFlights {
		return nil, s.busy()
	}
	f := &flight{done: make(chan struct{})}
	s.flights[l][name] = f
	go s.fly(f, name, l)
	return f, nil
}

func (s *Store) fly(f *flight, name string, l lane) {
	f.r, f.err = s.turn(name, l)
	s.flightsMu.Lock()
	delete(s.flights[l], name)
	s.flightsMu.Unlock()
	close(f.done)
}

// turn waits for a turn, asks, and remembers the answer.
func (s *Store) turn(name string, l lane) (*reading, error) {
	wait := time.NewTimer(s.cfg.Timeout)
	defer wait.Stop()
	select {
	case s.turns[l] <- struct{}{}:
	case <-wait.C:
		return nil, s.busy()
	}
	r := &reading{at: s.now()}
	err := s.within(s.cfg.Timeout, func(ctx context.Context) error {
		defer func() { <-s.turns[l] }() // not before the driver lets go
		var err error
		r.account, err = s.find(ctx, name)
		return err
	})
	if err != nil {
		s.doubt()
		return nil, s.unreadable(err, name)
	}
	s.read[l].put(name, r)
	return r, nil
}

func (s *Store) busy() error { return fmt.Errorf("sqlstore: %s: %w", s.cfg.Source, ErrBusy) }
