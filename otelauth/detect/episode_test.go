// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/trace"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// TestEpisode: an episode has a start, an update at each doubling and an end, and counts once.
func TestEpisode(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	w := newWatch(t, reportingTo(rec.LoggerProvider(), rec.MeterProvider()), func(cfg *detect.Config) {
		cfg.Off = []string{detect.LowAndSlow, detect.ScheduledGuessing, detect.FailureBurst}
	})
	for i := range 500 {
		w.try(try{password: uint64(i + 1)})
		w.pass(time.Second)
	}
	w.pass(30 * time.Minute)
	if n := len(w.found); n < 4 || n > 6 { // 30, 60, 120, 240, 480
		t.Fatalf("%d events for 500 attempts; want 4 to 6", n)
	}
	if w.found[len(w.found)-1].Phase != detect.Update {
		t.Error("the episode ends after half an hour")
	}
	w.pass(2 * time.Hour)
	first, last := w.found[0], w.found[len(w.found)-1]
	if first.Phase != detect.Start || last.Phase != detect.End {
		t.Errorf("from %v to %v", first.Phase, last.Phase)
	}
	for i, d := range w.found {
		if d.Episode != first.Episode || d.Rule.Name != detect.BruteForce {
			t.Errorf("event %d: episode %x of %s", i, d.Episode, d.Rule.Name)
		}
		if i > 0 && i < len(w.found)-1 && (d.Phase != detect.Update || d.Attempts != 2*w.found[i-1].Attempts) {
			t.Errorf("event %d: %v after %d attempts, %d before", i, d.Phase, d.Attempts, w.found[i-1].Attempts)
		}
	}
	if last.Attempts != 500 || !last.First.Equal(monday) || last.Last.Sub(monday) != 499*time.Second {
		t.Errorf("at its end: %d attempts from %v to %v", last.Attempts, last.First, last.Last)
	}
	w.try(try{password: 1000})
	if w.starts(detect.BruteForce) != 2 {
		t.Error("an attempt after the end does not start a new episode")
	}

	events := rec.Events()
	if len(events) != len(w.found) {
		t.Fatalf("%d events, %d detections", len(events), len(w.found))
	}
	if s := events[0].Severity(); s != log.SeverityError {
		t.Errorf("a start of high severity is %v", s)
	}
	if s := events[len(w.found)-2].Severity(); s != log.SeverityInfo {
		t.Errorf("an end is %v", s)
	}
	for _, m := range rec.Metrics() {
		if m.Name == authconv.MetricDetections {
			return
		}
	}
	t.Error("no auth.detections")
}

