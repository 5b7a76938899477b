// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

// strippedGroup is a set of request headers that some products accept from a proxy in front of
// them. Clients must not be able to set them.
type strippedGroup struct {
	title      string
	believedBy string // products
	names      []string
}

// stripped is the single list of request headers that the gateway removes. A "*" at the end of a
// name matches any rest. Well-known names that such a pattern covers are listed too, for proxies
// that support only exact names. docs/stripped-headers.md and the strip lists of
// examples/gateway are generated from it.
//
// The list holds no credentials (X-Api-Key, X-Auth-Token, Impersonate-User), because the service
// checks those itself, and no choice of a tenant (X-Scope-OrgID), which is the client's.
var stripped = []strippedGroup{
	{"Identity: any application", "forward authentication in general (Authelia, oauth2-proxy, Grafana, Gitea, Jenkins, CloudBeaver)", []string{
		"Remote-*", "Remote-User", "Remote-Groups", "Remote-Name", "Remote-Email", "Remote-Addr", "Remote-Host",
		"X-Remote-*", "X-Remote-User", "X-Remote-Group", "X-Remote-Groups", "X-Remote-Name", "X-Remote-Email", "X-Remote-Addr",
		"X-Remote-Ip", "X-Remote-Host", "X-Remote-Uid",
		"X-Auth-Request-*", "X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups",
		"X-Auth-Request-Preferred-Username", "X-Auth-Request-Access-Token", "X-Auth-Request-Redirect",
		"X-Auth-User", "X-Auth-Username", "X-Auth-Userid", "X-Auth-Name", "X-Auth-Email", "X-Auth-Groups", "X-Auth-Roles",
		"X-Auth-Subject", "X-Auth-Status", "Auth-User",
		"X-Authenticated-*", "X-Authenticated-User", "X-Authenticated-Userid", "X-Authenticated-Username", "X-Authenticated-Email",
		"X-Authenticated-Groups", "X-Authenticated-Scope", "X-Authenticated-By",
		"X-Webauth-*", "X-Webauth-User", "X-Webauth-Name", "X-Webauth-Email", "X-Webauth-Fullname", "X-Webauth-Groups", "X-Webauth-Role",
		"X-User", "X-Username", "X-User-Id", "X-User-Name", "X-User-Email", "X-User-Groups", "X-User-Roles",
		"X-Email", "X-Role", "X-Roles", "X-Groups", "X-Userinfo", "X-Principal", "X-Trusted-User", "X-Identity",
		"X-Jwt-Payload", "X-Jwt-Claim-*", "X-Jwt-Claim-Sub", "X-Id-Token", "X-Claims",
	}},
	{"Identity: access proxies and gateways", "SiteMinder, IBM WebSEAL, Oracle Access Manager, Kong, APISIX, authentik, Pomerium, Vouch, Tailscale, OpenShift, OpenStack", []string{
		"Sm-*", "Sm-User", "Sm-Userdn", "Sm-Universalid", "Sm-Authtype", "Sm-Serversessionid",
		"Iv-*", "Iv-User", "Iv-User-L", "Iv-Groups", "Iv-Creds", "Iv-Remote-Address",
		"Oam-*", "Oam-Remote-User", "Oam-Remote-User-Groups", "Oam-Identity-Domain", "Osso-User-Dn", "Osso-Subscriber",
		"X-Consumer-*", "X-Consumer-Id", "X-Consumer-Custom-Id", "X-Consumer-Username", "X-Consumer-Groups",
		"X-Credential-*", "X-Credential-Identifier", "X-Credential-Username", "X-Anonymous-Consumer",
		"X-Authentik-*", "X-Authentik-Username", "X-Authentik-Groups", "X-Authentik-Email", "X-Authentik-Name", "X-Authentik-Uid",
		"X-Pomerium-*", "X-Pomerium-Claim-Email", "X-Pomerium-Claim-User", "X-Pomerium-Claim-Groups", "X-Pomerium-Jwt-Assertion",
		"X-Vouch-*", "X-Vouch-User", "X-Vouch-Success", "X-Vouch-Idp-Claims-Name",
		"Tailscale-*", "Tailscale-User-Login", "Tailscale-User-Name", "Tailscale-User-Profile-Pic", "Tailscale-Headers-Info",
		"X-Identity-*", "X-Identity-Status", "X-Rh-Identity",
		"Oidc-*", "Oidc-Claim-Sub", "Oidc-Claim-Email", "Oidc-Claim-Name", "Oidc-Claim-Preferred-Username", "Oidc-Claim-Groups",
		"Oidc-Access-Token", "Oidc-Id-Token",
		"Shib-*", "Shib-Identity-Provider", "Shib-Session-Id", "Shib-Application-Id", "X-Shib-*", "X-Shib-User", "Eppn", "Persistent-Id",
		"Targeted-Id", "Affiliation", "Unscoped-Affiliation", "Entitlement", "Mellon-*", "Mellon-Name-Id", "Cas-*", "Cas-User",
		"Auth-Cas-User", "X-Cas-User", "Gss-Name", "X-Msisdn",
	}},
	{"Identity: clouds", "Cloudflare Access, Google IAP, App Engine and Cloud Endpoints, AWS ALB, Azure App Service, IIS", []string{
		"Cf-Access-*", "Cf-Access-Authenticated-User-Email", "Cf-Access-Jwt-Assertion", "Cf-Access-Client-Id", "Cf-Access-Client-Secret",
		"X-Goog-Authenticated-User-*", "X-Goog-Authenticated-User-Email", "X-Goog-Authenticated-User-Id", "X-Goog-Iap-*",
		"X-Goog-Iap-Jwt-Assertion", "X-Appengine-*", "X-Appengine-User-Email", "X-Appengine-User-Id", "X-Appengine-User-Is-Admin",
		"X-Appengine-Cron", "X-Appengine-Queuename", "X-Appengine-Inbound-Appid", "X-Appengine-User-Ip", "X-Endpoint-Api-Userinfo",
		"X-Apigateway-Api-Userinfo",
		"X-Amzn-Oidc-*", "X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken", "X-Amzn-Mtls-*",
		"X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Subject", "X-Amzn-Mtls-Clientcert-Leaf",
		"X-Ms-Client-Principal*", "X-Ms-Client-Principal", "X-Ms-Client-Principal-Id", "X-Ms-Client-Principal-Name",
		"X-Ms-Client-Principal-Idp", "X-Ms-Token-*", "X-Ms-Token-Aad-Id-Token", "X-Ms-Token-Aad-Access-Token",
		"Ms-Aspnetcore-*", "Ms-Aspnetcore-Token", "Ms-Aspnetcore-Clientcert", "Ms-Aspnetcore-Winauthtoken",
	}},
	{"Identity: client certificates", "RFC 9440, nginx, Apache, HAProxy, Traefik, Envoy, IIS ARR", []string{
		"Client-Cert", "Client-Cert-Chain", "X-Client-Cert*", "X-Client-Cert", "X-Client-Certificate", "X-Client-Cert-Dn",
		"X-Client-Verify", "X-Client-Dn", "X-Client-S-Dn", "X-Client-Subject",
		"X-Ssl-*", "X-Ssl-Cert", "X-Ssl-Client-Cert", "X-Ssl-Client-Verify", "X-Ssl-Client-S-Dn", "X-Ssl-Client-Dn", "X-Ssl-Client-Cn",
		"X-Ssl-Issuer", "X-Ssl", "Ssl-*", "Ssl-Client-Cert", "Ssl-Client-Verify", "Ssl-Client-S-Dn", "Ssl-Client-S-Dn-Cn",
		"X-Tls-Client-*", "X-Tls-Client-Cert", "Tls-Client-*", "Tls-Client-Cert", "X-Arr-Clientcert",
	}},
	// X-Forwarded-* covers -For, -Host and -Proto, which the gateway sets afterwards.
	{"Client address, scheme and host", "frameworks, load balancers and CDNs; WebLogic, PHP, Rails, Spring, IIS ARR, Netlify, Fly, Alibaba", []string{
		"Forwarded", "Forwarded-*", "Forwarded-For", "Forwarded-For-Ip", "Forwarded-Proto", "Forwarded-Host",
		"X-Forward-*", "X-Forward-For", "X-Forward-Proto", "X-Forwarded", "X-Forwarded-*", "X-Forwarded-For", "X-Forwarded-Host",
		"X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Forwarded-Port", "X-Forwarded-By",
		"X-Forwarded-Server", "X-Forwarded-Prefix", "X-Forwarded-Path", "X-Forwarded-Uri", "X-Forwarded-Url", "X-Forwarded-Method",
		"X-Forwarded-User", "X-Forwarded-Username", "X-Forwarded-Preferred-Username", "X-Forwarded-Email", "X-Forwarded-Groups",
		"X-Forwarded-Roles", "X-Forwarded-Access-Token", "X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert",
		"X-Forwarded-Tls-Client-Cert-Info", "X-Forwarded-For-Original", "X-Forwarded-Client-Ip",
		"X-Real-*", "X-Real-Ip", "X-Real-Port", "X-Real-Host", "Real-Ip", "Real-Client-Ip", "X-Client-Ip", "X-Clientip", "Client-Ip",
		"Clientip", "X-Cluster-Client-Ip", "Cluster-Client-Ip", "X-Originating-*", "X-Originating-Ip", "Originating-Ip",
		"X-Source-Ip", "X-User-Ip", "X-Ip", "X-Custom-Ip-Authorization", "True-Client-Ip", "X-True-Client-Ip",
		"Cf-Connecting-*", "Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Cf-Pseudo-Ipv4", "Cf-Visitor",
		"Fastly-Client-Ip", "Fastly-Ssl", "Fly-Client-Ip", "Fly-Forwarded-*", "Fly-Forwarded-Proto", "Fly-Forwarded-Port", "Incap-Client-Ip",
		"Ali-Cdn-Real-Ip", "Cdn-Real-Ip", "Cdn-Src-Ip", "Do-Connecting-Ip", "X-Nf-Client-Connection-Ip", "X-Vercel-Forwarded-For",
		"Cloudfront-Forwarded-Proto", "Cloudfront-Viewer-Address", "X-Azure-Clientip", "X-Azure-Socketip",
		"Proxy-*", "Proxy-Client-Ip", "Proxy-User", "Proxy-Host", "Wl-Proxy-*", "Wl-Proxy-Client-Ip", "Wl-Proxy-Client-Cert",
		"Wl-Proxy-Ssl", "X-Proxy-*", "X-Proxy-User", "X-Proxy-Roles", "X-Proxy-Url", "X-Proxyuser-Ip",
		"X-Envoy-*", "X-Envoy-External-Address", "X-Envoy-Internal", "X-Envoy-Original-Path", "X-Envoy-Original-Dst-Host",
		"X-Envoy-Peer-Metadata", "X-Host", "X-Host-Override", "X-Http-Host-Override", "X-Scheme", "X-Url-Scheme", "X-Proto",
		"X-Protocol", "X-Https", "Https", "Front-End-Https", "X-Arr-Ssl", "X-Appservice-Proto", "Disguised-Host",
		"X-Waws-Unencoded-Url",
	}},
	{"Path and method", "Symfony, Laminas, IIS, WSGI servers, Rack, Express method-override, .NET, Next.js", []string{
		"X-Original-*", "X-Original-Url", "X-Original-Uri", "X-Original-Method", "X-Original-Host", "X-Original-Path", "X-Original-For",
		"X-Original-Forwarded-For", "X-Original-Proto", "X-Original-Remote-Addr",
		"X-Rewrite-*", "X-Rewrite-Url", "X-Rewrite-Uri", "X-Override-Url", "X-Request-Uri", "X-Script-Name", "Script-Name", "Path-Info",
		"X-Http-Destinationurl", "X-Http-Path-Override", "X-Http-Method", "X-Http-Method-*", "X-Http-Method-Override", "X-Method-Override",
		"X-Matched-Path", "X-Invoke-*", "X-Invoke-Path", "X-Invoke-Query", "X-Now-Route-Matches",
		"X-Middleware-*", "X-Middleware-Subrequest", "X-Middleware-Rewrite",
	}},
	{"Files and environment", "Rack::Sendfile (CVE-2025-61780), CGI programs (httpoxy, CVE-2016-5385)", []string{
		"X-Sendfile-Type", "X-Accel-*", "X-Accel-Mapping", "X-Accel-Redirect", "Proxy",
	}},
}

// DefaultStripHeaders returns the request headers of clients that the gateway always removes:
// those from which a server or framework takes the caller's identity or address, or another
// host, path or method than the gateway judged. A "*" at the end matches any rest; well-known
// names that such a pattern covers are in the list too. docs/stripped-headers.md lists which
// products accept them. The gateway also removes every header whose name has characters other
// than letters, digits and "-", because CGI and WSGI read X_Forwarded_User as X-Forwarded-User.
func DefaultStripHeaders() []string {
	var all []string
	for _, group := range stripped {
		all = append(all, group.names...)
	}
	return all
}
