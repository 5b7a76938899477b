// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
)

// Keys of samples.
const (
	keyRate    = "requests/s"
	keyP50     = "p50 µs"
	keyP99     = "p99 µs"
	keyCPU     = "CPU µs"
	keySpans   = "spans"
	keyEvents  = "events"
	keyEmpty   = "memory of none"
	keyHolding = "memory of all"
	keyFirst   = "first ms"
	keyRight   = "right ms"
)

// measure runs the parts, and writes each table as soon as it is complete.
func (l *lab) measure(ctx context.Context, w io.Writer) error {
	for _, part := range []struct {
		name string
		do   func(context.Context) (map[string]samples, error)
		tell func(io.Writer, map[string]samples) error
	}{
		{"load", l.loads, l.tellLoads},
		{"idle", l.idles, l.tellIdles},
		{"start", l.starts, l.tellStarts},
	} {
		if !l.plan.parts[part.name] {
			continue
		}
		all, err := part.do(ctx)
		if err != nil {
			return err
		}
		if err := part.tell(w, all); err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
	}
	return l.writeLegend(w)
}

// warmth is how long each proxy is loaded before the measurement.
const warmth = time.Second

// loads measures throughput and CPU with many connections, and latency with one, where no request
// waits.
func (l *lab) loads(ctx context.Context) (map[string]samples, error) {
	all := map[string]samples{direct: {}}
	var fleet []*running
	defer func() {
		for _, r := range fleet {
			r.stop()
		}
	}()
	for i := range l.proxies {
		r, err := l.ready(ctx, &l.proxies[i], l.users(1))
		if err != nil {
			return nil, err
		}
		fleet = append(fleet, r)
		all[r.name] = samples{}
		if r.hashes {
			continue // nothing to warm up
		}
		if _, err := l.drive(ctx, r.address, l.plan.connections, warmth, r.verifies); err != nil {
			return nil, fmt.Errorf("%w (%s)", err, r.name)
		}
	}
	for round := range l.plan.rounds {
		if err := l.loadDirect(ctx, all[direct]); err != nil {
			return nil, err
		}
		for _, r := range fleet {
			s := all[r.name]
			if err := l.loadProxy(ctx, r, s); err != nil {
				return nil, fmt.Errorf("%w (%s)", err, r.name)
			}
			last := func(key string) float64 { return s[key][len(s[key])-1] }
			l.say("%d/%d %-36s %8.0f/s %8.1f µs CPU, p50 %.0f p99 %.0f µs", round+1, l.plan.rounds, r.name, last(keyRate), last(keyCPU), last(keyP50), last(keyP99))
		}
	}
	return all, nil
}

// fewConnections is enough for a proxy that hashes. With more connections nginx hashes for all of
// them before it answers one.
const fewConnections = 4

func (l *lab) loadDirect(ctx context.Context, s samples) error {
	many, err := l.drive(ctx, l.upstreamAddress, l.plan.connections, l.plan.duration, false)
	if err != nil {
		return err
	}
	s.add(keyRate, many.rate())
	return l.latency(ctx, l.upstreamAddress, false, s)
}

func (l *lab) latency(ctx context.Context, address string, auth bool, s samples) error {
	one, err := l.drive(ctx, address, 1, l.plan.duration, auth)
	if err != nil {
		return err
	}
	s.add(keyP50, one.P50)
	s.add(keyP99, one.P99)
	return nil
}

func (l *lab) loadProxy(ctx context.Context, r *running, s samples) error {
	var before, after received
	if r.signals {
		if err := l.sink.ask(&before); err != nil {
			return err
		}
	}
	cpu, err := r.cpu()
	if err != nil {
		return err
	}
	connections := l.plan.connections
	if r.hashes {
		connections = min(connections, fewConnections)
	}
	many, err := l.drive(ctx, r.address, connections, l.plan.duration, r.verifies)
	if err != nil {
		return err
	}
	if r.signals {
		if err := sleep(ctx, l.plan.settle); err != nil {
			return err
		}
	}
	used, err := r.cpu()
	if err != nil {
		return err
	}
	s.add(keyRate, many.rate())
	s.add(keyCPU, float64((used-cpu).Microseconds())/float64(many.Requests))
	if r.signals {
		if err := l.sink.ask(&after); err != nil {
			return err
		}
		s.add(keySpans, float64(after.Spans-before.Spans)/float64(many.Requests))
		s.add(keyEvents, float64(after.Events-before.Events)/float64(many.Requests))
	}
	return l.latency(ctx, r.address, r.verifies, s)
}

