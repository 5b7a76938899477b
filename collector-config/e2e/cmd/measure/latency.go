// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/collector-config/e2e/service"
)

const wrong = "looking-glass-41bb92ae03"

// latency measures two delays. For n attempts that are spread over time, it measures from the 401
// until each backend returns the attempt. For n attacks, each on a service of its own, it measures
// from the first guess until the alert is in Alertmanager.
func latency(r *run, args []string) {
	flags := flag.NewFlagSet("latency", flag.ExitOnError)
	n := flags.Int("n", 20, "attempts, and attacks")
	delay := flags.Duration("delay", time.Second, "delay of the SDK's batch processors (OTEL_BSP_SCHEDULE_DELAY, OTEL_BLRP_SCHEDULE_DELAY)")
	interval := flags.Duration("interval", time.Minute, "interval at which the SDK exports metrics (OTEL_METRIC_EXPORT_INTERVAL)")
	_ = flags.Parse(args)

	s := startStack(r, true, nil)
	m := &measurement{took: map[string][]time.Duration{}}
	var all sync.WaitGroup
	victim := s.service(r, service.Config{Name: "orders", Delay: *delay, Interval: *interval})
	// 3.7 s apart, so that they fall on different parts of the intervals.
	const apart = 3700 * time.Millisecond
	for i := range *n {
		answer, err := victim.Get("/orders", "alice", wrong, fmt.Sprintf("203.0.%d.7", i))
		if err != nil || answer.Status != 401 {
			r.Fatalf("attempt %d is answered with %d, %v", i, answer.Status, err)
		}
		answered := time.Now()
		until := func(name string, check func() (bool, error)) {
			all.Go(func() { m.wait(name, answered, check) })
		}
		until("VictoriaLogs, the event", func() (bool, error) {
			rows, err := s.victoria.Query(fmt.Sprintf("trace_id:=%q", answer.TraceID), 1)
			return len(rows) > 0, err
		})
		until("Loki, the event", func() (bool, error) {
			lines, err := s.loki.Query(fmt.Sprintf("{service_name=%q} | trace_id=%q", victim.Name, answer.TraceID), 1)
			return len(lines) > 0, err
		})
		until("Jaeger, the trace", func() (bool, error) {
			spans, _ := s.jaeger.Trace(answer.TraceID) // an error means that there is none
			return len(spans) > 0, nil
		})
		until("Prometheus, the count", func() (bool, error) {
			samples, err := s.prometheus.Query(fmt.Sprintf(`sum(auth_attempts_total{job=%q, auth_outcome="failure"})`, victim.Job))
			return err == nil && len(samples) == 1 && samples[0].Value > float64(i), err
		})
		all.Go(func() { attack(r, s, m, i, *delay, *interval) })
		<-time.After(apart)
	}
	all.Wait()

	fmt.Printf("SDK: batches after %s, metrics every %s. Collector: base.yaml with jaeger, prometheus, victoria and lgtm.\n\n", *delay, *interval)
	fmt.Println("| from | to | n | median s | p95 s | longest s |")
	fmt.Println("| --- | --- | --- | --- | --- | --- |")
	for _, name := range m.names() {
		d := m.took[name]
		slices.Sort(d)
		from := "401"
		if name == alertName {
			from = "first guess of a spray"
		}
		fmt.Printf("| %s | %s | %d | %.1f | %.1f | %.1f |\n", from, name, len(d), d[(len(d)-1)/2].Seconds(), d[(len(d)*95+99)/100-1].Seconds(), d[len(d)-1].Seconds())
	}
	if len(m.errs) > 0 {
		r.Fatalf("%v", m.errs[0])
	}
}

const alertName = "Alertmanager, the alert AuthDetectionHigh"

// sprayed is the number of accounts that an attack tries. Detection counts them approximately, and
// fires at ten.
const sprayed = 40

// attack tries one password on each account of a service of its own.
func attack(r *run, s *stack, m *measurement, i int, delay, interval time.Duration) {
	accounts := map[string]string{}
	for a := range sprayed {
		accounts[fmt.Sprintf("user%02d", a)] = fmt.Sprintf("unguessed-%d-%d", i, a)
	}
	target := s.service(r, service.Config{Name: fmt.Sprintf("target-%02d", i), Accounts: accounts, Delay: delay, Interval: interval})
	// Attacks fall on different parts of the interval at which metrics are exported, which begins
	// with the service.
	<-time.After(interval * time.Duration(i%20) / 20)
	began := time.Now()
	for a := range sprayed {
		if _, err := target.Get("/orders", fmt.Sprintf("user%02d", a), wrong, "198.51.100.66"); err != nil {
			m.fail(err)
			return
		}
	}
	m.wait(alertName, began, func() (bool, error) {
		alerts, err := s.alertmanager.Alerts()
		return slices.ContainsFunc(alerts, func(a servers.Alert) bool {
			return a.Labels["alertname"] == "AuthDetectionHigh" && a.Labels["job"] == target.Job
		}), err
	})
}

type measurement struct {
	mu   sync.Mutex
	took map[string][]time.Duration
	errs []error
}

func (m *measurement) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errs = append(m.errs, err)
}

func (m *measurement) names() []string {
	var names []string
	for name := range m.took {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// wait checks ten times a second.
func (m *measurement) wait(name string, since time.Time, check func() (bool, error)) {
	for {
		ok, err := check()
		if took := time.Since(since); ok {
			m.mu.Lock()
			m.took[name] = append(m.took[name], took)
			m.mu.Unlock()
			return
		} else if took > 10*time.Minute {
			m.fail(fmt.Errorf("%s: not within 10 minutes: %w", name, err))
			return
		}
		<-time.After(100 * time.Millisecond)
	}
}
