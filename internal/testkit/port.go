// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
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
	blocks    = 200
	blockSize = 100
)

// reserved are the ports of this process. It listens on the first port of each of its blocks until
// it ends. So no other process that uses this package takes a port between FindAddress and the
// server of the test, or while that server restarts.
var reserved struct {
	sync.Mutex

	next, end int
	held      []net.Listener
}

// FindAddress is [FreeAddress] for programs that are not tests.
func FindAddress(ctx context.Context) (string, error) {
	reserved.Lock()
	defer reserved.Unlock()
	for {
		if reserved.next == reserved.end {
			if err := reserve(ctx); err != nil {
				return "", err
			}
		}
		reserved.next++
		if l, err := listen(ctx, reserved.next-1); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
}

// reserve reserves a block of ports. Each process looks for one from another place on.
func reserve(ctx context.Context) error {
	for i := range blocks {
		first := firstPort + (os.Getpid()+i)%blocks*blockSize
		if l, err := listen(ctx, first); err == nil {
			reserved.held = append(reserved.held, l)
			reserved.next, reserved.end = first+1, first+blockSize
			return nil
		}
	}
	return errors.New("other processes have reserved all ports")
}

func listen(ctx context.Context, port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
}
