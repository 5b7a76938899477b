// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package wide

import (
	"context"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// Fold is what is kept of events that are not emitted individually.
type Fold struct {
	key    key
	scheme attempt.Scheme
	// Successes, and the denials of an account.
	userName, userHash string
	route              string // successes only

	first, last time.Time
	due         int64
	count       int64

	traces     [MaxTraces]trace.TraceID
	routes     [MaxRoutes]routeCount
	restRoutes int64 // events of further routes
	nTraces    uint8
	nRoutes    uint8
}

type routeCount struct {
	route string
	count int64
}

// candidate is one event that the limits decide about.
type candidate struct {
	ctx context.Context
	req *attempt.Request
	res *attempt.Result // nil for a public response
	at  time.Time
	now int64
	key key
}

func (f *Fold) add(e *candidate) {
	f.count++
	f.last = e.at
	f.addRoute(e.req.Route)
	if int(f.nTraces) < len(f.traces) {
		f.addTrace(SpanOf(e.ctx, e.req))
	}
}

func (f *Fold) addRoute(route string) {
	for i := range f.routes[:f.nRoutes] {
		if r := &f.routes[i]; r.route == route {
			r.count++
			return
		}
	}
	if int(f.nRoutes) == len(f.routes) {
		f.restRoutes++
		return
	}
	f.routes[f.nRoutes] = routeCount{route, 1}
	f.nRoutes++
}

func (f *Fold) addTrace(sc trace.SpanContext) {
	if !sc.IsValid() {
		return
	}
	id := sc.TraceID()
	for _, known := range f.traces[:f.nTraces] {
		if known == id {
			return
		}
	}
	f.traces[f.nTraces] = id
	f.nTraces++
}

const never = math.MaxInt64

type lockedBucket struct {
	sync.Mutex
	bucket
}

// Folder decides which events are emitted individually, and folds the others. A flood in one of
// its tables takes no room in the others.
type Folder struct {
	limits Limits
	emit   func(*Fold, time.Time)
	base   time.Time
	seed   maphash.Seed

	hosts, sites, accounts, successes               *table
	hostLimit, siteLimit, accountLimit, successOnce limit
	// newcomers has the sites that were refused within the hour.
	newcomers     *table
	newcomerLimit limit

	// The limits of the process: denials that are emitted individually, the first ones of a site
	// beside them, and the folds of networks and accounts.
	denials, firsts, folded lane
	// allNetworks has a bucket for each outcome and one for public responses, so it always has
	// room. It folds whatever the limits of the process refuse.
	allNetworks       [attempt.OutcomeCount + 1]lockedBucket
	allNetworksPeriod int64

	folds    sync.Pool
	sweeping sync.Mutex // Flush returns only when the events of the timer are emitted too
	armed    atomic.Bool
	// longest is the longest wait of the timer.
	longest time.Duration
}

// lane is a limit of the process.
type lane struct {
	lockedBucket
	limit limit
}

// take spends one event. It reports whether one was left.
func (l *lane) take(now int64) bool {
	l.Lock()
	defer l.Unlock()
	return l.bucket.take(now, &l.limit)
}

// NewFolder returns a Folder. Every number of l is positive. emit emits a folded event; no lock is
// held, and it must not keep the fold.
func NewFolder(l Limits, emit func(*Fold, time.Time)) *Folder {
	seed := maphash.MakeSeed()
	f := &Folder{
		limits: l, emit: emit, base: l.Now(), seed: seed,
		hosts:             newTable(seed, l.Entries),
		sites:             newTable(seed, (l.Entries+3)/4),
		accounts:          newTable(seed, (l.Entries+3)/4),
		successes:         newTable(seed, l.Entries*4),
		newcomers:         newTable(seed, l.Entries),
		hostLimit:         newLimit(l.Burst, l.Every, l.Period, 1),
		siteLimit:         newLimit(l.Burst, l.Every, l.Period, siteTimes),
		accountLimit:      newLimit(l.Burst, l.Every, l.Period, accountTimes),
		successOnce:       newLimit(1, l.SuccessPeriod, l.SuccessPeriod, 1),
		newcomerLimit:     newLimit(firstCount, firstPeriod/firstCount, l.Period, 1),
		allNetworksPeriod: int64(l.Period),
	}
	// Four fifths of PerSecond; the folds of all networks, at most one for each bucket and period,
	// have the rest.
	f.denials.limit = newRate(40*l.PerSecond, 2*l.PerSecond)
	f.firsts.limit = newRate((l.Entries+3)/4, l.PerSecond)
	f.folded.limit = newRate(20*l.PerSecond, l.PerSecond)
	for i := range f.allNetworks {
		f.allNetworks[i].key = key{scope: allNetworks, outcome: attempt.Outcome(i)}
	}
	f.allNetworks[attempt.OutcomeCount].key = key{scope: allNetworks, kind: ofPublicResponse}
	f.successOnce.once = true
	f.longest = l.Period
	if l.FirstSuccess {
		f.longest = min(l.Period, l.SuccessPeriod)
	}
	return f
}

// Attempt reports whether the attempt is to be emitted individually. Otherwise it is folded.
func (f *Folder) Attempt(ctx context.Context, req *attempt.Request, res *attempt.Result, resp *attempt.Response) bool {
	success := res.Outcome == attempt.Success
	if success && !f.limits.FirstSuccess || !success && f.limits.Unfolded {
		return true
	}
	e := candidate{ctx: ctx, req: req, res: res, at: VerdictTime(req, res)}
	e.key.outcome = res.Outcome.Known()
	if req.Exposed {
		e.key.flags |= flagExposed
	}
	if res.PreviousCredential {
		e.key.flags |= flagPrevious
	}
	f.begin(&e)
	if !success {
		e.key.errType, e.key.reason = res.ErrorType.Known(), reasonIndex(res.Reason)
		return f.denial(&e)
	}
	if res.RehashNeeded {
		e.key.flags |= flagRehash
	}
	e.key.answer = answer(resp)
	e.key.route = maphash.String(f.seed, req.Route)
	e.key.account = f.account(res)
	return f.take(f.successes, e.key, &f.successOnce, &e) != folded
}

// account returns the keyed hash of the account of res. The service may record no names, or have
// no key for hashes.
func (f *Folder) account(res *attempt.Result) uint64 {
	if res.UserHash == "" {
		return maphash.String(f.seed, res.UserName)
	}
	return maphash.String(f.seed, res.UserHash)
}

// Count folds an attempt, or with a nil res the response of a public endpoint, into the event of
// all networks, whatever the limits are.
func (f *Folder) Count(ctx context.Context, req *attempt.Request, res *attempt.Result) {
	e := candidate{ctx: ctx, req: req, res: res, at: req.Time}
	e.key.kind = ofPublicResponse
	if res != nil {
		e.at = VerdictTime(req, res)
		e.key.kind, e.key.outcome = ofAttempt, res.Outcome.Known()
	}
	f.begin(&e)
	f.count(&e)
}

// count folds e into the event of all networks.
func (f *Folder) count(e *candidate) {
	all := f.all(e)
	all.Lock()
	done, opened := f.fold(&all.bucket, &limit{period: f.allNetworksPeriod}, e)
	all.Unlock()
	f.after(done, opened, e.now)
}

// Public is Attempt for the response of a public endpoint to a caller without credentials.
func (f *Folder) Public(ctx context.Context, req *attempt.Request, resp *attempt.Response) bool {
	if f.limits.Unfolded {
		return true
	}
	e := candidate{ctx: ctx, req: req, at: req.Time}
	e.key.kind, e.key.answer = ofPublicResponse, answer(resp)
	f.begin(&e)
	return f.denial(&e)
}

func (f *Folder) begin(e *candidate) {
	if e.at.IsZero() {
		e.at = f.limits.Now()
	}
	e.now = f.since(e.at)
	e.key.scheme = maphash.String(f.seed, e.req.Scheme.String())
	e.key.place(e.req.Client)
}

// since returns t in nanoseconds since the folder was made, bounded so that sums do not overflow
// for any clock.
func (f *Folder) since(t time.Time) int64 {
	const far = int64(1) << 61
	return min(max(int64(t.Sub(f.base)), -far), far)
}

// denial checks the limits of the host, its site, the account and the process. Without room for
// one, the next decides. The first denials of a site pass those of the account and the process.
func (f *Folder) denial(e *candidate) bool {
	v := f.take(f.hosts, e.key, &f.hostLimit, e)
	if v == passed || v == noRoom {
		v = f.take(f.sites, e.key.atSite(), &f.siteLimit, e)
	}
	if v == passed || v == noRoom {
		if f.isFirst(e) {
			return true
		}
		if e.res != nil && (e.res.UserHash != "" || e.res.UserName != "") {
			v = f.take(f.accounts, e.key.atAccount(f.account(e.res)), &f.accountLimit, e)
		}
	}
	if (v == passed || v == noRoom) && f.denials.take(e.now) {
		return true
	}
	if v != folded {
		f.count(e)
	}
	return false
}

// isFirst reports whether e is one of the first denials of its site within an hour. That is
// bounded: by the table of sites, and by a limit of the process.
func (f *Folder) isFirst(e *candidate) bool {
	at := e.key.atSite()
	b, mu := f.newcomers.locked(key{hi: at.hi, lo: at.lo, family: at.family, scope: site}, e.now, &f.newcomerLimit)
	if b == nil {
		return false
	}
	first := b.take(e.now, &f.newcomerLimit)
	mu.Unlock()
	return first && f.firsts.take(e.now)
}

// all returns the bucket of all networks for e.
func (f *Folder) all(e *candidate) *lockedBucket {
	all := &f.allNetworks[attempt.OutcomeCount]
	if e.key.kind == ofAttempt {
		all = &f.allNetworks[e.key.outcome]
	}
	return all
}

type verdict uint8

const (
	passed verdict = iota
	folded
	refused // neither emitted nor folded: the process has no more folds
	noRoom
)

func (f *Folder) take(t *table, k key, lim *limit, e *candidate) verdict {
	b, mu := t.locked(k, e.now, lim)
	if b == nil {
		return noRoom
	}
	v, done, opened := f.decide(b, lim, e)
	mu.Unlock()
	f.after(done, opened, e.now)
	return v
}

// decide spends an event of b or folds e into it. A denial opens a fold only within the limit of
// the process. done is a fold whose period is over. opened is when the fold that e opened is due;
// never if e opened none.
func (f *Folder) decide(b *bucket, lim *limit, e *candidate) (v verdict, done *Fold, opened int64) {
	done = b.expired(e.now, lim.period)
	if b.take(e.now, lim) {
		return passed, done, never
	}
	if b.open == nil && !lim.once && !f.folded.take(e.now) {
		return refused, done, never
	}
	also, opened := f.fold(b, lim, e)
	if done == nil {
		done = also
	}
	return folded, done, opened
}

// fold folds e into b. done and opened are as in decide.
func (f *Folder) fold(b *bucket, lim *limit, e *candidate) (done *Fold, opened int64) {
	done, opened = b.expired(e.now, lim.period), never
	if b.open == nil {
		b.open = f.open(b.key, e)
		b.open.due = e.now + lim.period
		if lim.once {
			b.open.due = b.tat
		}
		opened = b.open.due
	}
	b.open.add(e)
	return done, opened
}

func (f *Folder) open(k key, e *candidate) *Fold {
	fo, _ := f.folds.Get().(*Fold)
	if fo == nil {
		fo = new(Fold)
	}
	*fo = Fold{key: k, first: e.at, scheme: e.req.Scheme}
	success := k.kind == ofAttempt && k.outcome == attempt.Success
	if success || k.scope == account {
		fo.userName, fo.userHash = e.res.UserName, e.res.UserHash
	}
	if success {
		fo.route = e.req.Route
	}
	return fo
}

// after does the work that must not run under a lock.
func (f *Folder) after(done *Fold, opened, now int64) {
	if done != nil {
		f.close(done)
	}
	if opened != never {
		f.arm(opened - now)
	}
}

func (f *Folder) close(fo *Fold) {
	f.emit(fo, f.limits.Now())
	if f.limits.Suppressed != nil {
		f.limits.Suppressed(context.Background(), attempt.Suppression{
			Event: fo.key.kind.event(), Outcome: fo.key.outcome, Count: fo.count,
		})
	}
	*fo = Fold{} // it may hold names
	f.folds.Put(fo)
}

// arm starts the timer of the next sweep, unless it runs. There is a timer only while a fold is
// open. It waits at most the shortest period, because one timer serves folds of both kinds, and
// at least a sixteenth of it, because thousands of folds that are due at different times must not
// cause thousands of sweeps.
func (f *Folder) arm(in int64) {
	if f.armed.CompareAndSwap(false, true) {
		wait := min(max(time.Duration(in), f.longest/16), f.longest)
		time.AfterFunc(wait, f.tick)
	}
}

func (f *Folder) tick() {
	f.armed.Store(false) // first, so that a fold opened behind the sweep arms the next one
	now := f.since(f.limits.Now())
	if next := f.sweep(now, false); next != never {
		f.arm(next - now)
	}
}

// Flush emits all folded events, whether their periods are over or not.
func (f *Folder) Flush() { f.sweep(f.since(f.limits.Now()), true) }

func (f *Folder) sweep(now int64, all bool) (next int64) {
	f.sweeping.Lock()
	defer f.sweeping.Unlock()
	next = min(
		f.hosts.sweep(now, f.hostLimit.period, all, f.close),
		f.sites.sweep(now, f.siteLimit.period, all, f.close),
		f.accounts.sweep(now, f.accountLimit.period, all, f.close),
	)
	if f.limits.FirstSuccess {
		next = min(next, f.successes.sweep(now, f.successOnce.period, all, f.close))
	}
	for i := range f.allNetworks {
		b := &f.allNetworks[i]
		b.Lock()
		done := b.expired(now, f.allNetworksPeriod)
		if done == nil && all {
			done, b.open = b.open, nil
		}
		if b.open != nil {
			next = min(next, b.open.due)
		}
		b.Unlock()
		if done != nil {
			f.close(done)
		}
	}
	return next
}

// answer returns a number for each class of responses that is folded separately: 1 and 2 are a
// 401 and 403 of the handler, others the class of the status plus 2, 0 none.
func answer(resp *attempt.Response) uint8 {
	switch {
	case resp.Handler && resp.Status == 401:
		return 1
	case resp.Handler && resp.Status == 403:
		return 2
	case resp.Status >= 100 && resp.Status <= 599:
		return uint8(resp.Status/100) + 2
	}
	return 0
}
