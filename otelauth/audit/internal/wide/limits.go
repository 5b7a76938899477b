// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package wide

import (
	"context"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// Limits decides which events a [Folder] passes individually. audit.Events documents each field.
type Limits struct {
	// FirstSuccess passes the first success of an account, a network and a route in each
	// SuccessPeriod. false: every success.
	FirstSuccess  bool
	SuccessPeriod time.Duration

	Burst   int
	Every   time.Duration
	Period  time.Duration
	Entries int
	// PerSecond bounds the denials and the folded ones that the process emits, sustained.
	PerSecond int
	// Unfolded passes every denial.
	Unfolded bool

	// Suppressed gets the number of events of each fold. Default: none.
	Suppressed func(ctx context.Context, s attempt.Suppression)
	Now        func() time.Time
}

// The bounds of the lists of a folded event.
const (
	// MaxTraces is the number of trace ids: the first ones.
	MaxTraces = 5
	// MaxRoutes is the number of routes. Further routes count under "_OTHER".
	MaxRoutes = 8
)
