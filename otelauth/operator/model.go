// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"net/netip"
	"time"
)

// This file is the JSON of the API. openapi.json describes the same, and a test compares both with
// real answers. A field is never renamed; a client ignores fields that it does not know.

// Meta is part of every answer.
type Meta struct {
	// Instance identifies the process. It changes with each start, and every event of the live
	// view carries it. A client that sends an act names the Instance that it has shown.
	Instance string `json:"instance"`
	// Now is the clock of the process. Compute ages from it and not from the clock of the client.
	Now time.Time `json:"now"`
	// Local names the parts of the answer that are of this process only. Empty: the answer is of
	// all replicas.
	Local []string `json:"local"`
	// Replicas is the number of processes that share state, this one included.
	Replicas int `json:"replicas"`
	// Degraded says what is not shared at the moment although it should be; "" if nothing.
	Degraded string `json:"degraded,omitempty"`
}

// Status is the state of the process: GET v1/status.
type Status struct {
	Meta
	Version       string    `json:"version"`
	Host          string    `json:"host"`
	Started       time.Time `json:"started"`
	UptimeSeconds int64     `json:"uptime_seconds"`
	// Acts reports whether the process accepts acts, and Actor is the name under which it would
	// record one of this caller.
	Acts  bool   `json:"acts"`
	Actor string `json:"actor"`
	// Healthy is false if Problems has an entry.
	Healthy  bool      `json:"healthy"`
	Problems []Problem `json:"problems"`
	// Outcomes has one element for each outcome, in the order of the documentation.
	Outcomes []OutcomeRate `json:"outcomes"`
	Hashing  Hashing       `json:"hashing"`
	Cache    Cache         `json:"cache"`
	// Tables are the bounded tables, with their occupancy.
	Tables []Table `json:"tables"`
	// Stores are what the process depends on: accounts, Redis, the trail, the upstream.
	Stores    []Store    `json:"stores"`
	Reloads   Reloads    `json:"reloads"`
	Exporters []Exporter `json:"exporters"`
	// ExportErrors are the errors of all exporters together since the start.
	ExportErrors ExportErrors `json:"export_errors"`
	// Upstream is the service behind a gateway; absent without one.
	Upstream *Upstream `json:"upstream,omitempty"`
	// Coverage is which endpoints are in doubt.
	Coverage Coverage `json:"coverage"`
	// Peers are the replicas, this process first. Without shared state it is the only one.
	Peers []Replica `json:"peers"`
	// Configuration has the settings in force, without secrets.
	Configuration []Setting `json:"configuration"`
	// DetectionOff has the names of the built-in rules of detection that are off.
	DetectionOff []string `json:"detection_off"`
	// DetectionRules and DetectionExceptions are those of the operator's file for detection.
	DetectionRules      []DetectionRule      `json:"detection_rules"`
	DetectionExceptions []DetectionException `json:"detection_exceptions"`
}

// DetectionRule is a rule of the operator that is in force.
type DetectionRule struct {
	Name     string `json:"name"`
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
	Fires    string `json:"fires"` // when it fires, in words
}

// DetectionException keeps attempts from firing a rule of detection.
type DetectionException struct {
	Rule     string    `json:"rule"`
	Networks []string  `json:"networks"`
	Accounts []string  `json:"accounts"`
	Until    time.Time `json:"until"`
	Why      string    `json:"why"`
	// Ended reports that Until has passed, so that the exception has no effect.
	Ended bool `json:"ended"`
}

