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

// maxSample bounds the rows of [Config.Passwords] that are read.
const maxSample = 1_000_000

// sampleTimeout is how long [Config.Passwords] may take: it reads a whole table.
const sampleTimeout = 30 * time.Second

// sample is what the store knows of its accounts as a whole.
type sample struct {
	mix      *password.Mix
	accounts int
	refused  int   // hashes that Policy does not accept
	why      error // the first of them
}

// take reads the stored hashes and keeps their classes alone.
func (s *Store) take(ctx context.Context) (*sample, error) {
	rows, err := s.cfg.DB.QueryContext(ctx, s.cfg.Passwords)
	if err != nil {
		return nil, s.sampleError(err)
	}
	defer func() { _ = rows.Close() }() // Err tells
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
			encoded, _ := text(v)
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

// refresh takes a sample. On an error the previous one serves on.
func (s *Store) refresh() error {
	var taken *sample
	err := s.within(sampleTimeout, func(ctx context.Context) error {
		got, err := s.take(ctx)
		if err == nil {
			taken = got
		}
		return err
	})
	if err != nil {
		s.doubt()
		return s.unreadable(err, "")
	}
	s.sampled.Store(taken)
	return nil
}

// follow refreshes the sample from time to time.
func (s *Store) follow() {
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
			continue // its return asks for a sample
		}
		_ = s.resampled(s.refresh())
	}
}

func (s *Store) resample() {
	select {
	case s.wanted <- struct{}{}:
	default:
	}
}

// resampled tells what changed with the sample. While the database is down, that is told alone.
func (s *Store) resampled(err error) error {
	if s.life.Err() != nil {
		return err
	}
	if err == nil || s.down() == nil {
		s.trouble(&s.troubles.sample, err)
	}
	if err == nil {
		s.trouble(&s.troubles.refused, s.refusal())
	}
	return err
}

// refusal says how many stored hashes let nobody in, nil when there are none.
func (s *Store) refusal() error {
	now := s.sampled.Load()
	if now.refused == 0 {
		return nil
	}
	return fmt.Errorf("sqlstore: %s: %d of %d stored passwords are refused and let nobody in; the first: %w",
		s.cfg.Source, now.refused, now.accounts, now.why)
}
