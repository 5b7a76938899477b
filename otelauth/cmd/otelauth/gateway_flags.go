// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "time"

// gatewayFlags are the settings of the gateway. The name of a flag is its key in the file too, and names its variable.
type gatewayFlags struct {
	Upstream       string   `placeholder:"URL" group:"Service" help:"The service: http://host:port, https://, h2c:// for gRPC, unix:/path, unix+h2c:/path. This or --forward-auth is required."`
	ForwardAuth    string   `enum:"nginx,traefik,caddy,envoy," default:"" placeholder:"nginx|traefik|caddy|envoy" group:"Service" help:"Be no proxy, but answer this one, which asks whether to let requests pass: auth_request, ForwardAuth, forward_auth, ext_authz. It takes --trusted-proxy or --trust-unix-socket."`
	UpstreamCAFile string   `name:"upstream-ca-file" placeholder:"FILE" group:"Service" help:"Who may vouch for an https upstream, in PEM. Default: the system's."`
	UpstreamHost   string   `placeholder:"HOST" group:"Service" help:"The Host that the upstream is sent. Default: the client's."`
	Listen         []string `sep:"none" default:"127.0.0.1:8080" placeholder:"ADDRESS" group:"Service" help:"Where clients connect: host:port or unix:/path; may be repeated. Default: 127.0.0.1:8080."`
	AdminListen    string   `placeholder:"ADDRESS" group:"Service" help:"Where /-/healthz and /-/readyz are answered. Default: nowhere."`
	CertFile       string   `placeholder:"FILE" group:"Service" help:"The certificate chain, in PEM; read again when it changes."`
	KeyFile        string   `placeholder:"FILE" group:"Service" help:"Its key, in PEM."`

	Users                  string `placeholder:"FILE" group:"Accounts" help:"The htpasswd file of the accounts. This or --sql-driver is required."`
	Groups                 string `placeholder:"FILE" group:"Accounts" help:"Their groups, in the form of Apache's AuthGroupFile."`
	DangerouslyAllowLegacy bool   `group:"Accounts" help:"Accept apr1, {SSHA} and {SHA} hashes while passwords are set anew."`
	sqlFlags               `group:"Accounts"`

	redisFlags `group:"Network"`

	Realm                       string   `default:"restricted" group:"Rules" help:"What browsers show in the prompt."`
	Public                      []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"What needs no credentials, as a pattern of http.ServeMux: 'GET /static/'. What no pattern names needs them."`
	DefaultGroups               []string `sep:"none" placeholder:"GROUP,…" group:"Rules" help:"Only members of these groups may call what no other rule names. Recommended: no spelling of a path then needs a rule. Default: every account may."`
	Endpoint                    []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"What signals count as an endpoint of its own; it needs credentials like all else. Endpoints that another rule names need no mention."`
	Sensitive                   []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"What deserves attention; changes no answer."`
	AllowGroups                 []string `sep:"none" placeholder:"PATTERN=GROUP,…" mapping:"" group:"Rules" help:"What only members of these groups may call: '/admin/=ops,staff'."`
	AllowAccounts               []string `sep:"none" placeholder:"PATTERN=NAME,…" mapping:"" group:"Rules" help:"What only these accounts, and the groups of --allow-groups, may call."`
	AllowRawPath                []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"A prefix such as /files/ beneath which paths may hold encoded slashes, semicolons and the like; never public. Default: none, such paths are answered 400."`
	TrustedOrigin               []string `sep:"none" placeholder:"ORIGIN" group:"Rules" help:"Whence browsers may send unsafe requests, besides the gateway's own origin."`
	DangerouslyAllowCrossOrigin []string `sep:"none" placeholder:"PATTERN" group:"Rules" help:"What any page may make browsers call."`

	IdentityHeader    []string `sep:"none" placeholder:"NAME" group:"Identity" help:"The headers that tell the upstream who calls; none for none. Default: Remote-User and X-Forwarded-User."`
	GroupsHeader      string   `placeholder:"NAME" group:"Identity" help:"The header that tells the groups. Default: none."`
	StripHeader       []string `sep:"none" placeholder:"NAME" group:"Identity" help:"Headers of clients that are removed too; a * at the end stands for any rest."`
	PassAuthorization bool     `group:"Identity" help:"Send the password on to the upstream."`

	TrustedProxy              []string `sep:"none" placeholder:"NETWORK" group:"Network" help:"The networks of proxies whose forwarding headers are believed. Default: none."`
	TrustUnixSocket           bool     `group:"Network" help:"Whoever connects by a unix socket is such a proxy."`
	ForwardedHeader           string   `enum:"x-forwarded-for,forwarded" default:"x-forwarded-for" group:"Network" help:"The header that they write: x-forwarded-for or forwarded."`
	TrustedCaller             []string `sep:"none" placeholder:"NETWORK" group:"Network" help:"The networks whose traceparent is obeyed; none for none. Default: loopback and private networks."`
	DangerouslyAllowPlaintext bool     `group:"Network" help:"Serve passwords over plaintext on any address."`

	IdentityKeyFile []string      `sep:"none" placeholder:"FILE" group:"Signals" help:"The keys of user.hash, a line id:hex each, the first in use. Default: random at each start."`
	GeoIPDatabase   string        `name:"geoip-database" placeholder:"FILE" group:"Signals" help:"A database of cities in MaxMind's format (GeoLite2 City, DB-IP City), for the detection of impossible travel; read at the start. Default: none, and that is not detected."`
	UserNames       string        `enum:"plain,hash" default:"plain" group:"Signals" help:"Whether signals tell names (plain) or only their hashes (hash)."`
	Successes       string        `enum:"every,first" default:"every" group:"Signals" help:"Which successes are told one by one: every, or the first of an account from a network in a minute."`
	ServerName      string        `default:"otelauth-gateway" group:"Signals" help:"server.address of spans and metrics, with server.port if it has a port (shop.example:8443)."`
	CacheTTL        time.Duration `name:"cache-ttl" default:"5m" group:"Limits" help:"How long a verified credential is recognised without hashing. Default: 5m."`
	CacheEntries    int           `default:"65536" group:"Limits" help:"How many are remembered. Default: 65536."`

	MaxStreamAge          time.Duration `default:"5m" group:"Limits" help:"How long a stream may outlive its account. Default: 5m."`
	ReadHeaderTimeout     time.Duration `default:"10s" group:"Limits" help:"How long a client may take for the head of a request. Default: 10s."`
	IdleTimeout           time.Duration `default:"2m" group:"Limits" help:"How long a connection is kept without a request. Default: 2m."`
	StallTimeout          time.Duration `default:"1m" group:"Limits" help:"How long a body may make no progress; negative: for ever. Default: 1m."`
	MaxHeaderBytes        int           `default:"65536" group:"Limits" help:"The bound of a request's head. Default: 65536."`
	DialTimeout           time.Duration `default:"5s" group:"Limits" help:"How long a connection to the upstream may take. Default: 5s."`
	ResponseHeaderTimeout time.Duration `default:"1m" group:"Limits" help:"How long the upstream may take for the head of its response; negative: for ever. Default: 1m."`
	DrainTimeout          time.Duration `default:"30s" group:"Limits" help:"How long requests may go on at the end. Default: 30s."`
}
