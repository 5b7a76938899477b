// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "time"

// gatewayFlags are the settings of the gateway. The name of a flag is also its key in the
// configuration file, and its environment variable is derived from it.
type gatewayFlags struct {
	Upstream       string   `placeholder:"URL" group:"Service" help:"The service to protect: http://host:port, https://host, h2c://host:port (gRPC without TLS), unix:/path or unix+h2c:/path. Required, unless --forward-auth is set."`
	ForwardAuth    string   `enum:"nginx,traefik,caddy,envoy," default:"" placeholder:"nginx|traefik|caddy|envoy" group:"Service" help:"Do not forward requests. Instead, answer another proxy that asks whether each request may pass: nginx auth_request, Traefik ForwardAuth, Caddy forward_auth or Envoy ext_authz. Requires --trusted-proxy or --trust-unix-socket."`
	UpstreamCAFile string   `name:"upstream-ca-file" placeholder:"FILE" group:"Service" help:"CA certificates (PEM) that verify an https upstream. Default: the system's."`
	UpstreamHost   string   `placeholder:"HOST" group:"Service" help:"The Host header for the upstream. Default: the client's."`
	Listen         []string `sep:"none" default:"127.0.0.1:8080" placeholder:"ADDRESS" group:"Service" help:"Address on which clients connect: host:port or unix:/path. May be repeated. Default: 127.0.0.1:8080."`
	AdminListen    string   `placeholder:"ADDRESS" group:"Service" help:"Address of the health endpoints /-/healthz and /-/readyz. Default: none."`
	CertFile       string   `placeholder:"FILE" group:"Service" help:"The server's certificate chain (PEM). Changes are loaded without a restart. Default: plaintext, on loopback, unix sockets and behind --trusted-proxy only."`
	KeyFile        string   `placeholder:"FILE" group:"Service" help:"The private key of --cert-file (PEM)."`

	Users                  string `placeholder:"FILE" group:"Accounts" help:"The accounts: an htpasswd file. Changes are loaded without a restart. Required, unless --sql-driver is set."`
	Groups                 string `placeholder:"FILE" group:"Accounts" help:"The groups of the accounts, in the format of Apache's AuthGroupFile. Default: no groups."`
	DangerouslyAllowLegacy bool   `group:"Accounts" help:"Accept the weak hashes apr1, {SSHA} and {SHA}, for the time until all passwords are set again."`
	sqlFlags               `group:"Accounts"`

	redisFlags `group:"Network"`

	trailFlags `group:"Trail"`

	Realm                       string   `default:"restricted" group:"Rules" help:"The realm that browsers show in the login prompt. Default: restricted."`
	Public                      []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"Paths that need no credentials, as a pattern of Go's http.ServeMux: 'GET /static/'. All other paths need credentials. May be repeated."`
	DefaultGroups               []string `sep:"none" placeholder:"GROUP,…" group:"Rules" help:"Only members of these groups may call paths that no other rule names. Recommended, because no unusual spelling of a path can then evade a rule. Default: every account may."`
	Endpoint                    []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"Paths that telemetry shows as a route of their own. They need credentials as usual. Patterns of other rules are routes already."`
	Sensitive                   []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"Paths that the detection of attacks watches: it reports networks whose requests to them are all denied. Changes no answer."`
	AllowGroups                 []string `sep:"none" placeholder:"PATTERN=GROUP,…" mapping:"" group:"Rules" help:"Paths that only members of these groups may call: '/admin/=ops,staff'."`
	AllowAccounts               []string `sep:"none" placeholder:"PATTERN=NAME,…" mapping:"" group:"Rules" help:"Paths that only these accounts may call, in addition to the groups that --allow-groups names for the same pattern."`
	AllowRawPath                []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"A prefix, such as /files/, beneath which paths may hold encoded slashes, semicolons and the like. Such paths always need credentials. Default: none; such paths are answered 400."`
	TrustedOrigin               []string `sep:"none" placeholder:"ORIGIN" group:"Rules" help:"An origin, such as https://shop.example, whose pages may make browsers send unsafe requests here (POST, PUT, DELETE, WebSocket). Default: the gateway's own origin only."`
	DangerouslyAllowCrossOrigin []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"Paths to which pages of any origin may make browsers send unsafe requests with the user's credentials."`

	IdentityHeader    []string `sep:"none" placeholder:"NAME" group:"Identity" help:"Header that carries the account's name to the upstream; none turns it off. May be repeated. Default: Remote-User and X-Forwarded-User."`
	GroupsHeader      string   `placeholder:"NAME" group:"Identity" help:"Header that carries the account's groups, joined by commas, to the upstream. Default: none."`
	StripHeader       []string `sep:"none" placeholder:"NAME" group:"Identity" help:"Client header to remove, in addition to those that the gateway always removes. A * at the end matches any rest."`
	PassAuthorization bool     `group:"Identity" help:"Forward the Authorization header, with the password, to the upstream."`

	TrustedProxy              []string `sep:"none" placeholder:"NETWORK" group:"Network" help:"Network of a proxy in front of the gateway, such as 10.0.0.0/8. Its forwarding headers give the client's address and scheme. Default: none."`
	TrustUnixSocket           bool     `group:"Network" help:"Treat every peer on a unix socket as a trusted proxy."`
	ForwardedHeader           string   `enum:"x-forwarded-for,forwarded" default:"x-forwarded-for" group:"Network" help:"The header in which trusted proxies write the client's address: x-forwarded-for or forwarded (RFC 7239). Default: x-forwarded-for."`
	TrustedCaller             []string `sep:"none" placeholder:"NETWORK" group:"Network" help:"Network whose trace context (traceparent) the gateway continues; none turns it off. Default: loopback and private networks."`
	DangerouslyAllowPlaintext bool     `group:"Network" help:"Serve plaintext on any address: everyone on the network path can read the passwords."`

	IdentityKeyFile []string      `sep:"none" placeholder:"FILE" group:"Signals" help:"File with the keys that compute user.hash, one id:hex a line; the first is in use. Set it so that hashes stay the same after a restart. Default: a random key at each start."`
	GeoIPDatabase   string        `name:"geoip-database" placeholder:"FILE" group:"Signals" help:"City database in MaxMind's format (GeoLite2 City, DB-IP City), for the detection of impossible travel; loaded at the start. Default: none; impossible travel is not detected."`
	UserNames       string        `enum:"plain,hash" default:"plain" group:"Signals" help:"Whether telemetry holds account names (plain) or only their hashes (hash). Default: plain."`
	Successes       string        `enum:"every,first" default:"every" group:"Signals" help:"Which successful logins get their own event: every, or only the first of an account from a network in a minute (first). Metrics count all. Default: every."`
	ServerName      string        `default:"otelauth-gateway" group:"Signals" help:"The attribute server.address of spans and metrics, and server.port if the name has a port (shop.example:8443). Default: otelauth-gateway."`
	CacheTTL        time.Duration `name:"cache-ttl" default:"5m" group:"Limits" help:"How long a verified credential is remembered, so that it needs no hashing. Default: 5m."`
	CacheEntries    int           `default:"65536" group:"Limits" help:"How many verified credentials are remembered. Default: 65536."`

	MaxStreamAge          time.Duration `default:"5m" group:"Limits" help:"How long a response, upload or WebSocket may continue after its account lost access. Default: 5m."`
	ReadHeaderTimeout     time.Duration `default:"10s" group:"Limits" help:"How long a client may take for the head of a request. Default: 10s."`
	IdleTimeout           time.Duration `default:"2m" group:"Limits" help:"How long a connection is kept without a request. Default: 2m."`
	StallTimeout          time.Duration `default:"1m" group:"Limits" help:"How long a body may make no progress; negative: no limit. Default: 1m."`
	MaxHeaderBytes        int           `default:"65536" group:"Limits" help:"How many bytes the head of a request may have. Default: 65536."`
	DialTimeout           time.Duration `default:"5s" group:"Limits" help:"How long a connection to the upstream may take. Default: 5s."`
	ResponseHeaderTimeout time.Duration `default:"1m" group:"Limits" help:"How long the upstream may take for the head of its response; negative: no limit. Default: 1m."`
	DrainTimeout          time.Duration `default:"30s" group:"Limits" help:"How long requests in progress may continue after SIGTERM. Default: 30s."`
}
