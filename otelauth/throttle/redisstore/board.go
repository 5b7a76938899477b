// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

var _ budget.Board = (*Store)(nil)

const (
	// boardPace is how often watched documents are compared.
	boardPace = 200 * time.Millisecond
	// boardTries bounds the attempts to change a document that other processes change too.
	boardTries = 32
	// maxDocumentBytes bounds a document.
	maxDocumentBytes = 8 << 20
)

// compareAndSet replaces a document if it is still the expected one. The mark changes with each
// document, so that a watcher reads it alone.
var compareAndSet = redis.NewScript(`
local have = redis.call('GET', KEYS[1])
if (have or '') ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[3])
return 1
`)

// board is the part of a Store that watches documents.
type board struct {
	mu       sync.Mutex
	watchers []*watcher
	running  bool
	marks    int64
}

// watcher is one call of Watch.
type watcher struct {
	name    string
	changed func([]byte)
	mark    string
	content []byte
	first   bool        // call changed in any case
	again   atomic.Bool // the same, set by an Update that failed
}

// documentKeys returns the keys of a document and of its mark.
func (s *Store) documentKeys(name string) (document, mark string) {
	return s.tag + ":d:" + name, s.tag + ":m:" + name
}

var errBoard = errors.New("redisstore: Redis does not answer, so nothing is shared; it is shared later")

// Update implements budget.Board.
func (s *Store) Update(ctx context.Context, name string, life time.Duration, edit func(current []byte) ([]byte, error)) error {
	for range boardTries {
		current, err := s.Read(ctx, name)
		if err != nil {
			s.lookAgain(name)
			return err
		}
		next, err := edit(current)
		if err != nil || next == nil {
			return err
		}
		if len(next) > maxDocumentBytes {
			return fmt.Errorf("redisstore: a shared document has %d bytes, more than %d; undo some acts", len(next), maxDocumentBytes)
		}
		done, err := s.swap(ctx, name, life, current, next)
		if err != nil {
			s.lookAgain(name)
			return err
		}
		if done {
			return nil
		}
	}
	s.lookAgain(name)
	return errors.New("redisstore: other processes change the same document at the same time; try again")
}

// lookAgain makes the watchers of a document call changed at their next look, because the caller of
// Update has something that is not shared yet.
func (s *Store) lookAgain(name string) {
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	for _, w := range s.board.watchers {
		if w.name == name {
			w.again.Store(true)
		}
	}
}

// swap replaces a document if it is still current.
func (s *Store) swap(ctx context.Context, name string, life time.Duration, current, next []byte) (done bool, err error) {
	document, mark := s.documentKeys(name)
	s.board.mu.Lock()
	s.board.marks++
	stamp := strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + strconv.FormatInt(s.board.marks, 36)
	s.board.mu.Unlock()
	n, err := direct(ctx, s, func(ctx context.Context) (int64, error) {
		return compareAndSet.Run(ctx, s.client, []string{document, mark}, current, next, max(life.Milliseconds(), 1), stamp).Int64()
	})
	return n == 1, err
}

// Read implements budget.Board.
func (s *Store) Read(ctx context.Context, name string) (content []byte, err error) {
	document, _ := s.documentKeys(name)
	return direct(ctx, s, func(ctx context.Context) ([]byte, error) {
		content, err := s.client.Get(ctx, document).Bytes()
		if errors.Is(err, redis.Nil) {
			return nil, nil
		}
		return content, err
	})
}

// direct runs a command of which no guess waits. It does not judge whether Redis is lost: the
// commands of guesses do.
func direct[T any](ctx context.Context, s *Store, do func(context.Context) (T, error)) (none T, err error) {
	if !s.isUsable() {
		return none, errBoard
	}
	ctx, cancel := context.WithTimeout(ctx, patience*s.cfg.Timeout)
	defer cancel()
	type reply struct {
		value T
		err   error
	}
	done := make(chan reply, 1) // a client without ContextTimeoutEnabled outlasts ctx
	go func() {
		value, err := do(ctx)
		done <- reply{value, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return none, fmt.Errorf("%w: %w", errBoard, r.err)
		}
		return r.value, nil
	case <-ctx.Done():
		return none, errBoard
	}
}

// Watch implements budget.Board.
func (s *Store) Watch(name string, changed func(content []byte)) (stop func()) {
	w := &watcher{name: name, changed: changed, first: true}
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	s.board.watchers = append(s.board.watchers, w)
	if !s.board.running && !s.closed.Load() {
		s.board.running = true
		s.worker.Go(s.compare)
	}
	return func() {
		s.board.mu.Lock()
		defer s.board.mu.Unlock()
		for i, have := range s.board.watchers {
			if have == w {
				s.board.watchers = append(s.board.watchers[:i:i], s.board.watchers[i+1:]...)
				return
			}
		}
	}
}

// compare reads the marks of the watched documents until the Store is closed.
func (s *Store) compare() {
	tick := time.NewTicker(boardPace)
	defer tick.Stop()
	for {
		s.board.mu.Lock()
		watchers := s.board.watchers
		s.board.mu.Unlock()
		for _, w := range watchers {
			s.look(w)
		}
		select {
		case <-s.quit:
			return
		case <-tick.C:
		}
	}
}

// look calls a watcher if its document has changed.
func (s *Store) look(w *watcher) {
	_, key := s.documentKeys(w.name)
	mark, err := direct(context.Background(), s, func(ctx context.Context) (string, error) {
		mark, err := s.client.Get(ctx, key).Result()
		if errors.Is(err, redis.Nil) {
			return "", nil
		}
		return mark, err
	})
	if err != nil {
		w.first = true // its owner may have something to share once Redis answers again
		return
	}
	w.first = w.again.Swap(false) || w.first
	if mark == w.mark && !w.first {
		return
	}
	content, err := s.Read(context.Background(), w.name)
	if err != nil {
		w.first = true
		return
	}
	isNew := w.first || !bytes.Equal(content, w.content)
	w.mark, w.content, w.first = mark, content, false
	if isNew {
		w.changed(content)
	}
}

// ClearHere implements budget.Board.
func (s *Store) ClearHere(ctx context.Context, k budget.Key, b budget.Kind) error {
	return s.local.Clear(ctx, k, b)
}

// Ahead implements budget.Board.
func (s *Store) Ahead() time.Duration {
	ahead := s.ahead.Load()
	if ahead == 0 {
		return 0
	}
	return time.UnixMicro(ahead + time.Since(s.start).Microseconds()).Sub(s.cfg.Now())
}
