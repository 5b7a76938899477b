// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package probeproof connects the requests of package probe with the judgement of package
// evidence: what each request of the matrix should leave in telemetry, and what a judgement means
// for the report.
package probeproof

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
)

// GapName is the Probe of gaps that are about telemetry.
const GapName = "telemetry"

// Proof follows a run. Create it with [New].
type Proof struct {
	ledger    *evidence.Ledger
	endpoints map[string]probe.Endpoint
	accounts  map[string]bool
	secrets   []string // what they are
	client    netip.Addr

	mu   sync.Mutex
	sent map[string]sent // by token
	// elsewhere has the endpoints whose control got neither the content nor a denial, and its
	// status: the service may answer before it asks for credentials, such as for a wrong path.
	elsewhere map[string]int
	failed    error
}

// sent is a request that evidence is expected of.
type sent struct {
	endpoint, probe string
	expectation     map[string]string
}

// New makes the run of cfg report its requests to the Proof. Call it before probe.New, and
// [Proof.Use] before the run.
func New(cfg *probe.Config) *Proof {
	p := &Proof{
		endpoints: make(map[string]probe.Endpoint), accounts: map[string]bool{cfg.Throwaway: cfg.Throwaway != ""},
		sent: make(map[string]sent), elsewhere: make(map[string]int),
	}
	for _, e := range cfg.Endpoints {
		if e.Method == "" {
			e.Method = http.MethodGet
		}
		p.endpoints[e.String()] = e
	}
	for _, id := range cfg.Identities {
		p.accounts[id.Username] = true
	}
	if u, err := url.Parse(cfg.Target); err == nil && cfg.Handler == nil {
		// The service sees the address of a connection within this machine as we do.
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() {
			p.client = ip
		}
	}
	p.secrets = secretNames(cfg.Identities)
	cfg.Sending, cfg.Answered = p.sending, p.answered
	return p
}

// Use sets the ledger that gets the requests. It needs the canaries of the prober, so it is made
// after the prober.
func (p *Proof) Use(ledger *evidence.Ledger) { p.ledger = ledger }

// Expected returns what telemetry rightly holds of the run: the names and the paths.
func (p *Proof) Expected() []string {
	list := slices.Collect(maps.Keys(p.accounts))
	for _, e := range p.endpoints {
		list = append(list, e.Path)
	}
	return list
}

// secretNames describe what [probe.Prober.Canaries] returns, in its order.
func secretNames(identities []probe.Identity) []string {
	names := []string{"a wrong password", "the credentials of an unknown user"}
	for _, id := range identities {
		name := cmp.Or(id.Name, id.Username)
		names = append(names, "the password of "+name, "the credentials of "+name)
	}
	return names
}

// SecretNames says what the canaries of the prober are.
func (p *Proof) SecretNames() []string { return p.secrets }

// endpointOf returns the endpoint of an attempt as text.
func endpointOf(a probe.Attempt) string { return strings.TrimPrefix(a.ID, a.Probe+" ") }

func (p *Proof) sending(a probe.Attempt) {
	x := p.expectation(a)
	p.mu.Lock()
	p.sent[a.Token] = sent{endpointOf(a), a.Probe, describe(x)}
	p.mu.Unlock()
	p.note(p.ledger.Expect(x))
}

func (p *Proof) answered(a probe.Attempt) {
	p.mu.Lock()
	if s := a.Answer.Status; a.Probe == "control" && (s >= 300 && s < 400 || s == http.StatusNotFound || s == http.StatusGone) {
		p.elsewhere[endpointOf(a)] = s
	}
	optional := p.elsewhere[endpointOf(a)] != 0
	p.mu.Unlock()
	p.note(p.ledger.Answered(a.Token, evidence.Answer{Status: a.Answer.Status, Time: a.Answered, Optional: optional}))
}

func (p *Proof) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		p.failed = err
	}
}

// The outcomes by their names in telemetry.
var (
	missing   = attempt.Missing.String()
	malformed = attempt.Malformed.String()
	failure   = attempt.Failure.String()
	success   = attempt.Success.String()
	throttled = attempt.Throttled.String()
)

