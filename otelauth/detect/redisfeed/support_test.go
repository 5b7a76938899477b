// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisfeed_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	lognoop "go.opentelemetry.io/otel/log/noop"
	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/detect/redisfeed"
)

var ctx = context.Background()

// plenty is enough guesses for distributed_guessing, which requires 10 and one for each other
// process. The estimate of a count is up to a few short with random keys; 15 would fail one run
// in a thousand.
const plenty = 21

var secret = bytes.Repeat([]byte("k"), 32)

// process is a Detector with its own Feed, like a process of a fleet. Tests evaluate attempts
// with drain.
type process struct {
	t    testing.TB
	feed *redisfeed.Feed
	d    *detect.Detector

	mu      sync.Mutex
	found   []detect.Detection
	notices []attempt.Notice
}

func newProcess(t testing.TB, srv server, change ...func(*redisfeed.Config, *detect.Config)) *process {
	t.Helper()
	p := &process{t: t}
	cfg := redisfeed.Config{
		Client: srv.Client(t), Key: secret, Lease: 400 * time.Millisecond, ProbeEvery: 10 * time.Millisecond,
		Timeout: time.Second, // suits a machine under load
		Notice: func(_ context.Context, n attempt.Notice) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.notices = append(p.notices, n)
		},
	}
	dcfg := detect.Config{
		LoggerProvider: lognoop.NewLoggerProvider(), MeterProvider: metricnoop.NewMeterProvider(), Entries: 1 << 11,
		OnDetection: func(d detect.Detection) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.found = append(p.found, d)
		},
	}
	for _, c := range change {
		c(&cfg, &dcfg)
	}
	var err error
	if p.feed, err = redisfeed.New(cfg); err != nil {
		t.Fatal(err)
	}
	dcfg.Feed = p.feed
	if p.d, err = detect.New(dcfg); err != nil {
		t.Fatal(err)
	}
	return p
}

func impatient(cfg *redisfeed.Config, _ *detect.Config) { cfg.Timeout = 400 * time.Millisecond }

func (p *process) drain() { p.d.Drain(time.Now()) }

// guess sends a wrong password for a name from the network with number net.
func (p *process) guess(name string, net int, fingerprint uint64) {
	p.t.Helper()
	req := &attempt.Request{
		Context: ctx, Time: time.Now(), Scheme: attempt.SchemeBasic, Route: "/orders", Client: netip.MustParseAddr(address(net)),
	}
	res := &attempt.Result{
		Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Reason: attempt.ReasonWrongPassword,
		UserName: name, UserHash: hash(name), PasswordFingerprint: fingerprint,
	}
	if err := p.d.Decide(ctx, req, res); err != nil {
		p.t.Fatal(err)
	}
}

func hash(name string) string { return fmt.Sprintf("k:%x", fmt.Sprintf("%-8.8s", name)) }

func address(n int) string { return fmt.Sprintf("203.%d.%d.77", n>>8&0xff, n&0xff) }

// count returns how often distributed_guessing was reported.
func (p *process) count(phase detect.Phase) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, d := range p.found {
		if d.Rule.Name == detect.DistributedGuessing && d.Phase == phase {
			n++
		}
	}
	return n
}

func (p *process) notes() (errs, ok int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.notices {
		if n.Kind != attempt.DetectionFeed || n.Source != "redis" || n.Time.IsZero() || n.Message == "" {
			p.t.Errorf("notice %+v", n)
		}
		if n.Err != nil {
			errs++
		} else {
			ok++
		}
	}
	return errs, ok
}

// fleet is a set of processes that share a Redis.
type fleet []*process

func newFleet(t testing.TB, srv server, n int, change ...func(*redisfeed.Config, *detect.Config)) fleet {
	t.Helper()
	f := make(fleet, n)
	for i := range f {
		f[i] = newProcess(t, srv, change...)
	}
	f.drain() // so that one process leads
	f.drain()
	return f
}

func (f fleet) drain() {
	for _, p := range f {
		p.drain()
	}
}

// save stores what was learned.
func (f fleet) save() {
	for _, p := range f {
		if err := p.d.Save(); err != nil {
			p.t.Error(err)
		}
	}
}

// count returns how often distributed_guessing was reported.
func (f fleet) count(phase detect.Phase) int {
	n := 0
	for _, p := range f {
		n += p.count(phase)
	}
	return n
}

// starts waits for want starts of distributed_guessing and fails if there are more.
func (f fleet) starts(what string, want int) {
	t := f[0].t
	t.Helper()
	testkit.Eventually(t, what, func() bool { f.drain(); return f.count(detect.Start) >= want })
	f.drain()
	f.drain()
	if n := f.count(detect.Start); n != want {
		t.Errorf("%s: reported %d times; want %d", what, n, want)
	}
}

// spread sends guesses for a name round robin over the fleet, each from its own network.
func (f fleet) spread(name string, from, n int) {
	for i := from; i < from+n; i++ {
		p := f[i%len(f)]
		p.guess(name, i, uint64(i+1))
		p.drain()
	}
}
