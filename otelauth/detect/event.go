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
	maxNameBytes = 128
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
	// user.hash, unless attempt.Result.ClaimedName has it.
	Accounts []string
	// AccountCount is an estimate of the number of names; Accounts may have fewer.
	AccountCount int
	// Networks has at most 8 of the networks: /24 of IPv4, /48 of IPv6.
	Networks []netip.Prefix
	// NetworkCount is an estimate of the number of networks; Networks may have fewer.
	NetworkCount int
	// Route is the endpoint that the rule is about, for endpoint_failure_ratio only.
	Route string
	// Traces has at most 4 of the traces of the attempts.
	Traces []trace.TraceID
	// Trace is the trace of the attempt that caused the event; zero at the end of an episode.
	Trace trace.TraceID
	// Addresses has the exact addresses with the number of their attempts: of the first and further
	// events the 8 with most attempts and the 4 newest others, of the last event all, at most 256.
	// With a Feed it has those of this process only.
	Addresses []Count[netip.Addr]
	// AddressCount is the number of addresses; 256 means that there may be more.
	AddressCount int
	// Routes has the 8 endpoints with most attempts.
	Routes []Count[string]
	// UserAgents has the 8 user agents with most attempts, each cut at 47 bytes. With a Feed it has
	// those of this process only.
	UserAgents []Count[string]
	// Origins has countries and owners of Addresses, if Config.Locator is an [Owner].
	Origins []string
	// Refused, Throttled and Succeeded split the attempts that the lists were made of by their
	// answer: 401, 429, or what the client asked for. Attempts counts evidence that is older, too.
	Refused, Throttled, Succeeded uint64
	// Takeovers has the Episode of the first 8 successes that complete this attack.
	Takeovers []uint64
	// DedupeKey is the same for all detections of a rule about one subject, also of later episodes.
	DedupeKey string
	Advice    Advice
	// DistanceKm and SpeedKmPerHour are set by impossible_travel only.
	DistanceKm, SpeedKmPerHour float64
	// Folded reports whether the episode stands for all episodes of the rule beyond [MaxEpisodes].
	Folded bool
	// PartOf is the Episode of the attack that a success completes, for success_after_failures; 0
	// if there is none.
	PartOf uint64

	span spanRef
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
	rec.SetBody(attribute.StringValue(d.Message()))
	rec.AddAttributes(d.attributes()...)
	if d.Trace.IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: d.Trace, SpanID: d.span.id, TraceFlags: d.span.flags,
		}))
	}
	logger.Emit(ctx, rec)
}

// attributes returns the attributes of the event.
func (d *Detection) attributes() []attribute.KeyValue {
	kv := append(make([]attribute.KeyValue, 0, 48),
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
	return d.advised(d.detailed(kv))
}

// detailed adds what the attempts have in common.
func (d *Detection) detailed(kv []attribute.KeyValue) []attribute.KeyValue {
	addresses := make([]Count[string], len(d.Addresses))
	for i, a := range d.Addresses {
		addresses[i] = Count[string]{a.Value.String(), a.Attempts}
	}
	for _, l := range []struct {
		values, counts attribute.Key
		list           []Count[string]
		maxBytes       int
	}{
		{authconv.KeyDetectionAddresses, authconv.KeyDetectionAddressAttempts, addresses, maxNameBytes},
		{authconv.KeyDetectionRoutes, authconv.KeyDetectionRouteAttempts, d.Routes, attempt.MaxPathBytes},
		{authconv.KeyDetectionUserAgents, authconv.KeyDetectionUserAgentAttempts, d.UserAgents, maxAgentBytes},
	} {
		if len(l.list) == 0 {
			continue
		}
		values, numbers := make([]string, len(l.list)), make([]int64, len(l.list))
		for i, c := range l.list {
			values[i], numbers[i] = attempt.Text(c.Value, l.maxBytes), int64(min(c.Attempts, 1<<62))
		}
		kv = append(kv, attribute.StringSlice(string(l.values), values), attribute.Int64Slice(string(l.counts), numbers))
	}
	if d.AddressCount > 0 {
		kv = append(kv, attribute.Int(authconv.KeyDetectionAddressCount, d.AddressCount))
	}
	if len(d.Origins) > 0 {
		kv = append(kv, attribute.StringSlice(authconv.KeyDetectionOrigins, d.Origins))
	}
	if len(d.Takeovers) > 0 {
		ids := make([]string, len(d.Takeovers))
		for i, id := range d.Takeovers {
			ids[i] = episodeText(id)
		}
		kv = append(kv, attribute.StringSlice(authconv.KeyDetectionTakeovers, ids))
	}
	return append(kv,
		attribute.Int64(authconv.KeyDetectionRefused, int64(min(d.Refused, 1<<62))),
		attribute.Int64(authconv.KeyDetectionThrottled, int64(min(d.Throttled, 1<<62))),
		attribute.Int64(authconv.KeyDetectionSucceeded, int64(min(d.Succeeded, 1<<62))),
	)
}

// advised adds what helps to judge the detection.
func (d *Detection) advised(kv []attribute.KeyValue) []attribute.KeyValue {
	a := &d.Advice
	for _, s := range []struct{ key, value string }{
		{authconv.KeyDetectionThreshold, a.Threshold},
		{authconv.KeyDetectionConfidence, a.Confidence},
		{authconv.KeyDetectionConfidenceReason, a.Why},
		{authconv.KeyDetectionFalsePositives, a.FalsePositives},
		{authconv.KeyDetectionNextStep, a.NextStep},
		{authconv.KeyDetectionCommand, a.Command},
		{authconv.KeyDetectionRunbookURL, a.Runbook},
		{authconv.KeyDetectionDedupeKey, d.DedupeKey},
	} {
		if s.value != "" {
			kv = append(kv, attribute.String(s.key, attempt.Text(s.value, maxBodyBytes)))
		}
	}
	return kv
}

func episodeText(id uint64) string {
	s := strconv.FormatUint(id, 16)
	return "0000000000000000"[len(s):] + s
}
