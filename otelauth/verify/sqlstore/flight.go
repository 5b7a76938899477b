// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"fmt"
	"time"
)

// lane is a class of callers with turns and memory of its own.
type lane uint8

const (
	strangers lane = iota
	// With a credential that was right before; a lane for known names would reveal them.
	verified
	lanes
)

// maxFlights bounds the names that are queried at once in a lane. A further one gets [ErrBusy] at
// once.
const maxFlights = 1024

// flight is one query for one name, shared by all callers that need it.
type flight struct {
	done chan struct{}
	r    *reading
	err  error
}

// ask queries the name, or joins a running query. It ends with ctx; the query continues.
func (s *Store) ask(ctx context.Context, name string, l lane) (*reading, error) {
	f, err := s.startFlight(name, l)
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

// startFlight returns the running query for a name, or starts one.
func (s *Store) startFlight(name string, l lane) (*flight, error) {
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
	go s.runFlight(f, name, l)
	return f, nil
}

// runFlight runs the query and publishes its result.
func (s *Store) runFlight(f *flight, name string, l lane) {
	f.r, f.err = s.queryInTurn(name, l)
	s.flightsMu.Lock()
	delete(s.flights[l], name)
	s.flightsMu.Unlock()
	close(f.done)
}

// queryInTurn waits for its turn, queries, and stores the reading.
func (s *Store) queryInTurn(name string, l lane) (*reading, error) {
	wait := time.NewTimer(s.cfg.Timeout)
	defer wait.Stop()
	select {
	case s.turns[l] <- struct{}{}:
	case <-wait.C:
		return nil, s.busy()
	}
	r := &reading{at: s.now()}
	err := s.runWithin(s.cfg.Timeout, func(ctx context.Context) error {
		defer func() { <-s.turns[l] }() // not before the driver has returned
		var err error
		r.account, err = s.find(ctx, name)
		return err
	})
	if err != nil {
		s.suspectOutage()
		return nil, s.downError(err, name)
	}
	s.read[l].put(name, r)
	return r, nil
}

func (s *Store) busy() error { return fmt.Errorf("sqlstore: %s: %w", s.cfg.Source, ErrBusy) }
