// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// Events says which events are told one by one and which are folded: counted, and told together as one
// "auth.events.suppressed" a period.
//
// The zero Events tells every success, and denials until they are a flood. Identical means the same client network
// (an IPv4 address, an IPv6 /64), event, outcome, error.type, auth.reason, auth.scheme, auth.credentials.exposed and auth.credentials.former. Of
// identical denials Burst are told one by one, then one each Every; 8 times that from a site (/24, /48), and 100 times that of one outcome from
// everybody. What is above is folded into the event of its network, its site, or of everybody, whichever is above first.
// By default, then, a network that never stops tells 56 events in its first minute and 36 in each further one, and
// all networks together 2000 of one outcome and then no more than 50 a second, beside the folded ones: those are at most
// one for each entry and period.
//
// No event is lost: those told one by one and the counts of the folded ones add up to what happened. Detections and
// notices are never folded, and neither is anything that other observers do: metrics stay exact, detection sees each attempt.
type Events struct {
	// Success says which successes are told one by one. Default: [EverySuccess].
	Success Successes
	// SuccessPeriod is how long [FirstSuccess] folds after each event. Default: 1 minute.
	SuccessPeriod time.Duration

	// Burst is how many identical denials a network has told one by one, 1 to 10,000. Default: 20.
	Burst int
	// Every is how long it takes until one more may be, at least 1 ms. Default: 2 s.
	Every time.Duration
	// Period is how long denials are folded into one event, at least 10 ms. It is told up to a sixteenth later. Default: 10 s.
	Period time.Duration
	// Entries is how many networks and rules are told apart, at most 1,048,576: an entry is 64 bytes, and less than 512 more
	// while something is folded into it. A quarter as many sites and, with [FirstSuccess], four times as many (account,
	// network, route) are. Default: 4096, together at most 3 MiB, with [FirstSuccess] 12 MiB. A denial for which there is
	// no room goes to its site, and then to everybody; a success is told.
	Entries int
	// DangerouslyUnfolded tells every denial one by one: who can send requests can then fill a disk.
	DangerouslyUnfolded bool

	// Suppressed is told how many events a folded one stands for, when that is told. The Suppressed of the metrics
	// package's Observer counts them in auth.events.suppressed. It must not block. Default: nobody is told.
	Suppressed func(ctx context.Context, s attempt.Suppression)
	// Now is the clock for attempts that do not say their Time, and for what is due. Default: time.Now.
	Now func() time.Time
}

// Successes says which successes are told one by one.
type Successes uint8

const (
	// EverySuccess tells every success.
	EverySuccess Successes = iota
	// FirstSuccess tells the first success of an account from a network on a route, and then no other for
	// Events.SuccessPeriod, at whose end one event says exactly how many there were. Successes that differ in what they
	// mean are told apart: the class of the response's status, a handler's own 401 and 403, exposed credentials, a hash that
	// should be renewed, a former password.
	FirstSuccess
)

// The defaults of [Events].
const (
	DefaultSuccessPeriod = time.Minute
	DefaultBurst         = 20
	DefaultEvery         = 2 * time.Second
	DefaultPeriod        = 10 * time.Second
	DefaultEntries       = 4096
)

// MaxTraces and MaxRoutes bound the lists of a folded event. Routes beyond MaxRoutes count under "_OTHER".
const (
	MaxTraces = 5
	MaxRoutes = 8
)

// Validate returns every fault of e, or nil. [New] and [NewSlogEvents] call it.
func (e *Events) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("audit: Events."+format, args...))
	}
	if e.Success > FirstSuccess {
		fault("Success is %d; use EverySuccess or FirstSuccess", e.Success)
	}
	if e.Burst < 0 || e.Burst > 10_000 {
		fault("Burst is %d; choose 1 to 10000, or 0 for %d", e.Burst, DefaultBurst)
	}
	if e.Entries < 0 || e.Entries > 1<<20 {
		fault("Entries is %d; choose 1 to %d, or 0 for %d", e.Entries, 1<<20, DefaultEntries)
	}
	for _, d := range []struct {
		name            string
		value, min, def time.Duration
	}{
		{"SuccessPeriod", e.SuccessPeriod, 10 * time.Millisecond, DefaultSuccessPeriod},
		{"Every", e.Every, time.Millisecond, DefaultEvery},
		{"Period", e.Period, 10 * time.Millisecond, DefaultPeriod},
	} {
		if d.value != 0 && (d.value < d.min || d.value > maxPeriod) {
			fault("%s is %v; choose %v to %v, or 0 for %v", d.name, d.value, d.min, maxPeriod, d.def)
		}
	}
	return errors.Join(faults...)
}

// maxPeriod keeps sums of times far from overflowing.
const maxPeriod = 31 * 24 * time.Hour

func (e Events) withDefaults() Events {
	e.SuccessPeriod = cmp.Or(e.SuccessPeriod, DefaultSuccessPeriod)
	e.Burst = cmp.Or(e.Burst, DefaultBurst)
	e.Every = cmp.Or(e.Every, DefaultEvery)
	e.Period = cmp.Or(e.Period, DefaultPeriod)
	e.Entries = cmp.Or(e.Entries, DefaultEntries)
	if e.Now == nil {
		e.Now = time.Now
	}
	return e
}
