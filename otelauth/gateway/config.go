// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/otelauth/otelauth-go/otelauth"
)

// Config is what a [Gateway] does. One of Upstream and ForwardAuth, and one of Auth.Accounts and Auth.Verifier are required; the zero value of every
// other field is a safe default. It is read by [New] and [Gateway.Reconfigure] and may be changed afterwards without effect.
type Config struct {
	// Upstream is the service behind the gateway:
	//
	//	http://127.0.0.1:8000        HTTP/1.1
	//	https://orders.internal      HTTP/2 or HTTP/1.1 over TLS
	//	h2c://127.0.0.1:50051        HTTP/2 without TLS, for gRPC
	//	unix:/run/orders.sock        HTTP/1.1 over a unix socket, so that nobody on the host walks round the gateway
	//	unix+h2c:/run/orders.sock    HTTP/2 over a unix socket
	//
	// It has no path, because rules are about the path that the upstream sees.
	Upstream string
	// ForwardAuth names the proxy that asks whether to let requests pass, where the gateway is none itself: no Upstream, no StripHeaders, no
	// PassAuthorization then, and MaxStreamAge, DialTimeout and ResponseHeaderTimeout play no part. It takes Auth.TrustedProxies or
	// Auth.TrustUnixSocket. [Gateway.Reconfigure] cannot change it.
	ForwardAuth ForwardAuth
	// UpstreamCAFile holds the certificates, in PEM, of who may vouch for an https upstream. Default: the system's.
	UpstreamCAFile string
	// UpstreamHost is the Host that the upstream is sent. Default: the client's own, as a site that writes links and
	// checks its host (Django's ALLOWED_HOSTS) needs it.
	UpstreamHost string

	// Auth is how credentials are verified and what is told, with TrustedProxies, budgets, detection and the providers of
	// telemetry. Its Routes, Public, Sensitive, Endpoint and RequestID belong to the gateway and stay unset. Now is the clock of the
	// gateway too.
	Auth otelauth.Config

	// Rules say who may call what; see the package comment for which of them holds. Two rules with the same pattern
	// are an error. A rule for "/" with Groups is recommended: it restricts everything that no other rule names. None: everything
	// requires credentials.
	Rules []Rule
	// AllowRawPaths are patterns, such as "/files/", beneath which paths may hold encoded slashes and backslashes, semicolons, empty
	// segments, control characters, Latin-1 bytes and double encoding. Their names are compared exactly, as they were sent. Such
	// a path is never public, and every restriction holds that any reading of it leads to. Default: none; it is answered 400.
	AllowRawPaths []string

	// IdentityHeaders are the request headers that tell the upstream the account's name. nil: Remote-User and
	// X-Forwarded-User; empty but not nil: none. The defaults are removed from the client's request in any case.
	// An account whose name has a blank at an end or a control character, as only a store or Verifier of your own lets it have, is answered 403.
	IdentityHeaders []string
	// GroupsHeader is the request header that tells the account's groups, joined by commas. Default: none. A group with
	// a comma or a control character in its name, or a blank at an end of it, is not told.
	GroupsHeader string
	// StripHeaders are request headers removed in addition to [DefaultStripHeaders]; a "*" at the end stands for any rest.
	StripHeaders []string
	// PassAuthorization sends the Authorization field on to the upstream, password included. Default: it is removed.
	PassAuthorization bool

	// TrustedOrigins are the origins, such as "https://shop.example", from which browsers may send unsafe requests. Default:
	// the gateway's own origin only, as http.CrossOriginProtection judges it.
	TrustedOrigins []string
	// DangerouslyAllowCrossOrigin are patterns of endpoints that browsers may send unsafe requests to from any page. Default: none.
	DangerouslyAllowCrossOrigin []string

	// CertFile and KeyFile are the certificate chain and its key, in PEM, of what is served. They are read again within
	// a second of a change; a pair that does not load or match leaves the last good one in use, and an event says so. Default:
	// plaintext, which is served to loopback, to unix sockets and to Auth.TrustedProxies only.
	CertFile, KeyFile string
	// DangerouslyAllowPlaintext serves and verifies credentials over plaintext on any address: everybody on the way can
	// read them.
	DangerouslyAllowPlaintext bool

	// MaxStreamAge is how long a response, an upload or a WebSocket may go on after its account was removed, disabled, has
	// expired, got another password, or lost what a rule asks for. A [verify.Verifier] cannot be asked without the password, so there every
	// exchange ends that long after it began. Default: 5 min, with a Verifier 1 h.
	MaxStreamAge time.Duration

	// ReadHeaderTimeout is how long a client may take for the head of a request, the TLS handshake included. Default: 10 s.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request. Default: 2 min.
	IdleTimeout time.Duration
	// StallTimeout is how long one read of a request's body, or one write to the client, may make no progress; half as long is
	// possible. Nothing limits how long a request takes as a whole, and a stream that is silent is not stalled. Bodies of
	// gRPC over HTTP/2 are exempt from reading, as they are silent by design. Default: 1 min; negative: none.
	StallTimeout time.Duration
	// MaxHeaderBytes bounds the head of a request; net/http adds 4 KiB. Default: 64 KiB.
	MaxHeaderBytes int
	// DialTimeout is how long a connection to the upstream may take, its TLS handshake as long again. Default: 5 s.
	DialTimeout time.Duration
	// ResponseHeaderTimeout is how long the upstream may take for the head of its response, after the body of the request was
	// sent. Default: 1 min; negative: none.
	ResponseHeaderTimeout time.Duration
	// DrainTimeout is how long requests may go on after [Gateway.Serve] was told to end; what is left then is cut. Default: 30 s.
	DrainTimeout time.Duration

	// ServerName is server.address of the server spans and metrics, and server.port if it has a port, such as
	// "shop.example:8443". The Host header is not used, because each value would be a time series of the
	// client's choice. Default: "otelauth-gateway". Read by New only.
	ServerName string
	// Propagators read and write the trace context. Default: W3C Trace Context and Baggage; baggage of untrusted callers is
	// dropped. Read by New only.
	Propagators propagation.TextMapPropagator
	// Uninstrumented leaves OpenTelemetry out: no spans, metrics or events, whatever Auth says. Attempts are invisible then, but
	// to Auth.Observers. Read by New only.
	Uninstrumented bool
}

