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

// Detector evaluates attempts. Create it with [New]. It is safe for concurrent use.
//
// As an [attempt.Observer] it queues each verdict in Decide and never blocks. [Detector.Run]
// evaluates the queue; without it the Detector detects nothing.
type Detector struct {
	queue   *queue
	dropped atomic.Uint64
	wake    chan struct{}
	now     func() time.Time

	snapshot  Snapshot
	notice    func(context.Context, attempt.Notice)
	onEpisode func(Detection)
	entries   int
	saving    sync.Mutex // before mu; for one Save at a time

	mu              sync.Mutex // guards the fields below
	engine          *engine    // nil before the first attempt
	build           func() *engine
	custom          Custom // in force
	reportedDropped uint64 // the part of dropped that the metric has
	reporter        reporter
	marker          marker
	shared          *sharing // nil without a Feed
	restored        bool     // Snapshot.File was read
	changed         bool     // since it was written
	occupancy       occupancy
}

var _ attempt.Observer = (*Detector)(nil)

// sample is what Decide queues of an attempt.
type sample struct {
	at          time.Time
	client      netip.Addr
	name, hash  string // user.name, user.hash
	route       string
	fingerprint uint64
	trace       trace.TraceID
	span        spanRef // zero if unknown, or of another process
	agent       agent
	kind        sampleKind
	sensitive   bool
	unknown     bool // the account does not exist
	unusable    bool // the account is disabled or expired
	refused     bool // a budget was empty, so the password was not checked
	groups      []string
	proven      bool // the account exists
}

type sampleKind uint8

const (
	guessed sampleKind = iota
	succeeded
)

// New returns a Detector, or one error that lists every problem of cfg.
func New(cfg Config) (*Detector, error) {
	problems := []error{cfg.complete()}
	var key [16]byte
	if _, err := io.ReadFull(cfg.Rand, key[:]); err != nil {
		problems = append(problems, fmt.Errorf("detect: no randomness for the key of the tables; use crypto/rand.Reader as Config.Rand: %w", err))
	}
	if cfg.Snapshot.File != "" {
		var err error
		key, err = cfg.Snapshot.tablesKey()
		problems = append(problems, err)
	}
	rep, err := newReporter(&cfg)
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, err
	}
	d := &Detector{
		queue:    newQueue(1 << bits.Len(uint(max(cfg.Queue, 2)-1))),
		wake:     make(chan struct{}, 1),
		now:      cfg.Now,
		reporter: rep,
		marker:   newMarker(&cfg),
		snapshot: cfg.Snapshot, notice: cfg.Notice, onEpisode: cfg.OnEpisode, entries: cfg.Entries,
	}
	d.custom = cfg.Custom
	own := newSip(key)
	// seen calls OnEpisode before report.
	seen := func(report func(*Detection)) func(*Detection) {
		if cfg.OnEpisode == nil {
			return report
		}
		return func(found *Detection) {
			cfg.OnEpisode(*found)
			report(found)
		}
	}
	build := func(key sip, base time.Time, report func(*Detection)) *engine {
		cfg.Custom = d.custom
		e := newEngine(&cfg, key, seen(report), d.marker.mark)
		e.base, e.markCustom = base, d.marker.add
		return e
	}
	if cfg.Feed == nil {
		start := cfg.Now() // attempts happen before they are evaluated
		d.build = func() *engine {
			return build(own, start, func(found *Detection) {
				d.changed = true // an episode also ends without an attempt
				d.reporter.report(found)
			})
		}
		return d, nil
	}
	d.shared = newSharing(&cfg, own, d.reporter.report)
	d.shared.build = func() *engine { return build(newSip(cfg.Feed.Key()), sharedBase, d.shared.detected) }
	d.shared.engine = d.shared.build()
	d.engine = d.shared.engine
	return d, nil
}

// Begin returns ctx.
func (d *Detector) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// End does nothing.
func (d *Detector) End(context.Context, *attempt.Request, *attempt.Result, *attempt.Response) {}

