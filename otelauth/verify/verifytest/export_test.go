// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// Errors runs one part of the contract and returns its errors.
func Errors(t *testing.T, part string, s Store) []string {
	t.Helper()
	for _, c := range contract() {
		if c.name != part {
			continue
		}
		r := &recorder{TB: t, ctx: t.Context()}
		done := make(chan struct{})
		go func() { // Fatal ends its goroutine
			defer close(done)
			c.check(r, s)
		}()
		<-done
		return r.errors
	}
	t.Fatalf("the contract has no part %q", part)
	return nil
}

// Parts returns the names of all parts of the contract.
func Parts() (names []string) {
	for _, c := range contract() {
		names = append(names, c.name)
	}
	return names
}

// recorder is a testing.TB that records errors instead of failing.
type recorder struct {
	testing.TB
	ctx context.Context // of the test

	mu     sync.Mutex
	errors []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Error(args ...any) { r.record(fmt.Sprint(args...)) }

func (r *recorder) Errorf(format string, args ...any) { r.record(fmt.Sprintf(format, args...)) }

func (r *recorder) Fatal(args ...any) {
	r.record(fmt.Sprint(args...))
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.record(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (r *recorder) record(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, text)
}
