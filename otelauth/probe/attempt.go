// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxTries bounds how often a throttled request is sent.
const maxTries = 4

// attempt sends a message and returns what happened. res is nil if there was no answer; the
// verdict of a is then Unknown, NotSent or Throttled.
func (p *Prober) attempt(ctx context.Context, s sender, c *cell, probe Probe, m *message) (a Attempt, res *response) {
	guess := m.isGuess()
	for range maxTries {
		a, res = p.once(ctx, s, c, probe, m, guess)
		if res == nil || !throttles(res) {
			return a, res
		}
		if !p.pace.throttled(res, guess) {
			break
		}
	}
	a.Verdict, a.Why = Throttled, "the target limits attempts; it asks to wait "+orText(res.header.Get("Retry-After"), "without saying how long")
	return a, nil
}

func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return s + " s"
	}
	return "until " + s
}

// throttles reports whether the target limits the rate of attempts.
func throttles(res *response) bool {
	return res.status == http.StatusTooManyRequests ||
		res.status == http.StatusServiceUnavailable && res.header.Get("Retry-After") != ""
}

// once sends the message once, with tokens of its own.
func (p *Prober) once(ctx context.Context, s sender, c *cell, probe Probe, m *message, guess bool) (Attempt, *response) {
	a := Attempt{
		ID: probe.Name + " " + c.endpoint.String(), Probe: probe.Name, Identity: m.identity,
		Username: m.username, Outcome: probe.Outcome,
	}
	if guess && p.pace.isBlocked() {
		a.Verdict, a.Why = Throttled, "not sent: the target asks to wait longer than --max-wait before the next guess"
		return a, nil
	}
	answered, err := p.pace.wait(ctx, guess)
	if err != nil {
		a.Verdict = NotSent
		if errors.Is(err, errBound) {
			a.Why = errBound.Error()
		} else {
			a.Why = "the run was interrupted"
		}
		p.stop(a.Why)
		return a, nil
	}
	marked := p.mark(&a, m)
	a.Sent = p.config.Now()
	if p.config.Sending != nil {
		a.Request.Method, a.Request.Target = m.method, m.target
		p.config.Sending(a)
	}
	res, err := s.send(ctx, marked)
	a.Answered = p.config.Now()
	answered(a.Answered)
	if p.config.Answered != nil {
		if res != nil {
			a.Answer.Status, a.Client = res.status, res.client
		}
		p.config.Answered(a)
	}
	a.Request = marked.request(p.base())
	p.progress()
	if err != nil {
		a.Verdict, a.Why, a.Answer.Error = Unknown, err.Error(), err.Error()
		if errors.Is(err, context.Canceled) {
			a.Verdict, a.Why = NotSent, "the run was interrupted"
			p.stop(a.Why)
		}
		return a, nil
	}
	a.Client = res.client
	a.Answer = p.answer(res, m)
	return a, res
}

func (p *Prober) base() string { return p.target.Scheme + "://" + p.target.Host }

// mark returns the message with the tokens of the attempt, in front of its other fields.
func (p *Prober) mark(a *Attempt, m *message) *message {
	a.Token = p.names.run + "-" + encode(p.names.count.Add(1))
	marked := *m
	marked.fields = make([]field, 0, len(m.fields)+4)
	agent := "otelauth-probe"
	for _, by := range p.config.Correlate {
		switch by {
		case correlateTrace:
			ids := randomHex(24)
			a.TraceID = ids[:32]
			marked.add("traceparent", "00-"+a.TraceID+"-"+ids[32:]+"-01")
		case correlateRequest:
			a.RequestID = a.Token
			marked.add("X-Request-Id", a.Token)
		case correlateAgent:
			agent += " (" + a.Token + ")"
		}
	}
	a.UserAgent = agent
	marked.add("User-Agent", agent).add("Accept", "*/*")
	marked.fields = append(marked.fields, m.fields...)
	return &marked
}

// answer returns the response for a report.
func (p *Prober) answer(res *response, m *message) Answer {
	sum := sha256.Sum256(res.body)
	excerpt := res.body[:min(len(res.body), ExcerptBytes)]
	for len(excerpt) > 0 && len(excerpt) < len(res.body) && !utf8.RuneStart(res.body[len(excerpt)]) {
		excerpt = excerpt[:len(excerpt)-1]
	}
	a := Answer{
		Status: res.status, BodyBytes: int64(len(res.body)), Cut: res.cut, SHA256: hex.EncodeToString(sum[:]),
		Excerpt: strings.ToValidUTF8(scrub(string(excerpt), m.secrets), "\uFFFD"), Latency: res.latency,
	}
	a.Headers = make([]Header, 0, len(res.header))
	for name, values := range res.header {
		for _, v := range values {
			a.Headers = append(a.Headers, Header{name, abridged(strings.ToValidUTF8(scrub(v, m.secrets), "\uFFFD"))})
		}
	}
	slices.SortFunc(a.Headers, func(x, y Header) int { return strings.Compare(x.Name, y.Name) })
	return a
}

// progress reports the state of the run.
func (p *Prober) progress() {
	if p.config.Progress == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	state := Progress{
		Endpoints: len(p.config.Endpoints), EndpointsDone: p.done, Requests: p.pace.sent(), Findings: len(p.findings),
		Elapsed: p.elapsed(), Waiting: p.pace.waitingUntil(),
	}
	if done := p.done - p.taken; done > 0 && p.done < state.Endpoints {
		state.Remaining = time.Duration(float64(state.Elapsed) / float64(done) * float64(state.Endpoints-p.done))
	}
	p.config.Progress(state)
}

func parseHTTPTime(text string) (time.Time, error) { return http.ParseTime(text) }