// TestEvent compares every attribute of an event.
func TestEvent(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	w := newWatch(t, reportingTo(rec.LoggerProvider(), rec.MeterProvider()), func(cfg *detect.Config) {
		for _, r := range detect.Rules() {
			if r.Name != detect.PasswordSpray {
				cfg.Off = append(cfg.Off, r.Name)
			}
		}
	})
	for i := range 10 {
		id := trace.TraceID{15: byte(i + 1)}
		ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}}))
		req := attempt.Request{
			Context: ctx, Time: w.now, Client: netip.MustParseAddr("2001:db8:1:2::3"), Route: "/orders", UserAgent: "curl/8.5",
		}
		if i == 4 {
			req.Client, req.Route, req.UserAgent = netip.MustParseAddr("2001:db8:1:2::4"), "/", "evil\u202eagent"
		}
		res := attempt.Result{
			Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, UserHash: fmt.Sprint("k:", i), PasswordFingerprint: uint64(i + 1),
		}
		if i > 5 {
			res.UserName = fmt.Sprint("user\n", i)
		}
		w.decide(&req, &res)
		w.pass(time.Minute)
	}
	events := rec.Events()
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	got := events[0].Attributes().Map()
	id, _ := got[authconv.KeyDetectionEpisode].(string)
	if len(id) != 16 {
		t.Errorf("episode %q", id)
	}
	delete(got, authconv.KeyDetectionEpisode)
	want := map[string]any{
		"security_rule.name": "password_spray", "security_rule.uuid": "d79f3428-1376-54b2-8df1-bb336e7bc32e",
		"security_rule.category": "authentication", "security_rule.ruleset.name": "otelauth",
		"security_rule.description":    "one network tries passwords on many accounts",
		"auth.detection.phase":         "start",
		"auth.detection.severity":      "high",
		"auth.detection.technique":     "T1110.003",
		"auth.detection.attempts":      int64(10),
		"auth.detection.accounts":      []string{"user\ufffd9", "user\ufffd8", "user\ufffd7", "user\ufffd6", "k:5", "k:4", "k:3", "k:2"},
		"auth.detection.account_count": int64(10),
		"auth.detection.networks":      []string{"2001:db8:1::/48"},
		"auth.detection.network_count": int64(1),
		"auth.detection.first_time":    "2026-03-02T08:00:00Z",
		"auth.detection.last_time":     "2026-03-02T08:09:00Z",
		"auth.detection.trace_ids": []string{
			"0000000000000000000000000000000a", "00000000000000000000000000000009", "00000000000000000000000000000008", "00000000000000000000000000000007",
		},
		"auth.detection.addresses":           []string{"2001:db8:1:2::3", "2001:db8:1:2::4"},
		"auth.detection.address_attempts":    []int64{9, 1},
		"auth.detection.address_count":       int64(2),
		"auth.detection.routes":              []string{"/orders", "/"},
		"auth.detection.route_attempts":      []int64{9, 1},
		"auth.detection.user_agents":         []string{"curl/8.5", "evil\ufffdagent"},
		"auth.detection.user_agent_attempts": []int64{9, 1},
		"auth.detection.refused":             int64(10),
		"auth.detection.throttled":           int64(0),
		"auth.detection.succeeded":           int64(0),
		"auth.detection.threshold": "wrong passwords, within 3 days, for 10 accounts that have never succeeded from the network, " +
			"and for at least 20 % as many as have; or the same from 5 networks or more of an IPv6 /32",
		"auth.detection.confidence":        "medium",
		"auth.detection.confidence_reason": "the process has not seen successes for 8 days, so it does not know which networks are usual",
		"auth.detection.false_positives":   "an office or a VPN on the day on which passwords expire",
		"auth.detection.next_step":         "look for successes from the network, then deny it",
		"auth.detection.command":           "otelauth budgets deny --network 2001:db8:1::/48 --for 24h --reason " + id,
		"auth.detection.runbook_url":       "https://github.com/otelauth/otelauth-go/blob/main/docs/detections.md#password_spray",
		"auth.detection.dedupe_key":        "password_spray:2001:db8:1::/48",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	const body = "password_spray: one network tries passwords on many accounts; 10 attempts since 2026-03-02 08:00:00 UTC " +
		"from 2001:db8:1:2::3, 2001:db8:1:2::4 for user\ufffd9, user\ufffd8 and 8 more; " +
		"listed attempts were answered 10 times with 401, 0 times with 429, and 0 succeeded."
	if got := events[0].Body().AsString(); got != body {
		t.Errorf("body\n%s\nwant\n%s", got, body)
	}
	if ids := events[0].TraceID(); ids != (trace.TraceID{15: 10}) || events[0].SpanID() != (trace.SpanID{1}) {
		t.Errorf("the event is in trace %v, not in that of the last attempt", ids)
	}
	if name := events[0].Name(); name != "auth.detection" {
		t.Errorf("event %q", name)
	}
	if n := len(events[0].Attributes()); n != len(want)+1 {
		t.Errorf("%d attributes for %d keys; one is a duplicate", n, len(want)+1)
	}

	// Guesses that are refused without a check are no evidence, but the attack goes on.
	for i := range 10 {
		w.decide(&attempt.Request{Context: t.Context(), Time: w.now, Client: netip.MustParseAddr("2001:db8:1:2::3"), Route: "/orders"},
			&attempt.Result{Outcome: attempt.Throttled, ErrorType: attempt.RateLimited, UserHash: fmt.Sprint("t:", i)})
		w.pass(time.Second)
	}
	events = rec.Events()
	if len(events) != 2 {
		t.Fatalf("%d events after refused guesses", len(events))
	}
	got = events[1].Attributes().Map()
	for key, want := range map[string]any{
		"auth.detection.phase": "update", "auth.detection.attempts": int64(20), "auth.detection.account_count": int64(10),
		"auth.detection.refused": int64(10), "auth.detection.throttled": int64(10),
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
}

// TestFolding: a rule has at most MaxEpisodes episodes and one folded one, and keeps the first.
func TestFolding(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Entries, cfg.Off = 1<<16, []string{detect.FailureBurst} })
	for n := range 3000 {
		for i := range 6 {
			w.try(try{name: fmt.Sprint("root", i), unknown: true, password: uint64(7*n + i + 1), from: network(n), sensitive: true})
		}
		w.pass(time.Second)
	}
	if got := w.starts(detect.SensitiveOnlyDenied); got != detect.MaxEpisodes+1 {
		t.Errorf("%d episodes of 3,000 networks, want %d", got, detect.MaxEpisodes+1)
	}
	folded := slices.IndexFunc(w.found, func(d detect.Detection) bool { return d.Folded })
	if folded < 0 {
		t.Fatal("no episode is folded")
	}
	updates := 0
	for _, d := range w.found {
		if d.Folded {
			updates++
		}
	}
	if updates > 20 {
		t.Errorf("the folded episode has %d events", updates)
	}
}