// Problem is something that needs the operator's attention.
type Problem struct {
	Kind    string    `json:"kind"` // the name of the event that reported it
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

// OutcomeRate counts the attempts with one outcome.
type OutcomeRate struct {
	Outcome    string `json:"outcome"`
	Total      uint64 `json:"total"`       // since the start
	LastMinute uint64 `json:"last_minute"` // in the last 60 s
}

// Hashing is the state of the hash gate.
type Hashing struct {
	Slots   int64 `json:"slots"`   // hashes that may run at once; 0 if unknown
	Running int64 `json:"running"` // hashes that run
	Queued  int64 `json:"queued"`  // attempts that wait
	Queue   int64 `json:"queue"`   // attempts that may wait; 0 if unknown
}

// Cache is the use of the cache of verified credentials since the start.
type Cache struct {
	Entries   int64  `json:"entries"`
	Hits      uint64 `json:"hits"`
	Misses    uint64 `json:"misses"`
	Coalesced uint64 `json:"coalesced"`
}

// Table is a bounded table.
type Table struct {
	Name  string `json:"name"`
	Used  int64  `json:"used"`
	Limit int64  `json:"limit"` // 0: see the documentation of the table
}

// Store is something that the process depends on.
type Store struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Since is when OK last changed; absent if it never did.
	Since  *time.Time `json:"since,omitempty"`
	Detail string     `json:"detail,omitempty"`
}

// Reloads counts the reloads of the accounts.
type Reloads struct {
	Accounts  int64      `json:"accounts"` // served now
	Succeeded uint64     `json:"succeeded"`
	Failed    uint64     `json:"failed"`
	Last      *time.Time `json:"last,omitempty"`
	LastError string     `json:"last_error,omitempty"` // of the last reload, if it failed
}

// Exporter is where one signal goes.
type Exporter struct {
	Signal   string `json:"signal"`   // traces, metrics, logs
	Exporter string `json:"exporter"` // otlp, console, prometheus, none, lines
}

// ExportErrors are errors of the exporters.
type ExportErrors struct {
	Count uint64 `json:"count"`
	// Last is when the last one occurred, and LastError what it was.
	Last      *time.Time `json:"last,omitempty"`
	LastError string     `json:"last_error,omitempty"`
}

// Upstream is the state of the service behind a gateway, as its requests see it.
type Upstream struct {
	OK bool `json:"ok"` // false from a failed request until the next answer
	// Since is when OK last changed; absent if it never did.
	Since *time.Time `json:"since,omitempty"`
	// LastAnswer is when it last answered a request; absent if it never did.
	LastAnswer *time.Time `json:"last_answer,omitempty"`
	Errors     uint64     `json:"errors"` // requests without a whole answer, since the start
	// LastError is the attribute error.type of the last of them.
	LastError string `json:"last_error,omitempty"`
}

// Coverage is which endpoints are in doubt: the event auth.coverage.
type Coverage struct {
	// Registered is the number of protected endpoints that the service has named, and
	// Authenticated that of those that have served an authenticated caller since Since.
	Registered    int        `json:"registered"`
	Authenticated int        `json:"authenticated"`
	Since         *time.Time `json:"since,omitempty"`
	Gaps          []Gap      `json:"gaps"`
}

// Gap is an endpoint whose protection is in doubt.
type Gap struct {
	Finding string `json:"finding"` // anonymous_access or never_authenticated
	Method  string `json:"method,omitempty"`
	Route   string `json:"route"`
	// Since is when it first served a caller without credentials, or since when it has served no
	// authenticated caller.
	Since time.Time `json:"since"`
}

// Replica is one process that shares state.
type Replica struct {
	Instance string    `json:"instance"`
	Host     string    `json:"host"`
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Seen     time.Time `json:"seen"`
	// ClockSkewSeconds is its clock minus the clock of the shared store.
	ClockSkewSeconds float64 `json:"clock_skew_seconds"`
}

// Setting is one setting in force.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Place is the flag, variable or line that sets it; "" for a default.
	Place string `json:"place,omitempty"`
}

