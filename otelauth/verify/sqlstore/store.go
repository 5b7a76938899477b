// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// maxFaults bounds the kinds of faults of single accounts that are told. There are fewer.
const maxFaults = 256

// ErrClosed is in the error of every question to a [Store] that is closed, or was never open.
var ErrClosed = errors.New("the store is closed")

// Store serves the accounts of a database. Its zero value answers every question with [ErrClosed]; [Open] makes one. It is
// safe for concurrent use.
type Store struct {
	cfg  Config
	base time.Time

	// read holds what was read for each lane. It answers verified credentials alone.
	read [lanes]*space
	// notBefore is when Reload was called last: what was read earlier is not fresh.
	notBefore atomic.Int64

	flightsMu sync.Mutex
	flights   [lanes]map[string]*flight
	turns     [lanes]chan struct{}

	sampled atomic.Pointer[sample]
	wanted  chan struct{}

	lost   atomic.Pointer[error] // why the database is down; nil: it is up
	doubts chan struct{}

	mu        sync.Mutex // orders what is told as it happens
	troubles  struct{ down, sample, refused error }
	faults    map[string]time.Time // what was told of single accounts, and when; at most maxFaults
	listeners map[*func(verify.Reload)]struct{}

	life  context.Context //nolint:containedctx // of the Store: what runs in the background ends with it
	end   context.CancelFunc
	ended sync.WaitGroup
}

var (
	_ verify.Accounts  = (*Store)(nil)
	_ verify.Recaller  = (*Store)(nil)
	_ verify.Peeker    = (*Store)(nil)
	_ verify.Reloader  = (*Store)(nil)
	_ verify.Validator = (*Store)(nil)
)

// Open asks the database both queries once and returns a Store that serves until [Store.Close]. It returns every fault of
// cfg, or why the database cannot be asked, within ctx and 30 s: [ErrDown]. A stored hash that is refused is no error; it is told to
// [Store.OnReload].
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, base: cfg.Now(),
		read:   [lanes]*space{strangers: newSpace(cfg.MaxGuessed), verified: newSpace(cfg.MaxAccounts)},
		wanted: make(chan struct{}, 1), doubts: make(chan struct{}, 1),
		listeners: make(map[*func(verify.Reload)]struct{}),
		faults:    make(map[string]time.Time),
	}
	for l := range lanes {
		s.flights[l] = make(map[string]*flight)
		s.turns[l] = make(chan struct{}, cfg.MaxQueries)
	}
	// The caller's context bounds the opening, and its end later means nothing.
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	opening := context.AfterFunc(ctx, s.end)
	// A first connection may take longer than a query.
	err = s.probe(sampleTimeout)
	if err == nil {
		err = s.refresh()
	}
	if !opening() && ctx.Err() != nil {
		err = fmt.Errorf("sqlstore: %s: %w: %w", cfg.Source, ErrDown, ctx.Err())
	}
	if err != nil {
		s.end()
		return nil, err
	}
	_ = s.resampled(nil)
	s.ended.Add(2)
	go s.watch()
	go s.follow()
	return s, nil
}

// Close ends what runs in the background and waits for its end; queries on their way are canceled. Later questions fail. It may
// be called again. The database stays open. The error is always nil.
func (s *Store) Close() error {
	if s.end != nil {
		s.end()
		s.ended.Wait()
	}
	return nil
}

// Validate returns [ErrClosed] for a Store that is closed or was never open, so that otelauth.New refuses it.
func (s *Store) Validate() error {
	if s.life == nil || s.life.Err() != nil {
		return fmt.Errorf("sqlstore: %w", ErrClosed)
	}
	return nil
}

// Lookup asks the database for the account of a name, for at most twice [Config.Timeout], and
// returns nil when there is none. It answers no guess from memory: the time of an answer would
// show which names have been asked for, by their owners above all. An error is [ErrDown],
// [ErrBusy], [ErrClosed] or ctx's.
func (s *Store) Lookup(ctx context.Context, name string) (*verify.Account, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if name = s.cfg.Canonical(name); !possible(name) {
		return nil, nil
	}
	return s.asked(ctx, name, strangers)
}

// Recall returns the account of a credential that was verified before, as it was at most
// [Config.TTL] ago. It answers from memory when it can and then takes no lock but a shard's, for
// reading, and allocates nothing; otherwise it asks, and does not wait behind strangers. While the
// database is down it answers with what was read at most [Config.StaleIfDown] ago.
func (s *Store) Recall(ctx context.Context, name string) (*verify.Account, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	name = s.cfg.Canonical(name)
	now := s.now()
	r := s.remembered(name, now)
	switch {
	case r != nil && s.fresh(r, now):
		if r.account != nil && now-r.at >= s.cfg.TTL/2 && s.down() == nil && r.renewed.CompareAndSwap(false, true) {
			if _, err := s.depart(name, verified); err != nil {
				r.renewed.Store(false)
			}
		}
		return r.account, nil
	case r == nil && !possible(name):
		return nil, nil
	}
	a, err := s.asked(ctx, name, verified)
	if r != nil && r.account != nil && now-r.at < s.cfg.StaleIfDown && errors.Is(err, ErrDown) {
		return r.account, nil
	}
	return a, err
}

