// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Access says who may use an endpoint.
type Access string

const (
	// Protected endpoints require an account. This is the default.
	Protected Access = "protected"
	// Public endpoints answer every caller.
	Public Access = "public"
	// Optional endpoints answer anonymous callers too, with other content.
	Optional Access = "optional"
)

// Endpoint is a method and a path of the target.
type Endpoint struct {
	Method string `json:"method"`
	// Path is the path as it is sent: escaped, with the query if there is one.
	Path string `json:"path"`
	// Route is the template of the path, such as "/orders/{id}". Telemetry must name it. Default:
	// not known, so that telemetry may name any.
	Route string `json:"route,omitempty"`
	// Access is the expectation. Default: Protected.
	Access Access `json:"access,omitempty"`
	// Groups are those of which a user needs one. Default: every account may use the endpoint.
	Groups []string `json:"groups,omitempty"`
	// ContentType and Body are sent with the request.
	ContentType string `json:"content_type,omitempty"`
	Body        string `json:"body,omitempty"`
	// Source says where the endpoint was found, such as "openapi.yaml" or "endpoints.txt:12".
	Source string `json:"source,omitempty"`
	// Skip is the reason why no request can be made, such as a parameter without an example.
	Skip string `json:"skip,omitempty"`
}

// String returns the method and the path.
func (e Endpoint) String() string { return e.Method + " " + e.Path }

// Identity is an account of the target whose password is known.
type Identity struct {
	// Name is shown in reports. Default: Username.
	Name     string `json:"name"`
	Username string `json:"username"`
	// Password is sent to the target and to no other place.
	Password string   `json:"-"`
	Groups   []string `json:"groups,omitempty"`
}

// String returns the name without the password.
func (i Identity) String() string { return i.Name }

// GoString returns the name without the password.
func (i Identity) GoString() string { return fmt.Sprintf("probe.Identity{Name:%q}", i.Name) }

// Header is one field of a request, in the order and the case in which it is sent.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Request is a request without its secrets: a placeholder such as "{password of alice}" replaces
// each password.
type Request struct {
	Method string `json:"method"`
	// Target is the request-target, byte for byte.
	Target      string   `json:"target"`
	Headers     []Header `json:"headers,omitempty"`
	Credentials string   `json:"credentials"` // in words, such as "unknown user"
	Body        string   `json:"body,omitempty"`
	// Curl is a command line that sends the same request, or as near to it as curl can.
	Curl string `json:"curl,omitempty"`
}

// ExcerptBytes is the length of [Answer.Excerpt] at most.
const ExcerptBytes = 2048

// Answer is a response of the target.
type Answer struct {
	// Status is zero if there was no response; Error says why.
	Status  int      `json:"status,omitempty"`
	Headers []Header `json:"headers,omitempty"`
	// BodyBytes counts the bytes that were read. Cut says that the body is longer.
	BodyBytes int64  `json:"body_bytes"`
	Cut       bool   `json:"cut,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
	// Excerpt is the start of the body, with passwords replaced.
	Excerpt string        `json:"excerpt,omitempty"`
	Latency time.Duration `json:"latency_ns"`
	Error   string        `json:"error,omitempty"`
}

// Verdict is the result of an attempt.
type Verdict string

// The verdicts. Those that a report counts as findings are Opened, Leaking and Weak.
const (
	// Opened: the answer has the content of the control.
	Opened Verdict = "opened"
	// Leaking: the answer shows a secret, or distinguishes an account from an unknown name.
	Leaking Verdict = "leaking"
	// Weak: the answer is a denial, or the right answer, with a flaw.
	Weak Verdict = "weak"
	// Denied: 401 or 403.
	Denied Verdict = "denied"
	// Refused: another 4xx, because the target does not accept such a request.
	Refused Verdict = "refused"
	// Hidden: the answer is that of a path that does not exist.
	Hidden Verdict = "hidden"
	// Redirected: to a login page, or to the canonical form of the path.
	Redirected Verdict = "redirected"
	// SoftDenied: a status of success, with a login page or an error as content.
	SoftDenied Verdict = "soft-denied"
	// Accepted: the content that was expected, with the right to it.
	Accepted Verdict = "accepted"
	// OptionalAuth: anonymous callers get other content, and wrong passwords are denied.
	OptionalAuth Verdict = "optional"
	// Throttled: the target limits attempts, which is good. The probe was not repeated.
	Throttled Verdict = "throttled"
	// Failed: 5xx, without the content of the control.
	Failed Verdict = "failed"
	// Unknown: no verdict is possible; Attempt.Why says why.
	Unknown Verdict = "unknown"
	// NotSent: the attempt was not made; Attempt.Why says why.
	NotSent Verdict = "not-sent"
)

// Outcome is the value of auth.outcome that a service which verifies Basic Auth should record.
type Outcome string

// The outcomes that a probe can expect. OutcomeAny is for requests that a server may refuse
// before authentication.
const (
	OutcomeSuccess   Outcome = "success"
	OutcomeMissing   Outcome = "missing"
	OutcomeMalformed Outcome = "malformed"
	OutcomeFailure   Outcome = "failure"
	OutcomeAny       Outcome = ""
)

// Attempt is one request of the matrix with its answer.
type Attempt struct {
	// ID names the attempt: the probe and the endpoint, such as "unknown-user GET /orders/".
	ID       string `json:"id"`
	Probe    string `json:"probe"`
	Identity string `json:"identity,omitempty"`
	// Token is unique to the attempt. TraceID, RequestID and UserAgent carry it.
	Token     string `json:"token,omitempty"`
	TraceID   string `json:"trace_id,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	// Username is the name in the credentials, if they can be decoded.
	Username string `json:"username,omitempty"`
	// Outcome is what telemetry should record of the attempt.
	Outcome Outcome `json:"outcome,omitempty"`
	// Client is the address from which the request was sent.
	Client   netip.Addr `json:"client,omitzero"`
	Sent     time.Time  `json:"sent,omitzero"`
	Answered time.Time  `json:"answered,omitzero"`
	Request  Request    `json:"request"`
	Answer   Answer     `json:"answer"`
	Verdict  Verdict    `json:"verdict"`
	Why      string     `json:"why,omitempty"`
	// Similarity is the share of the control's own content that the answer has, 0 to 1.
	Similarity float64 `json:"similarity,omitempty"`
	// Evidence is what telemetry arrived of the attempt, if telemetry was judged.
	Evidence *Evidence `json:"evidence,omitempty"`
}