// Attempt is one attempt. Account may hold any character that the name of an account holds; show
// bidirectional and other invisible ones as escapes.
type Attempt struct {
	// Sequence grows with each attempt of the Instance.
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"` // of the verdict
	Outcome  string    `json:"outcome"`
	// ErrorType and Reason are the attributes error.type and auth.reason.
	ErrorType string `json:"error_type,omitempty"`
	Reason    string `json:"reason,omitempty"`
	// Account is the name of an account; "" if the claimed name is not an account.
	Account string `json:"account,omitempty"`
	// Hash is user.hash of the claimed name; "" if there was none.
	Hash string `json:"hash,omitempty"`
	// Client is the address of the client; "" if unknown.
	Client string `json:"client,omitempty"`
	Method string `json:"method,omitempty"`
	// Route is the registered pattern of the endpoint, never the path.
	Route string `json:"route,omitempty"`
	// Status is the HTTP status; 0 if it was not known when the attempt was recorded.
	Status  int    `json:"status"`
	TraceID string `json:"trace_id,omitempty"`
	SpanID  string `json:"span_id,omitempty"`
	// DurationSeconds is the time to the verdict, HashSeconds the part of it that a hash took.
	DurationSeconds float64 `json:"duration_seconds"`
	HashSeconds     float64 `json:"hash_seconds,omitempty"`
	Cache           string  `json:"cache,omitempty"` // hit, miss or coalesced
	// RetryAfterSeconds is when a throttled client may try again.
	RetryAfterSeconds float64 `json:"retry_after_seconds,omitempty"`
}

// AttemptList is the recent attempts, the newest first: GET v1/attempts.
type AttemptList struct {
	Meta
	Attempts []Attempt `json:"attempts"`
	// Oldest is the time of the oldest attempt in memory, by outcome. Earlier ones are forgotten.
	Oldest map[string]time.Time `json:"oldest"`
	// More reports that further attempts match.
	More bool `json:"more"`
}

// Traffic is what the recent attempts amount to: GET v1/traffic.
type Traffic struct {
	Meta
	BucketSeconds int `json:"bucket_seconds"`
	// Buckets cover the last hour, the oldest first. They count every attempt.
	Buckets []Bucket `json:"buckets"`
	// Endpoints count every attempt since the start, the busiest first. At most 256 routes have a
	// count of their own; the others count under "_OTHER".
	Endpoints []Count `json:"endpoints"`
	// Accounts and Networks count the attempts in memory since Since, those with the most denials
	// first.
	Accounts []Count   `json:"accounts"`
	Networks []Count   `json:"networks"`
	Since    time.Time `json:"since"`
}

// Bucket counts the attempts of one interval by outcome. Outcomes without an attempt are absent.
type Bucket struct {
	Time     time.Time         `json:"time"` // the begin of the interval
	Outcomes map[string]uint64 `json:"outcomes"`
}

// Count counts attempts by outcome. Outcomes without an attempt are absent.
type Count struct {
	// Name is a route, the name of an account, or a network. It is "" for a name that is not an
	// account.
	Name     string            `json:"name"`
	Hash     string            `json:"hash,omitempty"` // user.hash, for accounts
	Outcomes map[string]uint64 `json:"outcomes"`
	Denied   uint64            `json:"denied"` // failure, throttled, malformed and error together
}

