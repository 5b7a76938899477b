// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisfeed_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/internal/redistest"
)

// silence discards the logs of go-redis about servers that the tests stop.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(silence{})
	os.Exit(m.Run())
}

// server is a redis-server for one test.
type server struct{ *redistest.Server }

func startRedis(t testing.TB) server {
	t.Helper()
	return server{redistest.Start(t)}
}

// monitor returns a function that returns the commands that the server has got since the call of
// monitor.
func (s server) monitor(t testing.TB) func() string {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, len("+OK\r\n"))); err != nil {
		t.Fatal(err)
	}
	return func() string {
		s.Client(t).Echo(ctx, "the end")
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		var all []byte
		for buf := make([]byte, 64<<10); !bytes.Contains(all, []byte("the end")); {
			n, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, buf[:n]...)
		}
		return string(all)
	}
}
