// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"crypto/sha256"
	"math"
	"slices"
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// seriesKey is a series of auth.attempts as the judgement sees it.
type seriesKey struct{ outcome, route, method string }

// stream is one series of one process.
type stream struct {
	resource string
	key      seriesKey
	// segments are the counts since each start. A new start is a reset.
	segments map[uint64]*segment
	delta    int64
	seen     map[[2]uint64]struct{} // start and time of delta points
}

// segment is a cumulative count since one start.
type segment struct {
	hasBase   bool
	base, top int64
	gone      int64 // before resets that the start time does not show
	last      uint64
	lastValue int64
}

// process is a resource that exports metrics.
type process struct {
	hasBaseline bool // an export arrived before the first request
	after       int  // exports that arrived after the last answer
	lastPoint   time.Time
}

// seriesTable keeps the series of auth.attempts. It is bounded by maxStreams and maxProcesses; what
// exceeds them is counted as dropped.
type seriesTable struct {
	streams   map[string]*stream
	processes map[string]*process
	exports   int64
	isSeen    bool // auth.attempts has arrived

	judged  int64 // the number of exports and events when isRight was set
	isRight bool
}

const (
	maxStreams   = 16_384
	maxProcesses = 1_024
	maxSegments  = 1_024 // of one stream
	maxPoints    = 65_536
)

func (t *seriesTable) init() {
	t.streams, t.processes = map[string]*stream{}, map[string]*process{}
}

func (t *seriesTable) hasBaseline() bool {
	for _, p := range t.processes {
		if !p.hasBaseline {
			return false
		}
	}
	return len(t.processes) > 0
}

func (l *Ledger) addPoints(x *otlpreceiver.Export) {
	t := &l.series
	t.exports++
	before := len(l.entries) == 0
	for _, of := range x.Metrics.GetResourceMetrics() {
		id := resourceID(of.GetResource().GetAttributes())
		p := t.processes[id]
		if p == nil {
			if len(t.processes) >= maxProcesses {
				l.received.Dropped++
				continue
			}
			p = &process{hasBaseline: before}
			t.processes[id] = p
		}
		if !l.lastAnswer.IsZero() && x.Arrived.After(l.lastAnswer) {
			p.after++
		}
		for _, scope := range of.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				points := m.GetSum().GetDataPoints()
				l.received.Points += int64(len(points))
				if m.GetName() != semconv.MetricAttempts {
					continue
				}
				t.isSeen = true
				isDelta := m.GetSum().GetAggregationTemporality() == metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
				for _, point := range points {
					if !t.addPoint(id, p, point, isDelta, before) {
						l.received.Dropped++
					}
				}
			}
		}
	}
}

// resourceID returns the identity of a resource: its attributes in order.
func resourceID(list []*commonpb.KeyValue) string {
	var all []string
	for _, kv := range list {
		all = append(all, kv.GetKey()+"="+otlpreceiver.Text(kv.GetValue()))
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, "\x00")))
	return string(sum[:])
}

// addPoint adds a point. It returns false if there are too many.
func (t *seriesTable) addPoint(resource string, p *process, point *metricspb.NumberDataPoint, isDelta, before bool) bool {
	id := resource + resourceID(point.GetAttributes())
	s := t.streams[id]
	if s == nil {
		if len(t.streams) >= maxStreams {
			return false
		}
		s = &stream{
			resource: resource, segments: map[uint64]*segment{}, seen: map[[2]uint64]struct{}{},
			key: seriesKey{
				outcome: clip(valueOf(point.GetAttributes(), semconv.KeyOutcome)),
				route:   clip(valueOf(point.GetAttributes(), semconv.KeyHTTPRoute)),
				method:  clip(valueOf(point.GetAttributes(), semconv.KeyHTTPRequestMethod)),
			},
		}
		t.streams[id] = s
	}
	if at := timeOf(point.GetTimeUnixNano()); at.After(p.lastPoint) {
		p.lastPoint = at
	}
	value := point.GetAsInt()
	if f := point.GetAsDouble(); f != 0 && !math.IsNaN(f) && math.Abs(f) < 1<<53 {
		value = int64(f)
	}
	if isDelta {
		return s.addDelta(point, value, before)
	}
	return s.addCumulative(point, value, before)
}

func (s *stream) addDelta(point *metricspb.NumberDataPoint, value int64, before bool) bool {
	id := [2]uint64{point.GetStartTimeUnixNano(), point.GetTimeUnixNano()}
	if _, ok := s.seen[id]; ok || before {
		return true
	}
	if len(s.seen) >= maxPoints {
		return false
	}
	s.seen[id] = struct{}{}
	s.delta += value
	return true
}

func (s *stream) addCumulative(point *metricspb.NumberDataPoint, value int64, before bool) bool {
	start := point.GetStartTimeUnixNano()
	g := s.segments[start]
	if g == nil {
		if len(s.segments) >= maxSegments {
			return false
		}
		g = &segment{}
		s.segments[start] = g
	}
	switch {
	case before:
		g.hasBase, g.base = true, max(g.base, value)
	case start == 0 && point.GetTimeUnixNano() > g.last && value < g.lastValue:
		// A reset that only the value shows.
		g.gone += max(g.top, g.base) - g.base
		g.base, g.top, g.hasBase = 0, value, true
	default:
		g.top = max(g.top, value)
	}
	if point.GetTimeUnixNano() > g.last {
		g.last, g.lastValue = point.GetTimeUnixNano(), value
	}
	return true
}

// increase returns how much the stream grew over the run. isExact is false if it may have begun
// to count before the run, unseen.
func (s *stream) increase(p *process, begun time.Time) (n int64, isExact bool) {
	n, isExact = s.delta, true
	for start, g := range s.segments {
		n += g.gone + max(g.top, g.base) - g.base
		if !g.hasBase && !p.hasBaseline && (start == 0 || timeOf(start).Before(begun)) {
			isExact = false
		}
	}
	return n, isExact
}
