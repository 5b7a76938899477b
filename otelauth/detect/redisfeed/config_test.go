// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisfeed_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
	"github.com/otelauth/otelauth-go/otelauth/detect/redisfeed"
)

// TestConfigErrors: New returns every error at once, and never the key.
func TestConfigErrors(t *testing.T) {
	t.Parallel()
	_, err := redisfeed.New(redisfeed.Config{
		Key: []byte("hunter2"), Prefix: "a}b", Timeout: time.Hour, ProbeEvery: -1, Lease: time.Minute, MaxBytes: 7, Keep: time.Second,
	})
	if err == nil {
		t.Fatal("New accepts a Config full of errors")
	}
	for _, want := range []string{
		"Config.Client is nil", "Config.Key has 7 bytes", `Config.Prefix "a}b"`, "Config.Timeout is 1h", "Config.ProbeEvery", "Config.Lease is 1m0s",
		"Config.MaxBytes is 7", "Config.Keep is 1s",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, "redisfeed: ") {
			t.Errorf("a line does not begin with the package name: %q", line)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error contains the key")
	}
}

// TestNumbers: no nonce is used for two contents.
func TestNumbers(t *testing.T) {
	t.Parallel()
	p := newProcess(t, startRedis(t))
	one := []feed.Outgoing{{Number: 1, Data: []byte("one")}}
	if _, err := p.feed.Exchange(ctx, one, feed.Position{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.feed.Exchange(ctx, []feed.Outgoing{{Number: 1, Data: []byte("two")}}, feed.Position{}); err == nil {
		t.Error("number 1 is sealed twice")
	}
	if _, err := p.feed.Exchange(ctx, []feed.Outgoing{{Number: 2, Data: make([]byte, feed.MaxBatchBytes+1)}}, feed.Position{}); err == nil {
		t.Error("a batch above the limit is sealed")
	}
}

func BenchmarkExchange(b *testing.B) {
	for _, n := range []int{0, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := newProcess(b, startRedis(b))
			p.drain()
			i := 0
			for b.Loop() {
				for range n {
					i++
					p.guess("alice", i, uint64(i))
				}
				p.drain()
			}
		})
	}
}

func Example() {
	feed, err := redisfeed.New(redisfeed.Config{
		Client: redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:6379"}}),
		Key:    bytes.Repeat([]byte("x"), 32), // 32 random bytes from your secrets
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := detect.New(detect.Config{Feed: feed})
	fmt.Println(d != nil, err)
	// For a health page: whether attempts are shared now, and how many entries could not be used.
	health := func() (shared bool, rejected uint64) { return feed.Shared(), feed.Rejected() }
	_ = health
	// Output: true <nil>
}
