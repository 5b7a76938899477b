// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// Config configures an [Operator]. The zero Config is read-only and shares nothing.
type Config struct {
	// Acts lets callers act: clear, allow, deny, forget. Default: read-only.
	Acts bool
	// Attempts bounds the recent attempts in memory, of about 250 bytes each: 64 to 1,048,576.
	// A quarter each is for successes, failures and throttled attempts. Default: 8192.
	Attempts int
	// Watchers bounds the live views that are open at once. Default: 1024.
	Watchers int

	// CloseStreams ends the open responses of an account and returns their number, for the act
	// forget. Default: none are ended.
	CloseStreams func(account string) int

	// SharedDetection reports that detect.Config.Feed is set, so that episodes are those of all
	// replicas. It changes what answers call local.
	SharedDetection bool

	// Version is the version of the service in answers. Default: that of otelauth.
	Version string
	// Describe adds to a Status what only the service knows: its settings, exporters and stores.
	// It must not block. Default: nothing.
	Describe func(*Status)

	// Now returns the time with a monotonic reading. Default: time.Now.
	Now func() time.Time
	// Rand is the source of identifiers. Default: crypto/rand.Reader.
	Rand io.Reader
}

const (
	defaultAttempts = 8192
	minAttempts     = 64
	maxAttempts     = 1 << 20
	defaultWatchers = 1024
)

// Operator observes attempts and detections, and serves the API. Create it with [New]. It is safe
// for concurrent use.
//
// Its memory is bounded: 2 MiB for attempts at the default, 220 KiB for rates, and at most 8 KiB
// for each of 2,048 past episodes and of the running ones. The past ones have at most 65,536
// addresses of 32 bytes, or 16 each. As an observer it neither blocks nor allocates.
type Operator struct {
	cfg      Config
	instance string
	host     string
	started  time.Time
	mux      *http.ServeMux

	rings    *rings
	traffic  *traffic
	episodes episodes
	health   health
	hub      hub
	acts     acts
	replicas atomic.Pointer[replicas]
	watched  atomic.Pointer[func() attempt.State]
	verifier atomic.Pointer[otelauth.Middleware]

	closing sync.Once
	quit    chan struct{}
}

var (
	_ attempt.Observer       = (*Operator)(nil)
	_ attempt.NoticeObserver = (*Operator)(nil)
	_ attempt.StateObserver  = (*Operator)(nil)
	_ http.Handler           = (*Operator)(nil)
)

// New returns an Operator, or all errors of cfg joined.
func New(cfg Config) (*Operator, error) {
	var errs []error
	for _, f := range []struct {
		name               string
		value              *int
		least, most, other int
	}{
		{"Attempts", &cfg.Attempts, minAttempts, maxAttempts, defaultAttempts},
		{"Watchers", &cfg.Watchers, 1, 1 << 16, defaultWatchers},
	} {
		if *f.value == 0 {
			*f.value = f.other
		}
		if *f.value < f.least || *f.value > f.most {
			errs = append(errs, fmt.Errorf("operator: Config.%s is %d; choose %d to %d, or 0 for %d", f.name, *f.value, f.least, f.most, f.other))
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	var id [8]byte
	if _, err := io.ReadFull(cfg.Rand, id[:]); err != nil {
		errs = append(errs, fmt.Errorf("operator: no randomness for the identifier of the process; check Config.Rand: %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if cfg.Version == "" {
		cfg.Version = version()
	}
	o := &Operator{
		cfg: cfg, instance: hex.EncodeToString(id[:]), started: cfg.Now(), rings: newRings(cfg.Attempts), quit: make(chan struct{}),
	}
	o.traffic = newTraffic(o.started)
	if host, err := os.Hostname(); err == nil {
		o.host = shown(host)
	}
	o.mux = o.routes()
	return o, nil
}

// Attach sets the Middleware whose budgets and accounts the API shows and changes. If its budgets
// are in a shared Store, acts and lists are shared from now on, until Close. Call it once, before
// the handler serves.
func (o *Operator) Attach(m *otelauth.Middleware) {
	o.verifier.Store(m)
	if budgets := m.Budgets(); budgets != nil && budgets.Documents() != nil {
		o.join(budgets.Documents())
	}
}

// Close ends the live views and what Attach started. Call it before the Store of the budgets is
// closed. The Operator keeps observing. The error is always nil.
func (o *Operator) Close() error {
	o.closing.Do(func() {
		close(o.quit)
		o.leave()
	})
	return nil
}

// Begin returns ctx.
func (o *Operator) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// Decide returns nil: the attempt is recorded with its response.
func (o *Operator) Decide(context.Context, *attempt.Request, *attempt.Result) error { return nil }

// End records an attempt. It neither blocks nor allocates, except for the first attempt of each
// endpoint.
func (o *Operator) End(ctx context.Context, req *attempt.Request, res *attempt.Result, resp *attempt.Response) {
	at := req.Time.Add(res.Duration)
	outcome := res.Outcome.Known()
	o.traffic.count(at, outcome, res.Cache, req.Route)
	span := spanOf(ctx, req)
	p, position := o.rings.claim(outcome)
	if p.r.position > position { // a writer of the next round was faster
		p.mu.Unlock()
		return
	}
	p.r = record{
		sequence: o.rings.sequence.Add(1), position: position, at: at, client: req.Client, account: res.UserName, hash: res.UserHash,
		route: req.Route, method: req.Method, reason: res.Reason, trace: span.TraceID(), span: span.SpanID(),
		took: res.Duration, hashing: res.Hash.Duration, retryAfter: res.RetryAfter, status: uint16(resp.Status),
		outcome: outcome, errorType: res.ErrorType, cache: res.Cache,
	}
	if resp.Reason != "" {
		p.r.reason = resp.Reason
	}
	p.mu.Unlock()
}

// spanOf returns the span of an attempt.
func spanOf(ctx context.Context, req *attempt.Request) trace.SpanContext {
	if span, ok := req.Span.(trace.Span); ok {
		return span.SpanContext()
	}
	if sc := trace.SpanContextFromContext(ctx); !sc.IsRemote() {
		return sc
	}
	return trace.SpanContext{}
}

// Notice records what the verifier and its stores report.
func (o *Operator) Notice(_ context.Context, n attempt.Notice) { o.health.add(&n) }

// Watch keeps state for answers. The error is always nil.
func (o *Operator) Watch(state func() attempt.State) (stop func(), err error) {
	o.watched.Store(&state)
	return func() { o.watched.CompareAndSwap(&state, nil) }, nil
}

// state returns the occupancy of the verifier's tables; zero before a Middleware observes.
func (o *Operator) state() attempt.State {
	if state := o.watched.Load(); state != nil {
		return (*state)()
	}
	return attempt.State{}
}

// Detection records what detection reports. Set it as detect.Config.OnEpisode.
func (o *Operator) Detection(d detect.Detection) { o.publish(EventEpisode, o.episodes.add(&d)) }

// ServeHTTP serves the API. The paths begin with /v1/.
func (o *Operator) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.mux.ServeHTTP(w, r) }

// budgets returns the budgets that the API shows and changes, or nil.
func (o *Operator) budgets() *throttle.Budgets {
	if m := o.verifier.Load(); m != nil {
		return m.Budgets()
	}
	return nil
}

// meta returns what begins every answer.
func (o *Operator) meta(local ...string) Meta {
	return Meta{Instance: o.instance, Now: o.cfg.Now().UTC(), Local: append([]string{}, local...), Replicas: 1}
}
