// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"context"
	"net"
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

// FindAddress is [FreeAddress] for programs that are not tests.
func FindAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