// asked asks the database.
func (s *Store) asked(ctx context.Context, name string, l lane) (*verify.Account, error) {
	now := s.now()
	err := s.down()
	for range 2 { // the first may have been under way for too long; the second was not before we came
		if err != nil {
			return nil, err
		}
		var read *reading
		if read, err = s.ask(ctx, name, l); err == nil && (read.at >= now || s.fresh(read, s.now())) {
			return read.account, nil
		}
	}
	if err == nil { // a clock that steps back
		err = s.busy()
	}
	return nil, err
}

// remembered returns what was read of a name for verified credentials, nil when nothing was. A
// credential that has just been verified goes on with what its login has read.
func (s *Store) remembered(name string, now time.Duration) *reading {
	r := s.read[verified].get(name)
	if r == nil || !s.fresh(r, now) {
		if login := s.read[strangers].get(name); login != nil && (r == nil || login.at > r.at) {
			r = &reading{account: login.account, at: login.at}
			s.read[verified].put(name, r)
		}
	}
	return r
}

// Peek implements [verify.Peeker].
func (s *Store) Peek(name string) *verify.Account {
	if s.Validate() != nil {
		return nil
	}
	name = s.cfg.Canonical(name)
	for _, l := range [...]lane{verified, strangers} {
		if r := s.read[l].get(name); r != nil {
			return r.account
		}
	}
	return nil
}

// Staleness is [Config.TTL].
func (s *Store) Staleness() time.Duration { return s.cfg.TTL }

// possible reports whether an account can have the name: databases answer some others with an error.
func possible(name string) bool { return len(name) <= maxNameBytes && verify.ValidName(name) == nil }

// fresh reports whether r may be served while the database is up.
func (s *Store) fresh(r *reading, now time.Duration) bool {
	return now-r.at < s.cfg.TTL && int64(r.at) >= s.notBefore.Load()
}

func (s *Store) now() time.Duration { return s.cfg.Now().Sub(s.base) }

// Canonical returns [Config.Canonical] of name.
func (s *Store) Canonical(name string) string {
	if s.cfg.Canonical == nil {
		return name
	}
	return s.cfg.Canonical(name)
}

// Decoy returns a hash that no password matches, of a scheme and cost that the last answer to [Config.Passwords] holds.
func (s *Store) Decoy(key uint64) *password.Hash {
	if now := s.sampled.Load(); now != nil {
		return now.mix.Decoy(key)
	}
	return new(password.Mix).Decoy(key)
}

// Len is the number of rows in the last answer to [Config.Passwords].
func (s *Store) Len() int {
	if now := s.sampled.Load(); now != nil {
		return now.accounts
	}
	return 0
}

// Reload asks [Config.Passwords] now and lets no account be served as it was read before: what a process does at SIGHUP. It
// is told to [Store.OnReload].
func (s *Store) Reload() error {
	if err := s.Validate(); err != nil {
		return err
	}
	s.notBefore.Store(int64(s.now()))
	if s.down() != nil {
		s.doubt() // has the prober look now
	}
	err := s.resampled(s.refresh())
	if err == nil {
		s.mu.Lock()
		s.tell(nil)
		s.mu.Unlock()
	}
	return err
}

// OnReload registers fn, which is told when the database goes down and comes back, when [Config.Passwords] cannot be asked,
// when stored hashes are refused and when none is any more, each once, and at once of what is so now. Faults of one account are told at most once an
// hour. fn must not block nor call the Store. After stop no new call begins.
func (s *Store) OnReload(fn func(verify.Reload)) (stop func()) {
	key := &fn
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners == nil {
		return func() {}
	}
	s.listeners[key] = struct{}{}
	for _, now := range [...]error{s.troubles.down, s.troubles.sample, s.troubles.refused} {
		if now != nil {
			fn(s.report(now))
		}
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, key)
	}
}

func (s *Store) report(err error) verify.Reload {
	return verify.Reload{Source: s.cfg.Source, Time: s.cfg.Now(), Accounts: s.Len(), Err: err}
}

// tell is called with mu held.
func (s *Store) tell(err error) {
	r := s.report(err)
	for _, fn := range slices.Collect(maps.Keys(s.listeners)) {
		(*fn)(r)
	}
}

// trouble notes that something is wrong or right again, and tells of the change.
func (s *Store) trouble(which *error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	had := *which
	*which = err
	if (had == nil) != (err == nil) || err != nil && had.Error() != err.Error() {
		s.tell(err)
	}
}

// fault tells what is wrong with one account, without its name.
func (s *Store) fault(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, what := s.cfg.Now(), err.Error()
	if told, before := s.faults[what]; before && now.Sub(told) < time.Hour || !before && len(s.faults) == maxFaults {
		return
	}
	s.faults[what] = now
	s.tell(fmt.Errorf("sqlstore: %s: %w", s.cfg.Source, err))
}
