// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// The fields of the security rule that are the same for every rule.
const (
	// Category is security_rule.category of every rule.
	Category = "authentication"
	// Ruleset is security_rule.ruleset.name of every rule.
	Ruleset = "otelauth"
)

// The bounds of the lists of a [Detection].
const (
	maxListed    = 8 // accounts, and networks
	maxTraces    = 4
	maxNameBytes = 256
)

// Phase is the kind of an event of an episode.
type Phase uint8

const (
	// Start is the phase of the first event: the threshold of the rule was reached.
	Start Phase = iota
	// Update is the phase of further events: the attempts have doubled since the previous event.
	Update
	// End is the phase of the last event: no attempt was added for eight times the mean interval,
	// but at least an hour and at most five days.
	End
)

var phaseNames = [...]string{Start: "start", Update: "update", End: "end"}

// String returns "start", "update" or "end".
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return ""
}

// Detection is one event of one episode. The receiver may keep its slices.
type Detection struct {
	Rule    Rule
	Phase   Phase
	Episode uint64    // the same in every event of one episode
	Time    time.Time // of the attempt or the sweep that caused the event

	// First and Last are the times of the first and the last attempt.
	First, Last time.Time
	// Attempts is the number of attempts that are evidence.
	Attempts uint64
	// Accounts has at most 8 of the names. A name that is not an account is listed as its
	// user.hash.
	Accounts []string
	// AccountCount is an estimate of the number of names; Accounts may have fewer.
	AccountCount int
	// Networks has at most 8 of the networks: /24 of IPv4, /48 of IPv6.
	Networks []netip.Prefix
	// NetworkCount is an estimate of the number of networks; Networks may have fewer.
	NetworkCount int
	// Route is the endpoint, for endpoint_failure_ratio only.
	Route string
	// Traces has at most 4 of the traces of the attempts.
	Traces []trace.TraceID
	// DistanceKm and SpeedKmPerHour are set by impossible_travel only.
	DistanceKm, SpeedKmPerHour float64
	// Folded reports whether the episode stands for all episodes of the rule beyond [MaxEpisodes].
	Folded bool
	// PartOf is the Episode of the attack that a success completes, for success_after_failures; 0
	// if there is none.
	PartOf uint64
}

func otelSeverity(s Severity, p Phase) log.Severity {
	switch {
	case p == End || s == Low:
		return log.SeverityInfo
	case s == Medium:
		return log.SeverityWarn
	}
	return log.SeverityError
}

func emit(ctx context.Context, logger log.Logger, d *Detection) {
	severity := otelSeverity(d.Rule.Severity, d.Phase)
	if !logger.Enabled(ctx, log.EnabledParameters{Severity: severity, EventName: authconv.EventDetection}) {
		return
	}
	var rec log.Record
	rec.SetEventName(authconv.EventDetection)
	rec.SetTimestamp(d.Time)
	rec.SetSeverity(severity)
	rec.SetSeverityText(severity.String())
	rec.AddAttributes(d.attributes()...)
	logger.Emit(ctx, rec)
}

// attributes returns the attributes of the event.
func (d *Detection) attributes() []attribute.KeyValue {
	kv := append(make([]attribute.KeyValue, 0, 24),
		semconv.SecurityRuleName(d.Rule.Name),
		semconv.SecurityRuleUUID(d.Rule.UUID),
		semconv.SecurityRuleCategory(Category),
		semconv.SecurityRuleRulesetName(Ruleset),
		semconv.SecurityRuleDescription(d.Rule.Summary),
		attribute.String(authconv.KeyDetectionPhase, d.Phase.String()),
		attribute.String(authconv.KeyDetectionEpisode, episodeText(d.Episode)),
		attribute.String(authconv.KeyDetectionSeverity, d.Rule.Severity.String()),
		attribute.String(authconv.KeyDetectionTechnique, d.Rule.Technique),
		attribute.Int64(authconv.KeyDetectionAttempts, int64(min(d.Attempts, 1<<62))),
		attribute.String(authconv.KeyDetectionFirstTime, d.First.UTC().Format(time.RFC3339)),
		attribute.String(authconv.KeyDetectionLastTime, d.Last.UTC().Format(time.RFC3339)),
	)
	if len(d.Accounts) > 0 {
		names := make([]string, len(d.Accounts))
		for i, n := range d.Accounts {
			names[i] = attempt.Text(n, maxNameBytes)
		}
		kv = append(kv, attribute.StringSlice(authconv.KeyDetectionAccounts, names))
	}
	if d.AccountCount > 0 {
		kv = append(kv, attribute.Int(authconv.KeyDetectionAccountCount, d.AccountCount))
	}
	if len(d.Networks) > 0 {
		networks := make([]string, len(d.Networks))
		for i, n := range d.Networks {
			networks[i] = n.String()
		}
		kv = append(kv, attribute.StringSlice(authconv.KeyDetectionNetworks, networks))
	}
	if d.NetworkCount > 0 {
		kv = append(kv, attribute.Int(authconv.KeyDetectionNetworkCount, d.NetworkCount))
	}
	if d.Route != "" {
		kv = append(kv, semconv.HTTPRoute(attempt.Text(d.Route, attempt.MaxPathBytes)))
	}
	if len(d.Traces) > 0 {
		traces := make([]string, len(d.Traces))
		for i, id := range d.Traces {
			traces[i] = id.String()
		}
		kv = append(kv, attribute.StringSlice(authconv.KeyDetectionTraceIDs, traces))
	}
	if d.DistanceKm > 0 {
		kv = append(kv, attribute.Float64(authconv.KeyDetectionDistanceKm, d.DistanceKm), attribute.Float64(authconv.KeyDetectionSpeedKmh, d.SpeedKmPerHour))
	}
	if d.PartOf != 0 {
		kv = append(kv, attribute.String(authconv.KeyDetectionPartOf, episodeText(d.PartOf)))
	}
	if d.Folded {
		kv = append(kv, attribute.Bool(authconv.KeyDetectionFolded, true))
	}
	return kv
}

func episodeText(id uint64) string {
	s := strconv.FormatUint(id, 16)
	return "0000000000000000"[len(s):] + s
}