// Episode is one detected attack.
type Episode struct {
	ID        string `json:"id"`   // auth.detection.episode
	Rule      string `json:"rule"` // security_rule.name
	Severity  string `json:"severity"`
	Technique string `json:"technique"`
	Summary   string `json:"summary"`
	// Running is false once the rule has reported the end.
	Running  bool      `json:"running"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Updated  time.Time `json:"updated"` // of the last report
	Attempts uint64    `json:"attempts"`
	// Accounts and Networks are the evidence: at most 8 of each. The counts are estimates of all.
	// A name that is not an account is listed as its user.hash.
	Accounts     []string `json:"accounts"`
	AccountCount int      `json:"account_count"`
	Networks     []string `json:"networks"`
	NetworkCount int      `json:"network_count"`
	TraceIDs     []string `json:"trace_ids"` // at most 4
	Route        string   `json:"route,omitempty"`
	DistanceKm   float64  `json:"distance_km,omitempty"`
	SpeedKmh     float64  `json:"speed_kmh,omitempty"`
	// PartOf is the ID of the attack that a success completes.
	PartOf string `json:"part_of,omitempty"`
	// Folded reports that the episode represents all further ones of its rule.
	Folded bool `json:"folded,omitempty"`
}

// EpisodeDetail is one episode with all that its last event says: GET v1/episodes/{id}. User agents
// and invented names are what clients sent.
type EpisodeDetail struct {
	Meta
	Episode
	// Message is the episode in one sentence: the body of the event auth.detection.
	Message string `json:"message"`
	// Addresses are the exact addresses of clients, those with most attempts first: at most 12 of
	// a running episode and 256 of one that has ended.
	Addresses []Tally `json:"addresses"`
	// AddressCount is the number of addresses; 256 means that there may be more.
	AddressCount int     `json:"address_count"`
	Routes       []Tally `json:"routes"`      // at most 8 endpoints, the busiest first
	UserAgents   []Tally `json:"user_agents"` // at most 8, each cut at 47 bytes
	// Origins has countries and owners of the addresses, if the process can find them.
	Origins []string `json:"origins"`
	// Refused, Throttled and Succeeded count the attempts of these lists by their answer: 401, 429,
	// or what the client asked for. Attempts counts older evidence too.
	Refused   uint64 `json:"refused"`
	Throttled uint64 `json:"throttled"`
	Succeeded uint64 `json:"succeeded"`
	// Takeovers has the ID of the first 8 successes that complete this attack.
	Takeovers []string `json:"takeovers"`
	// DedupeKey is the same for all episodes of the rule about one subject.
	DedupeKey string `json:"dedupe_key"`
	// Threshold is when the rule fires, with the configured numbers.
	Threshold string `json:"threshold"`
	// Confidence is low, medium or high, and ConfidenceReason is why.
	Confidence       string `json:"confidence"`
	ConfidenceReason string `json:"confidence_reason"`
	// FalsePositives is what looks the same without an attack.
	FalsePositives string `json:"false_positives"`
	// NextStep is what to do first, and Command the command for it.
	NextStep string `json:"next_step"`
	Command  string `json:"command"`
	Runbook  string `json:"runbook_url"` // a page about the rule
}

// Tally is the number of attempts that share a value.
type Tally struct {
	Value    string `json:"value"`
	Attempts uint64 `json:"attempts"`
}

// EpisodeList is the running episodes and then the past ones, the newest first: GET v1/episodes.
type EpisodeList struct {
	Meta
	Episodes []Episode `json:"episodes"`
	More     bool      `json:"more"`
	// Forgotten is the number of past episodes that are no longer in memory.
	Forgotten uint64 `json:"forgotten"`
}

// Budget is a budget of guesses that is empty and has refused attempts.
type Budget struct {
	Kind    string `json:"kind"` // pair, account, network, site, requests
	Account string `json:"account,omitempty"`
	Hash    string `json:"hash,omitempty"`    // user.hash, for pairs and accounts
	Network string `json:"network,omitempty"` // "" for accounts
	// Refused is the number of attempts that the replicas of Instances refused.
	Refused   uint64    `json:"refused"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Until     time.Time `json:"until"` // when it holds one guess again
	Instances []string  `json:"instances"`
}

// BudgetList is who is blocked, and the rules in force: GET v1/budgets.
type BudgetList struct {
	Meta
	Budgets []Budget `json:"budgets"`
	More    bool     `json:"more"`
	Rules   []Rule   `json:"rules"`
}

// Rule is an operator's decision about an account, a network or both.
type Rule struct {
	Account string     `json:"account,omitempty"`
	Network string     `json:"network,omitempty"`
	Effect  string     `json:"effect"` // allow or deny
	Actor   string     `json:"actor"`
	Reason  string     `json:"reason"`
	Since   time.Time  `json:"since"`
	Until   *time.Time `json:"until,omitempty"` // absent: until it is undone
}

