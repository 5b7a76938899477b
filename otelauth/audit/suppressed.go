// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/hex"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// What stands for a network in a folded event that has none.
const (
	networkUnknown = "unknown" // a unix socket
	networkOther   = "other"   // everybody for whom there was no event of their own
	routeOther     = "_OTHER"
)

func (k kind) event() string {
	if k == ofPublicResponse {
		return attempt.EventPublicResponse
	}
	return attempt.EventAttempt
}

func (f *fold) level() level {
	if f.key.kind == ofPublicResponse {
		return warn
	}
	return severity(f.key.outcome)
}

// suppressed adds what a folded event says. What everybody shares is only the event and the outcome.
func (a *attributes) suppressed(f *fold) {
	k := &f.key
	a.str(attempt.KeySuppressedEvent, k.kind.event(), maxNameBytes)
	a.add(attribute.Int64(attempt.KeySuppressedCount, f.count))
	a.str(attempt.KeySuppressedFirst, stamp(f.first), maxNameBytes)
	a.str(attempt.KeySuppressedLast, stamp(f.last), maxNameBytes)
	a.network(k)
	if k.kind == ofAttempt {
		a.str(attempt.KeyOutcome, k.outcome.String(), maxNameBytes)
	}
	if k.scope != everybody {
		if k.kind == ofAttempt {
			a.str(attempt.KeyScheme, f.scheme.String(), maxNameBytes)
		}
		a.str(semconv.ErrorTypeKey, k.errType.String(), maxNameBytes)
		a.str(attempt.KeyReason, string(reasonAt(k.reason)), maxNameBytes)
		a.flag(attempt.KeyCredentialsExposed, k.flags&flagExposed != 0)
		a.flag(attempt.KeyRehashNeeded, k.flags&flagRehash != 0)
		a.flag(attempt.KeyCredentialsFormer, k.flags&flagFormer != 0)
		switch k.answer {
		case 1:
			a.num(semconv.HTTPResponseStatusCodeKey, 401)
		case 2:
			a.num(semconv.HTTPResponseStatusCodeKey, 403)
		}
	}
	a.str(semconv.UserNameKey, f.userName, maxNameBytes)
	a.str(semconv.UserHashKey, f.userHash, maxNameBytes)
	if k.kind == ofAttempt && k.outcome == attempt.Success {
		a.str(semconv.HTTPRouteKey, f.route, maxRouteBytes)
	} else {
		a.routes(f)
	}
	if f.nTraces > 0 {
		ids := make([]string, f.nTraces)
		for i := range ids {
			ids[i] = hex.EncodeToString(f.traces[i][:])
		}
		a.add(attribute.StringSlice(attempt.KeySuppressedTraces, ids))
	}
}

func (a *attributes) network(k *key) {
	p := k.network()
	text := networkUnknown
	switch {
	case k.scope == everybody:
		text = networkOther
	case p.IsValid():
		text = p.String()
		if p.IsSingleIP() {
			a.str(semconv.ClientAddressKey, p.Addr().String(), maxNameBytes)
		}
	}
	a.str(attempt.KeySuppressedNetwork, text, maxNameBytes)
}

func (a *attributes) routes(f *fold) {
	names, counts := make([]string, 0, MaxRoutes+1), make([]int64, 0, MaxRoutes+1)
	for _, r := range f.routes[:f.nRoutes] {
		names, counts = append(names, attempt.Text(r.route, maxRouteBytes)), append(counts, r.count)
	}
	if f.restRoutes > 0 {
		names, counts = append(names, routeOther), append(counts, f.restRoutes)
	}
	a.add(attribute.StringSlice(attempt.KeySuppressedRoutes, names))
	a.add(attribute.Int64Slice(attempt.KeySuppressedRouteCounts, counts))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// reasonIndex keeps a Reason in a byte: those of package attempt each have one of their own. Every other is
// otherReason, which no event names.
func reasonIndex(r attempt.Reason) uint8 {
	for i := range otherReason {
		if reasons[i] == r {
			return i
		}
	}
	return otherReason
}

func reasonAt(i uint8) attempt.Reason {
	if i >= otherReason {
		return ""
	}
	return reasons[i]
}

// reasons is never written. The most frequent come first.
var reasons = [...]attempt.Reason{
	"", attempt.ReasonWrongPassword, attempt.ReasonUnknownUser, attempt.ReasonBudgetEmpty,
	attempt.ReasonQueueFull, attempt.ReasonQueueTimeout, attempt.ReasonPlaintextRefused, attempt.ReasonVerifierFailed,
	attempt.ReasonAccountDisabled, attempt.ReasonCredentialsExpired, attempt.ReasonPasswordTooLong,
	attempt.ReasonDuplicateHeader, attempt.ReasonMultipleSchemes, attempt.ReasonHeaderTooLong,
	attempt.ReasonEmptyCredentials, attempt.ReasonInvalidBase64, attempt.ReasonNoColon, attempt.ReasonControlCharacter,
	attempt.ReasonRawPath, attempt.ReasonMethodRefused, attempt.ReasonUntrustedProxy, attempt.ReasonForwardedRequest,
	attempt.ReasonInvalidHost,
}

const otherReason = uint8(len(reasons))
