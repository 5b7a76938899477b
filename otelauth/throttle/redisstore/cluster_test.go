// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budgettest"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// startCluster starts three servers that share the slots.
func startCluster(t *testing.T) []server {
	t.Helper()
	var nodes []server
	var buses []string // where the nodes talk; by default port + 10000, which may be in use
	for range 3 {
		bus := testkit.FreePort(t)
		nodes = append(nodes, startRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--cluster-port", bus))
		buses = append(buses, bus)
	}
	const slots = 16384
	for i, n := range nodes {
		c := n.Client(t)
		first, last := i*slots/len(nodes), (i+1)*slots/len(nodes)-1
		if err := c.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.Do(ctx, "cluster", "set-config-epoch", i+1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	first := nodes[0].Client(t)
	for i, n := range nodes[1:] {
		host, port, _ := net.SplitHostPort(n.Addr)
		if err := first.Do(ctx, "cluster", "meet", host, port, buses[i+1]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	for _, n := range nodes {
		c := n.Client(t)
		for {
			info := c.ClusterInfo(ctx).Val()
			if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the cluster does not come up:\n%s", info)
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	return nodes
}

func clusterClient(t *testing.T, nodes []server) redis.UniversalClient {
	t.Helper()
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes[0].Addr}})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestCluster runs the suite on a cluster. Each test has its own prefix and so its own slot, so
// every node serves some.
func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t)
	t.Cleanup(func() { // after the whole suite
		for i, n := range nodes {
			if size := n.Client(t).DBSize(ctx).Val(); size == 0 {
				t.Errorf("node %d holds no budget", i)
			}
		}
	})
	var n atomic.Int64
	budgettest.Run(t, func(t *testing.T) budgettest.Harness {
		t.Helper()
		var elapsed atomic.Int64
		prefix := fmt.Sprint("suite", n.Add(1))
		recorded := newNotices()
		open := func(t *testing.T) budget.Store {
			t.Helper()
			s := newStore(t, redisstore.Config{Client: clusterClient(t, nodes), Prefix: prefix, Notice: recorded.add}.WithWall(wall(&elapsed)))
			return settled{s}
		}
		t.Cleanup(func() {
			if recorded.count() > 0 {
				t.Errorf("the fallback has answered: %v", recorded.all)
			}
		})
		return budgettest.Harness{Store: open(t), Peer: open, Advance: func(d time.Duration) { elapsed.Add(int64(d)) }}
	})
}

func TestASlotThatMoved(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	nodes := startCluster(t)
	s := newStore(t, redisstore.Config{Client: clusterClient(t, nodes), Prefix: "moved"})
	b := bill(1, 9)
	if got := wrong(t, s, b, 2); got != 2 {
		t.Fatal(got)
	}
	moveSlot(t, nodes, s.ClockKey())
	if got := wrong(t, s, b, 9); got != 7 {
		t.Errorf("%d granted of the 7 that are left", got)
	}
	if !s.Shared() {
		t.Error("a slot that moved is no loss of Redis")
	}
}

// moveSlot moves the slot of a key, and its keys, to another node.
func moveSlot(t *testing.T, nodes []server, key string) {
	t.Helper()
	slot := int(nodes[0].Client(t).ClusterKeySlot(ctx, key).Val())
	from := slot * len(nodes) / 16384
	source, target := nodes[from], nodes[(from+1)%len(nodes)]
	sourceID := source.Client(t).ClusterMyID(ctx).Val()
	targetID := target.Client(t).ClusterMyID(ctx).Val()
	do := func(n server, args ...any) {
		t.Helper()
		if err := n.Client(t).Do(ctx, args...).Err(); err != nil {
			t.Fatal(args, err)
		}
	}
	do(target, "cluster", "setslot", slot, "importing", sourceID)
	do(source, "cluster", "setslot", slot, "migrating", targetID)
	host, port, _ := net.SplitHostPort(target.Addr)
	keys, err := source.Client(t).ClusterGetKeysInSlot(context.Background(), slot, 100).Result()
	if err != nil || len(keys) == 0 {
		t.Fatal(keys, err)
	}
	args := []any{"migrate", host, port, "", 0, 5000, "keys"}
	for _, k := range keys {
		args = append(args, k)
	}
	do(source, args...)
	for _, n := range []server{target, source} {
		do(n, "cluster", "setslot", slot, "node", targetID)
	}
}
