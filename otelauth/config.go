// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Config is what a [Middleware] does. Exactly one of Accounts and Verifier is set; the zero value of every
// other field is a safe default. It is read by [New] and [Middleware.Reconfigure] and may be changed afterwards without effect.
type Config struct {
	// Realm names the protected space in the challenge; browsers show it. Default: "restricted".
	Realm string

	// Accounts finds the stored hash of a name: *htpasswd.File, verify.Static.
	Accounts verify.Accounts
	// Verifier decides by itself who is right.
	Verifier verify.Verifier

	// Routes names the endpoint of a request before it is served, so that a denied one is counted for its
	// endpoint too. An *http.ServeMux is one; [RouteFunc] makes one for other routers. nil: the pattern that
	// an outer ServeMux has set, and no route where there is none.
	Routes Routes
	// Public lists the endpoints that need no credentials, as patterns of http.ServeMux. Credentials that are sent to them are
	// verified, charged and recorded as everywhere; wrong ones make the caller anonymous.
	//
	// A pattern opens a path only in its canonical spelling: "GET /healthz" does not open "/%68ealthz", "/healthz/" or
	// "/HEALTHZ", because routers disagree about what these are. See docs/paths.md. A route that [Config.Routes] or an outer
	// ServeMux finds and that is more specific than the pattern stays protected unless it is listed too: "/u/{id}" does
	// not open the route "/u/me", and "/health" does not open "admin.example/health".
	//
	// The whole tree "/" may be listed for OPTIONS only (CORS preflight): write "GET /{$}" for the root page.
	Public []string
	// Sensitive lists the endpoints whose attempts deserve attention, as patterns of http.ServeMux. It marks
	// attempt.Request.Sensitive, for the detection rule sensitive_only_denied, and changes no answer. Every spelling
	// counts that a router may take for one of these endpoints.
	Sensitive []string
	// Endpoint says all of that by itself, in place of Routes, Public and Sensitive, which are unset then: for a gateway, whose rules
	// know more than patterns can say. It is asked once for each attempt, before the verdict, and looks at the raw path itself.
	// nil: the three fields above.
	Endpoint func(r *http.Request) Endpoint
	// RequestID returns the X-Request-Id that the service keeps for r, for the event; it has been checked and bounded by then. "" is
	// none. nil: none, because a client's own word for it would be believed.
	RequestID func(r *http.Request) string
	// Deny writes the body of a denial. Status, challenge and the other headers of ours stay. nil: a problem
	// document of RFC 9457.
	Deny func(w http.ResponseWriter, r *http.Request, d Denial)

	// TrustedProxies are the networks whose forwarding headers are believed. Default: none.
	TrustedProxies []netip.Prefix
	// TrustUnixSocket makes the other end of a unix socket a trusted proxy, as nginx in front of a socket is. Default: it is
	// a local client.
	TrustUnixSocket bool
	// ForwardedHeader is the one header that the trusted proxies write. Default: X-Forwarded-For.
	ForwardedHeader clientip.Header
	// TrustedCallers are the networks whose traceparent is obeyed, judged by the resolved client address;
	// see [Middleware.Untrusted]. nil: loopback and private networks; empty but not nil: nobody.
	TrustedCallers []netip.Prefix
	// DangerouslyAllowPlaintextFrom are the networks from which credentials are verified although everybody on
	// the way can read them. Default: none; loopback and unix sockets need no mention.
	DangerouslyAllowPlaintextFrom []netip.Prefix

	// IdentityKey keys user.hash. Default: random, so that hashes of one process mean nothing to another; one event says so.
	IdentityKey IdentityKey
	// UserNames says whether names are told. Default: [PlainNames].
	UserNames UserNames

	// Throttle keeps the guess budgets. Default: throttle.Budgets with throttle.DefaultLimits in the memory of this process;
	// [Middleware.Budgets] returns them. Processes share theirs through package redisstore. throttle.DangerouslyNone tries every
	// guess: nothing but the cost of the hash slows a guesser down.
	Throttle throttle.Throttle
	// Gate limits hashing. Middlewares of one process should share one. Default: a Gate of its own with
	// the zero verify.Limits.
	Gate *verify.Gate
	// CacheTTL is how long a verified credential is recognised without hashing. Default: 5 min, with a Verifier 1 min.
	CacheTTL time.Duration
	// CacheEntries bounds the right and, a quarter of it, the wrong credentials remembered. Default: 65,536.
	CacheEntries int
	// MaxHeaderBytes bounds the Authorization field. Default: 8 KiB.
	MaxHeaderBytes int

	// The providers of telemetry. Default: the global ones, asked when New is called.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	LoggerProvider log.LoggerProvider
	// Events says which events are told one by one, and which are counted in one "auth.events.suppressed" a period.
	// Default: every success, and denials until they are a flood. [Middleware.Close] tells what is still counted. It plays no
	// part when Observers are set.
	Events audit.Events
	// Detect says what attempts must add up to before an event says so. Its zero value is every rule at its default, told through
	// the providers above. It is read once, by New, because evidence of weeks outlives a Reconfigure. It plays no part when
	// Observers are set.
	Detect detect.Config
	// Observers are told of each attempt, in place of the spans, metrics, events and detection of the providers. An observer
	// that must fail closed stands last, so that it decides first. nil: all four; empty but not nil: nobody is told.
	Observers []attempt.Observer

	// Now is the clock, with a monotonic reading. Default: time.Now.
	Now func() time.Time
	// Rand is the source of keys. Default: crypto/rand.Reader.
	Rand io.Reader
}

