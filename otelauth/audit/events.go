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
	"github.com/otelauth/otelauth-go/otelauth/audit/internal/wide"
)

// Events decides which events are emitted individually and which are folded: counted, and
// represented by one "auth.events.suppressed" a period.
//
// The zero Events emits every success, and denials until they are a flood. Denials are identical
// if they share the client network (an IPv4 address, an IPv6 /64), event, outcome, error.type,
// auth.reason, auth.scheme, auth.credentials.exposed and auth.credentials.previous. Of identical
// denials Burst are emitted individually, then one each Every. The limit of a site (/24, /48) is
// 8 times that, and the limit of an account, from all networks, twice that. Denials above a limit
// are folded into the event of the network, the site or the account, whichever limit is reached
// first. By default, a network that never stops causes 56 events in its first minute and 36 in
// each further one.
//
// PerSecond bounds the process, however many networks and accounts take part. Sustained, two
// fifths of it are denials that are emitted individually, 40 times PerSecond at once. One fifth
// are the first 3 denials of a site within an hour, which fall under no other limit of accounts or
// the process; a quarter of Entries at once. One fifth are folded events of networks, sites and
// accounts, 20 times PerSecond at once. What is beyond that is in the folded events of all
// networks ("other"), at most six in a Period. So a flood from many networks that never stops
// causes at most 5 events a second by default, after at most 1,324 at once.
//
// No event is lost: the individual events and the counts of the folded ones add up to the number
// of attempts. Detections and notices are never folded. Other observers see every attempt, so
// metrics and detection stay exact.
type Events struct {
	// Success decides which successes are emitted individually. Default: [EverySuccess].
	Success Successes
	// SuccessPeriod is how long [FirstSuccess] folds after each event, at least 10 ms. Default: 1
	// minute.
	SuccessPeriod time.Duration

	// Burst is the number of identical denials of a network that are emitted individually, 1 to
	// 10,000. Default: 20.
	Burst int
	// Every is the time until one more is, at least 1 ms. Default: 2 s.
	Every time.Duration
	// Period is how long denials are folded into one event, at least 10 ms. The event comes up to
	// a sixteenth later. Default: 10 s.
	Period time.Duration
	// Entries bounds the networks and kinds of denials that have limits of their own, at most
	// 1,048,576. An entry takes 64 bytes, and less than 512 more while events are folded into it.
	// There are a quarter as many sites and accounts and, with [FirstSuccess], four times as many
	// successes (account, network, route). Default: 4096, together at most 4 MiB, with
	// [FirstSuccess] 13 MiB. Without room, a denial counts for the next larger group; a success
	// is emitted.
	Entries int
	// PerSecond bounds the events of denials of this process, individual and folded ones, 5 to
	// 10,000. Default: 5 a second, sustained.
	PerSecond int
	// DangerouslyUnfolded emits every denial individually: any client can then fill a disk.
	DangerouslyUnfolded bool

	// Suppressed gets the number of events that a folded one represents, when that is emitted.
	// The Suppressed of the metrics package's Observer counts them in auth.events.suppressed. It
	// must not block. Default: none.
	Suppressed func(ctx context.Context, s attempt.Suppression)
	// Now is the clock for attempts without a Time, and for the periods. Default: time.Now.
	Now func() time.Time
}

// Successes decides which successes are emitted individually.
type Successes uint8

const (
	// EverySuccess emits every success.
	EverySuccess Successes = 0
	// FirstSuccess emits the first success of an account from a network on a route, and folds the
	// others until Events.SuccessPeriod is over. Successes with different meanings are not
	// identical: the class of the status, a 401 or 403 of the handler, exposed credentials, a
	// hash that should be renewed, a previous password.
	FirstSuccess Successes = 1
)

// The defaults of [Events].
const (
	DefaultSuccessPeriod = time.Minute
	DefaultBurst         = 20
	DefaultEvery         = 2 * time.Second
	DefaultPeriod        = 10 * time.Second
	DefaultEntries       = 4096
	DefaultPerSecond     = 5
)

// The bounds of the lists of a folded event.
const (
	// MaxTraces is the number of trace ids: the first ones.
	MaxTraces = wide.MaxTraces
	// MaxRoutes is the number of routes. Further routes count under "_OTHER".
	MaxRoutes = wide.MaxRoutes
)

// Validate returns all errors of e, joined, or nil. [New] and [NewSlogEvents] call it.
func (e *Events) Validate() error {
	var errs []error
	invalid := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("audit: Events."+format, args...))
	}
	if e.Success > FirstSuccess {
		invalid("Success is %d; use EverySuccess or FirstSuccess", e.Success)
	}
	if e.Burst < 0 || e.Burst > 10_000 {
		invalid("Burst is %d; choose 1 to 10000, or 0 for %d", e.Burst, DefaultBurst)
	}
	if e.Entries < 0 || e.Entries > 1<<20 {
		invalid("Entries is %d; choose 1 to %d, or 0 for %d", e.Entries, 1<<20, DefaultEntries)
	}
	if e.PerSecond != 0 && (e.PerSecond < 5 || e.PerSecond > 10_000) {
		invalid("PerSecond is %d; choose 5 to 10000, or 0 for %d", e.PerSecond, DefaultPerSecond)
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
			invalid("%s is %v; choose %v to %v, or 0 for %v", d.name, d.value, d.min, maxPeriod, d.def)
		}
	}
	return errors.Join(errs...)
}

// maxPeriod keeps sums of times from overflowing.
const maxPeriod = 31 * 24 * time.Hour

// folder returns a folder for e, or all errors of e.
func (e Events) folder(emit func(*wide.Fold, time.Time)) (*wide.Folder, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	l := wide.Limits{
		FirstSuccess:  e.Success == FirstSuccess,
		SuccessPeriod: cmp.Or(e.SuccessPeriod, DefaultSuccessPeriod),
		Burst:         cmp.Or(e.Burst, DefaultBurst),
		Every:         cmp.Or(e.Every, DefaultEvery),
		Period:        cmp.Or(e.Period, DefaultPeriod),
		Entries:       cmp.Or(e.Entries, DefaultEntries),
		PerSecond:     cmp.Or(e.PerSecond, DefaultPerSecond),
		Unfolded:      e.DangerouslyUnfolded,
		Suppressed:    e.Suppressed,
		Now:           e.Now,
	}
	if l.Now == nil {
		l.Now = time.Now
	}
	return wide.NewFolder(l, emit), nil
}