// quiet is the pause before the memory of a proxy is read.
const quiet = 5 * time.Second

// idles measures memory without connections, and with many connections after one request each.
// Each proxy is freshly started.
func (l *lab) idles(ctx context.Context) (map[string]samples, error) {
	all := map[string]samples{}
	for round := range l.plan.rounds {
		for i := range l.proxies {
			x := &l.proxies[i]
			if x.hashes {
				continue // each of its connections would cost a hash
			}
			if all[x.name] == nil {
				all[x.name] = samples{}
			}
			if err := l.idle(ctx, x, all[x.name]); err != nil {
				return nil, fmt.Errorf("%w (%s)", err, x.name)
			}
			s := all[x.name]
			l.say("%d/%d %-36s %6.1f MiB", round+1, l.plan.rounds, x.name, s[keyHolding][len(s[keyHolding])-1]/(1<<20))
		}
	}
	return all, nil
}

func (l *lab) idle(ctx context.Context, x *proxy, s samples) error {
	r, err := l.ready(ctx, x, l.users(1))
	if err != nil {
		return err
	}
	defer r.stop()
	empty, err := r.memory()
	if err != nil {
		return err
	}
	holder, err := self(ctx, l.dir+"/hold.log", "hold", r.address, strconv.Itoa(l.plan.idle), authorization())
	if err != nil {
		return err
	}
	defer holder.stop()
	if _, err := holder.line(); err != nil {
		return fmt.Errorf("%w; does ulimit -n allow so many connections?", err)
	}
	if err := sleep(ctx, quiet); err != nil {
		return err
	}
	full, err := r.memory()
	if err != nil {
		return err
	}
	s.add(keyEmpty, float64(empty))
	s.add(keyHolding, float64(full))
	return nil
}

// starts measures the time from the start of the process to its first answer, and to the first
// successful login, which costs a hash.
func (l *lab) starts(ctx context.Context) (map[string]samples, error) {
	all := map[string]samples{}
	for range l.plan.rounds {
		for i := range l.proxies {
			x := &l.proxies[i]
			if all[x.name] == nil {
				all[x.name] = samples{}
			}
			for key, credentials := range map[string]string{keyFirst: "", keyRight: authorization()} {
				if err := l.begin(ctx, x, credentials, key, all[x.name]); err != nil {
					return nil, fmt.Errorf("%w (%s)", err, x.name)
				}
			}
		}
	}
	return all, nil
}

