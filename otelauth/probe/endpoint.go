// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// trial is the work on one endpoint: what is known of it, and the attempts so far.
type trial struct {
	p *Prober
	s sender
	c *cell

	row      Row
	findings []*Finding
	control  *response // the answer with the right credentials, or nil
	// own is the content of the control that neither error page has.
	own         words
	controlText words
	errorPage   words
	deniedPage  words
	personal    bool // the control shows the name of the user
	none        *response
	noneVerdict Verdict
	noneIndex   int
	acceptsAny  bool // an unknown user gets the content
	acceptsTwo  bool // two wrong fields get the content
	pending     bool // the verdict of none depends on unknown
	unknown     *response
	lastBody    []byte
	lastWords   words // of lastBody
	echoed      bool  // the answer at hand shows the credentials
}

// endpoint sends the matrix for one endpoint.
func (p *Prober) endpoint(ctx context.Context, s sender, e Endpoint) Row {
	if p.config.Done != nil {
		if row, done := p.config.Done(e); done {
			p.keep(row)
			p.mu.Lock()
			p.taken++
			p.mu.Unlock()
			return row
		}
	}
	t := &trial{p: p, s: s, c: p.cell(e), row: Row{Endpoint: e, Attempts: []Attempt{}}}
	why := p.skipReason(ctx, e)
	switch {
	case why == notSentUnsafe, why != "" && e.Skip != "":
		t.gap(Gap{Endpoint: e.String(), Why: why})
	case why != "":
		t.row.Cut = true
	case e.Access == Public:
		t.publicEndpoint(ctx)
	default:
		t.matrix(ctx)
	}
	for _, f := range t.findings {
		t.row.Findings = append(t.row.Findings, *f)
	}
	p.keep(t.row)
	return t.row
}

// matrix sends all selected probes.
func (t *trial) matrix(ctx context.Context) {
	t.references(ctx)
	for _, probe := range t.p.selected {
		switch {
		case probe.Group == groupControl: // sent before
		case probe.Name == "plaintext": // once for the target
		case probe.Name == "another-identity":
			t.otherIdentities(ctx, probe)
		default:
			t.probe(ctx, probe)
		}
	}
	t.settleNone(t.unknown)
}

// keep adds what a row found to the report.
func (p *Prober) keep(row Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range row.Attempts {
		p.report.Verdicts[a.Verdict]++
	}
	for _, g := range row.Gaps {
		p.gaps[g]++
	}
	for _, f := range row.Findings {
		for i := range row.Attempts {
			if a := row.Attempts[i]; slices.Contains(f.Probes, a.Probe) && len(f.Attempts) < MaxExamples {
				f.Attempts = append(f.Attempts, a)
			}
		}
		p.findings = append(p.findings, f)
	}
	p.considerTiming(row)
}

// skipReason returns why nothing is sent to an endpoint.
func (p *Prober) skipReason(ctx context.Context, e Endpoint) string {
	p.mu.Lock()
	stopped := p.stopped
	p.mu.Unlock()
	switch {
	case e.Skip != "":
		return e.Skip
	case stopped != "":
		return stopped
	case ctx.Err() != nil:
		p.stop("the run was interrupted")
		return "the run was interrupted"
	case !isSafe(e.Method) && !p.config.UnsafeMethods:
		return notSentUnsafe
	}
	return ""
}

// send makes the attempt of a probe and appends it to the row. Its verdict is still open if res is
// not nil.
func (t *trial) send(ctx context.Context, probe Probe, m *message) (*Attempt, *response) {
	a, res := t.p.attempt(ctx, t.s, t.c, probe, m)
	t.row.Attempts = append(t.row.Attempts, a)
	last := &t.row.Attempts[len(t.row.Attempts)-1]
	if res == nil {
		t.note(last)
		return last, nil
	}
	t.checkEcho(last, res, m)
	return last, res
}

// settle sets the verdict of an attempt.
func (t *trial) settle(a *Attempt, v Verdict, why string) {
	if t.echoed && v != Opened {
		v, why = Leaking, "the answer shows the credentials of the request"
	}
	a.Verdict, a.Why, t.echoed = v, why, false
	t.note(a)
}