// Decide queues a success or a guess and returns nil. It neither blocks nor allocates. If the
// queue is full, it drops the attempt and counts it in auth.detection.dropped.
//
// Requests without credentials are ignored: browsers and curl send one first. So are credentials
// that were not verified: malformed, sent in plaintext, or shed under load.
func (d *Detector) Decide(ctx context.Context, req *attempt.Request, res *attempt.Result) error {
	kind := guessed
	switch res.Outcome {
	case attempt.Success:
		kind = succeeded
	case attempt.Throttled: // a guess too, which was not verified
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
	if s.name == "" {
		s.name = res.ClaimedName
	}
	s.fingerprint, s.groups = res.PasswordFingerprint, res.Groups
	s.trace, s.span = spanOf(ctx, req)
	s.agent.set(req.UserAgent)
	s.kind, s.sensitive = kind, req.Sensitive
	s.refused = res.Outcome == attempt.Throttled
	s.unknown = res.Reason == attempt.ReasonUnknownUser
	s.unusable = res.Reason == attempt.ReasonAccountDisabled || res.Reason == attempt.ReasonCredentialsExpired
	s.proven = res.UserName != "" || s.unusable || kind == succeeded || res.Reason == attempt.ReasonWrongPassword
	p.seq.Store(pos + 1)
	if pos&(d.queue.mask>>1) == 0 { // twice in each round of the ring
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// pace is the interval of Run, unless the queue fills earlier. A detection is at most this late.
const pace = 100 * time.Millisecond

// Run evaluates queued attempts until ctx ends, then returns nil. It reports each detection at
// most 100 ms late. It reports no end for episodes that are open when ctx ends. It saves what was
// learned now and then, and at the end: see [Detector.Save].
func (d *Detector) Run(ctx context.Context) error {
	t := time.NewTicker(pace)
	defer t.Stop()
	saved := d.saveNowAndThen(ctx)
	for {
		select {
		case <-ctx.Done():
			d.drain(context.WithoutCancel(ctx), d.now())
			<-saved
			_ = d.Save() // a notice reports an error
			return nil
		case <-d.wake:
		case <-t.C:
		}
		d.drain(ctx, d.now())
	}
}

// Drain evaluates queued attempts at once and ends the episodes that are over at now. It serves
// callers with their own clock, such as tests, instead of Run or beside it. It waits for the Feed.
func (d *Detector) Drain(now time.Time) { d.drain(context.Background(), now) }

func (d *Detector) drain(ctx context.Context, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shared != nil {
		d.dropped.Add(d.shared.step(ctx, d.queue, now))
		if d.engine != d.shared.engine { // restored
			d.engine = d.shared.engine
			d.engine.announce(d.onEpisode)
		}
	} else {
		d.restore()
		var s sample
		// At most one queue at a time: during a flood, episodes must end too.
		for range len(d.queue.places) {
			if !d.queue.get(&s) {
				break
			}
			if d.engine == nil {
				d.engine = d.build() // allocates the tables at the first attempt only
			}
			d.engine.take(&s)
			d.changed = true
		}
		if d.engine != nil {
			d.engine.sweep(now)
		}
	}
	if d.engine != nil {
		d.measure()
	}
	if n := d.dropped.Load(); n != d.reportedDropped {
		d.reporter.dropped.Add(context.Background(), int64(min(n-d.reportedDropped, 1<<62)))
		d.reportedDropped = n
	}
}

// Use replaces the rules and exceptions of Config.Custom, or returns all errors of c, joined, and
// changes nothing. A rule keeps its counts and its episodes if its Name, Match, Except, Count, Per
// and Within are the same; the episodes of others end.
func (d *Detector) Use(c Custom) error {
	if err := c.Validate(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.custom = c
	d.reporter.begin(&c)
	if d.engine != nil {
		d.engine.replace(&c)
	}
	return nil
}

// Custom returns the rules and exceptions of the operator that are in force. The caller must not
// change them.
func (d *Detector) Custom() Custom {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.custom
}

// Unread returns the number of batches of a Feed that this Detector could not read and ignored,
// for example those of a newer version.
func (d *Detector) Unread() uint64 {
	if d.shared == nil {
		return 0
	}
	return d.shared.unread.Load()
}

// Dropped returns the number of attempts that were not evaluated, because the queue was full or
// because the Feed did not return them.
func (d *Detector) Dropped() uint64 { return d.dropped.Load() }

// reporter emits detections as events and metrics and passes them to Config.OnDetection.
type reporter struct {
	logger     log.Logger
	detections metric.Int64Counter
	dropped    metric.Int64Counter
	tables     tableMetrics
	byRule     [ruleCount][]metric.AddOption
	on         func(Detection)
}

func newReporter(cfg *Config) (t reporter, err error) {
	t.on = cfg.OnDetection
	t.logger = cfg.LoggerProvider.Logger(ScopeName, log.WithSchemaURL(authconv.SchemaURL), log.WithInstrumentationVersion(authconv.Version()))
	meter := cfg.MeterProvider.Meter(ScopeName, metric.WithSchemaURL(authconv.SchemaURL), metric.WithInstrumentationVersion(authconv.Version()))
	var errs [2]error
	t.detections, errs[0] = meter.Int64Counter(authconv.MetricDetections, metric.WithUnit(authconv.Unit(authconv.MetricDetections)),
		metric.WithDescription(authconv.Description(authconv.MetricDetections)))
	t.dropped, errs[1] = meter.Int64Counter(authconv.MetricDetectionDropped, metric.WithUnit(authconv.Unit(authconv.MetricDetectionDropped)),
		metric.WithDescription(authconv.Description(authconv.MetricDetectionDropped)))
	for id := range rules {
		t.byRule[id] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(semconv.SecurityRuleName(rules[id].Name)))}
	}
	var errTables error
	t.tables, errTables = newTableMetrics(meter)
	if err := errors.Join(errs[0], errs[1], errTables); err != nil {
		return t, fmt.Errorf("detect: the MeterProvider refused an instrument; check its views: %w", err)
	}
	// rate() and increase() cannot see an increment that begins a series, so each series begins
	// at 0.
	ctx := context.Background()
	t.dropped.Add(ctx, 0)
	for id := range rules {
		if cfg.IsOn(rules[id].Name) {
			t.detections.Add(ctx, 0, t.byRule[id]...)
		}
	}
	t.begin(&cfg.Custom)
	return t, nil
}

// begin starts the series of the rules of the operator.
func (t *reporter) begin(c *Custom) {
	for i := range c.Rules {
		t.detections.Add(context.Background(), 0, metric.WithAttributes(semconv.SecurityRuleName(c.Rules[i].Name)))
	}
}

func (t *reporter) report(d *Detection) {
	ctx := context.Background()
	switch {
	case d.Phase != Start:
	case d.Rule.id == customID:
		t.detections.Add(ctx, 1, metric.WithAttributes(semconv.SecurityRuleName(d.Rule.Name)))
	default:
		t.detections.Add(ctx, 1, t.byRule[d.Rule.id]...)
	}
	emit(ctx, t.logger, d)
	if t.on != nil {
		t.on(*d)
	}
}