// TestFloodOfEpisodesHidesNoAttack: a spray and its takeover are named beside 10,000 provoked
// episodes.
func TestFloodOfEpisodesHidesNoAttack(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) {
		cfg.Entries, cfg.Off = 1<<14, []string{detect.ScheduledGuessing, detect.EndpointFailureRatio, detect.SamePassword}
	})
	w.live(1, "victim", "")
	provoke := func(from, to int) {
		for n := from; n < to; n++ {
			for i := range 10 {
				w.try(try{name: fmt.Sprint("root", i), unknown: i > 8, password: uint64(10*n + i + 1), from: network(n)})
			}
			w.pass(100 * time.Millisecond)
		}
	}
	provoke(0, 5000)
	const spray = "198.51.100.9"
	for i := range 100 {
		w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1_000_000), from: spray})
		provoke(5000+50*i, 5050+50*i)
	}
	w.try(try{name: "victim", password: 1, from: spray})
	w.try(try{name: "victim", from: spray})
	named := func(rule string, names ...string) bool {
		return slices.ContainsFunc(w.found, func(d detect.Detection) bool {
			return d.Rule.Name == rule && !d.Folded && slices.Contains(d.Networks, netip.MustParsePrefix("198.51.100.0/24")) &&
				!slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(d.Accounts, n) })
		})
	}
	if !named(detect.PasswordSpray) {
		t.Error("the spray is folded")
	}
	if !named(detect.SuccessAfterFailures, "victim") {
		t.Error("the takeover is not named")
	}
	running := map[uint64]bool{}
	for _, d := range w.found {
		if d.Rule.Name == detect.PasswordSpray && !d.Folded {
			running[d.Episode] = d.Phase != detect.End
		}
	}
	open := 0
	for _, is := range running {
		if is {
			open++
		}
	}
	if open > detect.MaxEpisodes {
		t.Errorf("%d episodes are open at once", open)
	}
}

// TestNoObserverExportsFingerprints: attempt.Result.PasswordFingerprint stays in memory.
func TestNoObserverExportsFingerprints(t *testing.T) {
	t.Parallel()
	const fingerprint = 0xf1e2d3c4b5a69788
	rec := otelauthtest.NewRecorder(t)
	w := newWatch(t, reportingTo(rec.LoggerProvider(), rec.MeterProvider()))
	obs := attempt.Join(rec.Observers(""), w.d)
	for i := range 60 {
		req := attempt.Request{Context: context.Background(), Time: w.now, Scheme: attempt.SchemeBasic, Client: netip.MustParseAddr(network(i)), Route: "/orders"}
		res := attempt.Result{
			Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Reason: attempt.ReasonWrongPassword,
			UserName: fmt.Sprint("user", i), UserHash: fmt.Sprint("k:", i), PasswordFingerprint: fingerprint,
		}
		ctx := obs.Begin(req.Context, &req)
		if err := obs.Decide(ctx, &req, &res); err != nil {
			t.Fatal(err)
		}
		obs.End(req.Context, &req, &res, &attempt.Response{Status: 401})
		w.pass(time.Minute)
	}
	if w.starts(detect.SamePassword) != 1 {
		t.Fatal("same_password does not fire, so the test proves nothing")
	}
	data, err := rec.OTLP()
	if err != nil {
		t.Fatal(err)
	}
	hex := fmt.Sprintf("%x", uint64(fingerprint))
	signed := int64(fingerprint - 1<<64)
	for what, form := range map[string]string{
		"hex": hex, "HEX": strings.ToUpper(hex), "decimal": fmt.Sprint(uint64(fingerprint)), "signed": fmt.Sprint(signed),
		"big endian": string(binary.BigEndian.AppendUint64(nil, fingerprint)), "little endian": string(binary.LittleEndian.AppendUint64(nil, fingerprint)),
		"varint": string(binary.AppendUvarint(nil, fingerprint)), "zigzag": string(binary.AppendVarint(nil, signed)),
	} {
		if strings.Contains(string(data), form) {
			t.Errorf("the fingerprint is exported, as %s", what)
		}
	}
}
