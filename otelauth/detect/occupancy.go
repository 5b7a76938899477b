// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/pairs"
	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// usage is the state of a table.
type usage struct {
	table    string // auth.detection.table
	used     int
	places   int
	evicted  uint64  // before their time
	unsure   float64 // share of the buckets about which rules are silent
	learned  bool    // only successes write to it
	silences string  // the rules that are silent where state was lost
}

// The tables that only successes write to, and the rules that need them.
const (
	needPairs  = "password_spray, credential_stuffing, distributed_guessing, low_and_slow, new_network, many_accounts"
	needSeen   = "sensitive_only_denied, distributed_stuffing"
	needHabits = "new_network, impossible_travel, concurrent_networks, unusual_hour, many_accounts"
	needCrowds = "new_network, impossible_travel, many_accounts"
)

// usages returns the state of each table.
func (e *engine) usages() []usage {
	crowds := usageOf(e, "crowds", e.crowds, needCrowds)
	silent := 0
	for i := range e.lostCrowds {
		if l := &e.lostCrowds[i]; l.most >= familiar && e.now-min(l.last, e.now) < crowdDays*day {
			silent++
		}
	}
	crowds.unsure = float64(silent) / float64(len(e.lostCrowds))
	habits := usageOf(e, "habits", e.habits, needHabits)
	e.habitsLost.roll(e.now, pairLife)
	habits.unsure = min(float64(e.habitsLost.total())/float64(habits.places), 1)
	return []usage{
		usageOfPairs(e, "pairs", e.pairs, needPairs), usageOfPairs(e, "networks", e.seen, needSeen), habits, crowds,
		usageOf(e, "guesses", e.tries, ""), usageOf(e, "targets", e.targets, ""), usageOf(e, "sources", e.sources, ""),
		usageOf(e, "passwords", e.passwords, ""),
	}
}

func usageOf[E any](e *engine, name string, t *table[E], silences string) usage {
	return usage{
		table: name, used: t.used(e.now), places: ways * len(t.buckets), evicted: t.evicted, learned: silences != "", silences: silences,
	}
}

func usageOfPairs(e *engine, name string, s *pairs.Set, silences string) usage {
	u := usage{table: name, learned: true, silences: silences}
	u.used, u.places, u.unsure, u.evicted = s.Usage(uint64(e.now / hour))
	return u
}

// tableMetrics are the metrics of the tables.
type tableMetrics struct {
	used, places metric.Int64UpDownCounter
	evicted      metric.Int64Counter
}

func newTableMetrics(meter metric.Meter) (m tableMetrics, err error) {
	var errs [3]error
	m.used, errs[0] = meter.Int64UpDownCounter(authconv.MetricDetectionEntryCount, metric.WithUnit(authconv.Unit(authconv.MetricDetectionEntryCount)),
		metric.WithDescription(authconv.Description(authconv.MetricDetectionEntryCount)))
	m.places, errs[1] = meter.Int64UpDownCounter(authconv.MetricDetectionEntryLimit, metric.WithUnit(authconv.Unit(authconv.MetricDetectionEntryLimit)),
		metric.WithDescription(authconv.Description(authconv.MetricDetectionEntryLimit)))
	m.evicted, errs[2] = meter.Int64Counter(authconv.MetricDetectionEntryEvicted, metric.WithUnit(authconv.Unit(authconv.MetricDetectionEntryEvicted)),
		metric.WithDescription(authconv.Description(authconv.MetricDetectionEntryEvicted)))
	return m, errors.Join(errs[:]...)
}

// occupancy is what was last reported of the tables.
type occupancy struct {
	at       uint32
	reported []usage
	level    memoryLevel
}

// memoryLevel is the state of the tables that only successes write to.
type memoryLevel uint8

const (
	roomy    memoryLevel = iota
	halfFull             // of one of them, half of the places are in use
	losing               // state was lost, and rules that need it are silent
)

// measureEvery is the interval of the metrics of the tables, in seconds.
const measureEvery = 10 * minute

