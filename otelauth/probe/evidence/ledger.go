// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/leak"
)

// Config configures a [Ledger]. The zero Config is useful.
type Config struct {
	// Require is what must hold. Default: [DefaultTelemetry].
	Require []Requirement
	// SharedTraffic reports that others use the service during the run. Counters must then grow at
	// least by the attempts, and events of others are no finding.
	SharedTraffic bool
	// Secrets are the passwords and tokens of the run, at least 4 bytes each. No byte that arrives
	// may hold one in any encoding.
	Secrets []string
	// SecretNames say what the secrets are, in the same order. Default: "secret 1 of the run".
	SecretNames []string
	// Expected are texts that telemetry rightly holds, such as user names and paths. A form of a
	// secret that one of them holds in itself is no leak.
	Expected []string
	// Late is the longest allowed time from answer to arrival. Default: no limit.
	Late time.Duration
	// Skew is how far the clocks of service and caller may differ. Default: one minute.
	Skew time.Duration
	// MaxAttempts bounds the expectations. Default: 200,000. One takes about 1.5 KB with its event.
	MaxAttempts int
	// MaxSpans bounds the auth spans that are kept. Default: 1,048,576, about 200 bytes each.
	MaxSpans int
	// MaxOthers bounds the events of others that are kept. Default: 16,384.
	MaxOthers int
}

// maxFolds, maxLeaks and maxEvents bound what one service can make the ledger keep.
const (
	maxFolds  = 16_384
	maxLeaks  = 1_000
	maxEvents = 4 // of one attempt; further ones are counted
)

// Ledger holds what was sent and what arrived. Create it with [New]. It is safe for concurrent
// use.
type Ledger struct {
	cfg     Config
	require map[Requirement]bool
	scanner *leak.Scanner

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced when something arrives
	entries    []*entry
	begun      time.Time // the earliest Sent
	lastAnswer time.Time
	answers    int
	settled    int // entries before this one are settled
	by         correlation
	routes     map[string]string // the routes of the expectations, by their shape
	spans      spanTable
	series     seriesTable
	folds      []fold
	others     []*event // attempts that are correlated with no entry yet, the oldest first
	seen       digests
	leaks      []leaked
	received   Received
}

// entry is one expectation with its answer and what arrived about it.
type entry struct {
	Expectation
	index    int
	trace    traceID
	answer   Answer
	answered bool
	events   []*event
	count    int       // events, those beyond maxEvents included
	links    []traceID // traces with a span that links to that of the request
}

// New returns an empty Ledger. The error names the field of cfg that cannot be used.
func New(cfg Config) (*Ledger, error) {
	for _, d := range []struct {
		field *int
		value int
	}{{&cfg.MaxAttempts, 200_000}, {&cfg.MaxSpans, 1 << 20}, {&cfg.MaxOthers, 16_384}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if cfg.Skew <= 0 {
		cfg.Skew = time.Minute
	}
	if len(cfg.Require) == 0 {
		cfg.Require = DefaultTelemetry()
	}
	l := &Ledger{cfg: cfg, require: map[Requirement]bool{}, changed: make(chan struct{}), routes: map[string]string{}}
	known := map[Requirement]bool{}
	for _, r := range Requirements() {
		known[r] = true
	}
	for _, r := range cfg.Require {
		if !known[r] {
			return nil, fmt.Errorf("evidence: the requirement %q does not exist; use some of %s", r, join(Requirements()))
		}
		l.require[r] = true
	}
	var err error
	if l.scanner, err = leak.NewScanner(cfg.Secrets...); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	l.scanner.Except(cfg.Expected...)
	l.by.init()
	l.spans.init(cfg.MaxSpans)
	l.series.init()
	l.seen.init()
	return l, nil
}

func join[T ~string](all []T) string {
	texts := make([]string, len(all))
	for i, t := range all {
		texts[i] = string(t)
	}
	return strings.Join(texts, ", ")
}

// Expect adds a request that is about to be sent. The error says which token or ID is not unique,
// or that the bound is reached.
func (l *Ledger) Expect(x Expectation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) >= l.cfg.MaxAttempts {
		return fmt.Errorf("evidence: more than %d requests; raise Config.MaxAttempts or send fewer", l.cfg.MaxAttempts)
	}
	if of := shape(x.Route); x.Route != "" && l.routes[of] == "" {
		l.routes[of] = x.Route
	}
	x.Route = l.known(x.Route)
	e := &entry{Expectation: x, index: len(l.entries)}
	if err := l.by.add(e); err != nil {
		return err
	}
	l.entries = append(l.entries, e)
	if l.begun.IsZero() || x.Sent.Before(l.begun) {
		l.begun = x.Sent
	}
	return nil
}

// Answered adds the answer to a request of [Ledger.Expect].
func (l *Ledger) Answered(id string, a Answer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.by.id[id]
	if e == nil {
		return fmt.Errorf("evidence: no request has the ID %q; call Expect first", id)
	}
	if !e.answered {
		l.answers++
	}
	e.answer, e.answered = a, true
	e.Optional = e.Optional || a.Optional
	if a.Time.After(l.lastAnswer) {
		l.lastAnswer = a.Time
	}
	l.notify()
	return nil
}

// Refused adds exports that the receiver refused, so that what is missing is [Unknown].
func (l *Ledger) Refused(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received.Refused += n
	l.notify()
}

func (l *Ledger) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// HasBaseline reports whether metrics arrived before the first request. Without them attempts
// before the run cannot be distinguished from those of the run.
func (l *Ledger) HasBaseline() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.series.hasBaseline()
}

// Wait returns nil as soon as everything that is required has arrived, or the error of ctx.
func (l *Ledger) Wait(ctx context.Context) error {
	for {
		l.mu.Lock()
		changed, done := l.changed, l.isSettled()
		l.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isSettled reports whether nothing more is needed.
func (l *Ledger) isSettled() bool {
	l.resolve()
	for ; l.settled < len(l.entries); l.settled++ {
		if !l.isEntrySettled(l.entries[l.settled]) {
			return l.foldsAccount() && l.seriesSettled()
		}
	}
	// The event of an attempt that needs none may have arrived since.
	return l.seriesSettled() && !slices.ContainsFunc(l.entries, l.lacksSpan)
}

func (l *Ledger) isEntrySettled(e *entry) bool {
	if !e.answered {
		return false
	}
	if e.count == 0 {
		return len(e.Outcomes) == 0 || e.Optional || !l.require[Events] && !l.require[EachAttempt]
	}
	return !l.lacksSpan(e)
}

// lacksSpan reports whether the event of an entry demands a span that has not arrived.
func (l *Ledger) lacksSpan(e *entry) bool {
	return e.count > 0 && l.require[Spans] && e.events[0].sampled && !l.spans.has(e.events[0].trace)
}

var errNoID = errors.New("evidence: Expectation.ID is empty; give each request a unique one")