// expectation returns what telemetry should hold of a request.
func (p *Proof) expectation(a probe.Attempt) evidence.Expectation {
	e := p.endpoints[endpointOf(a)]
	x := evidence.Expectation{
		ID: a.Token, TraceID: a.TraceID, RequestID: a.RequestID, Sent: a.Sent, Client: p.client,
		Method: knownMethod(a.Request.Method), MethodOriginal: a.Request.Method,
	}
	if strings.Contains(a.UserAgent, a.Token) {
		x.AgentToken = a.Token
	}
	x.Outcomes, x.Optional = p.outcomes(a, e)
	if slices.Equal(x.Outcomes, []string{success}) || slices.Contains(x.Outcomes, failure) {
		x.User, x.Account = a.Username, p.accounts[a.Username]
	}
	x.AnyUser = len(x.Outcomes) > 1 && x.User == "" // such as an empty name
	if slices.Contains(ambiguous, a.Probe) {
		x.User, x.AnyUser = a.Username, true
	}
	if a.Request.Target == e.Path && a.Request.Method == e.Method {
		x.Path, _, _ = strings.Cut(e.Path, "?")
		x.Route = e.Route
	}
	if len(x.Outcomes) > 0 {
		x.Outcomes = append(x.Outcomes, throttled)
	}
	return x
}

// ambiguous are malformed credentials in which a service may see a name.
var ambiguous = []string{"control-character", "two-wrong", "two-headers", "joined-header"}

// outcomes returns the outcomes that a request may have, and whether the server may refuse it
// before authentication.
func (p *Proof) outcomes(a probe.Attempt, e probe.Endpoint) (list []string, optional bool) {
	anonymous := a.Request.Target == e.Path && a.Outcome == probe.OutcomeMissing
	switch {
	case e.Access == probe.Public:
		return nil, true
	case a.Probe == "another-identity":
		return []string{success, failure}, false
	case a.Outcome == probe.OutcomeSuccess:
		return []string{success}, false
	case anonymous && a.Request.Method == e.Method:
		return []string{missing}, e.Access == probe.Optional
	case a.Outcome == probe.OutcomeFailure:
		return []string{failure}, false
	case a.Outcome == probe.OutcomeMalformed:
		return []string{malformed}, a.Probe == "two-headers" || a.Probe == "two-wrong"
	}
	switch a.Probe {
	case "empty-user", "empty-both", "bearer":
		return []string{missing, malformed, failure}, false
	case "error-page":
		return []string{success}, true
	}
	return []string{missing, malformed, failure}, true
}

// knownMethod returns the method as telemetry names it.
func knownMethod(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
		return method
	}
	return "_OTHER"
}

// describe returns an expectation for a report.
func describe(x evidence.Expectation) map[string]string {
	m := map[string]string{"auth.outcome": strings.Join(x.Outcomes, " or ")}
	for key, value := range map[string]string{
		"user": x.User, "client.address": "", "http.route": x.Route, "url.path": x.Path, "http.request.method": x.Method,
	} {
		if value != "" {
			m[key] = value
		}
	}
	if x.Client.IsValid() {
		m["client.address"] = x.Client.String()
	}
	return m
}

// Apply adds the judgement of the ledger to the report. The function that it returns completes an
// attempt with its evidence. The error says that the ledger could not follow the run.
func (p *Proof) Apply(report *probe.Report, judged evidence.Report) (func(*probe.Attempt), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	byToken := make(map[string]*evidence.Judgement, len(judged.Attempts))
	found := make(map[string]*probe.Finding)
	unknown := make(map[probe.Gap]int)
	for i := range judged.Attempts {
		j := &judged.Attempts[i]
		byToken[j.ID] = j
		of := p.sent[j.ID]
		if status := p.elsewhere[of.endpoint]; status != 0 && len(j.Arrived) == 0 {
			unknown[probe.Gap{Endpoint: of.endpoint, Probe: GapName, Why: fmt.Sprintf("an attempt without a record is no finding here: the right credentials get %d, "+
				"so the service may answer before it asks for credentials", status)}] = 1
		}
		for _, f := range j.Findings {
			if f.Verdict.IsGap() {
				add(found, f, p.endpoints[of.endpoint], of.probe)
			} else if f.Verdict == evidence.Unknown {
				unknown[probe.Gap{Probe: GapName, Why: f.Detail}]++
			}
		}
	}
	for _, f := range judged.Findings {
		if f.Verdict.IsGap() {
			add(found, f, probe.Endpoint{}, "")
		} else {
			unknown[probe.Gap{Probe: GapName, Why: f.Detail}]++
		}
	}
	for _, f := range found {
		report.Findings = append(report.Findings, *f)
	}
	for g, n := range unknown {
		g.Times = n
		report.NotTested = append(report.NotTested, g)
	}
	report.Telemetry = summary(judged)
	report.Sort()
	return func(a *probe.Attempt) {
		if j := byToken[a.Token]; j != nil {
			a.Evidence = evidenceOf(j, p.sent[a.Token].expectation)
		}
	}, p.failed
}

