// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// violations records broken requirements: the first of each kind, and the number of each kind.
type violations struct {
	mu    sync.Mutex
	kinds []string
	first map[string]string
	count map[string]int
}

func (f *violations) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == nil {
		f.first, f.count = make(map[string]string), make(map[string]int)
	}
	if f.count[format] == 0 {
		f.kinds = append(f.kinds, format)
		f.first[format] = fmt.Sprintf(format, args...)
	}
	f.count[format]++
}

func (f *violations) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []error
	for _, kind := range f.kinds {
		all = append(all, fmt.Errorf("soak: %s (%d times)", f.first[kind], f.count[kind]))
	}
	return errors.Join(all...)
}

// soak is the process of the clients and the upstream. The gateway runs in another, so that its
// resources can be counted.
type soak struct {
	stderr     io.Writer
	dir        string
	files      *files
	upstream   *upstream
	address    string
	violations violations
	counts     counts
	steady     atomic.Bool // the upstream is not being restarted

	cmd   *exec.Cmd
	mu    sync.Mutex // one command at a time
	stdin io.WriteCloser
	out   *bufio.Reader
}

// childVariable makes a test binary run as the gateway.
const childVariable = "OTELAUTH_SOAK_CHILD"

func newSoak(ctx context.Context, stderr io.Writer) (*soak, error) {
	dir, err := os.MkdirTemp("", "otelauth-soak-")
	if err != nil {
		return nil, fmt.Errorf("soak: %w", err)
	}
	s := &soak{stderr: stderr, dir: dir}
	if err := s.start(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *soak) start(ctx context.Context) (err error) {
	if s.files, err = newFiles(s.dir); err != nil {
		return err
	}
	if s.upstream, err = newUpstream(&s.violations); err != nil {
		return err
	}
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	s.cmd = exec.CommandContext(ctx, own, "serve", s.dir, "http://"+s.upstream.address) //nolint:gosec // G204: this program
	s.cmd.Env = append(os.Environ(), childVariable+"=1")
	s.cmd.Stderr = s.stderr
	s.cmd.WaitDelay = 10 * time.Second
	stdout, errOut := s.cmd.StdoutPipe()
	stdin, errIn := s.cmd.StdinPipe()
	if err := errors.Join(errOut, errIn, s.cmd.Start()); err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	s.stdin, s.out = stdin, bufio.NewReader(stdout)
	line, err := s.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("soak: the gateway did not start: %w", err)
	}
	s.address = strings.TrimSpace(line)
	return nil
}

func (s *soak) close() {
	if s.stdin != nil {
		_ = s.stdin.Close() // which ends the gateway
		_ = s.cmd.Wait()
	}
	if s.upstream != nil {
		s.upstream.die()
	}
	_ = os.RemoveAll(s.dir)
}

// command sends a command to the gateway process.
func (s *soak) command(name string) (st state, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := fmt.Fprintln(s.stdin, name); err != nil {
		return st, fmt.Errorf("soak: the gateway has ended: %w", err)
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return st, fmt.Errorf("soak: the gateway has ended: %w", err)
	}
	if err := json.Unmarshal(line, &st); err != nil {
		return st, fmt.Errorf("soak: %w", err)
	}
	if st.Error != "" {
		return st, fmt.Errorf("soak: %s: %s", name, st.Error)
	}
	return st, nil
}

// run compares two idle moments: one after a first part of the load, which fills caches and
// pools, and one at the end.
func (s *soak) run(ctx context.Context, d time.Duration, each int, stdout io.Writer) error {
	first := min(d/3, 10*time.Second)
	if err := s.load(ctx, first, each); err != nil {
		return err
	}
	before, err := s.quiet(ctx, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "after %v: %v\n", first, before)
	if err := s.load(ctx, d-first, each); err != nil {
		return err
	}
	after, err := s.quiet(ctx, &before)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "after %v: %v\n", d, after)
	last, err := s.command("end")
	if err != nil {
		return err
	}
	s.judge(&last, &after)
	fmt.Fprintf(stdout, "%d attempts, %d anonymous requests; %d with right credentials, of which %d answered 503; %d streams, %d cut; %d requests reached the upstream\n",
		s.counts.attempts.Load(), s.counts.public.Load(), s.counts.right.Load(), s.counts.overloaded.Load(), s.counts.streams.Load(), s.counts.cut.Load(), s.upstream.reached.Load())
	if err := s.violations.err(); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "ok")
	return nil
}

