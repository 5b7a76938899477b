// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"crypto/sha1" //nolint:gosec // EVALSHA names a script by its SHA-1; nothing rests on it
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

//go:embed budgets.lua
var script string

// letters are the budgets in the names of keys.
const letters = "pansr"

// numBudgets is the number of budgets in a bill.
const numBudgets = len(budget.Bill{}.Charges)

// once is a command that go-redis does not retry: the first attempt may have been executed, and a
// guess must not be charged twice.
type once struct{ *redis.Cmd }

// NoRetry disables the retries of go-redis.
func (once) NoRetry() bool { return true }

// call is one run of the script, to be sent by digest or in full.
type call struct {
	keys []string
	args []any
}

// Operations of the script.
const (
	opSpend  = "spend"
	opSettle = "settle"
	opLook   = "look"
	opClear  = "clear"
	opForget = "forget"
	opProbe  = "probe"
)

func (s *Store) digest() string {
	sum := sha1.Sum([]byte(script)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// command returns the call as a command. If full, it contains the script itself.
func (s *Store) command(c *call, full bool) once {
	args := make([]any, 0, 3+len(c.keys)+len(c.args))
	if full {
		args = append(args, "eval", script)
	} else {
		args = append(args, "evalsha", s.sha)
	}
	args = append(args, len(c.keys))
	for _, k := range c.keys {
		args = append(args, k)
	}
	return once{redis.NewCmd(context.Background(), append(args, c.args...)...)}
}

// newCall returns a call with the arguments that every operation has.
func (s *Store) newCall(op string, lease, remember time.Duration, room int) *call {
	c := &call{keys: make([]string, 1, 1+numBudgets), args: make([]any, 0, room)}
	c.keys[0] = s.clockKey
	var at int64
	if s.cfg.wall != nil {
		at = s.cfg.wall().UnixMicro()
	}
	c.args = append(c.args, op, max(1, micros(lease)), micros(remember), at)
	return c
}

// charges appends the budgets that a bill names. The pair comes first, because the script decides
// by it whether the others count.
func (s *Store) charges(c *call, b *budget.Bill) {
	for i := range b.Charges {
		charge := &b.Charges[i]
		if charge.Limit == (budget.Limit{}) {
			continue
		}
		var known budget.Limit
		if budget.Kind(i) == budget.Pair {
			known = b.KnownPair
		}
		c.keys = append(c.keys, s.key(budget.Kind(i), &charge.Key))
		c.args = append(c.args, i,
			charge.Limit.Burst, micros(charge.Limit.Every), known.Burst, micros(known.Every))
	}
}

// key returns the name of a key: "{prefix}:", a letter for the budget, ":" and 22 characters of
// the keyed hash. The braces are the hash tag of Redis Cluster: the budgets of one guess must be
// in one slot.
func (s *Store) key(b budget.Kind, k *budget.Key) string {
	buf := make([]byte, 0, len(s.tag)+3+22)
	buf = append(buf, s.tag...)
	buf = append(buf, ':', letters[b], ':')
	return string(base64.RawURLEncoding.AppendEncode(buf, k[:]))
}

// micros returns a duration in whole microseconds, rounded up so that no interval becomes 0.
func micros(d time.Duration) int64 { return int64((d + time.Microsecond - 1) / time.Microsecond) }

func duration(micros int64) time.Duration { return time.Duration(micros) * time.Microsecond }

func (s *Store) spendCall(b *budget.Bill, voidAfter int64) *call {
	c := s.newCall(opSpend, b.Lease, b.Remember, 6+5*numBudgets)
	c.args = append(c.args, int(b.Mode), voidAfter)
	s.charges(c, b)
	return c
}

func (s *Store) settleCall(b *budget.Bill, r budget.Receipt, how throttle.Settlement) *call {
	c := s.newCall(opSettle, b.Lease, b.Remember, 7+5*numBudgets)
	c.args = append(c.args, int(how), int(r.Held), r.Epoch)
	s.charges(c, b)
	return c
}

func (s *Store) lookCall(b *budget.Bill) *call {
	c := s.newCall(opLook, b.Lease, b.Remember, 7+5*numBudgets)
	c.args = append(c.args, 0, 0, 0)
	s.charges(c, b)
	return c
}

func (s *Store) clearCall(op string, k *budget.Key, b budget.Kind) *call {
	c := s.newCall(op, time.Minute, 0, 12)
	c.args = append(c.args, 0, 0, 0)
	c.keys = append(c.keys, s.key(b, k))
	c.args = append(c.args, int(b), 0, 0, 0, 0)
	return c
}

func (s *Store) probeCall() *call { return s.newCall(opProbe, time.Minute, 0, 4) }