// gap records that something was not tested.
func (t *trial) gap(g Gap) { t.row.Gaps = append(t.row.Gaps, g) }

// note records a gap for an attempt without a verdict.
func (t *trial) note(a *Attempt) {
	switch a.Verdict {
	case Unknown:
		t.gap(Gap{Endpoint: t.c.endpoint.String(), Probe: a.Probe, Why: a.Why})
	case Throttled:
		t.gap(Gap{Probe: a.Probe, Why: a.Why})
	case NotSent:
		t.row.Cut = true
	}
}

// references sends the control and asks for both error pages.
func (t *trial) references(ctx context.Context) {
	control, errorPage, deniedPage := probeNamed("control"), probeNamed("error-page"), probeNamed("denied-page")
	if m, why := control.make(t.c); m == nil {
		t.gap(Gap{Probe: control.Name, Why: why})
	} else {
		a, res := t.send(ctx, control, m)
		t.judgeControl(a, res)
	}
	if m, _ := errorPage.make(t.c); m != nil {
		if a, res := t.send(ctx, errorPage, m); res != nil {
			t.errorPage = wordsOf(res.body)
			t.settle(a, t.denial(res), "")
		}
	}
	m, _ := deniedPage.make(t.c)
	if a, res := t.send(ctx, deniedPage, m); res != nil {
		t.deniedPage = wordsOf(res.body)
		t.settle(a, t.denial(res), "")
	}
	if t.control != nil {
		t.controlText = wordsOf(t.control.body)
		said := wordsOf([]byte(t.c.path + " " + t.c.query + " " + t.c.host + " " + t.c.right.Username + " " + t.c.right.Name))
		t.own = t.controlText.without(t.errorPage, t.deniedPage, said)
		t.personal = strings.Contains(string(t.control.body), t.c.right.Username)
		if t.control.cut {
			t.gap(Gap{Endpoint: t.c.endpoint.String(), Why: fmt.Sprintf("the content beyond the first %d bytes, or after the time for an answer: what follows was not compared; "+
				"raise --max-body or --timeout", len(t.control.body))})
		}
	}
}

func probeNamed(name string) Probe {
	return probes[slices.IndexFunc(probes, func(p Probe) bool { return p.Name == name })]
}

// judgeControl keeps the control if it is a success.
func (t *trial) judgeControl(a *Attempt, res *response) {
	if res == nil {
		return
	}
	e := t.c.endpoint
	switch {
	case res.status >= 200 && res.status < 300:
		t.control = res
		t.settle(a, Accepted, "")
		if cc := strings.Join(res.header.Values("Cache-Control"), ", "); e.Access == Protected && sharedCache(cc) {
			t.find(RuleCache, a, fmt.Sprintf("the answer to %s has Cache-Control: %s", a.Request.Credentials, cc))
		}
	case res.status == http.StatusUnauthorized, res.status == http.StatusForbidden:
		t.settle(a, Denied, "")
		t.find(RuleRefusedIdentity, a, fmt.Sprintf("%s gets %d", a.Identity, res.status))
		t.gap(Gap{Endpoint: e.String(), Why: fmt.Sprintf("no control: %s gets %d; answers were judged by their status alone", a.Identity, res.status)})
	default:
		where := ""
		if to := res.header.Get("Location"); to != "" {
			where = " to " + abridged(scrub(to, nil))
		}
		t.settle(a, Unknown, fmt.Sprintf("no control: the right credentials get %d%s; correct the path or its parameters", res.status, where))
	}
}

// publicEndpoint sees whether anonymous callers are let in.
func (t *trial) publicEndpoint(ctx context.Context) {
	probe := probeNamed("none")
	a, res := t.send(ctx, probe, t.c.plain())
	if res == nil {
		return
	}
	switch t.denial(res) {
	case Denied, Redirected:
		t.settle(a, Denied, "")
		t.find(RulePublic, a, fmt.Sprintf("no credentials get %d", res.status))
	default:
		t.settle(a, Accepted, "")
	}
}

