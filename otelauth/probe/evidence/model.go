// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"net/netip"
	"time"
)

// Expectation is a request that is about to be sent, and what the service must record about it.
// A field that is zero is not compared, unless its comment says otherwise.
type Expectation struct {
	// ID names the request in the report. It must be unique in the run.
	ID string
	// TraceID is the trace id of the traceparent that is sent, 32 hexadecimal digits.
	TraceID string
	// RequestID is the X-Request-Id that is sent.
	RequestID string
	// AgentToken is a word of the User-Agent that is sent: letters, digits and hyphens.
	AgentToken string

	// Outcomes are the accepted values of auth.outcome. Empty: the request is not an attempt, such
	// as one to a public endpoint without credentials, so an event about it is unexpected.
	Outcomes []string
	// Optional allows that no event arrives, as for a request that the HTTP server may refuse
	// before it reaches the service.
	Optional bool
	// User is the name in the credentials; "" if they have none. Without it an event that has a
	// user is wrong.
	User string
	// AnyUser allows any user and none: a service may read a name from such a request, or may not.
	AnyUser bool
	// Account reports that User is the name of an account.
	Account bool
	// UserHash is the value of user.hash. "": any value that is the same for each event of User.
	UserHash string
	// Client is the address from which the service sees the request.
	Client netip.Addr
	// Method is the method of the request, or "_OTHER". A line may hold MethodOriginal, the method
	// as it is sent.
	Method, MethodOriginal string
	// Route is the registered pattern of the endpoint, such as "/orders/{id}". The names of its
	// parameters are not compared.
	Route string
	// Path is the path as it is sent, without the query.
	Path string
	// Sent is the time just before the request is sent.
	Sent time.Time
}

// Answer is the response to a request.
type Answer struct {
	// Status is the status code; 0 if there was no response.
	Status int
	// Time is when the header of the response arrived, or when waiting for it ended.
	Time time.Time
	// Optional allows that no event arrives, as [Expectation.Optional] does: the answer shows that
	// the service may not have come to authentication.
	Optional bool
}

// Record is an event or a log line in the words of this project: each attribute under its key in
// package semconv, its value as text.
type Record struct {
	// Name is the name of the event, such as "auth.attempt".
	Name string
	// Time is when it happened; the zero Time if the record has none.
	Time time.Time
	// Resolution is the resolution of Time: a second for a log that counts in seconds.
	Resolution time.Duration
	// Arrived is when it was received.
	Arrived time.Time
	// TraceID and SpanID are hexadecimal; "" if the record has none.
	TraceID, SpanID string
	// Sampled is the flag of the same name in the record's trace flags.
	Sampled bool
	// Attributes has each attribute by its key. A list is joined by commas.
	Attributes map[string]string
	// IsAttempt reports that the record is about one attempt. Other records are searched for folds
	// and for secrets only.
	IsAttempt bool
	// Line is the number of the line in a log; 0 for telemetry.
	Line int64
	// Raw is the line as it was read. The ledger searches it for secrets and does not keep it.
	Raw []byte
}

// Requirement is one thing that must hold.
type Requirement string

// The requirements. [DefaultTelemetry] and [DefaultLines] are useful sets.
const (
	// Events requires exactly one event for each attempt. A fold that accounts for it is accepted.
	Events Requirement = "events"
	// EachAttempt requires an event of its own for each attempt: no folds.
	EachAttempt Requirement = "each-attempt"
	// NoOthers requires that no event is about an attempt that was not made.
	NoOthers Requirement = "no-others"
	// Spans requires a span with auth.outcome in the event's trace, if the event is sampled.
	Spans Requirement = "spans"
	// Metrics requires that auth.attempts counted each attempt in its series.
	Metrics Requirement = "metrics"
	// NoSecrets requires that no byte that arrives holds a secret of the run.
	NoSecrets Requirement = "no-secrets"
	// User requires the user, by name or by hash.
	User Requirement = "user"
	// PrivateNames requires that a name that is not an account appears as a hash only.
	PrivateNames Requirement = "private-names"
	// Client requires the address of the client.
	Client Requirement = "client"
	// Method requires the method of the request.
	Method Requirement = "method"
	// Route requires the route of the request.
	Route Requirement = "route"
	// Path requires the path of the request.
	Path Requirement = "path"
	// Status requires the status of the response.
	Status Requirement = "status"
	// Agent requires the User-Agent of the request.
	Agent Requirement = "agent"
)

// Requirements returns every requirement.
func Requirements() []Requirement {
	return []Requirement{
		Events, EachAttempt, NoOthers, Spans, Metrics, NoSecrets, User, PrivateNames, Client, Method, Route, Path, Status, Agent,
	}
}

// DefaultTelemetry returns what is required of a service that exports telemetry: everything but
// [EachAttempt].
func DefaultTelemetry() []Requirement {
	return []Requirement{
		Events, NoOthers, Spans, Metrics, NoSecrets, User, PrivateNames, Client, Method, Route, Path, Status, Agent,
	}
}

// DefaultLines returns what is required of a service that only writes logs.
func DefaultLines() []Requirement {
	return []Requirement{EachAttempt, NoSecrets, User, Client, Method, Path, Status, Agent}
}

// Verdict is what became of one attempt, or of one part of its telemetry.
type Verdict string

