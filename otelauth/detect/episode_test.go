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

	"github.com/otelauth/otelauth-go/internal/testkit"
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

// provoke lets the n-th network of an attacker fire one or more rules that are cheap to fire.
func (w *watch) provoke(n int) {
	guess := func(name string, password int, unknown bool) {
		w.try(try{
			name: name, unknown: unknown, password: uint64(1_000_000 + 100*n + password), from: network(n), sensitive: n%2 == 0,
		})
	}
	switch n % 4 {
	case 0: // failure_burst, sensitive_only_denied, password_spray; together distributed_guessing
		for i := range 14 {
			guess(fmt.Sprint("root", n/40*14+i), i, false)
		}
	case 1, 2: // failure_burst, sensitive_only_denied, credential_stuffing
		for i := range 22 {
			guess(fmt.Sprint("none", 100*n+i), i, i%4 != 0)
		}
	case 3: // failure_burst, brute_force; then a success of an account of the attacker
		for i := range 31 {
			guess(fmt.Sprint("own", n), i, false)
		}
		w.try(try{name: fmt.Sprint("own", n), from: network(n)})
	}
	w.pass(100 * time.Millisecond)
}

// named reports whether an episode of a rule that is not the folded one names a network and all
// accounts.
func (w *watch) named(rule, network string, accounts ...string) bool {
	return slices.ContainsFunc(w.found, func(d detect.Detection) bool {
		return d.Rule.Name == rule && !d.Folded && slices.Contains(d.Networks, netip.MustParsePrefix(network+".0/24")) &&
			!slices.ContainsFunc(accounts, func(n string) bool { return !slices.Contains(d.Accounts, n) })
	})
}

// TestFloodOfEpisodesHidesNoAttack: beside 10,000 provoked networks, which fill the episodes of
// each rule that is cheap to fire, a spray is named, and so is each takeover.
func TestFloodOfEpisodesHidesNoAttack(t *testing.T) {
	t.Parallel()
	provoked := testkit.Repeats(2400, 10_000)
	w := newWatch(t, func(cfg *detect.Config) {
		// distributed_stuffing would detect the flood as one attack, and takeovers as part of it.
		cfg.Entries, cfg.Off = 1<<14, []string{detect.DistributedStuffing}
	})
	victims := []string{"early", "sprayed", "folded", "distributed", "brute"}
	for range 2 {
		for _, name := range victims {
			w.live(1, name, "")
		}
		for n := 3; n < provoked; n += 4 {
			w.try(try{name: fmt.Sprint("own", n), from: "192.0.2.9"})
		}
	}
	w.found = nil
	const early, spray, small, brute = "198.51.99", "198.51.100", "198.51.101", "198.51.102"
	for i := range 11 {
		w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1), from: early + ".9"})
		w.pass(2 * time.Minute)
	}
	w.try(try{name: "early", from: early + ".9"})
	n := 0
	flood := func(share int) {
		for range provoked / share {
			w.provoke(n)
			n++
		}
	}
	flood(4)
	for i := range 12 { // stays folded
		w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1), from: small + ".9"})
		w.pass(2 * time.Minute)
	}
	w.try(try{name: "user11", password: 12, from: early + ".9"}) // continues
	for i := range 100 {
		w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1000), from: spray + ".9"})
		if i < 30 {
			w.try(try{name: "brute", password: uint64(i + 2000), from: brute + ".9"})
			w.try(try{name: "distributed", password: uint64(i + 3000), from: fmt.Sprintf("198.52.%d.9", i)})
		}
		w.pass(15 * time.Second)
		flood(200)
	}
	flood(4)
	w.try(try{name: "sprayed", from: spray + ".9"})
	w.try(try{name: "folded", from: small + ".9"})
	w.try(try{name: "brute", from: brute + ".9"})
	w.try(try{name: "another", password: 4000, from: "198.52.3.9"})
	w.try(try{name: "distributed", from: "198.52.3.9"})
	for _, rule := range []string{
		detect.FailureBurst, detect.SensitiveOnlyDenied, detect.PasswordSpray, detect.CredentialStuffing, detect.BruteForce, detect.SuccessAfterFailures,
	} {
		if got := w.starts(rule); got < detect.MaxEpisodes {
			t.Errorf("the flood starts %d episodes of %s, so it does not fill them", got, rule)
		}
	}
	if !w.named(detect.PasswordSpray, spray) {
		t.Error("the spray is folded")
	}
	for network, victim := range map[string]string{early: "early", spray: "sprayed", small: "folded", brute: "brute", "198.52.3": "distributed"} {
		if !w.named(detect.SuccessAfterFailures, network, victim) {
			t.Errorf("the takeover of %s from %s.0/24 is not named", victim, network)
		}
	}
	for _, d := range w.found {
		if d.Phase == detect.Start && d.Rule.Name == detect.SuccessAfterFailures && d.Accounts[0] == "folded" && d.PartOf == 0 {
			t.Error("the takeover is not part of the folded attack")
		}
		if d.Phase == detect.End && d.Rule.Name == detect.SuccessAfterFailures && slices.Contains(victims[1:], d.Accounts[0]) {
			t.Errorf("the takeover of %s gives way to earlier ones of the flood", d.Accounts[0])
		}
		if d.Phase == detect.End && d.Rule.Name == detect.PasswordSpray && slices.Contains(d.Networks, netip.MustParsePrefix(early+".0/24")) {
			t.Error("a spray with a success gives way to the flood")
		}
	}
	open := map[string]map[uint64]bool{}
	for _, d := range w.found {
		of := open[d.Rule.Name]
		if of == nil {
			of = map[uint64]bool{}
			open[d.Rule.Name] = of
		}
		if of[d.Episode] = true; d.Phase == detect.End {
			delete(of, d.Episode)
		}
		if len(of) > detect.MaxEpisodes+1 {
			t.Fatalf("%d episodes of %s are open at once", len(of), d.Rule.Name)
		}
	}
}

// TestTakeoverNamesItsNetwork: the event of a takeover names the network of the success first, also
// after guesses from more networks than an event lists. A further network that the account is
// entered from is named at once, although the episode is open.
func TestTakeoverNamesItsNetwork(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	w.live(2, "alice", "")
	for i := range 20 {
		w.try(try{password: uint64(i + 1), from: network(i)})
	}
	for i := range 40 {
		w.found = nil
		from := fmt.Sprintf("198.51.%d", i)
		w.try(try{from: from + ".9"})
		d := slices.IndexFunc(w.found, func(d detect.Detection) bool { return d.Rule.Name == detect.SuccessAfterFailures })
		switch {
		case i == 0 && (d < 0 || w.found[d].Phase != detect.Start || w.found[d].Networks[0].String() != from+".0/24" || w.found[d].PartOf == 0):
			t.Fatalf("the takeover: %+v", w.found)
		case i == 0, i >= 8 && d < 0:
		case i < 8 && (d < 0 || w.found[d].Phase != detect.Update || !w.named(detect.SuccessAfterFailures, from, "alice")):
			t.Errorf("success %d: %+v", i, w.found)
		case i >= 8 && w.found[d].Attempts < 16:
			t.Errorf("the episode has an event for each success, also after %d", i)
		}
		w.pass(time.Minute)
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
