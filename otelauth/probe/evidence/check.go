// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// Short names, because this file is about them.
const (
	keyOutcome  = semconv.KeyOutcome
	keyUserName = semconv.KeyUserName
	keyUserHash = semconv.KeyUserHash
	keyClient   = semconv.KeyClientAddress
	keyMethod   = semconv.KeyHTTPRequestMethod
	keyRoute    = semconv.KeyHTTPRoute
	keyPath     = semconv.KeyURLPath
	keyStatus   = semconv.KeyHTTPResponseStatusCode
	keyAgent    = semconv.KeyUserAgentOriginal
)

// checker compares what arrived about one request after another with what was expected.
type checker struct {
	*Ledger
	hashes hashes
	spanOf map[spanID]traceID // lazily
}

// judge adds the findings about one request, except those about folds and secrets.
func (c *checker) judge(e *entry, j *Judgement) {
	for i, of := range e.events {
		if i == 0 {
			j.TraceID = of.trace.String()
			j.Delay = max(0, of.arrived.Sub(e.answer.Time))
		}
		a := Arrived{Signal: of.signal, Name: of.name, Line: of.line, TraceID: of.trace.String(), Attributes: map[string]string{}}
		for _, kv := range of.attributes {
			a.Attributes[kv.key] = c.safe(kv.value)
		}
		j.Arrived = append(j.Arrived, a)
	}
	if len(e.Outcomes) == 0 {
		if e.count > 0 && c.require[NoOthers] {
			j.add(Finding{
				Verdict: Unexpected, Requirement: NoOthers, Signal: e.events[0].signal, Got: c.safe(e.events[0].summary()),
				Detail: "The request is not an attempt: the endpoint is public and the request had no credentials.",
			})
		}
		return
	}
	if e.count == 0 {
		return // judgeFolds decides
	}
	c.duplicates(e, j)
	c.union(e, j)
	for _, of := range e.events {
		c.attributes(e, of, j)
		c.spansOf(e, of, j)
	}
	if c.cfg.Late > 0 && j.Delay > c.cfg.Late {
		j.add(Finding{
			Verdict: Late, Requirement: Events, Signal: e.events[0].signal, Want: "at most " + c.cfg.Late.String(), Got: j.Delay.String(),
			Detail: "The event arrived late. Shorten the schedule of the batch processor, or look for a slow exporter.",
		})
	}
}

// duplicates reports several events, or several lines of one name.
func (c *checker) duplicates(e *entry, j *Judgement) {
	if !c.require[Events] && !c.require[EachAttempt] {
		return
	}
	names := map[string]int{}
	for _, of := range e.events {
		name := of.name
		if of.signal == "event" {
			name = ""
		}
		names[name]++
	}
	for _, n := range names {
		if n > 1 || e.count > maxEvents {
			j.add(Finding{
				Verdict: Duplicate, Requirement: Events, Signal: e.events[0].signal, Want: "1", Got: strconv.Itoa(e.count),
				Detail: "The attempt was recorded more than once. Look for a middleware that is installed twice, or two exporters.",
			})
		}
	}
}

// union checks what one of several lines about a request may hold: outcome and status.
func (c *checker) union(e *entry, j *Judgement) {
	first := e.events[0]
	status, hasStatus, isElsewhere := "", false, false
	outcomeIsRight, hasOutcome := false, false
	wrongOutcome := ""
	for _, of := range e.events {
		if o := of.get(keyOutcome); o != "" {
			hasOutcome = true
			if e.accepts(o) {
				outcomeIsRight = true
			} else {
				wrongOutcome = o
			}
		}
		if s := of.get(keyStatus); s != "" {
			hasStatus = true
			if !e.isStatus(s) {
				status = s
			}
		}
		isElsewhere = isElsewhere || of.get(semconv.KeyResponseElsewhere) == "true"
	}
	want := strings.Join(e.outcomes(), " or ")
	switch {
	case !hasOutcome:
		if !e.Optional { // the line may be about another thing than authentication
			c.lacks(e, j, Events, first, keyOutcome, want)
		}
	case !outcomeIsRight || wrongOutcome != "":
		c.wrong(j, Events, first, keyOutcome, want, wrongOutcome, "The outcome is not that of the request.")
	}
	switch {
	case !c.require[Status] || e.answer.Status == 0 || isElsewhere:
	case !hasStatus:
		c.lacks(e, j, Status, first, keyStatus, strconv.Itoa(e.answer.Status))
	case status != "":
		c.wrong(j, Status, first, keyStatus, strconv.Itoa(e.answer.Status), status, "The client got another status.")
	}
}

