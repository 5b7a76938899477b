// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budgettest"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// settled is a Store whose Settle waits for Redis, because the suite looks at once.
type settled struct{ *redisstore.Store }

func (s settled) Settle(ctx context.Context, b budget.Bill, r budget.Receipt, how throttle.Settlement) {
	s.Store.Settle(ctx, b, r, how)
	s.Flush()
}

func TestConformance(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	var n atomic.Int64
	budgettest.Run(t, func(t *testing.T) budgettest.Harness {
		t.Helper()
		var elapsed atomic.Int64
		prefix := fmt.Sprint("suite", n.Add(1))
		recorded := newNotices()
		open := func(t *testing.T) budget.Store {
			t.Helper()
			m, err := throttle.NewMemory(throttle.MemoryConfig{
				Bytes: 1 << 20, Elapsed: func() time.Duration { return time.Duration(elapsed.Load()) },
			})
			if err != nil {
				t.Fatal(err)
			}
			s := newStore(t, redisstore.Config{Client: srv.Client(t), Prefix: prefix, Fallback: m, Notice: recorded.add}.WithWall(wall(&elapsed)))
			return settled{s}
		}
		t.Cleanup(func() {
			if recorded.count() > 0 {
				t.Errorf("the fallback has answered: %v", recorded.all)
			}
		})
		return budgettest.Harness{
			Store: open(t), Peer: open,
			Advance: func(d time.Duration) { elapsed.Add(int64(d)) },
		}
	})
}
