// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	noopmetric "go.opentelemetry.io/otel/metric/noop"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// Scenario describes a simulation. The zero value is 10,000 honest users for 30 days, a fifth of
// them behind shared addresses, and no attack.
type Scenario struct {
	// Seed determines the run: the same Scenario with the same Seed gives the same run.
	Seed uint64
	// Start is the virtual time of the start. Default: 2026-01-05, a Monday, 00:00 UTC.
	Start time.Time
	// Days is the duration. Default: 30.
	Days int
	// Users is the number of honest users, at most 1,048,576. Default: 10,000.
	Users int
	// SharedPercent is the percentage of users behind shared addresses of offices, 200 users to an
	// address. -1 means none. Default: 20.
	SharedPercent int
	// Attacks are played beside the honest users. See [Attacks].
	Attacks []Attack
	// Worlds are added to the honest traffic.
	Worlds []World

	// Thresholds, On and Off are those of the Detector.
	Thresholds detect.Thresholds
	On, Off    []string
	// LoggerProvider gets the events. Default: a no-op provider.
	LoggerProvider log.LoggerProvider
	// Throttle returns the throttle of the simulated service, on the virtual clock; see [Budgets].
	// Default: no guess is refused.
	Throttle func(now func() time.Time) (throttle.Throttle, error)
	// OnAttempt, if not nil, gets each attempt after its verdict, in the order of time, on the
	// goroutine of [Run].
	OnAttempt func(Attempt)
}

// Attempt is one attempt of a [Scenario] with its verdict.
type Attempt struct {
	Time    time.Time
	Client  netip.Addr
	Name    string // as claimed; "" sends no credentials
	Known   bool   // there is an account of that name
	Route   string
	Outcome attempt.Outcome
	// Attack is an index into Scenario.Attacks, or -1 for an honest attempt.
	Attack int
}

// The defaults of [Scenario].
const (
	DefaultDays          = 30
	DefaultUsers         = 10_000
	DefaultSharedPercent = 20
)

// Report is the result of a [Scenario].
type Report struct {
	// Attempts is the number of attempts with and without credentials; Guesses is the number of
	// wrong ones.
	Attempts, Guesses int
	// UserDays is users × days.
	UserDays int
	// Dropped is the number of attempts that the Detector dropped. Above 0, the other fields are
	// invalid.
	Dropped uint64
	// KeptOut is the number of right credentials of honest users that the Throttle refused;
	// KeptOutUsers is the number of these users.
	KeptOut, KeptOutUsers int
	// Attacks has the result of each attack, in the order of the Scenario.
	Attacks []AttackReport
	// Takeovers is the number of accounts that attacks have entered by guessing; Marked is the
	// number of these that success_after_failures named. Owners is the number of its episodes about
	// a success of the owner.
	Takeovers, Marked, Owners int
	// Outages is the number of episodes of stale_credential.
	Outages int
	// False is the number of episodes that no attack explains, by rule. Episodes of
	// stale_credential are not false: clients do have an old password.
	False map[string]int
	// FalseDetections are the starts of those of high severity.
	FalseDetections []detect.Detection
}

// FalseOf returns the number of false episodes of one severity.
func (r *Report) FalseOf(s detect.Severity) int {
	n := 0
	for _, rule := range detect.Rules() {
		if rule.Severity == s {
			n += r.False[rule.Name]
		}
	}
	return n
}

// AttackReport is the result of one attack.
type AttackReport struct {
	Attack Attack
	// Tries is the number of its attempts.
	Tries int
	// Detected reports whether its rule has fired for it. Attempts and After are the attempts and
	// the time until then.
	Detected bool
	Attempts int
	After    time.Duration
	// By has the names of all rules that have fired for it, in order.
	By []string
	// FirstAfter is the time until the first of them fired.
	FirstAfter time.Duration
	// Takeovers is the number of accounts that it has entered by guessing; Marked is the number of
	// these that success_after_failures named.
	Takeovers, Marked int
}