// Rule says who may call the endpoints of a pattern. Its zero value but for Pattern requires credentials of any account.
type Rule struct {
	// Pattern is one of http.ServeMux, [METHOD ][HOST]/[PATH], without percent-encoding. "GET" includes HEAD. Hosts are compared without port; in upper case, or with a dot at the end, they are other hosts. Where rules name hosts, a request for any
	// other host is under the rules of all of them, because only the upstream knows which site it will be shown.
	Pattern string
	// Access is [Required] or [Public]. A Public rule restricts nobody: it has no Accounts and no Groups. "/" may be Public
	// with the method OPTIONS only (CORS preflight); write "GET /{$}" for the root page.
	Access Access
	// Sensitive marks endpoints whose attempts deserve attention, for detection. It changes no answer.
	Sensitive bool
	// Accounts and Groups are who may call: an account that is named, or that belongs to one of the groups. Everybody else is answered 403.
	// Both empty: every account.
	Accounts, Groups []string
}

// Access says whether an endpoint needs credentials. The zero Access is [Required].
type Access uint8

const (
	// Required endpoints are for accounts.
	Required Access = iota
	// Public endpoints are for everybody. Credentials sent to them are verified and recorded all the same; wrong
	// ones make the caller anonymous.
	Public
)

// The defaults of [Config].
const (
	DefaultMaxStreamAge          = 5 * time.Minute
	DefaultVerifierMaxStreamAge  = time.Hour
	DefaultReadHeaderTimeout     = 10 * time.Second
	DefaultIdleTimeout           = 2 * time.Minute
	DefaultStallTimeout          = time.Minute
	DefaultMaxHeaderBytes        = 64 << 10
	DefaultDialTimeout           = 5 * time.Second
	DefaultResponseHeaderTimeout = time.Minute
	DefaultDrainTimeout          = 30 * time.Second
	DefaultServerName            = "otelauth-gateway"
)

// DefaultIdentityHeaders returns what stands for Config.IdentityHeaders when it is nil.
func DefaultIdentityHeaders() []string { return []string{"Remote-User", "X-Forwarded-User"} }