// probe sends one probe and judges its answer.
func (t *trial) probe(ctx context.Context, probe Probe) {
	if probe.Name != "unknown-user" {
		t.settleNone(t.unknown)
	}
	if t.noneVerdict == Opened && probe.Name != "unknown-user" {
		return // the finding is made: every caller gets the content
	}
	m, why := probe.make(t.c)
	if m == nil {
		if why != "" {
			t.gap(Gap{Probe: probe.Name, Why: why})
		}
		return
	}
	if path, _, _ := strings.Cut(m.target, "?"); probe.Group == groupPath && t.p.open[path] {
		return // the spelling is the path of another endpoint, which may be open
	}
	a, res := t.send(ctx, probe, m)
	if res == nil {
		t.unanswered(probe, a)
		return
	}
	t.judge(ctx, probe, a, res, m)
}

// unanswered judges an attempt without an answer: a target may close the connection on what it
// does not accept.
func (t *trial) unanswered(probe Probe, a *Attempt) {
	malformed := probe.Group == groupProtocol || probe.Name == "oversized" || probe.Name == "raw-control" || probe.Group == groupPath || probe.Group == groupMethod
	if a.Verdict != Unknown || !malformed || a.Answer.Error == "no answer in time" || t.none == nil {
		return
	}
	t.row.Gaps = t.row.Gaps[:len(t.row.Gaps)-1]
	t.settle(a, Refused, a.Answer.Error)
}

// otherIdentities sends the request with each account besides that of the control.
func (t *trial) otherIdentities(ctx context.Context, probe Probe) {
	if t.noneVerdict == Opened {
		return
	}
	for i := range t.p.config.Identities {
		id := &t.p.config.Identities[i]
		if id == t.c.right {
			continue
		}
		a, res := t.send(ctx, probe, t.c.as(id, "Basic"))
		if res == nil {
			continue
		}
		a.ID = probe.Name + "=" + id.Name + " " + t.c.endpoint.String()
		t.judgeIdentity(a, res, id)
	}
}

func (t *trial) judgeIdentity(a *Attempt, res *response, id *Identity) {
	content, why := t.content(res, t.own)
	a.Similarity = content.share
	allowed := admits(t.c.endpoint, id)
	switch {
	case allowed && (res.status < 300 || res.status != http.StatusUnauthorized && res.status != http.StatusForbidden):
		t.settle(a, Accepted, "")
	case allowed:
		t.settle(a, Denied, "")
		t.find(RuleRefusedIdentity, a, fmt.Sprintf("%s gets %d", id.Name, res.status))
	case content.opened:
		t.settle(a, Opened, why)
		if t.acceptsAny {
			return // a consequence
		}
		t.find(RuleGroup, a, fmt.Sprintf("%s, who has none of the groups %s, gets %d with %s", id.Name, strings.Join(t.c.endpoint.Groups, ", "), res.status, why))
	case content.unclear:
		t.settle(a, Unknown, why)
	default:
		t.settle(a, t.denial(res), "")
	}
}

// find records a finding of the endpoint. Findings with the same rule are one, with several probes.
func (t *trial) find(rule Rule, a *Attempt, detail string) {
	i := slices.IndexFunc(t.findings, func(f *Finding) bool { return f.Rule == rule })
	if i < 0 {
		t.findings = append(t.findings, newFinding(rule, t.c.endpoint, detail))
		i = len(t.findings) - 1
	}
	if f := t.findings[i]; !slices.Contains(f.Probes, a.Probe) {
		f.Probes = append(f.Probes, a.Probe)
	}
}

// newFinding returns a finding of an endpoint, or of the target if e is the zero value.
func newFinding(rule Rule, e Endpoint, detail string) *Finding {
	id := string(rule)
	if e.Path != "" {
		id += " " + e.String()
	}
	return &Finding{ID: id, Rule: rule, Severity: rule.Text().Severity, Endpoint: e, Detail: detail}
}
