// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/otelauth/otelauth-go/otelauth"
)

// Config configures a [Gateway]. Required are one of Upstream and ForwardAuth, and one of
// Auth.Accounts and Auth.Verifier. The zero value of every other field is a safe default. [New]
// and [Gateway.Reconfigure] copy what they need: later changes have no effect.
type Config struct {
	// Upstream is the service behind the gateway:
	//
	//	http://127.0.0.1:8000        HTTP/1.1
	//	https://orders.internal      HTTP/2 or HTTP/1.1 over TLS
	//	h2c://127.0.0.1:50051        HTTP/2 without TLS, for gRPC
	//	unix:/run/orders.sock        HTTP/1.1 over a unix socket, which the network cannot reach
	//	unix+h2c:/run/orders.sock    HTTP/2 over a unix socket
	//
	// It has no path, because rules are about the path that the upstream sees.
	Upstream string
	// ForwardAuth names the proxy that asks this gateway whether to let requests pass. The
	// gateway then forwards nothing: Upstream, UpstreamCAFile, UpstreamHost, StripHeaders and
	// PassAuthorization must be unset, and MaxStreamAge, DialTimeout and ResponseHeaderTimeout
	// have no effect. It requires Auth.TrustedProxies or Auth.TrustUnixSocket.
	// [Gateway.Reconfigure] cannot change it. Default: none; the gateway is the proxy.
	ForwardAuth ForwardAuth
	// UpstreamCAFile holds the CA certificates, in PEM, that an https upstream is verified
	// against. Default: the system's.
	UpstreamCAFile string
	// UpstreamHost is the Host header for the upstream. Default: the client's own, which a site
	// needs that writes links and checks its host (Django's ALLOWED_HOSTS).
	UpstreamHost string

	// Auth configures verification and telemetry: accounts, TrustedProxies, budgets, detection
	// and providers. The gateway sets Routes, Public, Sensitive, Endpoint and RequestID itself:
	// leave them unset. Now is the gateway's clock too.
	Auth otelauth.Config

	// ProtectOnly are patterns of the endpoints that require credentials. Everything else is then
	// public, unless a rule says otherwise, so an endpoint that is forgotten is open: prefer
	// Public rules. A pattern protects a path in every spelling, and a path in an unusual
	// spelling is protected too. Default: everything requires credentials.
	ProtectOnly []string
	// Rules are who may call what; the package comment explains which of them applies. Two rules
	// with the same pattern are an error. We recommend a rule for "/" with Groups: it restricts
	// everything that no other rule names. Default: everything requires the credentials of any
	// account.
	Rules []Rule
	// AllowRawPaths are patterns, such as "/files/", beneath which paths may hold encoded
	// slashes and backslashes, semicolons, empty segments, control characters, Latin-1 bytes and
	// double encoding. The patterns are compared exactly with the path that was sent. Such a
	// path is never public, and every restriction applies that any reading of it leads to.
	// Default: none; such paths are answered 400.
	AllowRawPaths []string

	// IdentityHeaders are the request headers that carry the account's name to the upstream, 4
	// at most. nil: Remote-User and X-Forwarded-User; empty but not nil: none. The two defaults
	// are removed from the client's request in any case. An account whose name begins or ends
	// with a space, or holds a control character, is answered 403; only your own store or
	// Verifier can have such a name.
	IdentityHeaders []string
	// GroupsHeader is the request header that carries the account's groups, joined by commas. A
	// group is left out if its name holds a comma or a control character, or begins or ends with
	// a space. Default: none.
	GroupsHeader string
	// StripHeaders are request headers to remove in addition to [DefaultStripHeaders]. A "*" at
	// the end matches any rest.
	StripHeaders []string
	// PassAuthorization are patterns of endpoints at which Basic credentials, with the password,
	// are forwarded to the upstream. Default: none. Credentials of another scheme, such as a
	// bearer token, are forwarded at public endpoints and nowhere else.
	PassAuthorization []string

	// TrustedOrigins are origins, such as "https://shop.example", whose pages may make browsers
	// send unsafe requests here (any method except GET, HEAD and OPTIONS). Default: only the
	// gateway's own origin, as http.CrossOriginProtection judges it.
	TrustedOrigins []string
	// DangerouslyAllowCrossOrigin are patterns of endpoints to which pages of any origin may
	// make browsers send unsafe requests. Default: none.
	DangerouslyAllowCrossOrigin []string

	// Operator is the handler that [Gateway.Admin] serves beneath /-/operator/ to the members of
	// OperatorGroup, such as an *operator.Operator. Their credentials are verified, charged and
	// recorded like those of any request. Both are set, or neither. Default: none.
	Operator      http.Handler
	OperatorGroup string

	// CertFile and KeyFile are the server's certificate chain and key, in PEM. A change is read
	// within a second. A pair that cannot be loaded leaves the last good one in use and emits an
	// event. Default: plaintext, which is served only to loopback, unix sockets and
	// Auth.TrustedProxies.
	CertFile, KeyFile string
	// DangerouslyAllowPlaintext serves plaintext on any address: everyone on the network path
	// can read the passwords.
	DangerouslyAllowPlaintext bool

	// MaxStreamAge is how long a response, an upload or a WebSocket may continue after its
	// account was removed, disabled or expired, got another password, or lost what a rule
	// requires. A [verify.Verifier] cannot be asked again without the password, so every
	// exchange ends that long after its begin. Default: 5 min; with a Verifier, 1 h.
	MaxStreamAge time.Duration

	// ReadHeaderTimeout is how long a client may take for the TLS handshake and the head of a
	// request. Default: 10 s.
	ReadHeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request. Default: 2 min.
	IdleTimeout time.Duration
	// StallTimeout is how long one read of a request body, or one write to the client, may make
	// no progress; a read or write may end after half of that. No limit applies to a whole
	// request, and a silent stream is not stalled. Request bodies of gRPC over HTTP/2 are
	// exempt, because gRPC clients may be silent. Default: 1 min; negative: no limit.
	StallTimeout time.Duration
	// MaxHeaderBytes limits the head of a request; net/http adds 4 KiB. Default: 64 KiB.
	MaxHeaderBytes int
	// DialTimeout is how long a connection to the upstream may take. A TLS handshake may take as
	// long again. Default: 5 s.
	DialTimeout time.Duration
	// ResponseHeaderTimeout is how long the upstream may take for the head of its response,
	// after the request's body was sent. Default: 1 min; negative: no limit.
	ResponseHeaderTimeout time.Duration
	// DrainTimeout is how long requests may continue after the context of [Gateway.Serve] has
	// ended. Then they are cut. Default: 30 s.
	DrainTimeout time.Duration

	// ServerName is server.address of the server spans and metrics, and server.port if it has a
	// port, such as "shop.example:8443". The Host header is not used, because a client could
	// create a time series with each value. Only New reads it. Default: "otelauth-gateway".
	ServerName string
	// Propagators read and write the trace context. The gateway drops baggage of untrusted
	// callers. Only New reads it. Default: W3C Trace Context and Baggage.
	Propagators propagation.TextMapPropagator
	// Uninstrumented turns OpenTelemetry off: no spans, metrics or events, whatever Auth holds.
	// Only Auth.Observers see attempts then. Only New reads it.
	Uninstrumented bool
}

// Rule is who may call the endpoints of a pattern. A Rule with only a Pattern requires the
// credentials of any account.
type Rule struct {
	// Pattern has the syntax of http.ServeMux, [METHOD ][HOST]/[PATH], without percent-encoding.
	// "GET" includes HEAD. Hosts are compared without port; a host in upper case or with a
	// final dot is another host. Where rules name hosts, the rules of all of them apply to a
	// request for any other host, because only the upstream knows which site it will serve.
	Pattern string
	// Access is [Required] or [Public]. A Public rule has no Accounts and no Groups. "/" may be
	// Public with the method OPTIONS only (CORS preflight); write "GET /{$}" for the root page.
	Access Access
	// Sensitive marks endpoints for the detection rule sensitive_only_denied. It changes no
	// answer.
	Sensitive bool
	// Accounts and Groups are who may call: the named accounts and the members of the named
	// groups. Other accounts are answered 403. Both empty: every account.
	Accounts, Groups []string
}
