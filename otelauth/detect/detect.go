// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// ScopeName is the name of the instrumentation scope of the events, metrics and spans.
const ScopeName = "github.com/otelauth/otelauth-go/otelauth/detect"

// Detector adds attempts up. Use [New]. It is safe for concurrent use.
//
// As an [attempt.Observer] it only notes the verdict, in Decide, and lets nobody wait. The adding up is done by
// whoever calls [Detector.Run]; nothing is found until somebody does.
type Detector struct {
	queue   *queue
	dropped atomic.Uint64
	wake    chan struct{}
	now     func() time.Time

	mu     sync.Mutex // of what follows
	engine *engine    // nil before the first attempt
	build  func() *engine
	told   uint64 // of dropped
	tell   teller
	marker marker
	shared *sharing // nil without a Feed
}

var _ attempt.Observer = (*Detector)(nil)

// sample is what Decide notes of an attempt.
type sample struct {
	at          time.Time
	client      netip.Addr
	name, hash  string // user.name, user.hash
	route       string
	fingerprint uint64
	trace       trace.TraceID
	span        spanRef // zero: not known, or of another process
	kind        sampleKind
	sensitive   bool
	unknown     bool // there is no such account
	unusable    bool // disabled or expired
	proven      bool // there is such an account
}

type sampleKind uint8

const (
	guessed sampleKind = iota
	succeeded
)

// New returns a Detector, or every fault of cfg at once.
func New(cfg Config) (*Detector, error) {
	faults := []error{cfg.complete()}
	var key [16]byte
	if _, err := io.ReadFull(cfg.Rand, key[:]); err != nil {
		faults = append(faults, fmt.Errorf("detect: no randomness for the key of the tables: %w", err))
	}
	tell, err := newTeller(&cfg)
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}
	d := &Detector{
		queue: newQueue(1 << bits.Len(uint(max(cfg.Queue, 2)-1))),
		wake:  make(chan struct{}, 1),
		now:   cfg.Now,
		tell:  tell,

		marker: newMarker(&cfg),
	}
	own := newSip(key)
	if cfg.Feed == nil {
		start := cfg.Now()
		d.build = func() *engine {
			e := newEngine(&cfg, own, d.tell.tell, d.marker.mark)
			e.base = start // attempts are older than the look at them
			return e
		}
		return d, nil
	}
	d.shared = newSharing(&cfg, own, d.tell.tell)
	d.engine = newEngine(&cfg, newSip(cfg.Feed.Key()), d.shared.hear, d.marker.mark)
	d.engine.base = sharedBase
	d.shared.engine = d.engine
	return d, nil
}

// Begin returns ctx.
func (d *Detector) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// End does nothing.
func (d *Detector) End(context.Context, *attempt.Request, *attempt.Result, *attempt.Response) {}

// Decide notes a success or a guess and returns nil. It neither blocks nor allocates: when the queue is full the attempt is
// not noted, and counted in auth.detection.dropped.
//
// What brings no credentials is no guess, so the first 401 that every browser and curl provokes counts against
// nobody. Nor do credentials that were not judged: malformed, sent in plaintext, or shed under load.
func (d *Detector) Decide(ctx context.Context, req *attempt.Request, res *attempt.Result) error {
	kind := guessed
	switch res.Outcome {
	case attempt.Success:
		kind = succeeded
	case attempt.Throttled:
	case attempt.Failure:
		if res.ErrorType == attempt.InsecureTransport {
			return nil
		}
	default:
		return nil
	}
	p, pos := d.queue.claim()
	if p == nil {
		d.dropped.Add(1)
		return nil
	}
	s := &p.s
	if req.Time.IsZero() {
		s.at = d.now()
	} else {
		s.at = req.Time.Add(res.Duration)
	}
	s.client = req.Client
	s.name, s.hash, s.route = res.UserName, res.UserHash, req.Route
	s.fingerprint = res.PasswordFingerprint
	s.trace, s.span = spanOf(ctx, req)
	s.kind, s.sensitive = kind, req.Sensitive
	s.unknown = res.Reason == attempt.ReasonUnknownUser
	s.unusable = res.Reason == attempt.ReasonAccountDisabled || res.Reason == attempt.ReasonCredentialsExpired
	s.proven = res.UserName != "" || s.unusable
	p.seq.Store(pos + 1)
	if pos&(d.queue.mask>>1) == 0 { // twice in each round of the ring
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// pace is how often Run looks, unless the queue fills earlier. It is what a finding may come late by.
const pace = 100 * time.Millisecond

// Run adds up what is noted until ctx ends, and returns nil then. It tells findings as they come, each at most 100 ms
// late. What runs on when the process stops is not told as ended.
func (d *Detector) Run(ctx context.Context) error {
	t := time.NewTicker(pace)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			d.drain(context.WithoutCancel(ctx), d.now())
			return nil
		case <-d.wake:
		case <-t.C:
		}
		d.drain(ctx, d.now())
	}
}

