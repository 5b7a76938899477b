// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Config configures a [Middleware]. Exactly one of Accounts and Verifier is required; the zero
// value of every other field is a safe default. [New] and [Middleware.Reconfigure] copy it.
// The first eight fields are those that most services set.
type Config struct {
	// Realm names the protected space in the challenge; browsers show it. Default: "restricted".
	Realm string
	// Accounts finds the stored hash of a name: *htpasswd.File, *sqlstore.Store, verify.Static.
	Accounts verify.Accounts
	// Verifier decides by itself whether a password is right, for example by an LDAP bind.
	Verifier verify.Verifier
	// Routes finds the endpoint of a request before it is served, so that a denied request counts
	// for its endpoint too. An *http.ServeMux is a Routes; [RouteFunc] adapts other routers.
	// nil: the pattern that an outer ServeMux has set, or no route.
	Routes Routes
	// Public lists the endpoints that need no credentials, as patterns of http.ServeMux.
	// Credentials sent to them are verified, charged and recorded; wrong ones make the caller
	// anonymous. Only OPTIONS may list the whole tree "/" (CORS preflight); write "GET /{$}" for
	// the root page.
	//
	// A pattern opens a path only in its canonical spelling: "GET /healthz" does not open
	// "/%68ealthz", "/healthz/" or "/HEALTHZ", because routers disagree about them. See
	// docs/paths.md. A route of [Config.Routes] or of an outer ServeMux that is more specific than
	// the pattern stays protected unless it is listed too: "/u/{id}" does not open "/u/me".
	Public []string
	// TrustedProxies are the networks whose forwarding headers are believed. Default: none.
	TrustedProxies []netip.Prefix
	// IdentityKey keys user.hash. Default: a random key for this process, and one event that
	// reports it; hashes of two processes then differ.
	IdentityKey IdentityKey
	// Throttle keeps the budgets for wrong guesses. Default: throttle.Budgets as Budgets configures
	// them, in memory, see [Middleware.Budgets]. Package redisstore shares budgets between
	// processes. throttle.DangerouslyNone verifies every guess: only the cost of
	// the hash slows an attacker down.
	Throttle throttle.Throttle

	// Endpoints and answers.

	// Sensitive lists the endpoints whose attempts deserve attention, as patterns of
	// http.ServeMux, in every spelling that a router may accept. It sets attempt.Request.Sensitive
	// for the detection rule sensitive_only_denied and changes no answer.
	Sensitive []string
	// Registered lists the protected routes of the service, as patterns of http.ServeMux. The event
	// auth.coverage reports each that has served no authenticated caller after a day: an endpoint
	// that the Middleware does not wrap is seen in no other event. Default: none.
	Registered []string
	// Endpoint replaces Routes, Public and Sensitive, which must then be unset. It is called once
	// for each attempt, before verification, and must compare the raw path. It is for a gateway,
	// whose rules are richer than patterns. nil: the three fields are used.
	Endpoint func(r *http.Request) Endpoint
	// RequestID returns the X-Request-Id that the service keeps for r, checked and bounded, or "".
	// The event records it. nil: none, because a client can write any X-Request-Id.
	RequestID func(r *http.Request) string
	// Deny writes the body of a denial. The status, the challenge and the other security headers
	// are set by the Middleware. nil: a problem document (RFC 9457).
	Deny func(w http.ResponseWriter, r *http.Request, d Denial)

	// The client's address and its connection.

	// TrustUnixSocket makes the other end of a unix socket a trusted proxy, for example nginx in
	// front of a socket. Default: it is a local client.
	TrustUnixSocket bool
	// ForwardedHeader is the one header that the trusted proxies write. Default: X-Forwarded-For.
	ForwardedHeader clientip.Header
	// TrustedCallers are the networks whose traceparent is continued, compared with the resolved
	// client address; see [Middleware.Untrusted]. nil: loopback and private networks; empty but
	// not nil: no network.
	TrustedCallers []netip.Prefix
	// DangerouslyAllowPlaintextFrom are the networks from which credentials are verified although
	// everyone on the network path can read them. Default: none. Loopback and unix sockets are
	// always allowed.
	DangerouslyAllowPlaintextFrom []netip.Prefix

	// Costs and bounds.

	// Budgets configures the budgets that the Middleware creates if Throttle is nil: their limits,
	// their store, how long a success counts. The Middleware sets Identify and Notice, and unless
	// they are set, Key and the clocks. Only New reads it, because budgets outlive a Reconfigure.
	// Default: the zero throttle.Config.
	Budgets throttle.Config
	// Gate limits concurrent hashing. The Middlewares of one process should share one Gate.
	// Default: a Gate of its own with the limits of Hashing.
	Gate *verify.Gate
	// Hashing are the limits of the Middleware's own Gate. It is unused if Gate is set.
	// Default: the zero verify.Limits; with a Verifier, verify.DefaultVerifierSlots.
	Hashing verify.Limits
	// CacheTTL is how long a verified credential is accepted without hashing.
	// Default: 5 min; with a Verifier 1 min.
	CacheTTL time.Duration
	// CacheEntries bounds the remembered right credentials, and at a quarter of it the wrong ones.
	// Default: 65,536.
	CacheEntries int
	// MaxHeaderBytes bounds the Authorization field. Default: 8 KiB.
	MaxHeaderBytes int

	// Telemetry.

	// UserNames selects which attributes identify a user in telemetry. Default: [PlainNames].
	UserNames UserNames
	// TracerProvider, MeterProvider and LoggerProvider receive the telemetry.
	// Default: the global providers at the time of New.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	LoggerProvider log.LoggerProvider
	// Slog gets every event too, as a record with the same attributes. Default: none. Unused when
	// Observers is set.
	Slog slog.Handler
	// DisableFallback keeps silent about signals that no provider records. Default: while the
	// LoggerProvider in force records nothing and Slog is nil, events go to [slog.Default], and
	// the first attempt is followed by one line for each signal that is lost, which says how to
	// set its provider. Unused when Observers is set.
	DisableFallback bool
	// Events selects which events are emitted one by one and which are folded into one
	// "auth.events.suppressed" a period. Default: every success, and denials below the rate of a
	// flood. [Middleware.Close] flushes folded events. Unused when Observers is set.
	Events audit.Events
	// Detect configures the rules that report attacks over many attempts. Default: every rule that
	// is not optional, at its default thresholds, with the providers above. Only New reads it,
	// except for Custom, because a detector holds weeks of evidence that outlive a Reconfigure.
	// Unused when Observers is set.
	Detect detect.Config
	// Trail records every attempt in addition to the other observers, and decides first: a
	// *trail.Trail that is required refuses credentials with 503 while it cannot write. Close it
	// after the Middleware. nil: no trail.
	Trail attempt.Observer
	// Observers replace the spans, metrics, events and detection of the providers. nil: all
	// four; empty but not nil: no observer.
	Observers []attempt.Observer
	// Additional observers record beside Observers, or beside those of the providers. An
	// *operator.Operator is one. nil: none.
	Additional []attempt.Observer

	// Injection for tests.

	// Now returns the time with a monotonic reading. Default: time.Now.
	Now func() time.Time
	// Rand is the source of keys. Default: crypto/rand.Reader.
	Rand io.Reader
}
