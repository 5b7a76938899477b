// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
)

// run replaces the test that servers and collectors belong to. It holds what must be ended, and
// ends it also after a failure.
type run struct {
	testing.TB // for its unexported method only; the methods that are used are below

	mu       sync.Mutex
	cleanups []func()
	failed   bool
}

func newRun() *run { return &run{} }

// failure is the value with which a failed run panics.
type failure struct{ text string }

func (r *run) do(command func(*run, []string), args []string) (status int) {
	defer func() {
		cause := recover()
		r.end()
		if f, ok := cause.(failure); ok {
			fmt.Fprintln(os.Stderr, "measure:", f.text)
			status = 1
		} else if cause != nil {
			panic(cause)
		}
	}()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		r.end() // otherwise the servers would outlive this process
		os.Exit(1)
	}()
	command(r, args)
	return 0
}

// stage calls f with a run of its own, so that what it starts ends before the next stage.
func (r *run) stage(f func(*run)) {
	inner := newRun()
	r.Cleanup(inner.end)
	defer inner.end()
	f(inner)
}

func (r *run) end() {
	for {
		r.mu.Lock()
		n := len(r.cleanups)
		if n == 0 {
			r.mu.Unlock()
			return
		}
		last := r.cleanups[n-1]
		r.cleanups = r.cleanups[:n-1]
		r.mu.Unlock()
		last()
	}
}

func (r *run) Helper() {}

func (r *run) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *run) TempDir() string {
	dir, err := os.MkdirTemp("", "otelauth-measure-")
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (r *run) Context() context.Context { return context.Background() }

func (r *run) Failed() bool { return r.failed }

func (r *run) Log(args ...any) { fmt.Fprintln(os.Stderr, args...) }

func (r *run) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (r *run) Fatal(args ...any) {
	r.failed = true
	panic(failure{fmt.Sprint(args...)})
}

func (r *run) Fatalf(format string, args ...any) { r.Fatal(fmt.Sprintf(format, args...)) }

func (r *run) Skipf(format string, args ...any) { r.Fatalf(format, args...) }

func (r *run) Error(args ...any) { r.Fatal(args...) }

func (r *run) Errorf(format string, args ...any) { r.Fatalf(format, args...) }