// load runs all clients for d, while files, configuration and upstream change.
func (s *soak) load(ctx context.Context, d time.Duration, each int) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var clients, changes sync.WaitGroup
	for n := range each {
		for _, client := range []func(context.Context, int){s.good, s.good2, s.visitor, s.bad, s.garbage, s.slow, s.gone, s.streaming} {
			clients.Go(func() { client(ctx, n) })
		}
	}
	changes.Go(func() { s.change(ctx) })
	changes.Go(func() { s.mortality(ctx) })
	changes.Wait()
	clients.Wait()
	return nil
}

// change replaces files and configuration every second, and revokes temp every few seconds.
func (s *soak) change(ctx context.Context) {
	defer func() {
		if err := s.files.accounts(true); err != nil {
			s.violations.add("%v", err)
		}
	}()
	var revoked time.Time
	present := true
	for second := 1; ; second++ {
		wait(ctx, time.Second)
		if ctx.Err() != nil {
			return
		}
		switch {
		case present && second%4 == 0:
			present, revoked = false, time.Now()
		case !present && s.counts.active.Load() == 0:
			present = true
		case !present && time.Since(revoked) > maxStreamAge+patience:
			s.violations.add("%d streams continue %v after their account was removed", s.counts.active.Load(), time.Since(revoked))
			return
		}
		if err := errors.Join(s.files.accounts(present), s.files.certificate()); err != nil {
			s.violations.add("%v", err)
			return
		}
		if _, err := s.command("reload"); err != nil {
			s.violations.add("%v", err)
			return
		}
	}
}

// mortality restarts the upstream repeatedly.
func (s *soak) mortality(ctx context.Context) {
	s.steady.Store(true)
	for {
		wait(ctx, 5*time.Second)
		if ctx.Err() != nil {
			return
		}
		s.steady.Store(false)
		s.upstream.die()
		wait(ctx, 300*time.Millisecond)
		if err := s.upstream.rise(); err != nil {
			s.violations.add("%v", err)
			return
		}
		wait(ctx, time.Second) // responses that the restart cut may still be in transit
		s.steady.Store(true)
	}
}

// The allowed growth between two idle moments: a running sweep or timer, and tables that are not
// full yet.
const (
	moreGoroutines  = 5
	moreDescriptors = 5
	moreHeapBytes   = 24 << 20
)

// quiet waits until the load has ended: with before, until the gateway holds no more than then.
func (s *soak) quiet(ctx context.Context, before *state) (state, error) {
	// Restarting the upstream closes the gateway's idle connections to it.
	s.upstream.die()
	if err := s.upstream.rise(); err != nil {
		return state{}, err
	}
	var last state
	for end := time.Now().Add(patience); ; {
		st, err := s.command("stats")
		if err != nil {
			return st, err
		}
		if before != nil {
			if st.Goroutines <= before.Goroutines+moreGoroutines && st.Descriptors <= before.Descriptors+moreDescriptors && st.HeapBytes <= before.HeapBytes+moreHeapBytes {
				return st, nil
			}
		} else if st.Goroutines == last.Goroutines && st.Descriptors == last.Descriptors {
			return st, nil
		}
		if time.Now().After(end) || ctx.Err() != nil {
			if before != nil {
				s.violations.add("the gateway holds more than before: %v; before: %v", st, *before)
			}
			return st, nil
		}
		last = st
		wait(ctx, time.Second)
	}
}

// overloadedShare is the percentage of right credentials that may be answered 503. The machine
// may be small, and after every change of the configuration all passwords are hashed again.
const overloadedShare = 5

// judge compares the recorded signals with the requests that were made.
func (s *soak) judge(last, quiet *state) {
	attempts, public := s.counts.attempts.Load(), s.counts.public.Load()
	same := func(what string, got, want int64) {
		if got != want {
			s.violations.add("%s: %d, want %d", what, got, want)
		}
	}
	same("attempts in the metrics", last.Attempts, attempts)
	same("events, folded ones included", last.Events, attempts)
	same("anonymous responses in the metrics", last.Public, public)
	same("server spans", last.Spans, attempts+public)
	some := func(what string, got int64) {
		if got == 0 {
			s.violations.add("%s: none", what)
		}
	}
	some("requests with right credentials", s.counts.right.Load())
	some("connections that sent no request", last.Unparsed)
	some("reloads of accounts", last.Reloads)
	same("reloads that failed", last.ReloadsFailed, 0)
	some("reloads of the certificate", last.Certificates)
	some("upstream errors", last.Cut)
	if quiet.StreamsEnded == 0 && s.counts.streams.Load() > 0 {
		s.violations.add("no stream was ended because its account was removed")
	}
	if over, right := s.counts.overloaded.Load(), s.counts.right.Load(); over*100 > right*overloadedShare {
		s.violations.add("%d of %d right credentials were answered 503", over, right)
	}
}
