// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// maxAccountErrors bounds the different errors of single accounts that are remembered. There are
// fewer kinds.
const maxAccountErrors = 256

// OnReload registers fn. It is called when the database goes down and comes back, when
// [Config.Passwords] fails, when stored hashes are refused and when none is any more, once each.
// It is called at once for each of these that is the case now. An error of a single account is
// reported at most once an hour. fn must not block and must not call the Store. After stop, no
// new call begins.
func (s *Store) OnReload(fn func(verify.Reload)) (stop func()) {
	key := &fn
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners == nil {
		return func() {}
	}
	s.listeners[key] = struct{}{}
	for _, now := range [...]error{s.problems.down, s.problems.sample, s.problems.refused} {
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

// report returns the report of err.
func (s *Store) report(err error) verify.Reload {
	return verify.Reload{Source: s.cfg.Source, Time: s.cfg.Now(), Accounts: s.Len(), Err: err}
}

// notify calls the listeners. The caller holds mu.
func (s *Store) notify(err error) {
	r := s.report(err)
	for _, fn := range slices.Collect(maps.Keys(s.listeners)) {
		(*fn)(r)
	}
}

// setProblem stores the state of one problem, nil for none, and reports a change.
func (s *Store) setProblem(which *error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	had := *which
	*which = err
	if (had == nil) != (err == nil) || err != nil && had.Error() != err.Error() {
		s.notify(err)
	}
}

// reportAccount reports an error of one account, without its name.
func (s *Store) reportAccount(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, what := s.cfg.Now(), err.Error()
	if last, reported := s.accountErrors[what]; reported && now.Sub(last) < time.Hour || !reported && len(s.accountErrors) == maxAccountErrors {
		return
	}
	s.accountErrors[what] = now
	s.notify(fmt.Errorf("sqlstore: %s: %w", s.cfg.Source, err))
}
