// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// fold is an event that represents several attempts.
type fold struct {
	outcome string
	count   int64
	routes  map[string]int64 // may add up to less than count
	traces  []traceID        // samples
}

// otherRoute is the route of folded events beyond those that a fold names.
const otherRoute = "_OTHER"

func (l *Ledger) addFold(r *logspb.LogRecord) {
	list := r.GetAttributes()
	if of := valueOf(list, semconv.KeyEventsSuppressedEvent); of != "" && of != semconv.EventAttempt {
		return
	}
	if len(l.folds) >= maxFolds {
		l.received.Dropped++
		return
	}
	f := fold{outcome: l.intern(valueOf(list, semconv.KeyOutcome)), routes: map[string]int64{}}
	f.count, _ = strconv.ParseInt(valueOf(list, semconv.KeyEventsSuppressedCount), 10, 64)
	routes := strings.Split(valueOf(list, semconv.KeyEventsSuppressedRoutes), ",")
	counts := strings.Split(valueOf(list, semconv.KeyEventsSuppressedRouteCounts), ",")
	for i := range min(len(routes), len(counts)) {
		if n, err := strconv.ParseInt(counts[i], 10, 64); err == nil {
			f.routes[clip(routes[i])] += n
		}
	}
	for id := range strings.SplitSeq(valueOf(list, semconv.KeyEventsSuppressedTraceIDs), ",") {
		if t := parseTrace(id); t != (traceID{}) && len(f.traces) < 16 {
			f.traces = append(f.traces, t)
		}
	}
	l.folds = append(l.folds, f)
}

// balance compares the attempts of one outcome that have no event with the folds of that outcome.
type balance struct {
	outcome string
	entries []*entry
	folds   int
	count   int64           // of the folds
	missing int64           // attempts that no fold accounts for
	excess  int64           // of the folds over the attempts
	sampled map[*entry]bool // attempts that a fold names
}

// balances returns the balance of each outcome that has attempts without an event or folds, in the
// order of the outcomes' names.
func (l *Ledger) balances(without []*entry) []*balance {
	by := map[string]*balance{}
	of := func(outcome string) *balance {
		if by[outcome] == nil {
			by[outcome] = &balance{outcome: outcome, sampled: map[*entry]bool{}}
		}
		return by[outcome]
	}
	need := map[[2]string]int64{}
	var open []*entry // with several possible outcomes
	for _, e := range without {
		possible := e.possible()
		if len(possible) > 1 {
			open = append(open, e)
			continue
		}
		b := of(possible[0])
		b.entries = append(b.entries, e)
		need[[2]string{b.outcome, e.Route}]++
	}
	have := map[[2]string]int64{}
	for i := range l.folds {
		f := &l.folds[i]
		b := of(f.outcome)
		b.folds++
		b.count += f.count
		rest := f.count
		for route, n := range f.routes {
			have[[2]string{f.outcome, l.known(route)}] += n
			rest -= n
		}
		have[[2]string{f.outcome, otherRoute}] += max(0, rest)
		for _, t := range f.traces {
			if e := l.by.sent[t]; e != nil {
				b.sampled[e] = true
			} else if e := l.by.linked[t]; e != nil {
				b.sampled[e] = true
			}
		}
	}
	sorted := func() []*balance {
		return slices.SortedFunc(maps.Values(by), func(a, b *balance) int { return strings.Compare(a.outcome, b.outcome) })
	}
	for _, b := range sorted() {
		b.settle(need, have)
		open = b.absorb(open)
	}
	optional := l.optionalWithoutEvent()
	for _, b := range sorted() {
		kept := len(b.entries)
		optional = b.absorb(optional)
		b.entries = b.entries[:kept] // they need no event
	}
	for _, e := range open {
		b := of(e.likelyOutcome())
		b.entries = append(b.entries, e)
		b.missing++
	}
	return sorted()
}

// absorb lets the excess of the folds account for entries that may have the outcome, and returns
// the others.
func (b *balance) absorb(entries []*entry) (rest []*entry) {
	for _, e := range entries {
		if b.excess > 0 && slices.Contains(e.possible(), b.outcome) {
			b.excess--
			b.entries = append(b.entries, e)
			continue
		}
		rest = append(rest, e)
	}
	return rest
}

// optionalWithoutEvent returns the entries that may lack an event and do.
func (l *Ledger) optionalWithoutEvent() []*entry {
	var all []*entry
	for _, e := range l.entries {
		if e.count == 0 && len(e.Outcomes) > 0 && e.Optional {
			all = append(all, e)
		}
	}
	return all
}