// Drain adds up at once what is noted, and ends the episodes that are over at now: for a caller with a clock of its own,
// such as a test or a simulation, in place of Run or beside it. With a Feed it waits for that.
func (d *Detector) Drain(now time.Time) { d.drain(context.Background(), now) }

func (d *Detector) drain(ctx context.Context, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shared != nil {
		d.dropped.Add(d.shared.step(ctx, d.queue, now))
	} else {
		var s sample
		// No more than a queue at a time: under a flood the episodes must be swept too.
		for range len(d.queue.places) {
			if !d.queue.get(&s) {
				break
			}
			if d.engine == nil {
				d.engine = d.build() // a service that nobody has asked yet owes it no memory
			}
			d.engine.take(&s)
		}
		if d.engine != nil {
			d.engine.sweep(now)
		}
	}
	if n := d.dropped.Load(); n != d.told {
		d.tell.dropped.Add(context.Background(), int64(min(n-d.told, 1<<62)))
		d.told = n
	}
}

// Unread returns how many batches of a Feed this Detector could not read, such as those of a newer version, and let be.
func (d *Detector) Unread() uint64 {
	if d.shared == nil {
		return 0
	}
	return d.shared.unread.Load()
}

// Dropped returns how many attempts were not noted because the queue was full, or because a Feed took them and did not
// bring them back.
func (d *Detector) Dropped() uint64 { return d.dropped.Load() }

// teller tells findings to the world.
type teller struct {
	logger     log.Logger
	detections metric.Int64Counter
	dropped    metric.Int64Counter
	byRule     [ruleCount][]metric.AddOption
	on         func(Detection)
}

func newTeller(cfg *Config) (t teller, err error) {
	t.on = cfg.OnDetection
	t.logger = cfg.LoggerProvider.Logger(ScopeName, log.WithSchemaURL(authconv.SchemaURL), log.WithInstrumentationVersion(authconv.Version()))
	meter := cfg.MeterProvider.Meter(ScopeName, metric.WithSchemaURL(authconv.SchemaURL), metric.WithInstrumentationVersion(authconv.Version()))
	var errs [2]error
	t.detections, errs[0] = meter.Int64Counter(MetricDetections, metric.WithUnit(authconv.Unit(MetricDetections)),
		metric.WithDescription(authconv.Description(MetricDetections)))
	t.dropped, errs[1] = meter.Int64Counter(MetricDropped, metric.WithUnit(authconv.Unit(MetricDropped)),
		metric.WithDescription(authconv.Description(MetricDropped)))
	for id := range rules {
		t.byRule[id] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(semconv.SecurityRuleName(rules[id].Name)))}
	}
	if err := errors.Join(errs[:]...); err != nil {
		return t, fmt.Errorf("detect: the MeterProvider refused an instrument, check its views: %w", err)
	}
	// A series that began with its first increment would hide that one from rate() and increase().
	ctx := context.Background()
	t.dropped.Add(ctx, 0)
	for id := range rules {
		if !slices.Contains(cfg.Off, rules[id].Name) {
			t.detections.Add(ctx, 0, t.byRule[id]...)
		}
	}
	return t, nil
}

func (t *teller) tell(d *Detection) {
	ctx := context.Background()
	if d.Phase == Start {
		t.detections.Add(ctx, 1, t.byRule[d.Rule.id]...)
	}
	emit(ctx, t.logger, d)
	if t.on != nil {
		t.on(*d)
	}
}
