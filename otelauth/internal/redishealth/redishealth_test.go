// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redishealth_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/redishealth"
)

var errLost = errors.New("lost")

// recorder keeps the messages of a Health whose clock stands still until a test moves it.
type recorder struct {
	*redishealth.Health

	now      time.Time
	messages []string
}

func newRecorder() *recorder {
	r := &recorder{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r.Health = redishealth.New(redishealth.Config{
		Kind: attempt.ThrottleStore, Down: "down", Up: "up",
		Now:    func() time.Time { return r.now },
		Notice: func(_ context.Context, n attempt.Notice) { r.messages = append(r.messages, n.Message) },
	})
	return r
}

func (r *recorder) check(t *testing.T, isDown bool, messages ...string) {
	t.Helper()
	if r.IsDown() != isDown || !slices.Equal(r.messages, messages) {
		t.Errorf("down %t, notices %q; want %t and %q", r.IsDown(), r.messages, isDown, messages)
	}
}

// TestDown: three failures in a row, or a certain one, and one notice for each change.
func TestDown(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	r.Failed(errLost, false)
	r.Failed(errLost, false)
	r.Answered()
	r.Failed(errLost, false)
	r.Failed(errLost, false)
	r.check(t, false)
	if !r.Failed(errLost, false) {
		t.Error("the third failure in a row is not a change")
	}
	if r.Failed(errLost, false) || r.Failed(errLost, true) {
		t.Error("a failure of a Redis that is down is a change")
	}
	r.check(t, true, "down")
	r.Answered()
	r.check(t, true, "down")
	r.Recovered()
	r.Recovered()
	r.check(t, false, "down", "up")
	if !r.Failed(errLost, true) {
		t.Error("a certain failure is not a change")
	}
	r.check(t, true, "down", "up", "down")
}

// TestForeign: foreign values are reported once an hour.
func TestForeign(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	for range 3 {
		r.Foreign("foreign", errLost)
	}
	r.now = r.now.Add(time.Hour - 1)
	r.Foreign("foreign", errLost)
	r.check(t, false, "foreign")
	r.now = r.now.Add(1)
	r.Foreign("foreign", errLost)
	r.check(t, false, "foreign", "foreign")
}

// noScriptError is the reply of a server that does not have a script.
type noScriptError struct{}

func (noScriptError) Error() string { return "NOSCRIPT No matching script. Please use EVAL." }
func (noScriptError) RedisError()   {}

var _ redis.Error = noScriptError{}

// TestScript: a call goes by digest, and in full only to a server without the script.
func TestScript(t *testing.T) {
	t.Parallel()
	script := redishealth.NewScript("return 1")
	call := redishealth.Call{Script: &script, Keys: []string{"a", "b"}, Args: []any{"x", 7}}
	const digest = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db" // of SCRIPT LOAD "return 1"
	tests := []struct {
		name    string
		replies []error
		want    [][]any
	}{
		{"known", []error{nil}, [][]any{{"evalsha", digest, 2, "a", "b", "x", 7}}},
		{"unknown", []error{noScriptError{}, nil}, [][]any{{"evalsha", digest, 2, "a", "b", "x", 7}, {"eval", "return 1", 2, "a", "b", "x", 7}}},
		{"failure", []error{errLost}, [][]any{{"evalsha", digest, 2, "a", "b", "x", 7}}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var sent [][]any
			cmd, err := call.Run(func(c redishealth.Command) error {
				sent = append(sent, c.Args())
				return tc.replies[len(sent)-1]
			})
			if !errors.Is(err, tc.replies[len(tc.replies)-1]) || len(sent) != len(tc.want) {
				t.Fatalf("%v after %v", err, sent)
			}
			for i := range sent {
				if !slices.Equal(sent[i], tc.want[i]) {
					t.Errorf("sent %v, want %v", sent[i], tc.want[i])
				}
			}
			if !cmd.NoRetry() || !slices.Equal(cmd.Args(), tc.want[len(tc.want)-1]) {
				t.Errorf("returned %v", cmd.Args())
			}
		})
	}
}