// The verdicts, the most severe first. The verdict on an attempt is the most severe of its
// findings.
const (
	// Leaked: a secret was in the telemetry.
	Leaked Verdict = "secret leaked"
	// Missing: no event arrived.
	Missing Verdict = "missing"
	// Uncounted: a series of auth.attempts did not grow by the number of attempts.
	Uncounted Verdict = "not counted"
	// Wrong: an attribute has a wrong value.
	Wrong Verdict = "wrong attribute"
	// Duplicate: several events arrived.
	Duplicate Verdict = "duplicate"
	// Unexpected: an event is about an attempt that was not made.
	Unexpected Verdict = "unexpected"
	// SpanMissing: the event is sampled, and no span arrived.
	SpanMissing Verdict = "span missing"
	// SpanElsewhere: the span is in another trace than the event.
	SpanElsewhere Verdict = "span in another trace"
	// Incomplete: the event or line lacks an attribute.
	Incomplete Verdict = "attribute missing"
	// Late: the event arrived after the limit of Config.Late.
	Late Verdict = "late"
	// Unknown: the evidence decides nothing, and the finding says why.
	Unknown Verdict = "unknown"
	// Folded: no event of its own arrived, and a fold accounts for the attempt.
	Folded Verdict = "folded"
	// Recorded: everything that is required arrived.
	Recorded Verdict = "recorded"
	// NotRequired: no event arrived, and none had to. The request is not an attempt, or the server
	// may have refused it before authentication.
	NotRequired Verdict = "not required"
)

var severity = []Verdict{
	Leaked, Missing, Uncounted, Wrong, Duplicate, Unexpected, SpanMissing, SpanElsewhere, Incomplete, Late, Unknown, Folded, Recorded, NotRequired,
}

// Verdicts returns every verdict, the most severe first.
func Verdicts() []Verdict { return append([]Verdict(nil), severity...) }

// IsGap reports whether the verdict is a gap in the record: neither [Recorded], [NotRequired],
// [Folded] nor [Unknown].
func (v Verdict) IsGap() bool {
	return v != Recorded && v != NotRequired && v != Folded && v != Unknown
}

// Finding is one thing that does not hold, or could not be decided.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	// Requirement is what does not hold.
	Requirement Requirement `json:"requirement"`
	// Signal is where: "event", "line", "span", "metric" or "export".
	Signal string `json:"signal"`
	// Field is the attribute; for a secret the place where it was found.
	Field string `json:"field,omitempty"`
	// Want and Got are the expected and the actual value. They never hold a secret.
	Want string `json:"want,omitempty"`
	Got  string `json:"got,omitempty"`
	// Detail is a sentence that says what is the matter and what to do.
	Detail string `json:"detail"`
}

// Judgement is the verdict on one attempt.
type Judgement struct {
	ID       string    `json:"id"`
	Verdict  Verdict   `json:"verdict"`
	Findings []Finding `json:"findings,omitempty"`
	// TraceID is the trace of the event.
	TraceID string `json:"trace_id,omitempty"`
	// Delay is the time from the answer to the arrival of the event; 0 if the event came first.
	Delay time.Duration `json:"delay,omitempty"`
	// Arrived are the events or lines that are about the attempt, at most four.
	Arrived []Arrived `json:"arrived,omitempty"`
}

// Arrived is a record that a report may show beside what was expected.
type Arrived struct {
	Signal     string            `json:"signal"`
	Name       string            `json:"name,omitempty"`
	Line       int64             `json:"line,omitempty"`
	TraceID    string            `json:"trace_id,omitempty"`
	Attributes map[string]string `json:"attributes"`
}

// Series is the increase of one series of auth.attempts over the run.
type Series struct {
	Outcome string `json:"outcome"`
	Route   string `json:"route,omitempty"`
	Method  string `json:"method,omitempty"`
	// Least and Most bound the number of attempts that were made. They differ if it is not known
	// whether each of them reached the service.
	Least int64 `json:"least"`
	Most  int64 `json:"most"`
	// Counted is the increase.
	Counted int64   `json:"counted"`
	Verdict Verdict `json:"verdict"`
}

// Report is the judgement on a run.
type Report struct {
	// Attempts has one judgement for each expectation, in the order of [Ledger.Expect].
	Attempts []Judgement `json:"attempts"`
	// Findings are about the run and not about one attempt.
	Findings []Finding `json:"findings,omitempty"`
	// Series are the series of auth.attempts, if [Metrics] is required.
	Series []Series `json:"series,omitempty"`
	// Delay describes the time from answer to arrival.
	Delay Delay `json:"delay"`
	// Received counts what arrived.
	Received Received `json:"received"`
}

// Gaps returns the number of attempts and of findings about the run that are gaps.
func (r *Report) Gaps() int {
	n := 0
	for i := range r.Attempts {
		if r.Attempts[i].Verdict.IsGap() {
			n++
		}
	}
	for i := range r.Findings {
		if r.Findings[i].Verdict.IsGap() {
			n++
		}
	}
	return n
}

// Count returns the number of attempts for each verdict.
func (r *Report) Count() map[Verdict]int {
	n := map[Verdict]int{}
	for i := range r.Attempts {
		n[r.Attempts[i].Verdict]++
	}
	return n
}

// Delay describes how long events took to arrive.
type Delay struct {
	Median time.Duration `json:"median"`
	P95    time.Duration `json:"p95"`
	Max    time.Duration `json:"max"`
}

// Received counts what arrived. What was refused or dropped makes verdicts [Unknown].
type Received struct {
	Bytes  int64 `json:"bytes"`
	Events int64 `json:"events"`
	Lines  int64 `json:"lines,omitempty"`
	Spans  int64 `json:"spans"`
	Points int64 `json:"points"`
	// Redelivered counts exports that arrived again byte for byte. They are judged once.
	Redelivered int64 `json:"redelivered,omitempty"`
	// Refused counts exports that exceeded a limit of the receiver.
	Refused int64 `json:"refused,omitempty"`
	// Dropped counts records that exceeded a limit of the ledger.
	Dropped int64 `json:"dropped,omitempty"`
}
