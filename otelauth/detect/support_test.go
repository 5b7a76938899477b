// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// monday is a working day.
var monday = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// zeros is a source of zeros, so that places in tables are the same in every run.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// watch is a Detector with a clock that the test sets.
type watch struct {
	t     testing.TB
	d     *detect.Detector
	now   time.Time
	found []detect.Detection
}

func newWatch(t testing.TB, change ...func(*detect.Config)) *watch {
	t.Helper()
	w := &watch{t: t, now: monday}
	cfg := detect.Config{
		LoggerProvider: lognoop.NewLoggerProvider(), MeterProvider: metricnoop.NewMeterProvider(),
		OnDetection: func(d detect.Detection) { w.found = append(w.found, d) },
		Now:         func() time.Time { return w.now }, Rand: zeros{},
		Entries: 1 << 11, // less memory to clear
	}
	for _, c := range change {
		c(&cfg)
	}
	d, err := detect.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.d = d
	return w
}

func reportingTo(lp log.LoggerProvider, mp metric.MeterProvider) func(*detect.Config) {
	return func(cfg *detect.Config) { cfg.LoggerProvider, cfg.MeterProvider = lp, mp }
}

// try is one attempt; the zero try is a success of alice from 192.0.2.7 at /orders.
type try struct {
	name      string // default: alice
	unknown   bool
	from      string
	password  uint64 // 0: the right one
	route     string
	sensitive bool
	reason    attempt.Reason
	outcome   attempt.Outcome // default: Success for password 0, else Failure
	groups    []string
}

func (w *watch) try(a try) {
	if a.name == "" {
		a.name = "alice"
	}
	if a.from == "" {
		a.from = "192.0.2.7"
	}
	if a.route == "" {
		a.route = "/orders"
	}
	req := attempt.Request{
		Context: context.Background(), Time: w.now, Scheme: attempt.SchemeBasic, Client: netip.MustParseAddr(a.from),
		Route: a.route, Method: "GET", Sensitive: a.sensitive,
	}
	res := attempt.Result{Outcome: attempt.Success, UserHash: "k:" + a.name, PasswordFingerprint: a.password}
	if !a.unknown {
		res.UserName = a.name
	}
	if a.password != 0 {
		res.Outcome, res.ErrorType, res.Reason = attempt.Failure, attempt.InvalidCredentials, attempt.ReasonWrongPassword
		if a.unknown {
			res.Reason = attempt.ReasonUnknownUser
		}
		if a.reason != "" {
			res.Reason = a.reason
		}
	}
	res.Groups = a.groups
	if a.outcome != attempt.Error {
		res.Outcome = a.outcome
	}
	w.decide(&req, &res)
}

func (w *watch) decide(req *attempt.Request, res *attempt.Result) {
	w.t.Helper()
	if err := w.d.Decide(w.d.Begin(req.Context, req), req, res); err != nil {
		w.t.Fatal(err)
	}
	w.d.Drain(w.now)
}

func (w *watch) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.d.Drain(w.now)
}

// starts returns the number of episodes of a rule that have started; "" means any rule.
func (w *watch) starts(rule string) int {
	n := 0
	for _, d := range w.found {
		if d.Phase == detect.Start && (rule == "" || d.Rule.Name == rule) {
			n++
		}
	}
	return n
}

// none fails the test for each detection.
func (w *watch) none(what string) {
	w.t.Helper()
	for _, d := range w.found {
		w.t.Errorf("%s: %s of %s: accounts %v, networks %v, %d attempts", what, d.Phase, d.Rule.Name, d.Accounts, d.Networks, d.Attempts)
	}
	if n := w.d.Dropped(); n != 0 {
		w.t.Errorf("%s: %d attempts dropped", what, n)
	}
}

// live sends two successes an hour in the working hours of each day.
func (w *watch) live(days int, name, from string) {
	for range days {
		for range 8 {
			w.try(try{name: name, from: from})
			w.pass(30 * time.Minute)
			w.try(try{name: name, from: from})
			w.pass(30 * time.Minute)
		}
		w.pass(16 * time.Hour)
	}
}

func network(n int) string { return fmt.Sprintf("203.%d.%d.9", n>>8&0xff, n&0xff) }
