// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

const (
	secondsKept   = 3600
	bucketSeconds = 10
	// maxRoutes bounds the endpoints with a count of their own.
	maxRoutes = 256
	// otherRoute counts the endpoints beyond maxRoutes.
	otherRoute = "_OTHER"
)

// counts are numbers of attempts by outcome.
type counts [attempt.OutcomeCount]atomic.Uint64

func (c *counts) load() (all [attempt.OutcomeCount]uint64) {
	for i := range c {
		all[i] = c[i].Load()
	}
	return all
}

// traffic counts every attempt: since the start, in each second of the last hour, and for each
// endpoint. Its memory is bounded by 3600 seconds and maxRoutes endpoints, 220 KiB.
type traffic struct {
	base    time.Time
	total   counts
	cache   [attempt.CacheResultCount]atomic.Uint64
	seconds [secondsKept]second
	routes  atomic.Pointer[map[string]*counts]
	grow    sync.Mutex
}

// second holds the totals at the begin of one second, so that no increment is lost at its border.
type second struct {
	claimed atomic.Int64 // as number, by the writer that is to set before
	number  atomic.Int64 // of the second since base, from 1; 0: unused
	before  counts
}

func newTraffic(base time.Time) *traffic {
	t := &traffic{base: base}
	routes := map[string]*counts{otherRoute: new(counts)}
	t.routes.Store(&routes)
	return t
}

// count counts an attempt.
func (t *traffic) count(at time.Time, o attempt.Outcome, cache attempt.CacheResult, route string) {
	n := int64(at.Sub(t.base)/time.Second) + 1
	s := &t.seconds[uint64(n)%secondsKept]
	if have := s.claimed.Load(); have < n && s.claimed.CompareAndSwap(have, n) {
		s.number.Store(0) // no reader uses before while it changes
		for i := range t.total {
			s.before[i].Store(t.total[i].Load())
		}
		s.number.Store(n)
	}
	t.total[o].Add(1)
	t.cache[cache.Known()].Add(1)
	routes := *t.routes.Load()
	c := routes[route]
	switch {
	case c != nil:
	case len(routes) > maxRoutes: // without the lock, which requests would share
		c = routes[otherRoute]
	default:
		c = t.addRoute(route)
	}
	c[o].Add(1)
}

// addRoute returns the counts of a new endpoint, or those of the others if there are too many.
func (t *traffic) addRoute(route string) *counts {
	t.grow.Lock()
	defer t.grow.Unlock()
	old := *t.routes.Load()
	if c := old[route]; c != nil {
		return c
	}
	if len(old) > maxRoutes {
		return old[otherRoute]
	}
	routes := maps.Clone(old)
	routes[route] = new(counts)
	t.routes.Store(&routes)
	return routes[route]
}

// recent calls each with the attempts of every second with one, the newest first, until it returns
// false. age is the number of whole seconds between that second and now.
func (t *traffic) recent(now time.Time, each func(age int64, by [attempt.OutcomeCount]uint64) bool) {
	current := int64(now.Sub(t.base)/time.Second) + 1
	end := t.total.load()
	for age := range int64(secondsKept - 1) {
		n := current - age
		if n <= 0 {
			return
		}
		s := &t.seconds[uint64(n)%secondsKept]
		if s.number.Load() != n {
			continue
		}
		begin := s.before.load()
		var by [attempt.OutcomeCount]uint64
		for i := range by {
			by[i] = end[i] - min(begin[i], end[i])
		}
		end = begin
		if !each(age, by) {
			return
		}
	}
}

// rates returns the counts of every outcome.
func (t *traffic) rates(now time.Time) []OutcomeRate {
	total := t.total.load()
	var minute [attempt.OutcomeCount]uint64
	t.recent(now, func(age int64, by [attempt.OutcomeCount]uint64) bool {
		if age >= 60 {
			return false
		}
		for i, n := range by {
			minute[i] += n
		}
		return true
	})
	var rates []OutcomeRate
	for _, o := range shownOutcomes {
		rates = append(rates, OutcomeRate{Outcome: o.String(), Total: total[o], LastMinute: minute[o]})
	}
	return rates
}