// settle compares route by route. Attempts whose route is not known, and counts of "_OTHER", match
// any route.
func (b *balance) settle(need, have map[[2]string]int64) {
	var short, over int64
	routes := map[string]bool{}
	for key := range need {
		routes[key[1]] = routes[key[1]] || key[0] == b.outcome
	}
	for key := range have {
		routes[key[1]] = routes[key[1]] || key[0] == b.outcome
	}
	for route, ofThis := range routes {
		if !ofThis || route == "" || route == otherRoute {
			continue
		}
		d := need[[2]string{b.outcome, route}] - have[[2]string{b.outcome, route}]
		short += max(0, d)
		over += max(0, -d)
	}
	anyNeed := need[[2]string{b.outcome, ""}]
	anyHave := have[[2]string{b.outcome, otherRoute}] + have[[2]string{b.outcome, ""}]
	// Counts of a named route fit attempts without a known route, and the reverse.
	fit := min(over, anyNeed)
	over, anyNeed = over-fit, anyNeed-fit
	fit = min(short, anyHave)
	short, anyHave = short-fit, anyHave-fit
	b.missing, b.excess = short+max(0, anyNeed-anyHave), over+max(0, anyHave-anyNeed)
}

// foldsAccount reports whether folds account for each attempt that has no event.
func (l *Ledger) foldsAccount() bool {
	if len(l.folds) == 0 || l.require[EachAttempt] {
		return false
	}
	for _, e := range l.entries {
		if l.lacksSpan(e) || !e.answered {
			return false
		}
	}
	for _, b := range l.balances(l.withoutEvent()) {
		if b.missing > 0 {
			return false
		}
	}
	return true
}

// withoutEvent returns the entries that need an event and have none.
func (l *Ledger) withoutEvent() []*entry {
	var all []*entry
	for _, e := range l.entries {
		if e.count == 0 && len(e.Outcomes) > 0 && !e.Optional {
			all = append(all, e)
		}
	}
	return all
}

// howToUnfold is the way out for those who need an event for each attempt.
const howToUnfold = "for one event for each attempt, raise Config.Events.Burst (--event-burst of the gateway) above the attempts of the run"

// judgeFolds sets the verdict on each attempt without an event, and returns findings about the run.
func (l *Ledger) judgeFolds(judged []Judgement) []Finding {
	if !l.require[Events] && !l.require[EachAttempt] {
		return nil
	}
	var run []Finding
	for _, b := range l.balances(l.withoutEvent()) {
		for _, e := range b.entries {
			judged[e.index].add(l.withoutEventFinding(e, b))
		}
		switch {
		case b.folds == 0:
		case b.missing > 0:
			run = append(run, Finding{
				Verdict: l.unlessLost(Missing), Requirement: Events, Signal: "event",
				Want: strconv.Itoa(len(b.entries)), Got: strconv.FormatInt(b.count, 10),
				Detail: fmt.Sprintf("%d attempts of outcome %s have no event of their own, and folds account for all but %d of them.",
					len(b.entries), b.outcome, b.missing),
			})
		case b.excess > 0 && l.require[NoOthers] && !l.cfg.SharedTraffic:
			run = append(run, Finding{
				Verdict: Unexpected, Requirement: NoOthers, Signal: "event",
				Want: strconv.Itoa(len(b.entries)), Got: strconv.FormatInt(b.count, 10),
				Detail: fmt.Sprintf("Folds count %d attempts of outcome %s that were not made, or that have an event too.", b.excess, b.outcome),
			})
		}
	}
	return run
}

// withoutEventFinding returns the finding about an attempt that has no event.
func (l *Ledger) withoutEventFinding(e *entry, b *balance) Finding {
	f := Finding{Verdict: Missing, Requirement: Events, Signal: l.signal(), Want: "one event for this attempt", Got: "none"}
	isFolded := b.folds > 0 && (b.missing == 0 || b.sampled[e])
	switch {
	case e.answer.Status == 0:
		f.Verdict = Unknown
		f.Detail = "No event arrived, and the request got no answer, so it may not have reached the service."
	case isFolded && l.require[EachAttempt]:
		f.Requirement = EachAttempt
		f.Detail = "The attempt is only counted in a fold; " + howToUnfold + "."
	case isFolded:
		f.Verdict = Folded
		f.Detail = "A fold accounts for the attempt; " + howToUnfold + "."
	case b.folds > 0:
		f.Verdict = Unknown
		f.Detail = fmt.Sprintf("Folds account for some of the attempts of outcome %s, and do not name this one.", b.outcome)
	case l.isLossy():
		f.Verdict = Unknown
		f.Detail = "No event arrived, but telemetry was refused or dropped, see the counts of what was received."
	case l.signal() == "line":
		f.Detail = "The attempt left no line. Log each answer of the endpoint, also denials."
	default:
		f.Detail = "No event arrived. Look for an endpoint without the middleware, a filter, a sampler of logs, or a queue that drops."
	}
	return f
}
