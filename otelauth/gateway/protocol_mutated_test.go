// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// The long run is: .ci/full protocol.
var (
	mutations    = flag.Int("protocol.mutations", 320, "how many mutated inputs TestProtocolMutations sends")
	mutationSeed = flag.Uint64("protocol.seed", 1, "the seed of TestProtocolMutations")
)

// pieces are what mutations insert.
func pieces() []string {
	return []string{
		"\r\n", "\n", "\r", "\r\n\r\n", "\x00", " ", "\t", "\x0b", ",", ";", ":", "%", "0\r\n\r\n", "5\r\nhello\r\n", "\r\n ", wireHidden,
		"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: identity\r\n", "transfer-encoding:\tchunked\r\n", "Content-Length: 5\r\n",
		"Content-Length: 0\r\n", "Connection: keep-alive\r\n", "Connection: Content-Length, Remote-User\r\n", "Remote-User: root\r\n",
		"Remote_User: root\r\n", "Expect: 100-continue\r\n", "Upgrade: websocket\r\nConnection: upgrade\r\n", "Trailer: Remote-User\r\n",
		"Host: other\r\n", "http://other", "*", "é", "\xff", "/../", "//", " HTTP/1.1\r\n", " HTTP/1.0\r\n",
	}
}

// mutate returns one of the cases with one to four random changes.
func mutate(random *rand.Rand, cases []wireCase, insert []string) []byte {
	input := []byte(cases[random.IntN(len(cases))].bytes)
	for range 1 + random.IntN(4) {
		at := random.IntN(len(input) + 1)
		end := min(len(input), at+1+random.IntN(12))
		switch random.IntN(7) {
		case 0:
			input = append(input[:at:at], input[end:]...)
		case 1, 2:
			input = bytes.Join([][]byte{input[:at], []byte(insert[random.IntN(len(insert))]), input[at:]}, nil)
		case 3: // a line twice
			lines := bytes.SplitAfter(input, []byte("\n"))
			i := random.IntN(len(lines))
			lines = append(lines[:i:i], append([][]byte{lines[i]}, lines[i:]...)...)
			input = bytes.Join(lines, nil)
		case 4: // the end of another case
			other := cases[random.IntN(len(cases))].bytes
			input = append(input[:at:at], other[random.IntN(len(other)+1):]...)
		case 5:
			if at < len(input) {
				input[at] ^= 1 << random.IntN(8)
			}
		case 6: // a piece of it again, elsewhere
			input = bytes.Join([][]byte{input[:at], input[at:end], input[at:]}, nil)
		}
	}
	return input
}

// mutationGateway is a gateway with short timeouts. It uses unix sockets, because a long run
// would use up all ports.
func mutationGateway(t *testing.T) (upstream *wireUpstream, address string) {
	t.Helper()
	upstream = &wireUpstream{}
	inner := unixListener(t)
	go upstream.serve(inner)
	const soon = 100 * time.Millisecond
	gw, err := gateway.New(gateway.Config{
		Upstream: "unix:" + inner.Addr().String(), Uninstrumented: true,
		ReadHeaderTimeout: soon, IdleTimeout: soon, StallTimeout: soon,
		Auth: otelauth.Config{Accounts: accounts(t), Throttle: throttle.DangerouslyNone{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	outer := unixListener(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gw.Serve(ctx, outer) }()
	t.Cleanup(func() { cancel(); _, _ = <-ended, gw.Shutdown(context.Background()) })
	return upstream, outer.Addr().String()
}

func unixListener(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// For every mutation of the corpus, each request that reaches the service is strict HTTP/1.1,
// carries the account's name, and is one of those with credentials.
func TestProtocolMutations(t *testing.T) {
	t.Parallel()
	var cases []wireCase
	for _, c := range append(refusedOnTheWire(), rewrittenOnTheWire()...) {
		if len(c.bytes) < 4<<10 {
			cases = append(cases, c)
		}
	}
	credentials := []byte(strings.TrimSpace(strings.TrimPrefix(wireAuth, "Authorization: Basic ")))
	const lanes = 16
	var running sync.WaitGroup
	var reached atomic.Int64
	for lane := range lanes {
		upstream, address := mutationGateway(t)
		running.Go(func() {
			random := rand.New(rand.NewPCG(*mutationSeed, uint64(lane)))
			allowed, served := 0, 0
			for range *mutations / lanes {
				input := mutate(random, cases, pieces())
				allowed += bytes.Count(input, credentials)
				conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", address)
				if err != nil {
					t.Error(err)
					return
				}
				_ = conn.SetDeadline(time.Now().Add(patience))
				go func() { _, _ = conn.Write(input) }()
				_, err = io.Copy(io.Discard, conn)
				if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // net's own
					t.Errorf("the connection is still open after %v: %q", patience, input)
				}
				_ = conn.Close()
				requests, deviations := upstream.take()
				served += len(requests)
				problems := wireProblems(requests, deviations)
				// Cumulative, because a request whose client has gone may arrive late.
				if served > allowed {
					problems = append(problems, fmt.Sprintf("%d requests reached the service, %d had credentials", served, allowed))
				}
				if len(problems) > 0 {
					t.Errorf("lane %d: %q after %q", lane, problems, input)
					return
				}
			}
			reached.Add(int64(served))
		})
	}
	running.Wait()
	if reached.Load() < int64(*mutations/50) && !t.Failed() {
		t.Errorf("%d of %d inputs reached the service: too few for a meaningful run", reached.Load(), *mutations)
	}
	t.Logf("%d of %d inputs reached the service", reached.Load(), *mutations)
}