// Evidence is what was recorded of an attempt, beside what should have been.
type Evidence struct {
	Verdict  string   `json:"verdict"` // such as "recorded" or "missing"
	Problems []string `json:"problems,omitempty"`
	// Fields are the attributes that are wrong or missing.
	Fields   []string          `json:"fields,omitempty"`
	Expected map[string]string `json:"expected,omitempty"`
	Arrived  []Record          `json:"arrived,omitempty"`
	// Delay is the time from the answer to the arrival of the first record.
	Delay time.Duration `json:"delay_ns,omitempty"`
}

// Record is an event, a span or a line of a log that is about an attempt.
type Record struct {
	Signal     string            `json:"signal"` // "event", "span" or "line"
	Name       string            `json:"name,omitempty"`
	Line       int64             `json:"line,omitempty"`
	TraceID    string            `json:"trace_id,omitempty"`
	Attributes map[string]string `json:"attributes"`
}

// Series is the increase of one series of auth.attempts over the run.
type Series struct {
	Outcome string `json:"outcome"`
	Method  string `json:"method,omitempty"`
	Route   string `json:"route,omitempty"`
	// Least and Most bound the number of attempts that were made, Counted is the increase.
	Least   int64  `json:"least"`
	Most    int64  `json:"most"`
	Counted int64  `json:"counted"`
	Verdict string `json:"verdict"`
}

// Row is an endpoint with its attempts, in the order in which they were made.
type Row struct {
	Endpoint Endpoint  `json:"endpoint"`
	Attempts []Attempt `json:"attempts"`
	// Findings are those of the endpoint, without their attempts.
	Findings []Finding `json:"findings,omitempty"`
	Gaps     []Gap     `json:"gaps,omitempty"`
	// Cut says that the run ended before the endpoint was done.
	Cut bool `json:"cut,omitempty"`
}

// Severity ranks findings.
type Severity int

// The severities, from the least.
const (
	Info Severity = iota + 1
	Low
	Medium
	High
	Critical
)

var severities = []string{Info: "info", Low: "low", Medium: "medium", High: "high", Critical: "critical"}

// String returns the name in lower case.
func (s Severity) String() string {
	if s < Info || s > Critical {
		return "unknown"
	}
	return severities[s]
}

// MarshalText returns the name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name.
func (s *Severity) UnmarshalText(text []byte) error {
	n := slices.Index(severities, string(text))
	if n < int(Info) {
		return fmt.Errorf("probe: %q is not a severity: use info, low, medium, high or critical", text)
	}
	*s = Severity(n)
	return nil
}