// DefaultRealm stands for an empty Config.Realm.
const DefaultRealm = "restricted"

// settings is a Config in the form in which requests need it.
type settings struct {
	challenge []string
	clients   *clientip.Resolver
	public    []*pathform.Pattern
	sensitive []*pathform.Pattern
}

// compile checks cfg as a whole and returns every fault.
func (cfg *Config) compile() (s settings, err error) {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("otelauth: "+format, args...))
	}
	realm := cfg.Realm
	if realm == "" {
		realm = DefaultRealm
	}
	if challenge, err := credential.Challenge(realm); err != nil {
		fault("Config.Realm: %w", err)
	} else {
		s.challenge = []string{challenge}
	}
	switch {
	case cfg.Accounts == nil && cfg.Verifier == nil:
		fault("neither Config.Accounts nor Config.Verifier is set; name where the accounts are")
	case cfg.Accounts != nil && cfg.Verifier != nil:
		fault("both Config.Accounts and Config.Verifier are set; remove one")
	}
	if cfg.Endpoint != nil && (cfg.Routes != nil || len(cfg.Public) > 0 || len(cfg.Sensitive) > 0) {
		fault("Config.Endpoint stands in place of Config.Routes, Config.Public and Config.Sensitive; remove the one or the others")
	}
	if s.clients, err = clientip.New(clientip.Config{
		TrustedProxies: cfg.TrustedProxies, TrustUnixSocket: cfg.TrustUnixSocket, Header: cfg.ForwardedHeader,
	}); err != nil {
		fault("Config.TrustedProxies: %w", err)
	}
	if s.public, err = newPatterns("Public", cfg.Public, true); err != nil {
		faults = append(faults, err)
	}
	if s.sensitive, err = newPatterns("Sensitive", cfg.Sensitive, false); err != nil {
		faults = append(faults, err)
	}
	networks := func(name string, prefixes []netip.Prefix) {
		for i, p := range prefixes {
			if !p.IsValid() {
				fault("Config.%s[%d] is not a network; use netip.ParsePrefix", name, i)
			}
		}
	}
	networks("TrustedCallers", cfg.TrustedCallers)
	networks("DangerouslyAllowPlaintextFrom", cfg.DangerouslyAllowPlaintextFrom)
	if err := cfg.IdentityKey.validate(); err != nil {
		faults = append(faults, err)
	}
	if cfg.UserNames > HashedNames {
		fault("Config.UserNames is %d; use PlainNames or HashedNames", cfg.UserNames)
	}
	size := func(name string, n int64) {
		if n < 0 {
			fault("Config.%s is negative; leave it 0 for the default", name)
		}
	}
	size("CacheTTL", int64(cfg.CacheTTL))
	size("CacheEntries", int64(cfg.CacheEntries))
	size("MaxHeaderBytes", int64(cfg.MaxHeaderBytes))
	for i, o := range cfg.Observers {
		if o == nil {
			fault("Config.Observers[%d] is nil; remove it", i)
		}
	}
	if err := cfg.Events.Validate(); err != nil {
		fault("Config.Events: %w", err)
	}
	if v, ok := cfg.Accounts.(verify.Validator); ok {
		if err := v.Validate(); err != nil {
			fault("Config.Accounts: %w", err)
		}
	}
	return s, errors.Join(faults...)
}
