// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

import (
	"context"
	"net/netip"
	"time"
)

// Request is an attempt before the verdict.
//
// The zero Request is an attempt without credentials from an unknown client. A Request belongs to
// one attempt. It is not safe for concurrent use while it is filled. It must not change after
// [Observer.Begin], except for the fields that allow it.
type Request struct {
	// Context is the context outside the auth span, that of the server span. Observers need it to
	// reach the server span, because Decide runs inside the auth span. It is not nil once Begin
	// is called.
	Context context.Context
	// Time is when the attempt began, with its monotonic reading.
	Time time.Time
	// Scheme is the scheme that the client used. It may change until Decide.
	Scheme Scheme

	// Route is the registered pattern of the endpoint without method and host, such as
	// "/orders/{id}"; "" if no route matches. It is never the path that the client sent.
	Route string
	// Method is a method of RFC 9110 or RFC 5789, otherwise "_OTHER".
	Method string
	// Path is the path as it was sent, escaped, without query, at most [MaxPathBytes] long.
	Path string
	// UserAgent is at most [MaxUserAgentBytes] long; "" if the client sent none.
	UserAgent string
	// RequestID is the X-Request-Id that the service keeps; "" if it keeps none.
	RequestID string

	// Client is the address of the client after trusted proxies were resolved, without a zone.
	// The zero Addr means that it is unknown, as it is on a unix socket.
	Client netip.Addr
	// ClientText is Client as text. A caller that has the string sets it to spare the observers
	// an allocation. It must equal Client. Default: "", and [Request.ClientAddress] computes it.
	ClientText string
	// ClientPort is the port of the client; 0 if unknown, as it is behind most proxies.
	ClientPort uint16
	// Peer is the other end of the connection; the zero AddrPort if unknown.
	Peer netip.AddrPort

	// Sensitive marks an endpoint that the service registered as sensitive.
	Sensitive bool
	// Exposed reports that credentials arrived in plaintext, so any host on the path may know
	// them. It is the event attribute auth.credentials.exposed.
	Exposed bool

	// Span is the span of this attempt, an OpenTelemetry trace.Span. The observer that traces
	// sets it in Begin for the observers after it; nil means that the attempt is not traced. Its
	// type is any, so that this package does not depend on OpenTelemetry.
	Span any
}

// ClientAddress returns Client as text, "" if it is unknown. The first call may allocate and
// stores its result in ClientText, so it must not run concurrently with itself.
func (r *Request) ClientAddress() string {
	if r.ClientText == "" && r.Client.IsValid() {
		r.ClientText = r.Client.Unmap().WithZone("").String()
	}
	return r.ClientText
}

// The bounds of what a client can write into a [Request], in bytes.
const (
	MaxPathBytes      = 1024
	MaxUserAgentBytes = 256
)

// Result is the verdict on an attempt.
//
// The zero Result denies: its Outcome is [Error].
type Result struct {
	Outcome   Outcome
	ErrorType ErrorType
	Reason    Reason
	Cache     CacheResult

	// UserName is the name of the account as the store spells it. It is "" if the claimed name is
	// not an account, because people type passwords into the name field, and if the service
	// records no names.
	UserName string
	// UserHash is "keyid:hex", a keyed hash of the account's name, or of the claimed name if it
	// is not an account; "" if the client claimed no name.
	UserHash string

	// ClaimedName is the name that the client sent, if it is not an account and the service allows
	// such names in detections. No other signal has it.
	ClaimedName string
	// Groups are the groups of the account, for a success. Detection compares them with the rules
	// of the operator; no signal has them. They must not be changed.
	Groups []string

	// PasswordFingerprint is a hash of the wrong password under a key that only this process has:
	// equal passwords have equal fingerprints. It is 0 if the attempt had no password, if the
	// password was right, and if it was not checked. Detection uses it to separate a client that
	// repeats one stale password from one that tries many. It stays in memory: an observer must
	// not export it in any form.
	PasswordFingerprint uint64

	// VerifiedAt is, for a success, when the password was last hashed or confirmed by a Verifier.
	// It is earlier than the attempt if the credential was recognised.
	VerifiedAt time.Time

	// Hash is the password hash that ran for this attempt; its zero value means that none ran.
	Hash HashRun
	// RehashNeeded reports that the stored hash is weaker than the current policy, the event
	// attribute auth.password.rehash_needed. Only a success sets it.
	RehashNeeded bool
	// PreviousCredential reports that the client used the account's previous password, which is
	// accepted for a limited time, or with [ReasonCredentialsExpired] no longer. It is the event
	// attribute auth.credentials.previous.
	PreviousCredential bool

	// Duration is the time from Request.Time to the verdict.
	Duration time.Duration
	// RetryAfter is how long the caller should wait; 0 gives no advice.
	RetryAfter time.Duration
	// Record is the number by which later lines of a trail refer to the line about this verdict;
	// 0 if there is none. An observer that keeps a trail sets it in Decide.
	Record int64
	// Err is the infrastructure error behind Outcome Error; nil otherwise. It holds no secret. It
	// is for operators: no response carries it.
	Err error
}

// HashRun is one run of a password hash function.
type HashRun struct {
	// Scheme is "bcrypt", "argon2id" and so on, the attribute auth.password.scheme; "" if no hash
	// ran.
	Scheme string
	// Start is when the hash function began, after any wait in the queue.
	Start time.Time
	// Duration is the wall time of the hash function.
	Duration time.Duration
	// Outcome is Success or Failure.
	Outcome Outcome
}

// Ran reports whether a hash function ran.
func (h HashRun) Ran() bool { return h.Scheme != "" }

// Response is what the caller got.
type Response struct {
	// Status is the HTTP status code; 0 if it was unknown when the attempt was recorded, because
	// the handler wrote no header for some seconds or took the connection over.
	Status int
	// Handler reports that the protected handler answered and not the verifier.
	Handler bool
	// Panicked reports that the handler panicked. Status is then 500 unless a header was written
	// before.
	Panicked bool
	// Hijacked reports that the handler took the connection over (WebSocket).
	Hijacked bool
	// Reason is why a rule of the verifier's own, and not the service, refused an authenticated
	// user; "" if none did. It is the event attribute auth.reason.
	Reason Reason
	// Rule is that rule: a pattern of the configuration, or "group " and the name of the group
	// that the user lacks. It is the event attribute auth.rule.
	Rule string
	// Elsewhere reports that a proxy was asked to let the request pass. The service behind the
	// proxy answers with a status that is unknown here, and Status is 0. It is the event
	// attribute auth.response.elsewhere.
	Elsewhere bool
}

// IsRefused reports whether a rule of the verifier's own refused an authenticated user.
func (r *Response) IsRefused() bool { return r.Reason != "" }

// Denied reports whether the protected handler itself refused an authenticated user.
func (r *Response) Denied() bool { return r.Handler && (r.Status == 401 || r.Status == 403) }
