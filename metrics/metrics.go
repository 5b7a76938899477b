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

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// ScopeName is the name of the instrumentation scope of the metrics.
const ScopeName = "github.com/otelauth/otelauth-go/metrics"

// Config is the configuration of [New]. The zero Config uses the global MeterProvider.
type Config struct {
	// MeterProvider makes the instruments. Default: [otel.GetMeterProvider].
	MeterProvider metric.MeterProvider
	// LabelHTTP also adds auth.outcome and http.route to the metrics of otelhttp
	// (http.server.request.duration and its siblings), through otelhttp's Labeler, for attempts
	// inside an otelhttp handler. It multiplies those series by up to six and costs three
	// allocations a request. It is not needed for the route alone where http.Request.Pattern is
	// set, which otelhttp reads itself and prefers. Default: false.
	LabelHTTP bool
}

// Observer records the metrics of attempts. Make it with [New]. It is safe for concurrent use.
type Observer struct {
	meter metric.Meter
	instruments

	schemes     cow[string, *scheme]
	hashes      cow[string, *hash]
	endpoints   cow[string, *endpoint]
	otherScheme *scheme
	otherHash   *hash
	otherRoute  *endpoint
	lookups     [attempt.CacheResultCount][]metric.AddOption
	errors      [attempt.ErrorTypeCount][]metric.AddOption
	outcomes    [attempt.OutcomeCount][]metric.AddOption

	labelHTTP bool
}

var (
	_ attempt.Observer          = (*Observer)(nil)
	_ attempt.AnonymousObserver = (*Observer)(nil)
	_ attempt.NoticeObserver    = (*Observer)(nil)
	_ attempt.StateObserver     = (*Observer)(nil)
)

// New returns an Observer, or the joined errors of the instruments that the MeterProvider refused
// to make.
func New(cfg Config) (*Observer, error) {
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	o := &Observer{
		meter: cfg.MeterProvider.Meter(ScopeName,
			metric.WithSchemaURL(semconv.SchemaURL), metric.WithInstrumentationVersion(semconv.Version())),
		labelHTTP: cfg.LabelHTTP,
	}
	var err error
	if o.instruments, err = newInstruments(o.meter); err != nil {
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
	// A series that starts with its first increment hides that increment from rate() and
	// increase(). Series whose attributes are known beforehand therefore start at 0.
	ctx := context.Background()
	o.reloads.Add(ctx, 0, o.errors[attempt.NoError]...)
	o.verifyRejected.Add(ctx, 0, o.errors[attempt.Overloaded]...)
	return o, nil
}

// Enabled reports whether the MeterProvider counts attempts. It does not before an SDK is set.
func (o *Observer) Enabled(ctx context.Context) bool { return o.attempts.Enabled(ctx) }

// Begin returns ctx: nothing is counted before the verdict.
func (o *Observer) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// Decide counts and times the attempt. It returns nil.
func (o *Observer) Decide(ctx context.Context, req *attempt.Request, res *attempt.Result) error {
	outcome, errType, cache := known(res)
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
		o.verifyDuration.Record(ctx, seconds(res.Hash.Duration), o.hash(res.Hash.Scheme)[res.Hash.Outcome.Known()]...)
	case wasRejected(outcome, errType, cache, res.Reason):
		o.verifyRejected.Add(ctx, 1, o.errors[errType]...)
	}
	if res.PreviousCredential && outcome == attempt.Success {
		o.previous.Add(ctx, 1, o.endpoint(req.Route).routeOnly...)
	}
	if o.labelHTTP {
		label(req, outcome)
	}
	return nil
}

// wasRejected reports whether an attempt that ran no hash needed one. A deadline that passed
// before the cache lookup or in a remote verifier refused no hash.
func wasRejected(o attempt.Outcome, e attempt.ErrorType, c attempt.CacheResult, r attempt.Reason) bool {
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

// known returns the enumerations of res, with the values that metrics can carry: no error type on
// a success, and in place of a value outside the constants the one that its String method stands
// for.
func known(res *attempt.Result) (attempt.Outcome, attempt.ErrorType, attempt.CacheResult) {
	o, e, c := res.Outcome.Known(), res.ErrorType.Known(), res.Cache.Known()
	if o == attempt.Success {
		e = attempt.NoError
	}
	return o, e, c
}

// label adds to the Labeler outside the auth span, which otelhttp reads when the handler returns.
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
		kv = append(kv, attribute.String(semconv.KeyHTTPRoute, attempt.Text(req.Route, maxRouteBytes)))
	}
	l.Add(kv...)
}

// End counts the responses 401 and 403 to authenticated users. A public handler may also give
// them to a caller that the verifier did not let pass, which is not counted here.
func (o *Observer) End(ctx context.Context, req *attempt.Request, res *attempt.Result, resp *attempt.Response) {
	if resp.Denied() && res.Outcome == attempt.Success {
		e := o.endpoint(req.Route)
		if resp.IsRefused() {
			o.denied.Add(ctx, 1, e.status(&e.refused, resp.Status, deniedByRule)...)
		} else {
			o.denied.Add(ctx, 1, e.status(&e.denied, resp.Status, deniedByService)...)
		}
	}
}

// Anonymous counts the response of a public endpoint to a caller without credentials.
func (o *Observer) Anonymous(ctx context.Context, req *attempt.Request, resp *attempt.Response) {
	if o.public.Enabled(ctx) {
		e := o.endpoint(req.Route)
		o.public.Add(ctx, 1, e.status(&e.public, resp.Status)...)
	}
}

// Notice counts the reloads of accounts and the findings about routes. error.type of a reload is
// timeout or canceled if n.Err is, and accounts_unavailable for every other error.
func (o *Observer) Notice(ctx context.Context, n attempt.Notice) {
	switch n.Kind {
	case attempt.AccountReload:
		o.reloads.Add(ctx, 1, o.errors[reloadError(n.Err)]...)
	case attempt.Coverage:
		o.coverage.Add(ctx, 1, o.endpoint(n.Route).finding(n.Coverage)...)
	}
}

// Suppressed counts the events that a folded event represents. It has the type of
// audit.Events.Suppressed. Events other than "auth.attempt" are counted without auth.outcome, so
// attempts and events of one outcome are comparable.
func (o *Observer) Suppressed(ctx context.Context, s attempt.Suppression) {
	if s.Event != semconv.EventAttempt {
		o.suppressed.Add(ctx, s.Count)
		return
	}
	o.suppressed.Add(ctx, s.Count, o.outcomes[s.Outcome.Known()]...)
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

// Watch reports state whenever metrics are collected, until the first call of stop.
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
		return nil, fmt.Errorf("metrics: the MeterProvider refused a callback, check its views: %w", err)
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

// seconds returns d in seconds, at least 0, because the sum of a histogram must not fall.
func seconds(d time.Duration) float64 { return max(d, 0).Seconds() }
