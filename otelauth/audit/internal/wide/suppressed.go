// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package wide

import (
	"encoding/hex"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// The values of auth.events.suppressed.network that are not prefixes.
const (
	networkUnknown = "unknown" // a unix socket
	networkOther   = "other"   // all networks that have no event of their own, or all of an account
	routeOther     = "_OTHER"
)

func (k kind) event() string {
	if k == ofPublicResponse {
		return semconv.EventPublicResponse
	}
	return semconv.EventAttempt
}

// Level returns the level of the event of f.
func (f *Fold) Level() Level {
	if f.key.kind == ofPublicResponse {
		return Warn
	}
	return Severity(f.key.outcome)
}

// Suppressed adds the attributes of a folded event. An event of all networks has only the event
// and the outcome; that of an account has no network.
func (a *Attributes) Suppressed(f *Fold) {
	k := &f.key
	a.Str(semconv.KeyEventsSuppressedEvent, k.kind.event(), MaxNameBytes)
	a.Add(attribute.Int64(semconv.KeyEventsSuppressedCount, f.count))
	a.Str(semconv.KeyEventsSuppressedFirstTime, stamp(f.first), MaxNameBytes)
	a.Str(semconv.KeyEventsSuppressedLastTime, stamp(f.last), MaxNameBytes)
	a.network(k)
	if k.kind == ofAttempt {
		a.Str(semconv.KeyOutcome, k.outcome.String(), MaxNameBytes)
	}
	if k.scope != allNetworks {
		if k.kind == ofAttempt {
			a.Str(semconv.KeyScheme, f.scheme.String(), MaxNameBytes)
		}
		a.Str(semconv.KeyErrorType, k.errType.String(), MaxNameBytes)
		a.Str(semconv.KeyReason, string(reasonAt(k.reason)), MaxNameBytes)
		a.flag(semconv.KeyCredentialsExposed, k.flags&flagExposed != 0)
		a.flag(semconv.KeyPasswordRehashNeeded, k.flags&flagRehash != 0)
		a.flag(semconv.KeyCredentialsPrevious, k.flags&flagPrevious != 0)
		switch k.answer {
		case 1:
			a.num(semconv.KeyHTTPResponseStatusCode, 401)
		case 2:
			a.num(semconv.KeyHTTPResponseStatusCode, 403)
		}
	}
	a.Str(semconv.KeyUserName, f.userName, MaxNameBytes)
	a.Str(semconv.KeyUserHash, f.userHash, MaxNameBytes)
	if k.kind == ofAttempt && k.outcome == attempt.Success {
		a.Str(semconv.KeyHTTPRoute, f.route, maxRouteBytes)
	} else {
		a.routes(f)
	}
	if f.nTraces > 0 {
		ids := make([]string, f.nTraces)
		for i := range ids {
			ids[i] = hex.EncodeToString(f.traces[i][:])
		}
		a.Add(attribute.StringSlice(semconv.KeyEventsSuppressedTraceIDs, ids))
	}
}

func (a *Attributes) network(k *key) {
	p := k.network()
	text := networkUnknown
	switch {
	case k.scope == allNetworks, k.scope == account:
		text = networkOther
	case p.IsValid():
		text = p.String()
		if p.IsSingleIP() {
			a.Str(semconv.KeyClientAddress, p.Addr().String(), MaxNameBytes)
		}
	}
	a.Str(semconv.KeyEventsSuppressedNetwork, text, MaxNameBytes)
}

func (a *Attributes) routes(f *Fold) {
	names, counts := make([]string, 0, MaxRoutes+1), make([]int64, 0, MaxRoutes+1)
	for _, r := range f.routes[:f.nRoutes] {
		names, counts = append(names, attempt.Text(r.route, maxRouteBytes)), append(counts, r.count)
	}
	if f.restRoutes > 0 {
		names, counts = append(names, routeOther), append(counts, f.restRoutes)
	}
	a.Add(attribute.StringSlice(semconv.KeyEventsSuppressedRoutes, names))
	a.Add(attribute.Int64Slice(semconv.KeyEventsSuppressedRouteCounts, counts))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// reasons has the Reason of each number of key.reason: 0 is none. It is never written.
var reasons = append([]attempt.Reason{""}, attempt.Reasons()...)

// otherReason is the number of every Reason that package attempt does not define. No event names
// it.
const otherReason = attempt.ReasonCount + 1

// reasonIndex returns the number of r. It fits a byte, or the conversion of the constant does not
// compile.
func reasonIndex(r attempt.Reason) uint8 {
	if i := slices.Index(reasons, r); i >= 0 {
		return uint8(i)
	}
	return uint8(otherReason)
}

func reasonAt(i uint8) attempt.Reason {
	if int(i) >= len(reasons) {
		return ""
	}
	return reasons[i]
}