// Explanation is whether and why a subject is refused: GET v1/budgets/explain.
type Explanation struct {
	Meta
	Account string `json:"account,omitempty"`
	Network string `json:"network,omitempty"`
	// AccountExists is absent if no account was named or the store cannot say.
	AccountExists *bool `json:"account_exists,omitempty"`
	Refused       bool  `json:"refused"`
	// RefusedBy is "rule", or the kind of the budget that refuses longest.
	RefusedBy string     `json:"refused_by,omitempty"`
	Since     *time.Time `json:"since,omitempty"` // of the rule, or of the first refusal in memory
	Until     *time.Time `json:"until,omitempty"` // absent: no refusal, or one without an end
	// Sentence explains all of it in words that can be read to the user on the phone.
	Sentence string `json:"sentence"`
	// Rule is the operator's rule that applies.
	Rule *Rule `json:"rule,omitempty"`
	// Known reports whether the account has lately logged in from the network. Its right password
	// then passes although a budget is empty, while Reserve lasts.
	Known   bool       `json:"known"`
	Reserve *Standing  `json:"reserve,omitempty"`
	Budgets []Standing `json:"budgets"`
	// Attempts are the recent attempts of this process that were charged or refused, the newest
	// first.
	Attempts []Attempt `json:"attempts"`
}

// Standing is the state of one budget.
type Standing struct {
	Kind         string  `json:"kind"`
	Burst        int     `json:"burst"`
	EverySeconds float64 `json:"every_seconds"`
	Left         int     `json:"left"`
	Held         int     `json:"held"`
	WaitSeconds  float64 `json:"wait_seconds"` // until it holds one guess; 0 when it does
	Full         bool    `json:"full"`
}

// The verbs of an act.
const (
	VerbClear  = "clear"  // fill the budgets of a subject
	VerbAllow  = "allow"  // never charge or refuse its guesses
	VerbDeny   = "deny"   // refuse it, even with the right password
	VerbForget = "forget" // forget its remembered credentials and close its streams
	VerbUndo   = "undo"   // end the effect of another act
)

// ActRequest is the body of POST v1/acts.
type ActRequest struct {
	Verb string `json:"verb"` // clear, allow, deny or forget
	// Account and Network are the subject; one of them is required.
	Account string `json:"account,omitempty"`
	Network string `json:"network,omitempty"` // an address or a network
	Reason  string `json:"reason"`
	// ForSeconds is how long allow and deny last; 0 means until they are undone.
	ForSeconds int64 `json:"for_seconds,omitempty"`
	// UnknownAccount permits an act about a name that is not an account.
	UnknownAccount bool `json:"unknown_account,omitempty"`
}

// UndoRequest is the body of POST v1/acts/{id}/undo.
type UndoRequest struct {
	Reason string `json:"reason"`
}

// Act is one act of an operator.
type Act struct {
	ID      string     `json:"id"`
	Time    time.Time  `json:"time"`
	Verb    string     `json:"verb"`
	Account string     `json:"account,omitempty"`
	Network string     `json:"network,omitempty"`
	Actor   string     `json:"actor"`
	Reason  string     `json:"reason"`
	Until   *time.Time `json:"until,omitempty"` // of allow and deny; absent: no end
	// Instance is the process that received the act.
	Instance string `json:"instance"`
	// Undoable reports whether POST v1/acts/{id}/undo has an effect now.
	Undoable bool `json:"undoable"`
	// Undoes is the ID of the act that an undo ended, and UndoneBy that of the undo.
	Undoes   string `json:"undoes,omitempty"`
	UndoneBy string `json:"undone_by,omitempty"`
	// Credentials and Streams are what forget ended in this process.
	Credentials int `json:"credentials,omitempty"`
	Streams     int `json:"streams,omitempty"`
}