// Run plays s. It returns an error if s is invalid or ctx ends.
func Run(ctx context.Context, s Scenario) (*Report, error) {
	if s.Start.IsZero() {
		s.Start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	}
	if s.Days == 0 {
		s.Days = DefaultDays
	}
	if s.Users == 0 {
		s.Users = DefaultUsers
	}
	if s.SharedPercent == 0 {
		s.SharedPercent = DefaultSharedPercent
	}
	s.SharedPercent = max(s.SharedPercent, 0)
	if s.Days < 0 || s.Users < 0 || s.Users > 1<<20 || s.SharedPercent > 100 {
		return nil, errors.New("simulate: Scenario needs Days from 0, Users from 0 to 1,048,576 and SharedPercent up to 100")
	}
	p := &play{s: s, now: s.Start, report: &Report{UserDays: s.Users * s.Days, False: map[string]int{}}, keptOut: map[string]bool{},
		taken: map[string]takeover{}}
	if err := p.open(); err != nil {
		return nil, err
	}
	w, err := newWorld(s, p.rng(1))
	if err != nil {
		return nil, err
	}
	attackers := make([]*attacker, len(s.Attacks))
	for i, a := range s.Attacks {
		t, err := newAttacker(a, i, w, p.rng(uint64(1000+i)))
		if err != nil {
			return nil, err
		}
		attackers[i] = t
		p.report.Attacks = append(p.report.Attacks, AttackReport{Attack: t.attack})
	}
	p.attackers, p.world = attackers, w
	var events []event
	for day := range s.Days {
		if day == EventDay && w.has(Restart) {
			if err := p.start(); err != nil {
				return nil, err
			}
		}
		events = w.day(day, events)
		for _, a := range attackers {
			events = a.day(day, events)
		}
		slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
		// Events that continue after midnight are played the next day.
		midnight, _ := slices.BinarySearchFunc(events, time.Duration(day+1)*dayLong, func(e event, t time.Duration) int {
			return cmp.Compare(e.at, t)
		})
		for i := range events[:midnight] {
			p.play(&events[i])
		}
		events = events[:copy(events, events[midnight:])]
		p.detector.Drain(p.now)
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("simulate: stopped on day %d: %w", day, err)
		}
	}
	p.report.Dropped += p.detector.Dropped()
	p.report.KeptOutUsers = len(p.keptOut)
	return p.report, nil
}

// play is the state of one run.
type play struct {
	s         Scenario
	now       time.Time
	detector  *detect.Detector
	throttle  throttle.Throttle
	world     *world
	attackers []*attacker
	report    *Report
	keptOut   map[string]bool
	taken     map[string]takeover
	pending   int
	cached    map[pairKey]time.Time // until when

	req attempt.Request
	res attempt.Result
}

type pairKey struct {
	account int
	network netip.Prefix
}

func (p *play) rng(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(p.s.Seed, stream)) }

// seeded is the source of randomness of the Detector, so that its tables are the same in each run
// of a seed.
type seeded struct{ rng *rand.Rand }

func (s seeded) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s.rng.Uint32())
	}
	return len(b), nil
}

func (p *play) open() error {
	clock := func() time.Time { return p.now }
	var err error
	p.throttle = throttle.DangerouslyNone{}
	if p.s.Throttle != nil {
		if p.throttle, err = p.s.Throttle(clock); err != nil {
			return err
		}
	}
	if p.s.LoggerProvider == nil {
		p.s.LoggerProvider = lognoop.NewLoggerProvider()
	}
	p.cached = map[pairKey]time.Time{}
	return p.start()
}

// start starts the Detector, or a new one without a memory.
func (p *play) start() (err error) {
	if p.detector != nil {
		p.report.Dropped += p.detector.Dropped()
	}
	p.detector, err = detect.New(detect.Config{
		LoggerProvider: p.s.LoggerProvider, MeterProvider: noopmetric.NewMeterProvider(), OnDetection: p.found,
		Thresholds: p.s.Thresholds, On: p.s.On, Off: p.s.Off, Locator: places{}, Now: func() time.Time { return p.now }, Rand: seeded{p.rng(2)},
	})
	return err
}

// event is one attempt to come.
type event struct {
	at       time.Duration // since the start
	name     string        // as claimed; "" for no credentials
	account  int           // index of the user; -1 if the name is not an account
	password uint64        // 0 for the right one
	client   netip.Addr
	route    string
	disabled bool
	secret   bool // on a sensitive endpoint
	attacker int  // index + 1; 0 for an honest attempt
}

const drainEvery = 1024

// cacheTTL is how long a right credential is recognised without a budget: the default of package
// verify.
const cacheTTL = 5 * time.Minute

func (p *play) play(ev *event) {
	p.now = p.s.Start.Add(ev.at)
	p.report.Attempts++
	p.req = attempt.Request{
		Context: context.Background(), Time: p.now, Scheme: attempt.SchemeBasic, Method: "GET", Route: ev.route, Path: ev.route,
		Client: ev.client, Sensitive: ev.secret,
	}
	p.res = attempt.Result{}
	switch {
	case ev.name == "":
		p.req.Scheme = attempt.SchemeNone
		p.res.Outcome = attempt.Missing
	default:
		p.judge(ev)
	}
	if ev.attacker > 0 {
		p.report.Attacks[ev.attacker-1].Tries++
		p.enter(ev)
	}
	if p.s.OnAttempt != nil {
		p.s.OnAttempt(Attempt{
			Time: p.now, Client: ev.client, Name: ev.name, Known: ev.account >= 0, Route: ev.route, Outcome: p.res.Outcome,
			Attack: ev.attacker - 1,
		})
	}
	_ = p.detector.Decide(p.req.Context, &p.req, &p.res)
	// Attacks are evaluated attempt by attempt, for exact times; honest attempts in batches.
	if p.pending++; p.pending >= drainEvery || ev.attacker > 0 {
		p.pending = 0
		p.detector.Drain(p.now)
	}
}