// add adds a finding of telemetry. Those of one endpoint with the same verdict, signal and field
// are one.
func add(found map[string]*probe.Finding, f evidence.Finding, e probe.Endpoint, name string) {
	rule := probe.RuleTelemetry
	if f.Verdict == evidence.Leaked {
		rule = probe.RuleSecret
	}
	what := strings.ReplaceAll(string(f.Verdict), " ", "-")
	id := string(rule) + " " + strings.Trim(what+"/"+f.Signal+"/"+lasting(f), "/")
	if e.Path != "" {
		id += " " + e.String()
	}
	known := found[id]
	if known == nil {
		known = &probe.Finding{ID: id, Rule: rule, Severity: rank(f.Verdict), Endpoint: e, Detail: detail(f)}
		found[id] = known
	}
	if name != "" && !slices.Contains(known.Probes, name) {
		known.Probes = append(known.Probes, name)
	}
}

// lasting returns the field of a finding as far as it is the same in each run: neither the number
// of a line nor a trace id.
func lasting(f evidence.Finding) string {
	if f.Requirement == evidence.NoOthers || f.Requirement == evidence.NoSecrets && f.Signal == "line" {
		return ""
	}
	return f.Field
}

func detail(f evidence.Finding) string {
	text := f.Signal + ": " + string(f.Verdict)
	if f.Requirement == evidence.NoSecrets {
		return text + ". " + f.Detail
	}
	if f.Field != "" {
		text += ": " + f.Field
	}
	if f.Want != "" || f.Got != "" {
		text += fmt.Sprintf(": want %s, got %s", orNone(f.Want), orNone(f.Got))
	}
	return text + ". " + f.Detail
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// rank returns the severity of a gap.
func rank(v evidence.Verdict) probe.Severity {
	switch v {
	case evidence.Leaked, evidence.Missing:
		return probe.High
	case evidence.Incomplete, evidence.Late, evidence.SpanElsewhere, evidence.SpanMissing:
		return probe.Low
	}
	return probe.Medium
}

// summary counts the verdicts for the report.
func summary(r evidence.Report) *probe.Telemetry {
	t := &probe.Telemetry{
		Attempts: make(map[string]int), MedianDelay: r.Delay.Median, P95Delay: r.Delay.P95, MaxDelay: r.Delay.Max,
		Events: r.Received.Events + r.Received.Lines, Spans: r.Received.Spans, Points: r.Received.Points,
	}
	for v, n := range r.Count() {
		t.Attempts[string(v)] = n
	}
	for _, x := range r.Series {
		t.Series = append(t.Series, probe.Series{
			Outcome: x.Outcome, Method: x.Method, Route: x.Route, Least: x.Least, Most: x.Most, Counted: x.Counted, Verdict: string(x.Verdict),
		})
	}
	return t
}

func evidenceOf(j *evidence.Judgement, expected map[string]string) *probe.Evidence {
	e := &probe.Evidence{Verdict: string(j.Verdict), Expected: expected, Delay: j.Delay}
	for _, f := range j.Findings {
		e.Problems = append(e.Problems, detail(f))
		if f.Field != "" && !slices.Contains(e.Fields, f.Field) {
			e.Fields = append(e.Fields, f.Field)
		}
	}
	for _, a := range j.Arrived {
		e.Arrived = append(e.Arrived, probe.Record{Signal: a.Signal, Name: a.Name, Line: a.Line, TraceID: a.TraceID, Attributes: a.Attributes})
	}
	return e
}
