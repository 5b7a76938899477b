// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// ErrClosed is the error of every method of a [Store] that is closed or was never open.
var ErrClosed = errors.New("the store is closed: open it with sqlstore.Open")

// Store serves the accounts of a database. [Open] returns one. The methods of the zero Store
// return [ErrClosed]. A Store is safe for concurrent use.
type Store struct {
	cfg  Config
	base time.Time

	// read has the readings of each lane. Only verified credentials are answered from it.
	read [lanes]*space
	// notBefore is the time of the last Reload. Earlier readings are not fresh.
	notBefore atomic.Int64

	flightsMu sync.Mutex
	flights   [lanes]map[string]*flight
	turns     [lanes]chan struct{}

	sampled atomic.Pointer[sample]
	wanted  chan struct{}

	outage     atomic.Pointer[error] // why the database is down; nil if it is up
	suspicions chan struct{}

	mu       sync.Mutex // keeps reports in order
	problems struct{ down, sample, refused error }
	// When each error of an account was last reported; at most maxAccountErrors.
	accountErrors map[string]time.Time
	listeners     map[*func(verify.Reload)]struct{}

	life  context.Context //nolint:containedctx // the life of the Store, which bounds its background work
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

// Open runs both queries once and returns a Store that serves until [Store.Close]. It returns all
// errors of cfg, or [ErrDown] if a query fails or does not end within ctx and 30 s. A stored hash
// that is refused is not an error; [Store.OnReload] reports it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, base: cfg.Now(),
		read:   [lanes]*space{strangers: newSpace(cfg.MaxGuessed), verified: newSpace(cfg.MaxAccounts)},
		wanted: make(chan struct{}, 1), suspicions: make(chan struct{}, 1),
		listeners:     make(map[*func(verify.Reload)]struct{}),
		accountErrors: make(map[string]time.Time),
	}
	for l := range lanes {
		s.flights[l] = make(map[string]*flight)
		s.turns[l] = make(chan struct{}, cfg.MaxQueries)
	}
	// ctx bounds Open only, not the life of the Store.
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
	_ = s.reportSample(nil)
	s.ended.Add(2)
	go s.probeWhileDown()
	go s.sampleRegularly()
	return s, nil
}

// Close stops the background work and waits until it has stopped. Running queries are canceled.
// Later calls fail. A second call does nothing. The database stays open. The error is always nil.
func (s *Store) Close() error {
	if s.end != nil {
		s.end()
		s.ended.Wait()
	}
	return nil
}

// Validate returns [ErrClosed] for a Store that is closed or was never open, so that otelauth.New
// refuses it.
func (s *Store) Validate() error {
	if s.life == nil || s.life.Err() != nil {
		return fmt.Errorf("sqlstore: %w", ErrClosed)
	}
	return nil
}

// Lookup queries the account with a name and returns nil if there is none. It takes at most twice
// [Config.Timeout]. It never answers from memory: the time would show which names have been used
// recently. The error is [ErrDown], [ErrBusy], [ErrClosed] or that of ctx.
func (s *Store) Lookup(ctx context.Context, name string) (*verify.Account, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if name = s.cfg.Canonical(name); !isPossibleName(name) {
		return nil, nil
	}
	return s.lookUp(ctx, name, strangers)
}

// Recall returns the account of a credential that was verified before, as it was at most
// [Config.TTL] ago. If it has it in memory, it takes only a read lock of a shard and allocates
// nothing. Otherwise it queries, ahead of strangers. While the database is down, it returns what
// was read at most [Config.StaleIfDown] ago.
func (s *Store) Recall(ctx context.Context, name string) (*verify.Account, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	name = s.cfg.Canonical(name)
	now := s.now()
	r := s.remembered(name, now)
	switch {
	case r != nil && s.isFresh(r, now):
		if r.account != nil && now-r.at >= s.cfg.TTL/2 && s.down() == nil && r.renewed.CompareAndSwap(false, true) {
			if _, err := s.startFlight(name, verified); err != nil {
				r.renewed.Store(false)
			}
		}
		return r.account, nil
	case r == nil && !isPossibleName(name):
		return nil, nil
	}
	a, err := s.lookUp(ctx, name, verified)
	if r != nil && r.account != nil && now-r.at < s.cfg.StaleIfDown && errors.Is(err, ErrDown) {
		return r.account, nil
	}
	return a, err
}

// lookUp queries an account.
func (s *Store) lookUp(ctx context.Context, name string, l lane) (*verify.Account, error) {
	now := s.now()
	err := s.down()
	for range 2 { // the first query may have begun before this call; the second did not
		if err != nil {
			return nil, err
		}
		var read *reading
		if read, err = s.ask(ctx, name, l); err == nil && (read.at >= now || s.isFresh(read, s.now())) {
			return read.account, nil
		}
	}
	if err == nil { // the clock has stepped back
		err = s.busy()
	}
	return nil, err
}

// remembered returns the last reading of a name for verified credentials, or nil. For a
// credential that was just verified it uses the reading of that login.
func (s *Store) remembered(name string, now time.Duration) *reading {
	r := s.read[verified].get(name)
	if r == nil || !s.isFresh(r, now) {
		if login := s.read[strangers].get(name); login != nil && (r == nil || login.at > r.at) {
			r = &reading{account: login.account, at: login.at}
			s.read[verified].put(name, r)
		}
	}
	return r
}

// Peek returns the account if it is in memory, or nil; see [verify.Peeker].
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

// Staleness returns [Config.TTL].
func (s *Store) Staleness() time.Duration { return s.cfg.TTL }

// isPossibleName reports whether an account can have the name. Databases answer some other names
// with an error.
func isPossibleName(name string) bool {
	return len(name) <= maxNameBytes && verify.ValidName(name) == nil
}

// isFresh reports whether r may be served while the database is up.
func (s *Store) isFresh(r *reading, now time.Duration) bool {
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

// Decoy returns a hash that no password matches, of a scheme and cost in the last result of
// [Config.Passwords].
func (s *Store) Decoy(key uint64) *password.Hash {
	if now := s.sampled.Load(); now != nil {
		return now.mix.Decoy(key)
	}
	return new(password.Mix).Decoy(key)
}

// Len returns the number of rows in the last result of [Config.Passwords].
func (s *Store) Len() int {
	if now := s.sampled.Load(); now != nil {
		return now.accounts
	}
	return 0
}

// Reload runs [Config.Passwords] now, and serves no account that was read before. A process calls
// it at SIGHUP. [Store.OnReload] reports it.
func (s *Store) Reload() error {
	if err := s.Validate(); err != nil {
		return err
	}
	s.notBefore.Store(int64(s.now()))
	if s.down() != nil {
		s.suspectOutage() // makes the prober query now
	}
	err := s.reportSample(s.refresh())
	if err == nil {
		s.mu.Lock()
		s.notify(nil)
		s.mu.Unlock()
	}
	return err
}