func (l *lab) begin(ctx context.Context, x *proxy, credentials, key string, s samples) error {
	r, err := l.launch(ctx, x, l.users(l.plan.accounts))
	if err != nil {
		return err
	}
	defer r.stop()
	began := r.processes[0].began
	if err := answers(ctx, r.address, credentials); err != nil {
		return err
	}
	s.add(key, float64(time.Since(began).Microseconds())/1000)
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (l *lab) tellLoads(w io.Writer, all map[string]samples) error {
	base := all[direct]
	t := measure.Table{Header: []string{
		fmt.Sprintf("%d connections; latency with 1", l.plan.connections), "requests/s", "CPU µs/request", "p50 added µs", "p99 added µs", "÷ Caddy, no auth", "÷ Caddy basicauth", "÷ bare",
	}}
	t.Add(direct, whole(base[keyRate].Median()), "", "("+whole(base[keyP50].Median())+")", "("+whole(base[keyP99].Median())+")")
	cpu := func(name string) float64 { return all[name][keyCPU].Median() }
	for i := range l.proxies {
		name := l.proxies[i].name
		s := all[name]
		t.Add(name, whole(s[keyRate].Median()), fmt.Sprintf("%.1f", cpu(name)),
			whole(s[keyP50].Median()-base[keyP50].Median()), whole(s[keyP99].Median()-base[keyP99].Median()),
			measure.Ratio(cpu(name), cpu(caddyNone)), measure.Ratio(cpu(name), cpu(caddyBasic)), measure.Ratio(cpu(name), cpu(bareName)))
	}
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	if on := all[gatewayOn]; on != nil {
		fmt.Fprintf(w, "\nWith all signals the sink received %.2f spans and %.2f events for each request.\n", on[keySpans].Median(), on[keyEvents].Median())
	}
	fmt.Fprintln(w)
	return bounds(w, "CPU per request", []bound{
		{gatewayOff + " ≤ " + caddyBasic, cpu(gatewayOff) / cpu(caddyBasic), 1},
		{gatewayOn + " ≤ 1.5 × " + caddyNone, cpu(gatewayOn) / cpu(caddyNone), 1.5},
	})
}

func (l *lab) tellIdles(w io.Writer, all map[string]samples) error {
	t := measure.Table{Header: []string{fmt.Sprintf("%d idle keep-alive connections", l.plan.idle), "MiB", "MiB without", "KiB each", "÷ bare"}}
	full := func(name string) float64 { return all[name][keyHolding].Median() }
	for i := range l.proxies {
		name := l.proxies[i].name
		if all[name] == nil {
			continue
		}
		empty := all[name][keyEmpty].Median()
		t.Add(name, fmt.Sprintf("%.1f", full(name)/(1<<20)), fmt.Sprintf("%.1f", empty/(1<<20)),
			fmt.Sprintf("%.1f", (full(name)-empty)/float64(l.plan.idle)/(1<<10)), measure.Ratio(full(name), full(bareName)))
	}
	fmt.Fprintln(w)
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return bounds(w, "memory", []bound{
		{gatewayOff + " ≤ 1.15 × " + bareName, full(gatewayOff) / full(bareName), 1.15},
		{gatewayOn + " ≤ 1.15 × " + bareName, full(gatewayOn) / full(bareName), 1.15},
	})
}

func (l *lab) tellStarts(w io.Writer, all map[string]samples) error {
	t := measure.Table{Header: []string{fmt.Sprintf("start with %d accounts, bcrypt cost %d", l.plan.accounts, l.plan.cost), "first answer ms", "first login ms"}}
	for i := range l.proxies {
		name := l.proxies[i].name
		t.Add(name, fmt.Sprintf("%.0f", all[name][keyFirst].Median()), fmt.Sprintf("%.0f", all[name][keyRight].Median()))
	}
	fmt.Fprintln(w)
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return bounds(w, "start", []bound{
		{gatewayOff + ", first answer ≤ 150 ms", all[gatewayOff][keyFirst].Median(), 150},
		{gatewayOn + ", first answer ≤ 150 ms", all[gatewayOn][keyFirst].Median(), 150},
	})
}

type bound struct {
	words        string
	value, limit float64
}

// bounds writes the targets of the project. What was not measured has no verdict.
func bounds(w io.Writer, title string, all []bound) error {
	t := measure.Table{Header: []string{"bound: " + title, "measured", "kept"}}
	for _, b := range all {
		if b.value != b.value {
			continue
		}
		verdict := "**no**"
		if b.value <= b.limit {
			verdict = "yes"
		}
		t.Add(b.words, fmt.Sprintf("%.3g", b.value), verdict)
	}
	if len(t.Rows) == 0 {
		return nil
	}
	_, err := t.WriteTo(w)
	return err
}

// writeLegend explains the names in the tables.
func (l *lab) writeLegend(w io.Writer) error {
	t := measure.Table{Header: []string{"proxy", "what it is"}}
	for i := range l.proxies {
		t.Add(l.proxies[i].name, l.proxies[i].words)
	}
	fmt.Fprintln(w)
	if _, err := t.WriteTo(w); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	for _, left := range l.left {
		fmt.Fprintf(w, "\nLeft out: %s.\n", left)
	}
	return nil
}

func whole(v float64) string { return fmt.Sprintf("%.0f", v) }
