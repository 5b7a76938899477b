// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// ScopeName is the name of the instrumentation scope of the metrics.
const ScopeName = "github.com/otelauth/otelauth-go/metrics"

// Config says where metrics go. Its zero value uses the global MeterProvider.
type Config struct {
	// MeterProvider makes the instruments; nil means [otel.GetMeterProvider].
	MeterProvider metric.MeterProvider
	// LabelHTTP also puts auth.outcome and http.route on the metrics of otelhttp (http.server.request.duration and
	// its siblings), through otelhttp's Labeler, for the attempts inside a handler of it. It multiplies those
	// series by up to six and costs three allocations a request, so the default is false. It is not needed for the
	// route alone where http.Request.Pattern is set, which otelhttp reads by itself and prefers.
	LabelHTTP bool
}

// Observer records the metrics of attempts. Use [New]. It is safe for concurrent use.
type Observer struct {
	meter metric.Meter

	attempts        metric.Int64Counter
	attemptDuration metric.Float64Histogram
	verifyDuration  metric.Float64Histogram
	verifyRejected  metric.Int64Counter
	cacheLookups    metric.Int64Counter
	reloads         metric.Int64Counter
	public          metric.Int64Counter
	denied          metric.Int64Counter
	suppressed      metric.Int64Counter
	former          metric.Int64Counter

	verifyActive    metric.Int64ObservableUpDownCounter
	verifyQueued    metric.Int64ObservableUpDownCounter
	cacheEntries    metric.Int64ObservableUpDownCounter
	throttleEntries metric.Int64ObservableUpDownCounter
	accounts        metric.Int64ObservableUpDownCounter

	schemes     cow[string, *scheme]
	hashes      cow[string, *hash]
	endpoints   cow[string, *endpoint]
	otherScheme *scheme
	otherHash   *hash
	otherRoute  *endpoint
	lookups     [caches][]metric.AddOption
	errors      [errTypes][]metric.AddOption
	outcomes    [outcomes][]metric.AddOption

	labelHTTP bool
}

var (
	_ attempt.Observer          = (*Observer)(nil)
	_ attempt.AnonymousObserver = (*Observer)(nil)
	_ attempt.NoticeObserver    = (*Observer)(nil)
	_ attempt.StateObserver     = (*Observer)(nil)
)

// attemptBoundaries are those of auth.attempt.duration in seconds: a recognised credential takes microseconds,
// a password hash tens of milliseconds, a queue seconds.
func attemptBoundaries() []float64 {
	return []float64{
		1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3,
		5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
	}
}

// verifyBoundaries are those of auth.password.verify.duration in seconds; bcrypt at cost 10 takes about 0.06.
func verifyBoundaries() []float64 {
	return []float64{
		1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1, 2.5, 5, 10,
	}
}

// New returns an Observer, or the joined errors of the instruments that the provider refused to make.
func New(cfg Config) (*Observer, error) {
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	o := &Observer{
		meter:     cfg.MeterProvider.Meter(ScopeName, metric.WithSchemaURL(semconv.SchemaURL)),
		labelHTTP: cfg.LabelHTTP,
	}
	if err := o.instruments(); err != nil {
		return nil, fmt.Errorf("metrics: the MeterProvider refused an instrument, check its views: %w", err)
	}
	_, o.otherScheme = newScheme(string(attempt.SchemeOther))
	_, o.otherHash = newHash(string(attempt.SchemeOther))
	_, o.otherRoute = newEndpoint(other)
	for _, c := range attempt.CacheResults() {
		o.lookups[c] = add(cacheResult(c))
	}
	for _, e := range attempt.ErrorTypes() {
		if e == attempt.NoError {
			o.errors[e] = add()
			continue
		}
		o.errors[e] = add(errorType(e))
	}
	for _, out := range attempt.Outcomes() {
		o.outcomes[out] = add(outcome(out))
	}
	// A series that began with its first increment would hide that one from rate() and increase(). Where the attributes
	// are not known beforehand, it does.
	ctx := context.Background()
	o.reloads.Add(ctx, 0, o.errors[attempt.NoError]...)
	o.verifyRejected.Add(ctx, 0, o.errors[attempt.Overloaded]...)
	return o, nil
}