// ActList is the recent acts, the newest first: GET v1/acts.
type ActList struct {
	Meta
	Acts []Act `json:"acts"`
}

// ActResult is the answer to an act.
type ActResult struct {
	Meta
	Act Act `json:"act"`
	// Sentence says what the act did, and where.
	Sentence string `json:"sentence"`
}

// Refusal is the answer to a request that the API refuses, a problem document (RFC 9457).
type Refusal struct { //nolint:errname // the name of the document; a client returns it as an error
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Code distinguishes refusals. See the constants whose names begin with Code.
	Code string `json:"code"`
}

// The codes of a [Refusal].
const (
	CodeInvalid         = "invalid"          // 400: the request is not valid; Detail says where
	CodeReauthenticate  = "reauthenticate"   // 401: send the password again
	CodeNoActor         = "no_actor"         // 403: the caller has no name
	CodeActsDisabled    = "acts_disabled"    // 403: the process is read-only
	CodeForeignOrigin   = "foreign_origin"   // 403: another origin, or no header
	CodeNotFound        = "not_found"        // 404: no such act or resource
	CodeUnknownAccount  = "unknown_account"  // 404: no account has that name
	CodeInstanceChanged = "instance_changed" // 409: the process was restarted since it was shown
	CodeNotUndoable     = "not_undoable"     // 409: the act has no effect that can end
	CodeTooManyRules    = "too_many_rules"   // 409: revoke some rules first
	CodeTooManyWatchers = "too_many_watchers"
	CodeStore           = "store" // 503: the store of budgets or accounts does not answer
)

// The events of GET v1/live, a stream of server-sent events. Each has one of these types as its
// data. An id continues the stream with Last-Event-ID.
const (
	EventHello    = "hello"    // Hello, always the first
	EventAttempts = "attempts" // LiveAttempts
	EventEpisode  = "episode"  // Episode
	EventAct      = "act"      // Act
	EventPulse    = "pulse"    // Pulse, each second
	EventDropped  = "dropped"  // Dropped, always the last
)

// Hello begins a live view.
type Hello struct {
	Meta
	// Resumed reports that the stream continues after Last-Event-ID without a gap. Otherwise read
	// the lists again.
	Resumed bool `json:"resumed"`
}

// LiveAttempts are the attempts since the previous event, the oldest first.
type LiveAttempts struct {
	Attempts []Attempt `json:"attempts"`
	// Skipped is the number of attempts that the event leaves out, by outcome, because there are
	// too many.
	Skipped map[string]uint64 `json:"skipped,omitempty"`
}

// Pulse is the state of the process, once a second.
type Pulse struct {
	Instance string        `json:"instance"`
	Now      time.Time     `json:"now"`
	Healthy  bool          `json:"healthy"`
	Outcomes []OutcomeRate `json:"outcomes"`
	Hashing  Hashing       `json:"hashing"`
	// Running is the number of running episodes, Blocked the number of empty budgets here.
	Running  int `json:"running"`
	Blocked  int `json:"blocked"`
	Watchers int `json:"watchers"`
}

// Dropped ends a live view whose client reads too slowly, or whose process ends.
type Dropped struct {
	Reason string `json:"reason"` // slow or shutdown
	// Message says what to do. EventSource reconnects by itself.
	Message string `json:"message"`
}

// The headers of a request that acts.
const (
	// ActHeader is required with any value. Browsers let no page of another origin send it.
	ActHeader = "X-Otelauth-Act"
	// InstanceHeader is the Instance that the caller has seen. If it differs from that of the
	// process, the act is refused with [CodeInstanceChanged]. It is optional.
	InstanceHeader = "X-Otelauth-Instance"
)

// textOf returns a network as the API shows it; "" for the zero Prefix. A single address has no
// length.
func textOf(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return ""
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}
