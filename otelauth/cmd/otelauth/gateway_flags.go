// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "time"

// gatewayFlags are the settings of the gateway. The name of a flag is also its key in the
// configuration file, and its environment variable is derived from it.
type gatewayFlags struct {
	Upstream       string   `sets:"gateway:Upstream" placeholder:"URL" group:"Service" help:"The service to protect: http://host:port, https://host, h2c://host:port (gRPC without TLS), unix:/path or unix+h2c:/path. Required, unless --forward-auth is set."`
	ForwardAuth    string   `via:"gateway:ForwardAuth" enum:"nginx,traefik,caddy,envoy," default:"" placeholder:"nginx|traefik|caddy|envoy" group:"Service" help:"For a site that already has a proxy. The gateway forwards nothing; your proxy asks it before each request, and forwards the request itself if the answer is 200. Name the proxy: nginx (auth_request), traefik (ForwardAuth), caddy (forward_auth) or envoy (ext_authz). Replaces --upstream, and requires --trusted-proxy or --trust-unix-socket."`
	UpstreamCAFile string   `sets:"gateway:UpstreamCAFile" name:"upstream-ca-file" placeholder:"FILE" group:"Service" help:"CA certificates (PEM) that verify an https upstream. Default: the system's."`
	UpstreamHost   string   `sets:"gateway:UpstreamHost" placeholder:"HOST" group:"Service" help:"The Host header for the upstream. Default: the client's."`
	Listen         []string `start:"" sep:"none" default:"127.0.0.1:8080" placeholder:"ADDRESS" group:"Service" help:"Address on which clients connect: host:port or unix:/path. May be repeated. Default: 127.0.0.1:8080."`
	AdminListen    string   `start:"" placeholder:"ADDRESS" group:"Service" help:"Address of the health endpoints /-/healthz and /-/readyz. Default: none."`
	CertFile       string   `sets:"gateway:CertFile" placeholder:"FILE" group:"Service" help:"The server's certificate chain (PEM). Changes are loaded without a restart. Default: plaintext, on loopback, unix sockets and behind --trusted-proxy only."`
	KeyFile        string   `sets:"gateway:KeyFile" placeholder:"FILE" group:"Service" help:"The private key of --cert-file (PEM)."`

	Users                  string `sets:"htpasswd:Path" placeholder:"FILE" group:"Accounts" help:"The accounts: an htpasswd file. Changes are loaded without a restart. Required, unless --sql-driver is set."`
	Groups                 string `sets:"htpasswd:Groups" placeholder:"FILE" group:"Accounts" help:"The groups of the accounts, in the format of Apache's AuthGroupFile. Default: no groups."`
	DangerouslyAllowLegacy bool   `sets:"htpasswd:Policy.DangerouslyAllowLegacy sqlstore:Policy.DangerouslyAllowLegacy" group:"Accounts" help:"Accept the weak hashes apr1, {SSHA} and {SHA}, for the time until all passwords are set again."`
	sqlFlags               `group:"Accounts"`

	redisFlags `group:"Sharing"`

	trailFlags `group:"Trail"`

	operatorFlags `group:"Operator"`
	consoleFlags  `group:"Operator"`

	Realm                       string   `sets:"gateway:Auth.Realm" default:"restricted" group:"Rules" help:"The realm that browsers show in the login prompt. Default: restricted."`
	Public                      []string `via:"gateway:Rules" sep:"none" placeholder:"PATTERN" group:"Rules" help:"Paths that need no credentials, as a pattern of Go's http.ServeMux: 'GET /static/'. All other paths need credentials. May be repeated."`
	DefaultGroups               []string `sep:"none" placeholder:"GROUP,…" group:"Rules" help:"Only members of these groups may call paths that no other rule names. Recommended, because no unusual spelling of a path can then evade a rule. Default: every account may."`
	Endpoint                    []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"Paths that telemetry shows as a route of their own. They need credentials as usual. Patterns of other rules are routes already."`
	ProtectOnly                 []string `sets:"gateway:ProtectOnly" sep:"none" placeholder:"PATTERN" group:"Rules" help:"Paths that need credentials, while all others need none: '/admin/'. A path that you forget is then open; prefer --public. May be repeated."`
	Sensitive                   []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"Paths that deserve attention, such as /admin/. Who may call them stays the same. Detection reports each network whose requests to them are all denied (rule sensitive_only_denied). May be repeated."`
	AllowGroups                 []string `sep:"none" placeholder:"PATTERN=GROUP,…" mapping:"" group:"Rules" help:"Paths that only members of these groups may call: '/admin/=ops,staff'."`
	AllowAccounts               []string `sep:"none" placeholder:"PATTERN=NAME,…" mapping:"" group:"Rules" help:"Paths that only these accounts may call, in addition to the groups that --allow-groups names for the same pattern."`
	AllowRawPath                []string `sets:"gateway:AllowRawPaths" sep:"none" placeholder:"PATTERN" group:"Rules" help:"A prefix, such as /files/, beneath which paths may hold encoded slashes, semicolons and the like. Such paths always need credentials. Default: none; such paths are answered 400."`
	TrustedOrigin               []string `sets:"gateway:TrustedOrigins" sep:"none" placeholder:"ORIGIN" group:"Rules" help:"Another web site, such as https://shop.example, from whose pages browsers may send POST, PUT, DELETE and WebSocket requests to this service. Browsers add the password to them on their own, so the gateway answers 403 to such requests from pages of any site that is not named here. Links and GET requests always work. May be repeated. Default: this service's own pages only."`
	DangerouslyAllowCrossOrigin []string `sets:"gateway:DangerouslyAllowCrossOrigin" sep:"none" placeholder:"PATTERN" group:"Rules" help:"Paths to which pages of any origin may make browsers send unsafe requests with the user's credentials."`

	IdentityHeader    []string `via:"gateway:IdentityHeaders" sep:"none" placeholder:"NAME" group:"Identity" help:"Header that carries the account's name to the upstream; none turns it off. May be repeated. Default: Remote-User and X-Forwarded-User."`
	GroupsHeader      string   `sets:"gateway:GroupsHeader" placeholder:"NAME" group:"Identity" help:"Header that carries the account's groups, joined by commas, to the upstream. Default: none."`
	StripHeader       []string `sets:"gateway:StripHeaders" sep:"none" placeholder:"NAME" group:"Identity" help:"Client header to remove, in addition to those that the gateway always removes. A * at the end matches any rest."`
	PassAuthorization []string `sets:"gateway:PassAuthorization" sep:"none" placeholder:"PATTERN" group:"Identity" help:"Paths at which the user's password is forwarded to the upstream, in the Authorization header. Default: nowhere. Credentials of another scheme, such as a bearer token, are forwarded at --public paths."`

	TrustedProxy              []string `via:"gateway:Auth.TrustedProxies" sep:"none" placeholder:"NETWORK" group:"Network" help:"Network of a proxy in front of the gateway, such as 10.0.0.0/8. Its forwarding headers give the client's address and scheme. Default: none."`
	TrustUnixSocket           bool     `sets:"gateway:Auth.TrustUnixSocket" group:"Network" help:"Treat every peer on a unix socket as a trusted proxy."`
	ForwardedHeader           string   `via:"gateway:Auth.ForwardedHeader" enum:"x-forwarded-for,forwarded" default:"x-forwarded-for" group:"Network" help:"The header in which trusted proxies write the client's address: x-forwarded-for or forwarded (RFC 7239). Default: x-forwarded-for."`
	TrustedCaller             []string `via:"gateway:Auth.TrustedCallers" sep:"none" placeholder:"NETWORK" group:"Network" help:"Network whose trace context (traceparent) the gateway continues; none turns it off. Default: loopback and private networks."`
	DangerouslyAllowPlaintext bool     `sets:"gateway:DangerouslyAllowPlaintext" group:"Network" help:"Serve plaintext on any address: everyone on the network path can read the passwords."`

	IdentityKeyFile []string      `via:"gateway:Auth.IdentityKey" sep:"none" placeholder:"FILE" group:"Signals" help:"File with the keys that compute user.hash, one id:hex a line; the first is in use. Set it so that hashes stay the same after a restart. Default: a random key at each start."`
	GeoIPDatabase   string        `via:"gateway:Auth.Detect.Locator" start:"" name:"geoip-database" placeholder:"FILE" group:"Signals" help:"City database in MaxMind's format (GeoLite2 City, DB-IP City), for the detection of impossible travel; loaded at the start. Default: none; impossible travel is not detected."`
	DetectRules     string        `via:"gateway:Auth.Detect.Custom" placeholder:"FILE" complete:"file" group:"Signals" help:"File with rules and exceptions of your own for detection: see docs/detection-rules.md. Read again on SIGHUP. Default: none."`
	GeoIPOwners     []string      `via:"gateway:Auth.Detect.Locator" sep:"none" start:"" name:"geoip-owners" rare:"" placeholder:"FILE" group:"Signals" help:"Database of autonomous systems or countries in MaxMind's format (GeoLite2 ASN), so that detections list the owners of addresses. Requires --geoip-database. May be repeated. Default: none."`
	UserNames       string        `via:"gateway:Auth.UserNames" enum:"plain,hash,dangerously-claimed" default:"plain" group:"Signals" help:"Whether telemetry holds account names (plain) or only their hashes (hash). With dangerously-claimed, detections list names that are not accounts too, although people type passwords into the name field. Default: plain."`
	Successes       string        `via:"gateway:Auth.Events.Success" enum:"every,first" default:"every" group:"Signals" help:"Which successful logins get their own event: every, or only the first of an account from a network in a minute (first). Metrics count all. Default: every."`
	ServerName      string        `sets:"gateway:ServerName" start:"" default:"otelauth-gateway" group:"Signals" help:"The attribute server.address of spans and metrics, and server.port if the name has a port (shop.example:8443). Default: otelauth-gateway."`
	CacheTTL        time.Duration `sets:"gateway:Auth.CacheTTL" name:"cache-ttl" default:"5m" group:"Limits" help:"How long a verified credential is remembered, so that it needs no hashing. Default: 5m."`
	CacheEntries    int           `sets:"gateway:Auth.CacheEntries" default:"65536" group:"Limits" help:"How many verified credentials are remembered. Default: 65536."`

	MaxStreamAge          time.Duration `sets:"gateway:MaxStreamAge" default:"5m" group:"Limits" help:"How long a response, upload or WebSocket may continue after its account lost access. Default: 5m."`
	ReadHeaderTimeout     time.Duration `sets:"gateway:ReadHeaderTimeout" default:"10s" group:"Limits" help:"How long a client may take for the head of a request. Default: 10s."`
	IdleTimeout           time.Duration `sets:"gateway:IdleTimeout" default:"2m" group:"Limits" help:"How long a connection is kept without a request. Default: 2m."`
	StallTimeout          time.Duration `sets:"gateway:StallTimeout" default:"1m" group:"Limits" help:"How long a body may make no progress; negative: no limit. Default: 1m."`
	MaxHeaderBytes        int           `sets:"gateway:MaxHeaderBytes" default:"65536" group:"Limits" help:"How many bytes the head of a request may have. Default: 65536."`
	DialTimeout           time.Duration `sets:"gateway:DialTimeout" default:"5s" group:"Limits" help:"How long a connection to the upstream may take. Default: 5s."`
	ResponseHeaderTimeout time.Duration `sets:"gateway:ResponseHeaderTimeout" default:"1m" group:"Limits" help:"How long the upstream may take for the head of its response; negative: no limit. Default: 1m."`
	DrainTimeout          time.Duration `sets:"gateway:DrainTimeout" default:"30s" group:"Limits" help:"How long requests in progress may continue after SIGTERM. Default: 30s."`

	tuningFlags
}