// Finding is a flaw of an endpoint or of the target.
type Finding struct {
	// ID names the finding in each run: its rule and its endpoint, such as "open GET /orders/".
	ID       string   `json:"id"`
	Rule     Rule     `json:"rule"`
	Severity Severity `json:"severity"`
	// Endpoint is empty for a flaw of the whole target.
	Endpoint Endpoint `json:"endpoint,omitzero"`
	// Probes are those that found it.
	Probes []string `json:"probes,omitempty"`
	// Detail says what was sent and what was answered.
	Detail string `json:"detail"`
	// Attempts are examples, at most MaxExamples.
	Attempts []Attempt `json:"attempts,omitempty"`
	// Accepted is the entry of the baseline that accepts the finding.
	Accepted *Acceptance `json:"accepted,omitempty"`
}

// MaxExamples is the number of attempts that a [Finding] keeps.
const MaxExamples = 3

// Acceptance is an entry of a baseline: a finding that is known and accepted for a time.
type Acceptance struct {
	ID      string    `json:"id"`
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires"`
}

// Gap is something that was not tested.
type Gap struct {
	Endpoint string `json:"endpoint,omitempty"`
	// Probe is empty if the whole endpoint, or the whole target, was not tested.
	Probe string `json:"probe,omitempty"`
	Why   string `json:"why"`
	// Times counts the endpoints with the same gap, if Endpoint is empty.
	Times int `json:"times,omitempty"`
}

// Timing compares how long the target takes for an unknown name and for a wrong password.
type Timing struct {
	Endpoint Endpoint `json:"endpoint"`
	// Samples is the number of requests of each kind.
	Samples int `json:"samples"`
	// P is the probability of such a difference by chance, by the test of Mann and Whitney.
	P float64 `json:"p"`
	// Difference is the median for wrong passwords less that for unknown names.
	Difference time.Duration `json:"difference_ns"`
	// Decided says that the difference is significant. Otherwise the bound of samples was reached.
	Decided bool `json:"decided"`
}

// Telemetry counts what was recorded of the attempts of a run.
type Telemetry struct {
	// Attempts counts the attempts by what became of them, such as "recorded" or "missing".
	Attempts map[string]int `json:"attempts"`
	Events   int64          `json:"events"`
	Spans    int64          `json:"spans"`
	Points   int64          `json:"points"`
	// The delays are those from the answer to the arrival of the event.
	MedianDelay time.Duration `json:"median_delay_ns"`
	P95Delay    time.Duration `json:"p95_delay_ns"`
	MaxDelay    time.Duration `json:"max_delay_ns"`
	// Series are those of auth.attempts, if they were judged.
	Series []Series `json:"series,omitempty"`
}

// Report is the result of a run.
type Report struct {
	Tool    string    `json:"tool"`
	Version string    `json:"version,omitempty"`
	Target  string    `json:"target"`
	Run     string    `json:"run"` // unique; the tokens begin with it
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// Complete is false if the run was interrupted, or stopped by a bound; Stopped says why.
	Complete bool   `json:"complete"`
	Stopped  string `json:"stopped,omitempty"`
	// Requests counts the requests, those of controls and error pages included.
	Requests   int             `json:"requests"`
	Identities []Identity      `json:"identities,omitempty"`
	Verdicts   map[Verdict]int `json:"verdicts"`
	// Findings are sorted: the most severe first, then by endpoint.
	Findings  []Finding `json:"findings"`
	NotTested []Gap     `json:"not_tested"`
	Timing    *Timing   `json:"timing,omitempty"`
	// Telemetry says what was recorded of the attempts, if telemetry was judged.
	Telemetry *Telemetry `json:"telemetry,omitempty"`
	// Throttles describes how the target limits attempts, if it did.
	Throttles string `json:"throttles,omitempty"`
	// Expired are entries of the baseline that no longer count, Unused those without a finding.
	Expired []Acceptance `json:"expired,omitempty"`
	Unused  []Acceptance `json:"unused,omitempty"`
	// Rows are the endpoints with their attempts. They are empty with [Config.Each].
	Rows []Row `json:"rows,omitempty"`
}

// Worst returns the highest severity of the findings that no baseline accepts, or 0.
func (r *Report) Worst() Severity {
	var worst Severity
	for _, f := range r.Findings {
		if f.Accepted == nil {
			worst = max(worst, f.Severity)
		}
	}
	return worst
}

// Sort sorts the findings: the most severe first, then by endpoint and rule. Call it after adding
// findings, such as those of telemetry.
func (r *Report) Sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		if a.Severity != b.Severity {
			return int(b.Severity) - int(a.Severity)
		}
		if a.Endpoint.Path != b.Endpoint.Path {
			return compareText(a.Endpoint.Path, b.Endpoint.Path)
		}
		return compareText(a.ID, b.ID)
	})
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// ParseReport reads the JSON of a report.
func ParseReport(text []byte) (*Report, error) {
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("probe: not a report in JSON: %w", err)
	}
	return r, nil
}
