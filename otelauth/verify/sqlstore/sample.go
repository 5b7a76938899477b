// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// maxSample bounds the rows of [Config.Passwords].
const maxSample = 1_000_000

// sampleTimeout bounds [Config.Passwords], which reads a whole table.
const sampleTimeout = 30 * time.Second

// sample is the result of [Config.Passwords].
type sample struct {
	mix      *password.Mix
	accounts int
	refused  int   // hashes that Policy refuses
	why      error // the reason of the first
}

// readHashes reads the stored hashes and keeps only their classes.
func (s *Store) readHashes(ctx context.Context) (*sample, error) {
	rows, err := s.cfg.DB.QueryContext(ctx, s.cfg.Passwords)
	if err != nil {
		return nil, s.sampleError(err)
	}
	defer func() { _ = rows.Close() }() // rows.Err reports it
	names, err := rows.Columns()
	if err != nil {
		return nil, s.sampleError(err)
	}
	if len(names) != 1 {
		return nil, fmt.Errorf("Config.Passwords returns %d columns: it must return the stored hash alone", len(names))
	}
	out := &sample{}
	var scan error
	out.mix = password.NewMix(func(yield func(*password.Hash) bool) {
		for out.accounts < maxSample && rows.Next() {
			var v any
			if scan = rows.Scan(&v); scan != nil {
				return
			}
			out.accounts++
			if v == nil {
				continue
			}
			encoded, _ := parseText(v)
			h, err := s.cfg.Policy.Parse(encoded)
			switch {
			case err == nil:
				if !yield(h) {
					return
				}
			case !errors.Is(err, password.ErrUnusable):
				if out.refused++; out.why == nil {
					out.why = err
				}
			}
		}
	})
	if err := errors.Join(scan, rows.Err()); err != nil {
		return nil, s.sampleError(err)
	}
	return out, nil
}

func (s *Store) sampleError(err error) error {
	return fmt.Errorf("Config.Passwords: %w (the query is %s)", err, oneLine(s.cfg.Passwords))
}

// refresh takes a new sample. On an error the previous one is still used.
func (s *Store) refresh() error {
	var taken *sample
	err := s.runWithin(sampleTimeout, func(ctx context.Context) error {
		got, err := s.readHashes(ctx)
		if err == nil {
			taken = got
		}
		return err
	})
	if err != nil {
		s.suspectOutage()
		return s.downError(err, "")
	}
	s.sampled.Store(taken)
	return nil
}

// sampleRegularly refreshes the sample at intervals and on request.
func (s *Store) sampleRegularly() {
	defer s.ended.Done()
	tick := time.NewTicker(s.cfg.SampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-tick.C:
		case <-s.wanted:
		}
		if s.down() != nil {
			continue // the end of the outage requests a sample
		}
		_ = s.reportSample(s.refresh())
	}
}

// requestSample makes sampleRegularly take a sample now.
func (s *Store) requestSample() {
	select {
	case s.wanted <- struct{}{}:
	default:
	}
}

// reportSample reports changes of the sample. While the database is down, only the outage is
// reported.
func (s *Store) reportSample(err error) error {
	if s.life.Err() != nil {
		return err
	}
	if err == nil || s.down() == nil {
		s.setProblem(&s.problems.sample, err)
	}
	if err == nil {
		s.setProblem(&s.problems.refused, s.refusedHashes())
	}
	return err
}

// refusedHashes returns an error with the number of refused hashes, or nil if there are none.
func (s *Store) refusedHashes() error {
	now := s.sampled.Load()
	if now.refused == 0 {
		return nil
	}
	return fmt.Errorf("sqlstore: %s: %d of %d stored passwords are refused, so their accounts are disabled: set these passwords again; the first: %w",
		s.cfg.Source, now.refused, now.accounts, now.why)
}