// shownOutcomes are the outcomes in the order of the documentation.
var shownOutcomes = [...]attempt.Outcome{
	attempt.Success, attempt.Missing, attempt.Malformed, attempt.Failure, attempt.Throttled, attempt.Error,
}

// buckets returns the last hour, the oldest bucket first.
func (t *traffic) buckets(now time.Time) []Bucket {
	var sums [secondsKept / bucketSeconds][attempt.OutcomeCount]uint64
	// Buckets begin at multiples of ten seconds, so that they do not move between two answers.
	offset := now.Unix() % bucketSeconds
	t.recent(now, func(age int64, by [attempt.OutcomeCount]uint64) bool {
		i := (age + bucketSeconds - 1 - offset) / bucketSeconds
		if i >= int64(len(sums)) {
			return false
		}
		for o, n := range by {
			sums[i][o] += n
		}
		return true
	})
	begin := now.Truncate(bucketSeconds * time.Second).UTC()
	all := make([]Bucket, len(sums))
	for i := range sums {
		all[len(sums)-1-i] = Bucket{Time: begin.Add(-time.Duration(i) * bucketSeconds * time.Second), Outcomes: byName(sums[i])}
	}
	return all
}

func byName(by [attempt.OutcomeCount]uint64) map[string]uint64 {
	named := make(map[string]uint64)
	for o, n := range by {
		if n > 0 {
			named[attempt.Outcome(o).String()] = n
		}
	}
	return named
}

// denied returns the number of attempts that were refused, without first requests that had no
// credentials.
func denied(by [attempt.OutcomeCount]uint64) uint64 {
	return by[attempt.Failure] + by[attempt.Throttled] + by[attempt.Malformed] + by[attempt.Error]
}

// endpoints returns the counts of every endpoint, the busiest first.
func (t *traffic) endpoints() []Count {
	all := []Count{}
	for route, c := range *t.routes.Load() {
		by := c.load()
		if total(by) > 0 {
			all = append(all, Count{Name: route, Outcomes: byName(by), Denied: denied(by)})
		}
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Or(cmp.Compare(sum(b.Outcomes), sum(a.Outcomes)), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func total(by [attempt.OutcomeCount]uint64) (n uint64) {
	for _, c := range by {
		n += c
	}
	return n
}

func sum(by map[string]uint64) (n uint64) {
	for _, c := range by {
		n += c
	}
	return n
}

// top returns the accounts and the networks of attempts, those with the most denials first.
func top(all []record, limit int) (accounts, networks []Count) {
	type tally struct {
		Count
		by [attempt.OutcomeCount]uint64
	}
	names, sources := map[string]*tally{}, map[string]*tally{}
	add := func(m map[string]*tally, key string, c Count, o attempt.Outcome) {
		t := m[key]
		if t == nil {
			t = &tally{Count: c}
			m[key] = t
		}
		if t.Name == "" {
			t.Name = c.Name
		}
		t.by[o]++
	}
	for i := range all {
		r := &all[i]
		if key := cmp.Or(r.hash, r.account); key != "" {
			add(names, key, Count{Name: r.account, Hash: r.hash}, r.outcome)
		}
		if r.client.IsValid() {
			n := textOf(r.network())
			add(sources, n, Count{Name: n}, r.outcome)
		}
	}
	rank := func(m map[string]*tally) []Count {
		counts := []Count{}
		for _, t := range m {
			t.Outcomes, t.Denied = byName(t.by), denied(t.by)
			counts = append(counts, t.Count)
		}
		slices.SortFunc(counts, func(a, b Count) int {
			return cmp.Or(cmp.Compare(b.Denied, a.Denied), cmp.Compare(sum(b.Outcomes), sum(a.Outcomes)),
				cmp.Compare(a.Name, b.Name), cmp.Compare(a.Hash, b.Hash))
		})
		return counts[:min(len(counts), limit)]
	}
	return rank(names), rank(sources)
}
