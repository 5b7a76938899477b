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

// Scenario is what is played. Its zero value is 10,000 honest users for 30 days, a fifth of them behind shared addresses,
// and no attack.
type Scenario struct {
	// Seed makes a run what it is: the same Seed, the same run. Any value is good.
	Seed uint64
	// Start is the virtual time at which it begins. Default: 2026-01-05, a Monday, 00:00 UTC.
	Start time.Time
	// Days is how long. Default: 30.
	Days int
	// Users is how many honest people. Default: 10,000.
	Users int
	// SharedPercent is how many of them work behind the shared addresses of offices, 200 to an address. Default: 20; -1: none.
	SharedPercent int
	// Attacks are played beside them. See [Attacks].
	Attacks []Attack

	// Thresholds and Off are those of the Detector.
	Thresholds detect.Thresholds
	Off        []string
	// LoggerProvider is given the events. nil: nobody.
	LoggerProvider log.LoggerProvider
	// Throttle makes the budgets that guesses are paid from, on the virtual clock; see [Budgets]. nil: every guess is tried.
	Throttle func(now func() time.Time) (throttle.Throttle, error)
	// OnAttempt is given each attempt after it is judged, in the order of their times, on the goroutine of [Run]; to play
	// the same traffic to something else. nil: nobody.
	OnAttempt func(Attempt)
}

// Attempt is one attempt of a [Scenario], with what a server would have said.
type Attempt struct {
	Time    time.Time
	Client  netip.Addr
	Name    string // as claimed; "" sends no credentials
	Known   bool   // there is an account of that name
	Route   string
	Outcome attempt.Outcome
	// Attack is whose it is: an index into Scenario.Attacks; -1: an honest one.
	Attack int
}

// The defaults of [Scenario].
const (
	DefaultDays          = 30
	DefaultUsers         = 10_000
	DefaultSharedPercent = 20
)

// Report is what came of a [Scenario].
type Report struct {
	// Attempts is how many there were, with and without credentials; Guesses how many of them were wrong.
	Attempts, Guesses int
	// UserDays is users × days.
	UserDays int
	// Dropped is how many attempts the Detector did not see; more than 0 makes the rest worthless.
	Dropped uint64
	// KeptOut is how many right credentials of honest people the Throttle refused; KeptOutUsers from how many.
	KeptOut, KeptOutUsers int
	// Attacks are what was found of each attack, in the order of the Scenario.
	Attacks []AttackReport
	// False are the episodes that no attack explains, by rule.
	False map[string]int
	// FalseDetections are the starts of the episodes of rules of high severity among them.
	FalseDetections []detect.Detection
}

// FalseOf returns how many false episodes the rules of one severity told.
func (r *Report) FalseOf(s detect.Severity) int {
	n := 0
	for _, rule := range detect.Rules() {
		if rule.Severity == s {
			n += r.False[rule.Name]
		}
	}
	return n
}

// AttackReport is what was found of one attack.
type AttackReport struct {
	Attack Attack
	// Tries is how many attempts it made.
	Tries int
	// Detected says that the rule that it is meant for has named it. Attempts and After are how much it had tried
	// and how long it had lasted by then.
	Detected bool
	Attempts int
	After    time.Duration
	// By are all rules that have named it, in the order in which they did.
	By []string
	// FirstAfter is when the first of them did.
	FirstAfter time.Duration
}

// Run plays s. The error says what of it makes no sense, or that ctx has ended.
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
		return nil, errors.New("simulate: Scenario wants Days ≥ 0, 0 ≤ Users ≤ 1,048,576 and SharedPercent ≤ 100")
	}
	p := &play{s: s, now: s.Start, report: &Report{UserDays: s.Users * s.Days, False: map[string]int{}}, keptOut: map[string]bool{}}
	if err := p.open(); err != nil {
		return nil, err
	}
	w := newWorld(s, p.rng(1))
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
		events = w.day(day, events)
		for _, a := range attackers {
			events = a.day(day, events)
		}
		slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
		// What begins late in a day goes on in the next.
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
	p.report.Dropped = p.detector.Dropped()
	p.report.KeptOutUsers = len(p.keptOut)
	return p.report, nil
}

// play feeds one run.
type play struct {
	s         Scenario
	now       time.Time
	detector  *detect.Detector
	throttle  throttle.Throttle
	world     *world
	attackers []*attacker
	report    *Report
	keptOut   map[string]bool
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

// seeded is the Detector's source of randomness: its tables too are the same in each run of a seed.
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
	p.detector, err = detect.New(detect.Config{
		LoggerProvider: p.s.LoggerProvider, MeterProvider: noopmetric.NewMeterProvider(), OnDetection: p.found,
		Thresholds: p.s.Thresholds, Off: p.s.Off, Locator: places{}, Now: clock, Rand: seeded{p.rng(2)},
	})
	return err
}

// event is one attempt to come.
type event struct {
	at       time.Duration // since the start
	name     string        // as claimed; "" sends no credentials
	account  int           // -1: there is none of that name
	password uint64        // 0: the right one
	client   netip.Addr
	route    string
	disabled bool
	secret   bool // on a sensitive endpoint
	attacker int  // index + 1; 0: honest
}

const drainEvery = 1024

// cacheTTL is how long a right credential is recognised without asking the budgets of guesses: the default of package verify.
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
	}
	if p.s.OnAttempt != nil {
		p.s.OnAttempt(Attempt{
			Time: p.now, Client: ev.client, Name: ev.name, Known: ev.account >= 0, Route: ev.route, Outcome: p.res.Outcome,
			Attack: ev.attacker - 1,
		})
	}
	_ = p.detector.Decide(p.req.Context, &p.req, &p.res)
	// An attack is timed to the attempt; the rest is added up in heaps.
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
	mine := false
	for i, a := range p.attackers {
		if !a.owns(&d, p.s.Start) {
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
