// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
)

// FreeAddress returns an address of 127.0.0.1 on which no process listens at the moment.
func FreeAddress(t testing.TB) string {
	t.Helper()
	address, err := FindAddress(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	return address
}

// FreePort returns the port of a [FreeAddress].
func FreePort(t testing.TB) string {
	t.Helper()
	_, port, err := net.SplitHostPort(FreeAddress(t))
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	return port
}

// The ports of FindAddress are below those that systems give to outgoing connections, one of which
// could take the port before the server of the test does.
const (
	firstPort = 10_000
	ports     = 20_000
)

// next is the place, different in each process, from which on ports are tried in turn.
var next = func() *atomic.Int64 {
	n := new(atomic.Int64)
	n.Store(int64(os.Getpid()) * 97)
	return n
}()

// FindAddress is [FreeAddress] for programs that are not tests.
func FindAddress(ctx context.Context) (string, error) {
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+next.Add(1)%ports)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("1000 ports in turn are in use")
}
