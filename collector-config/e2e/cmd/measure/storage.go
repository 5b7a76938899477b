// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/collector-config/e2e/service"
	"github.com/otelauth/otelauth-go/otelauth/audit"
)

// perDay is the number of attempts a day for which the results are extrapolated.
const perDay = 10_000_000

// honestPerSecond is ten million attempts spread evenly over a day.
const honestPerSecond = perDay / (24 * 60 * 60.0)

// scenario is a kind of traffic with a setting for folding.
type scenario struct {
	name   string
	events audit.Events
	flood  bool
	factor float64 // attempts of the day for one attempt of the run
}

// storage runs each scenario with n attempts, through the library and the collector with shipped
// files. It prints the disk usage of the backends, for one attempt and for the day.
func storage(r *run, args []string) {
	flags := flag.NewFlagSet("storage", flag.ExitOnError)
	n := flags.Int("n", 100_000, "attempts of each run")
	rate := flags.Int("rate", 2500, "attempts a second")
	_ = flags.Parse(args)

	// The honest day is played faster than real time, so the periods of folding are shortened by
	// the same factor.
	speed := float64(*rate) / honestPerSecond
	shorter := func(d time.Duration) time.Duration { return max(time.Duration(float64(d)/speed), 10*time.Millisecond) }
	honest := func(s audit.Successes) audit.Events {
		return audit.Events{
			Success: s, SuccessPeriod: shorter(audit.DefaultSuccessPeriod), Every: shorter(audit.DefaultEvery), Period: shorter(audit.DefaultPeriod),
			PerSecond: min(max(int(speed*audit.DefaultPerSecond), audit.DefaultPerSecond), 10_000),
		}
	}
	// The flood of the day happens in one hour, which at 2500 attempts a second is the real speed.
	scenarios := []scenario{
		{name: "honest, an event for every success (default)", events: honest(audit.EverySuccess), factor: float64(perDay) / float64(*n)},
		{name: "honest, audit.FirstSuccess", events: honest(audit.FirstSuccess), factor: float64(perDay) / float64(*n)},
		{name: "flood, DangerouslyUnfolded", events: audit.Events{DangerouslyUnfolded: true}, flood: true, factor: float64(perDay) / float64(*n)},
		{name: "flood, folded (default)", flood: true, factor: float64(perDay) / float64(*n)},
	}
	fmt.Printf("%d attempts of each kind at %d a second, extrapolated to %d a day.\n\n", *n, *rate, perDay)
	fmt.Println("| traffic | attempts/s | events | VictoriaLogs B/event | GB/day | traces kept | spans | Jaeger (Badger) B/span | GB/day | series | Prometheus B/sample | MB/day |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, sc := range scenarios {
		r.stage(func(r *run) { sc.play(r, *n, *rate) })
	}
}

func (sc scenario) play(r *run, n, rate int) {
	s := startStack(r, false, map[string]string{"OTELAUTH_COLLECTOR_MAX_TRACES": "200000"})
	const accountCount, networkCount = 200, 200
	accounts := make(map[string]string, accountCount)
	for i := range accountCount {
		accounts[fmt.Sprintf("user%03d", i)] = fmt.Sprintf("right-password-%03d", i)
	}
	orders := s.service(r, service.Config{Accounts: accounts, Events: sc.events, Delay: time.Second, Interval: time.Second, Queue: 1 << 20, GiveUp: time.Minute})

	took := sc.send(r, orders, n, rate)
	sc.drain(r, s, orders)
	own := s.collector.Scrape(r)
	if lost := own["otelcol_exporter_enqueue_failed_log_records_total"] + own["otelcol_receiver_refused_log_records_total"] +
		own["otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total"]; lost > 0 || len(orders.GivenUp()) > 0 {
		r.Logf("%s: lost: %v in the collector, %d in the service", sc.name, lost, len(orders.GivenUp()))
	}

	events := count(r, s, "*")
	series, err := s.prometheus.Query(fmt.Sprintf(`count({job=%q})`, orders.Job))
	if err != nil || len(series) != 1 {
		r.Fatalf("series of %s: %v, %v", orders.Job, series, err)
	}
	spans := spanCount(s, r)
	snapshot, err := s.prometheus.Snapshot()
	if err != nil {
		r.Fatal(err)
	}
	perSample := float64(below(r, snapshot, func(path string) bool { return strings.Contains(path, "/chunks/") })) / sampleCount(r, s)

	if err := s.victoria.Flush(); err != nil {
		r.Fatal(err)
	}
	s.victoria.Stop(r)
	s.jaeger.Stop(r)
	logBytes := float64(below(r, s.victoria.Dir, nil))
	traceBytes := float64(below(r, filepath.Join(s.jaeger.Dir, "badger"), nil))
	const samplesADay = 24 * 60 // one a minute, the SDK's default

	fmt.Printf("| %s | %.0f | %.0f | %.0f | %.2f | %.1f %% | %.0f | %.0f | %.2f | %.0f | %.1f | %.1f |\n",
		sc.name, float64(n)/took.Seconds(), events, logBytes/max(events, 1), logBytes*sc.factor/1e9,
		100*kept(own), spans, traceBytes/max(spans, 1), traceBytes*sc.factor/1e9,
		series[0].Value, perSample, series[0].Value*samplesADay*perSample/1e6)
	r.Logf("%s: on disk VictoriaLogs %.1f MB, Jaeger %.1f MB", sc.name, logBytes/1e6, traceBytes/1e6)
}