// attributes checks what each event must hold.
func (c *checker) attributes(e *entry, of *event, j *Judgement) {
	for _, a := range []struct {
		requirement Requirement
		key, want   string
		is          func(got string) bool
	}{
		{Client, keyClient, textOfAddr(e.Client), func(got string) bool { return isAddr(got, e.Client) }},
		{Method, keyMethod, e.Method, func(got string) bool { return got == e.Method || of.signal == "line" && e.isMethod(got) }},
		{Route, keyRoute, e.Route, func(got string) bool { return c.known(got) == e.Route }},
		{Path, keyPath, e.Path, e.isPath},
		{Agent, keyAgent, e.AgentToken, func(got string) bool { return c.by.inText(got) == e }},
	} {
		if !c.require[a.requirement] || a.want == "" || a.requirement == Route && of.signal == "line" && of.get(keyRoute) == "" {
			continue
		}
		switch got := of.get(a.key); {
		case got == "":
			c.lacks(e, j, a.requirement, of, a.key, a.want)
		case !a.is(got):
			c.wrong(j, a.requirement, of, a.key, a.want, got, "The value is not that of the request.")
		}
	}
	c.user(e, of, j)
	if !of.time.IsZero() {
		earliest, latest := e.Sent.Add(-c.cfg.Skew-of.resolution), e.answer.Time.Add(c.cfg.Skew)
		if of.time.Before(earliest) || e.answered && of.time.After(latest) {
			c.wrong(j, Events, of, "time", "within "+c.cfg.Skew.String()+" of the request", of.time.UTC().Format("2006-01-02T15:04:05.000Z"),
				"The time of the record is not that of the request. Compare the clocks.")
		}
	}
}

func textOfAddr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}

func isAddr(got string, want netip.Addr) bool {
	a, err := netip.ParseAddr(got)
	return err == nil && a.Unmap().WithZone("") == want.Unmap().WithZone("")
}

// isPath reports whether got is the path of the request: as sent, decoded, or cut at the bound of
// the event; with or without the query.
func (e *entry) isPath(got string) bool {
	got, _, _ = strings.Cut(got, "?")
	if got == e.Path || len(got) >= maxValueBytes && strings.HasPrefix(e.Path, got) {
		return true
	}
	decoded, err := url.PathUnescape(e.Path)
	return err == nil && got == decoded
}

func (e *entry) isStatus(got string) bool {
	return e.answer.Status == 0 || got == strconv.Itoa(e.answer.Status)
}

// user checks the user of an event. An attempt that was refused before the name was read has none.
func (c *checker) user(e *entry, of *event, j *Judgement) {
	if !c.require[User] || e.AnyUser {
		return
	}
	name, hash := of.get(keyUserName), of.get(keyUserHash)
	outcome := of.get(keyOutcome)
	mayLack := outcome != "success" && outcome != "failure" && of.signal == "event" || of.get(semconv.KeyErrorType) == "insecure_transport"
	switch {
	case e.User == "" && name != "":
		c.wrong(j, User, of, keyUserName, "none", name, "The request had no user.")
	case e.User == "" && hash != "":
		c.wrong(j, User, of, keyUserHash, "none", hash, "The request had no user.")
	case e.User == "":
	case name == "" && hash == "":
		if !mayLack {
			c.lacks(e, j, User, of, keyUserName, e.User)
		}
	case name != "" && name != e.User:
		c.wrong(j, User, of, keyUserName, e.User, name, "The event is about another user.")
	case name != "" && !e.Account && c.require[PrivateNames]:
		c.wrong(j, PrivateNames, of, keyUserName, "only "+keyUserHash, name, "The name is not an account. People type passwords into that field.")
	case hash != "" && e.UserHash != "" && hash != e.UserHash:
		c.wrong(j, User, of, keyUserHash, e.UserHash, hash, "The hash is not that of the user.")
	case hash != "" && (c.hashes.of[e.User] != hash || c.hashes.user[hash] != e.User):
		c.wrong(j, User, of, keyUserHash, c.hashes.of[e.User], hash, "Other events of the user have another hash, or other users have the same.")
	}
}

