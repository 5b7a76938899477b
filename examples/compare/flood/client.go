// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package flood

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
	"github.com/otelauth/otelauth-go/examples/compare/peers"
)

// Timeout is how long an honest client waits before it gives up.
const Timeout = 10 * time.Second

// Client is an honest client: an open loop that sends PerSecond requests a second.
type Client struct {
	// Target is a host:port.
	Target string
	// Source is the local address.
	Source netip.Addr
	// PerSecond is the rate, above 0.
	PerSecond float64
	// User returns the account whose right credentials the i-th request carries.
	User func(i int) peers.User
}

// ClientReport is what the client measured.
type ClientReport struct {
	// Latencies are in seconds from the time a request was due. A request that failed counts as
	// [Timeout], however fast it failed.
	Latencies measure.Samples
	// OK is the number of requests that were answered with 200.
	OK int
}

// Success returns the share of requests that were answered with 200, 0 to 1.
func (r ClientReport) Success() float64 { return float64(r.OK) / float64(max(len(r.Latencies), 1)) }

// Run sends for d, or until ctx ends, and waits for the answers.
func (c Client) Run(ctx context.Context, d time.Duration) ClientReport {
	return c.send(ctx, int(d.Seconds()*c.PerSecond))
}

func (c Client) send(ctx context.Context, requests int) ClientReport {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.Source, 0))}
	transport := &http.Transport{
		DialContext: dialer.DialContext,
		// with a smaller pool a lost connection would add a dial to the next latency
		MaxIdleConnsPerHost: 1024,
		DisableCompression:  true,
	}
	defer transport.CloseIdleConnections()

	var (
		report ClientReport
		mu     sync.Mutex
		wg     sync.WaitGroup
	)
	interval := time.Duration(float64(time.Second) / c.PerSecond)
	start := time.Now()
	for i := range requests {
		due := start.Add(time.Duration(i) * interval)
		if !pause(ctx, time.Until(due)) {
			break
		}
		wg.Go(func() {
			// Not ctx: the client waits for a request that it sent. Otherwise its own cancellation
			// would count as a failure.
			reqCtx, cancel := context.WithDeadline(context.WithoutCancel(ctx), due.Add(Timeout))
			defer cancel()
			ok := c.once(reqCtx, transport, c.User(i))
			latency := time.Since(due).Seconds()
			mu.Lock()
			defer mu.Unlock()
			if ok {
				report.OK++
			} else {
				latency = Timeout.Seconds()
			}
			report.Latencies = append(report.Latencies, latency)
		})
	}
	wg.Wait()
	return report
}

// once sends one request and reports whether the answer was 200 and complete.
func (c Client) once(ctx context.Context, transport http.RoundTripper, u peers.User) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Target+"/", nil)
	if err != nil {
		return false
	}
	u.Authorize(req)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}