// measure reports the occupancy of the tables, and a notice if it has become another.
func (d *Detector) measure() {
	o := &d.occupancy
	if o.at != 0 && d.engine.now-o.at < measureEvery {
		return
	}
	o.at = d.engine.now
	all := d.engine.usages()
	ctx := context.Background()
	for i := range all {
		var before usage
		if o.reported != nil {
			before = o.reported[i]
		}
		u := &all[i]
		of := metric.WithAttributeSet(attribute.NewSet(attribute.String(authconv.KeyDetectionTable, u.table)))
		d.reporter.tables.used.Add(ctx, int64(u.used-before.used), of)
		d.reporter.tables.places.Add(ctx, int64(u.places-before.places), of)
		d.reporter.tables.evicted.Add(ctx, int64(min(u.evicted-before.evicted, 1<<62)), of)
	}
	o.reported = all
	d.noticeLevel(all)
}

// lostShare is the share of a table from which on lost state is announced.
const lostShare = 0.01

// noticeLevel sends a notice if the level of the tables has changed.
func (d *Detector) noticeLevel(all []usage) {
	level, worst := roomy, usage{}
	for _, u := range all {
		if !u.learned {
			continue
		}
		now := roomy
		switch {
		case u.unsure >= lostShare:
			now = losing
		case 2*u.used >= u.places && u.table != "crowds": // which keeps the largest crowds
			now = halfFull
		}
		if now > level || now == level && u.unsure > worst.unsure {
			level, worst = now, u
		}
	}
	if level == d.occupancy.level {
		return
	}
	d.occupancy.level = level
	n := attempt.Notice{Kind: attempt.DetectionMemory, Time: d.now()}
	entries := fmt.Sprintf("%d", 2*d.entries)
	switch level {
	case roomy:
		n.Message = "the tables of detection have room again"
	case halfFull:
		n.Message = fmt.Sprintf("the table %s of detection has %d entries of %d; set detect.Config.Entries (--detect-entries) to %s before it loses state",
			worst.table, worst.used, worst.places, entries)
	case losing:
		n.Message = fmt.Sprintf("the table %s of detection is too small: %.0f %% of it has lost state, and there these rules are silent: %s; "+
			"set detect.Config.Entries (--detect-entries) to %s", worst.table, 100*worst.unsure, worst.silences, entries)
		n.Err = errors.New("detect: " + n.Message)
	}
	d.notice(context.Background(), n)
}

// lostCrowd is the most accounts of the crowds that a bucket has evicted before their time.
type lostCrowd struct {
	most uint8
	last uint32 // the last success of the newest of them
}

// loseCrowd notes that a crowd is evicted: the number of its accounts is then a bound for every
// network of the bucket, so that a rule does not take a shared network for an unused one.
func (e *engine) loseCrowd(bucket int, p *place[crowd]) {
	l := &e.lostCrowds[bucket]
	if e.now-min(l.last, e.now) >= crowdDays*day {
		l.most = 0
	}
	for _, n := range p.value.most {
		l.most = max(l.most, n)
	}
	l.last = max(l.last, p.last)
}

// resizeLostCrowds adapts what a snapshot has to the number of buckets. The bucket of a network in a
// table of another size has the same low bits.
func (e *engine) resizeLostCrowds() {
	from, n := e.lostCrowds, len(e.crowds.buckets)
	if len(from) == n {
		return
	}
	e.lostCrowds = make([]lostCrowd, n)
	for i := range max(n, len(from)) {
		if len(from) == 0 {
			return
		}
		to, l := &e.lostCrowds[i&(n-1)], from[i&(len(from)-1)]
		to.most, to.last = max(to.most, l.most), max(to.last, l.last)
	}
}

// lostCrowd returns the most accounts that succeeded from the network within the window, if they
// were lost.
func (e *engine) lostCrowd(network uint64, window uint32) int {
	l := &e.lostCrowds[e.crowds.bucketOf(network)]
	if l.most == 0 || e.now-min(l.last, e.now) >= window {
		return 0
	}
	return int(l.most)
}