// lacks reports an attribute that the event does not have. The line of a server about a request
// whose fields it could not read has few.
func (c *checker) lacks(e *entry, j *Judgement, r Requirement, of *event, key, want string) {
	if e.Optional && of.signal == "line" && e.answer.Status == http.StatusBadRequest && of.get(keyAgent) == "" {
		return
	}
	j.add(Finding{
		Verdict: Incomplete, Requirement: r, Signal: of.signal, Field: key, Want: c.safe(want), Detail: c.where(of) + " lacks " + words[key] + ".",
	})
}

// wrong reports an attribute with a wrong value.
func (c *checker) wrong(j *Judgement, r Requirement, of *event, key, want, got, detail string) {
	j.add(Finding{Verdict: Wrong, Requirement: r, Signal: of.signal, Field: key, Want: c.safe(want), Got: c.safe(got), Detail: detail})
}

func (c *checker) where(of *event) string {
	if of.line > 0 {
		text := "L" + lineOfRun(of.line)[1:]
		if of.name != "" {
			text += " (" + of.name + ")"
		}
		return text
	}
	return "The event"
}

// words names attributes for people.
var words = map[string]string{
	keyOutcome: "the outcome", keyUserName: "the user", keyClient: "the address of the client", keyMethod: "the method", keyRoute: "the route",
	keyPath: "the path", keyStatus: "the status", keyAgent: "the user agent", "trace_id": "the trace id",
}

// spansOf checks the spans in the trace of an event.
func (c *checker) spansOf(e *entry, of *event, j *Judgement) {
	if !c.require[Spans] {
		return
	}
	if of.trace == (traceID{}) {
		c.lacks(e, j, Spans, of, "trace_id", "that of the span")
		return
	}
	if x := c.by.sent[of.trace]; x != nil && x != e {
		c.wrong(j, Spans, of, "trace_id", e.TraceID, of.trace.String(), "The event has the trace of another request.")
	}
	if !of.sampled {
		return
	}
	spans := c.spans.traces[of.trace]
	for i := range spans {
		if outcome := of.get(keyOutcome); spans[i].outcome != outcome {
			j.add(Finding{
				Verdict: Wrong, Requirement: Spans, Signal: "span", Field: keyOutcome, Want: outcome, Got: c.safe(spans[i].outcome),
				Detail: "A span and the event of its trace disagree.",
			})
		}
	}
	if len(spans) > 0 {
		return
	}
	if elsewhere := c.elsewhere(e, of); elsewhere != (traceID{}) {
		j.add(Finding{
			Verdict: SpanElsewhere, Requirement: Spans, Signal: "span", Field: "trace_id", Want: of.trace.String(), Got: elsewhere.String(),
			Detail: "The span of the attempt is in another trace than its event. Pass the context of the request on.",
		})
		return
	}
	verdict := c.unlessLost(SpanMissing)
	if c.spans.lost > 0 && of.trace != e.trace {
		verdict = Unknown // it was not known to be wanted when it arrived
	}
	j.add(Finding{
		Verdict: verdict, Requirement: Spans, Signal: "span", Want: "a span with auth.outcome in trace " + of.trace.String(), Got: "none",
		Detail: "The event says that its trace is sampled, but no span with auth.outcome arrived. Look for a sampler behind the service, or a queue that drops.",
	})
}

// elsewhere returns another trace that has the span of the attempt, or the zero traceID.
func (c *checker) elsewhere(e *entry, of *event) traceID {
	if c.spanOf == nil {
		c.spanOf = c.spans.bySpan()
	}
	if id, ok := c.spanOf[of.span]; ok && of.span != (spanID{}) {
		return id
	}
	if e.trace != of.trace && c.spans.has(e.trace) {
		return e.trace
	}
	for _, id := range e.links {
		if id != of.trace && c.spans.has(id) {
			return id
		}
	}
	return traceID{}
}