func (p *play) judge(ev *event) {
	p.res.UserHash = "sim:" + ev.name
	right := ev.password == 0 && ev.account >= 0
	if ev.account >= 0 {
		p.res.UserName = ev.name
	}
	if !right {
		p.report.Guesses++
		p.res.PasswordFingerprint = ev.password | 1<<63
	}
	network := clientip.Network(ev.client)
	g := throttle.Guess{Account: ev.name, Network: network, Fingerprint: fingerprint(ev)}
	pair := pairKey{ev.account, network}
	if !right || !p.now.Before(p.cached[pair]) || p.throttle.Exhausted(g) {
		d, err := p.throttle.Spend(context.Background(), g)
		if err != nil || d.Verdict != throttle.Granted {
			p.res.Outcome, p.res.ErrorType, p.res.Reason = attempt.Throttled, attempt.RateLimited, attempt.ReasonBudgetEmpty
			if right && !ev.disabled && ev.attacker == 0 {
				p.report.KeptOut++
				p.keptOut[ev.name] = true
			}
			return
		}
		settlement := throttle.Wrong
		if right && !ev.disabled {
			settlement = throttle.Right
			p.cached[pair] = p.now.Add(cacheTTL)
		}
		p.throttle.Settle(context.Background(), g, settlement)
	}
	switch {
	case ev.disabled:
		p.res.Outcome, p.res.ErrorType, p.res.Reason = attempt.Failure, attempt.InvalidCredentials, attempt.ReasonAccountDisabled
		p.res.PasswordFingerprint = ev.password | 1<<63
	case right:
		p.res.Outcome, p.res.Cache = attempt.Success, attempt.Hit
	case ev.account < 0:
		p.res.Outcome, p.res.ErrorType, p.res.Reason = attempt.Failure, attempt.InvalidCredentials, attempt.ReasonUnknownUser
	default:
		p.res.Outcome, p.res.ErrorType, p.res.Reason = attempt.Failure, attempt.InvalidCredentials, attempt.ReasonWrongPassword
	}
}

func fingerprint(ev *event) (f [16]byte) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], ev.password)
	sum := sha256.Sum256(append(b[:], ev.name...))
	copy(f[:], sum[:])
	return f
}

// found decides whose an episode is.
func (p *play) found(d detect.Detection) {
	if d.Phase == detect.End {
		return
	}
	if d.Rule.Name == detect.StaleCredential && d.Phase == detect.Start {
		p.report.Outages++
	}
	mine := d.Rule.Name == detect.StaleCredential
	// Its lists have the networks of earlier guesses, so the account and the time decide.
	isTakeover := d.Rule.Name == detect.SuccessAfterFailures
	by := -1
	if isTakeover {
		by = p.mark(&d)
	}
	for i, a := range p.attackers {
		if isTakeover && i != by || !isTakeover && !a.owns(&d, p.s.Start) {
			continue
		}
		mine = true
		r := &p.report.Attacks[i]
		at := max(d.Time.Sub(p.s.Start)-a.begin, 0)
		if len(r.By) == 0 {
			r.FirstAfter = at
		}
		if !slices.Contains(r.By, d.Rule.Name) {
			r.By = append(r.By, d.Rule.Name)
		}
		if d.Rule.Name == a.attack.Rule && !r.Detected {
			r.Detected, r.Attempts, r.After = true, r.Tries, at
		}
	}
	if !mine && d.Phase == detect.Start {
		p.report.False[d.Rule.Name]++
		if d.Rule.Severity == detect.High {
			p.report.FalseDetections = append(p.report.FalseDetections, d)
		}
	}
}

// takeover is an account that an attack has entered.
type takeover struct {
	attacker int
	at       []time.Time
	marked   bool
}

// enter records the success of an attack that guesses.
func (p *play) enter(ev *event) {
	a := p.attackers[ev.attacker-1]
	if p.res.Outcome != attempt.Success || a.kind.isStolen || a.kind.entries > 0 {
		return
	}
	t, again := p.taken[ev.name]
	if !again {
		p.report.Takeovers++
		p.report.Attacks[ev.attacker-1].Takeovers++
	}
	p.taken[ev.name] = takeover{ev.attacker - 1, append(t.at, p.now), t.marked}
}

// isAbout reports whether d is about t: about a success of now, or an earlier one.
func (t *takeover) isAbout(d *detect.Detection) bool {
	return slices.ContainsFunc(t.at, func(at time.Time) bool {
		return at.Sub(d.First).Abs() <= time.Second || d.Time.Sub(at).Abs() <= time.Second
	})
}

// mark returns the attack that an episode of success_after_failures is about, or -1 if it is about
// the owner.
func (p *play) mark(d *detect.Detection) int {
	for _, name := range d.Accounts {
		t, ok := p.taken[name]
		if !ok || !t.isAbout(d) {
			continue
		}
		if !t.marked {
			p.report.Marked++
			p.report.Attacks[t.attacker].Marked++
			t.marked = true
			p.taken[name] = t
		}
		return t.attacker
	}
	if d.Phase == detect.Start {
		p.report.Owners++
	}
	return -1
}