func (o *Observer) instruments() error {
	var errs []error
	counter := func(name, unit, description string) metric.Int64Counter {
		c, err := o.meter.Int64Counter(attempt.Prefix+name, metric.WithUnit(unit), metric.WithDescription(description))
		errs = append(errs, err)
		return c
	}
	histogram := func(name, description string, boundaries []float64) metric.Float64Histogram {
		h, err := o.meter.Float64Histogram(attempt.Prefix+name, metric.WithUnit("s"), metric.WithDescription(description),
			metric.WithExplicitBucketBoundaries(boundaries...))
		errs = append(errs, err)
		return h
	}
	observed := func(name, unit, description string) metric.Int64ObservableUpDownCounter {
		c, err := o.meter.Int64ObservableUpDownCounter(attempt.Prefix+name, metric.WithUnit(unit),
			metric.WithDescription(description))
		errs = append(errs, err)
		return c
	}

	o.attempts = counter("attempts", "{attempt}", "Authentication attempts.")
	o.attemptDuration = histogram("attempt.duration", "Time from the start of an attempt to its verdict.", attemptBoundaries())
	o.verifyDuration = histogram("password.verify.duration", "Time that one password hash took.", verifyBoundaries())
	o.verifyRejected = counter("password.verify.rejected", "{verification}", "Attempts that needed a password hash and got none.")
	o.cacheLookups = counter("cache.lookups", "{lookup}", "Lookups in the cache of verified credentials.")
	o.reloads = counter("account.reloads", "{reload}", "Times the accounts were read again, or could not be.")
	o.public = counter("public.responses", "{response}", "Answers of public endpoints to callers without credentials.")
	o.denied = counter("responses.denied", "{response}", "Answers 401 and 403 that handlers gave to authenticated users.")
	o.former = counter("former_credentials.uses", "{attempt}", "Successes with an account's former password.")
	o.suppressed = counter("events.suppressed", "{event}", "Events that were not told one by one, but counted in a folded one.")

	o.verifyActive = observed("password.verify.active", "{verification}", "Password hashes being computed.")
	o.verifyQueued = observed("password.verify.queued", "{verification}", "Attempts waiting for a password hash.")
	o.cacheEntries = observed("cache.entry.count", "{entry}", "Credentials in the cache of verified credentials.")
	o.throttleEntries = observed("throttle.entry.count", "{entry}", "Guess budgets held.")
	o.accounts = observed("account.count", "{account}", "Accounts served.")
	return errors.Join(errs...)
}

// Begin returns ctx: nothing is counted before the verdict.
func (o *Observer) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// Decide counts and times the attempt. It returns nil.
func (o *Observer) Decide(ctx context.Context, req *attempt.Request, res *attempt.Result) error {
	outcome, errType, cache := closed(res)
	sch := o.scheme(req.Scheme.String())

	if o.attempts.Enabled(ctx) {
		o.attempts.Add(ctx, 1, o.endpoint(req.Route).attempt(attemptKey{
			scheme: sch, method: attempt.KnownMethod(req.Method), outcome: outcome, err: errType,
		})...)
	}
	o.attemptDuration.Record(ctx, seconds(res.Duration), sch.duration[outcome][cache]...)
	if cache != attempt.NotLooked {
		o.cacheLookups.Add(ctx, 1, o.lookups[cache]...)
	}
	switch {
	case res.Hash.Ran():
		ran := res.Hash.Outcome
		if int(ran) >= outcomes {
			ran = attempt.Error
		}
		o.verifyDuration.Record(ctx, seconds(res.Hash.Duration), o.hash(res.Hash.Scheme)[ran]...)
	case rejected(outcome, errType, cache, res.Reason):
		o.verifyRejected.Add(ctx, 1, o.errors[errType]...)
	}
	if res.FormerCredential && outcome == attempt.Success {
		o.former.Add(ctx, 1, o.endpoint(req.Route).routeOnly...)
	}
	if o.labelHTTP {
		label(req, outcome)
	}
	return nil
}

// rejected reports whether an attempt that ran no hash had asked for one. A deadline that passed before the
// cache was asked, or while a remote verifier was, is no hash refused.
func rejected(o attempt.Outcome, e attempt.ErrorType, c attempt.CacheResult, r attempt.Reason) bool {
	if o != attempt.Error {
		return false
	}
	switch e {
	case attempt.Overloaded:
		return true
	case attempt.Timeout, attempt.Canceled:
		return c != attempt.NotLooked && r != attempt.ReasonVerifierFailed
	}
	return false
}

// closed returns the enumerations of res, a value outside of its constants replaced as its String does.
func closed(res *attempt.Result) (attempt.Outcome, attempt.ErrorType, attempt.CacheResult) {
	o, e, c := res.Outcome, res.ErrorType, res.Cache
	if int(o) >= outcomes {
		o = attempt.Error
	}
	if int(e) >= errTypes {
		e = attempt.Other
	}
	if o == attempt.Success {
		e = attempt.NoError
	}
	if int(c) >= caches {
		c = attempt.NotLooked
	}
	return o, e, c
}

