// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

import (
	"context"
	"net/netip"
	"time"
)

// Request is what is known of an attempt before the verdict.
//
// Its zero value is an attempt without credentials from an unknown client. A
// Request belongs to one attempt; it is not safe for concurrent use while being
// filled and must not be changed once [Observer.Begin] has seen it, but for the
// fields that say so.
type Request struct {
	// Context is the context outside the auth span: the server span's. Observers reach
	// the server span through it, because Decide runs inside the auth span. Never nil
	// once Begin is called.
	Context context.Context
	// Time is when the attempt began, with its monotonic reading.
	Time time.Time
	// Scheme is what the client used. It may be set until Decide.
	Scheme Scheme

	// Route is the registered pattern of the endpoint without method and host, such as
	// "/orders/{id}"; "" when no route matches. Never the path that the client sent.
	Route string
	// Method is a method of RFC 9110 or RFC 5789, or "_OTHER" for any else.
	Method string
	// Path is the path as it was sent, escaped, without query, at most [MaxPathBytes] long.
	Path string
	// UserAgent is at most [MaxUserAgentBytes] long; "" when none was sent.
	UserAgent string
	// RequestID is the X-Request-Id that the service keeps; "" when it keeps none.
	RequestID string

	// Client is the caller's address after trusted proxies were resolved, without a zone;
	// the zero Addr when unknown (a unix socket).
	Client netip.Addr
	// ClientText is Client as text, for a caller that has the string at hand and spares the observers the
	// allocation; it must say what Client says. "" is the default: see [Request.ClientAddress].
	ClientText string
	// ClientPort is 0 when unknown, as it is behind most proxies.
	ClientPort uint16
	// Peer is the other end of the connection; the zero AddrPort when unknown.
	Peer netip.AddrPort

	// Sensitive marks an endpoint that the service registered as such.
	Sensitive bool
	// Exposed says that credentials arrived in plaintext: whoever listened has them. The event
	// attribute auth.credentials.exposed.
	Exposed bool

	// Span is the span of this attempt, set in Begin by the observer that traces (an OpenTelemetry
	// trace.Span) for those after it; nil when the attempt is not traced. It is an any so that this package
	// needs no OpenTelemetry.
	Span any
}

// ClientAddress returns Client as text, "" when it is unknown. The first call may allocate and
// remembers its answer in ClientText, so it must not run concurrently with itself.
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

	// UserName is the account's name as the store spells it. It is "" when the claimed name is no
	// account (people type passwords into the name field) and when the service records no names.
	UserName string
	// UserHash is "keyid:hex", a keyed hash of the account's name, or of the claimed name when it
	// is no account; "" when no name was claimed.
	UserHash string

	// PasswordFingerprint is a hash of the wrong password under a key that this process alone has, the same for the same
	// password; 0 when the attempt brought none, when it was right, and when it was not looked at. It lets detection tell
	// a client that repeats one stale password from one that tries many, and one password tried on many accounts. It
	// stays in memory: no observer may export it, in whatever form.
	PasswordFingerprint uint64

	// Hash describes the password hash that ran for this attempt; its zero value says that none did.
	Hash HashRun
	// RehashNeeded says that the stored hash is weaker than today's policy, the event
	// attribute auth.password.rehash_needed. Only ever set on a success.
	RehashNeeded bool
	// FormerCredential says that the password is the account's former one: accepted for a bounded time while clients change
	// over, or, with [ReasonCredentialsExpired], no longer. The event attribute auth.credentials.former.
	FormerCredential bool

	// Duration is the time from Request.Time to the verdict.
	Duration time.Duration
	// RetryAfter is how long the caller should wait; 0 says nothing about it.
	RetryAfter time.Duration
	// Err is the infrastructure error behind Outcome Error; nil otherwise. It holds no secret. It is
	// for operators: no response carries it.
	Err error
}

// HashRun is one run of a password hash function.
type HashRun struct {
	// Scheme is "bcrypt", "argon2id", …, the attribute auth.password.scheme; "" when none ran.
	Scheme string
	// Start is when the hash function began, after any wait in the queue.
	Start time.Time
	// Duration is the wall time of the function itself.
	Duration time.Duration
	// Outcome is Success or Failure.
	Outcome Outcome
}

// Ran reports whether a hash function ran.
func (h HashRun) Ran() bool { return h.Scheme != "" }

// Response is what the caller got.
type Response struct {
	// Status is the HTTP status code; 0 when it was not known when the attempt was told
	// (no header after some seconds, or a hijack).
	Status int
	// Handler says that the protected handler gave the answer, not the verifier.
	Handler bool
	// Panicked says that the handler panicked; Status is then 500 unless a header was written before.
	Panicked bool
	// Hijacked says that the handler took the connection over (WebSocket).
	Hijacked bool
	// Elsewhere says that a proxy was told to let the request pass: the service behind it answers, with a status that is
	// unknown here, and Status is 0. The event attribute auth.response.elsewhere.
	Elsewhere bool
}

// Denied reports whether the protected handler itself refused an authenticated user.
func (r *Response) Denied() bool { return r.Handler && (r.Status == 401 || r.Status == 403) }