// send makes n attempts at the rate, and returns how long it took.
func (sc scenario) send(r *run, orders *service.Service, n, rate int) time.Duration {
	var next atomic.Int64
	var workers sync.WaitGroup
	began := time.Now()
	for range 16 {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if ahead := time.Duration(float64(i)/float64(rate)*float64(time.Second)) - time.Since(began); ahead > 0 {
					<-time.After(ahead)
				}
				sc.attempt(r, orders, i)
			}
		})
	}
	workers.Wait()
	return time.Since(began)
}

// drain ends the service and waits until the collector has nothing left to send.
func (sc scenario) drain(r *run, s *stack, orders *service.Service) {
	// The SDK exports more slowly than attempts are made here. Nothing may be dropped at the end.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := errors.Join(orders.Flush(ctx), orders.Shutdown()); err != nil {
		r.Logf("%s: %v", sc.name, err)
	}
	// Wait until tail sampling has decided and the queues are empty.
	<-time.After(15 * time.Second)
	servers.Eventually(r, 5*time.Minute, "the queues", func() error {
		for _, series := range s.collector.Series(r) {
			if series.Name == "otelcol_exporter_queue_size" && series.Value > 0 {
				return fmt.Errorf("%v in the queue of %s", series.Value, series.Labels["exporter"])
			}
		}
		return nil
	})
}

// attempt makes the i-th attempt. Honest traffic has 200 users at one address each and 2 routes; 1
// % mistype, and 1 % send no credentials. In a flood 1 in 10 attempts is honest. The others are
// wrong passwords for the same accounts, from 200 other addresses.
func (sc scenario) attempt(r *run, s *service.Service, i int) {
	user := i / 10 % 200
	name, password, from := fmt.Sprintf("user%03d", user), fmt.Sprintf("right-password-%03d", user), fmt.Sprintf("192.0.%d.10", user)
	path := "/orders"
	if i%3 == 0 {
		path = fmt.Sprintf("/orders/%d", i%1000)
	}
	switch {
	case sc.flood && i%10 != 0:
		password, from = fmt.Sprintf("guess-%d-%s", i, wrong), fmt.Sprintf("198.18.%d.66", i%200)
	case i%200 == 40:
		password = fmt.Sprintf("mistyped-%d", i)
	case i%200 == 80:
		name = ""
	}
	if _, err := s.Get(path, name, password, from); err != nil {
		r.Logf("attempt %d: %v", i, err)
	}
}

func count(r *run, s *stack, query string) float64 {
	rows, err := s.victoria.Query(query+" | stats count() n", 0)
	if err != nil || len(rows) != 1 {
		r.Fatalf("count in VictoriaLogs: %v, %v", rows, err)
	}
	var n float64
	_, _ = fmt.Sscan(rows[0]["n"], &n)
	return n
}

// sampleCount returns the number of samples that Prometheus holds.
func sampleCount(r *run, s *stack) float64 {
	names, err := s.prometheus.MetricNames()
	if err != nil {
		r.Fatal(err)
	}
	var n float64
	for _, name := range names {
		samples, err := s.prometheus.Query(fmt.Sprintf("sum(count_over_time({__name__=%q}[1h]))", name))
		if err != nil {
			r.Fatal(err)
		}
		for _, sample := range samples {
			n += sample.Value
		}
	}
	return n
}

// spanCount returns the number of spans that the collector has sent to Jaeger.
func spanCount(s *stack, r *run) float64 {
	var n float64
	for _, series := range s.collector.Series(r) {
		if series.Name == "otelcol_exporter_sent_spans_total" && series.Labels["exporter"] == "otlp_http/jaeger" {
			n += series.Value
		}
	}
	return n
}

// kept returns the share of spans that tail sampling has kept.
func kept(own map[string]float64) float64 {
	// Two exporters receive the same spans.
	return own["otelcol_exporter_sent_spans_total"] / 2 / max(own["otelcol_receiver_accepted_spans_total"], 1)
}

// below returns the disk usage of the files below dir in bytes. A preallocated file counts with
// its content.
func below(r *run, dir string, include func(path string) bool) int64 {
	var n int64
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || include != nil && !include(path) {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		size := info.Size()
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			size = min(size, stat.Blocks*512)
		}
		n += size
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	return n
}