// label goes to the Labeler outside the auth span: otelhttp reads that one when the handler has returned.
func label(req *attempt.Request, out attempt.Outcome) {
	if req.Context == nil {
		return
	}
	l, ok := otelhttp.LabelerFromContext(req.Context)
	if !ok {
		return
	}
	kv := make([]attribute.KeyValue, 1, 2)
	kv[0] = outcome(out)
	if req.Route != "" {
		kv = append(kv, semconv.HTTPRoute(attempt.Text(req.Route, maxRouteBytes)))
	}
	l.Add(kv...)
}

// End counts the denials of the handler itself. A caller whom the verifier had not let pass is no
// authenticated user, whatever a public handler answered.
func (o *Observer) End(ctx context.Context, req *attempt.Request, res *attempt.Result, resp *attempt.Response) {
	if resp.Denied() && res.Outcome == attempt.Success {
		e := o.endpoint(req.Route)
		o.denied.Add(ctx, 1, e.status(&e.denied, resp.Status)...)
	}
}

// Anonymous counts the answer of a public endpoint to a caller without credentials.
func (o *Observer) Anonymous(ctx context.Context, req *attempt.Request, resp *attempt.Response) {
	if o.public.Enabled(ctx) {
		e := o.endpoint(req.Route)
		o.public.Add(ctx, 1, e.status(&e.public, resp.Status)...)
	}
}

// Notice counts the reloads of accounts. error.type is timeout or canceled when that is what n.Err is, and
// accounts_unavailable for every other failure.
func (o *Observer) Notice(ctx context.Context, n attempt.Notice) {
	if n.Kind == attempt.AccountReload {
		o.reloads.Add(ctx, 1, o.errors[reloadError(n.Err)]...)
	}
}

// Suppressed counts the events that a folded one stands for; it fits audit.Events.Suppressed. What is no
// [attempt.EventAttempt] is counted without auth.outcome, so that attempts and events of one outcome can be held against
// each other.
func (o *Observer) Suppressed(ctx context.Context, s attempt.Suppression) {
	if s.Event != attempt.EventAttempt {
		o.suppressed.Add(ctx, s.Count)
		return
	}
	out := s.Outcome
	if int(out) >= outcomes {
		out = attempt.Error
	}
	o.suppressed.Add(ctx, s.Count, o.outcomes[out]...)
}

func reloadError(err error) attempt.ErrorType {
	switch {
	case err == nil:
		return attempt.NoError
	case errors.Is(err, context.DeadlineExceeded):
		return attempt.Timeout
	case errors.Is(err, context.Canceled):
		return attempt.Canceled
	}
	return attempt.AccountsUnavailable
}

// Watch reports state whenever metrics are collected, until stop is called. stop may be called more than once.
func (o *Observer) Watch(state func() attempt.State) (stop func(), err error) {
	reg, err := o.meter.RegisterCallback(func(_ context.Context, obs metric.Observer) error {
		s := state()
		obs.ObserveInt64(o.accounts, s.Accounts)
		obs.ObserveInt64(o.cacheEntries, s.CacheEntries)
		obs.ObserveInt64(o.throttleEntries, s.ThrottleEntries)
		obs.ObserveInt64(o.verifyActive, s.HashesActive)
		obs.ObserveInt64(o.verifyQueued, s.HashesQueued)
		return nil
	}, o.accounts, o.cacheEntries, o.throttleEntries, o.verifyActive, o.verifyQueued)
	if err != nil {
		return nil, fmt.Errorf("metrics: the MeterProvider refused to watch the verifier: %w", err)
	}
	return func() { _ = reg.Unregister() }, nil
}

func (o *Observer) scheme(name string) *scheme {
	s, ok := o.schemes.load(name)
	if !ok {
		if s, ok = o.schemes.make(name, MaxSchemes, newScheme); !ok {
			return o.otherScheme
		}
	}
	return s
}

func (o *Observer) hash(name string) *hash {
	h, ok := o.hashes.load(name)
	if !ok {
		if h, ok = o.hashes.make(name, MaxSchemes, newHash); !ok {
			return o.otherHash
		}
	}
	return h
}

func (o *Observer) endpoint(route string) *endpoint {
	if len(route) > maxRouteBytes {
		return o.otherRoute
	}
	e, ok := o.endpoints.load(route)
	if !ok {
		if e, ok = o.endpoints.make(route, MaxRoutes, newEndpoint); !ok {
			return o.otherRoute
		}
	}
	return e
}

// seconds is never negative: a histogram's sum must not fall.
func seconds(d time.Duration) float64 { return max(d, 0).Seconds() }
