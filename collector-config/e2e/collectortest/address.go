// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package collectortest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// LoopbackAddress returns an address of 127.0.0.0/8 on which all the given ports are free.
func LoopbackAddress(t testing.TB, ports ...string) string {
	t.Helper()
	var err error
	for range 50 {
		// Not 127.0.0.1, which other programs share. Random, because the tests of packages run in
		// parallel processes.
		address := fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(128), rand.IntN(256), 1+rand.IntN(254)) //nolint:gosec // no secret
		if err = free(t.Context(), address, ports); err == nil {
			return address
		}
	}
	t.Fatalf("collectortest: no free loopback address: %v (outside of Linux, add addresses of 127.0.0.0/8 to the loopback interface)", err)
	return ""
}

func free(ctx context.Context, address string, ports []string) error {
	for _, port := range ports {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(address, port))
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}
