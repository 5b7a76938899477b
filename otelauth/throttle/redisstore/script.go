// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	_ "embed"
	"encoding/base64"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/redishealth"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

//go:embed budgets.lua
var budgets string

var script = redishealth.NewScript(budgets)

// letters are the budgets in the names of keys.
const letters = "pansr"

// numBudgets is the number of budgets in a bill.
const numBudgets = len(budget.Bill{}.Charges)

// Operations of the script.
const (
	opSpend  = "spend"
	opSettle = "settle"
	opLook   = "look"
	opClear  = "clear"
	opForget = "forget"
	opProbe  = "probe"
)

// newCall returns a call with the arguments that every operation has.
func (s *Store) newCall(op string, lease, remember time.Duration, room int) *redishealth.Call {
	c := &redishealth.Call{Script: &script, Keys: make([]string, 1, 1+numBudgets), Args: make([]any, 0, room)}
	c.Keys[0] = s.clockKey
	var at int64
	if s.cfg.wall != nil {
		at = s.cfg.wall().UnixMicro()
	}
	c.Args = append(c.Args, op, max(1, micros(lease)), micros(remember), at)
	return c
}

// charges appends the budgets that a bill names. The pair comes first, because the script decides
// by it whether the others count.
func (s *Store) charges(c *redishealth.Call, b *budget.Bill) {
	for i := range b.Charges {
		charge := &b.Charges[i]
		if charge.Limit == (budget.Limit{}) {
			continue
		}
		var known budget.Limit
		if budget.Kind(i) == budget.Pair {
			known = b.KnownPair
		}
		c.Keys = append(c.Keys, s.key(budget.Kind(i), &charge.Key))
		c.Args = append(c.Args, i,
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

func (s *Store) spendCall(b *budget.Bill, voidAfter int64) *redishealth.Call {
	c := s.newCall(opSpend, b.Lease, b.Remember, 6+5*numBudgets)
	c.Args = append(c.Args, int(b.Mode), voidAfter)
	s.charges(c, b)
	return c
}

func (s *Store) settleCall(b *budget.Bill, r budget.Receipt, how throttle.Settlement) *redishealth.Call {
	c := s.newCall(opSettle, b.Lease, b.Remember, 7+5*numBudgets)
	c.Args = append(c.Args, int(how), int(r.Held), r.Epoch)
	s.charges(c, b)
	return c
}

func (s *Store) lookCall(b *budget.Bill) *redishealth.Call {
	c := s.newCall(opLook, b.Lease, b.Remember, 7+5*numBudgets)
	c.Args = append(c.Args, 0, 0, 0)
	s.charges(c, b)
	return c
}

func (s *Store) clearCall(op string, k *budget.Key, b budget.Kind) *redishealth.Call {
	c := s.newCall(op, time.Minute, 0, 12)
	c.Args = append(c.Args, 0, 0, 0)
	c.Keys = append(c.Keys, s.key(b, k))
	c.Args = append(c.Args, int(b), 0, 0, 0, 0)
	return c
}

func (s *Store) probeCall() *redishealth.Call { return s.newCall(opProbe, time.Minute, 0, 4) }
