// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/detect/geoip"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// none empties a list that has a default.
const none = "none"

// problems collects the problems of settings, each with its place.
type problems struct {
	settings *settings
	all      []error
}

// report records a problem of a flag. It ignores a nil error.
func (p *problems) report(flag string, err error) {
	if err != nil {
		p.all = append(p.all, placed{p.settings.place(flag), err})
	}
}

// missing records the problem of a flag that is not set.
func (p *problems) missing(text string) { p.all = append(p.all, errors.New(text)) }

// build returns the configurations of the gateway, without the accounts, and of the trail, or all
// problems at once, each with the place of its setting.
func (f *gatewayFlags) build(s *settings) (gateway.Config, trail.Config, error) {
	p := &problems{settings: s}
	f.checkService(p)
	f.checkAccounts(p)
	cfg := f.config()
	cfg.Auth = f.auth(p)
	p.report("forward-auth", cfg.ForwardAuth.UnmarshalText([]byte(f.ForwardAuth)))
	p.all = append(p.all, f.redisFlags.validate(s, cfg.Auth.IdentityKey)...)
	cfg.Rules = f.rules(p)
	record := f.trailFlags.config(p)
	return cfg, record, errors.Join(p.all...)
}

// checkService reports problems of the addresses and of the upstream.
func (f *gatewayFlags) checkService(p *problems) {
	switch {
	case f.Upstream == "" && f.ForwardAuth == "":
		p.missing("--upstream is missing: name the service, such as http://127.0.0.1:8000")
	case f.Upstream != "" && f.ForwardAuth != "":
		p.report("forward-auth", errors.New("cannot be combined with --upstream: with --forward-auth another proxy forwards requests; remove one of them"))
	case f.ForwardAuth != "" && len(f.TrustedProxy) == 0 && !f.TrustUnixSocket:
		p.report("forward-auth", errors.New("needs a trusted proxy: name the proxy's network with --trusted-proxy, or listen on a unix socket with --trust-unix-socket"))
	}
	if len(f.Listen) == 0 {
		p.report("listen", errors.New("is empty: name an address such as 127.0.0.1:8080"))
	}
	if f.CertFile != "" || f.DangerouslyAllowPlaintext || len(f.TrustedProxy) > 0 {
		return
	}
	for _, address := range f.Listen {
		if isReachable(address) {
			p.report("listen", fmt.Errorf("%s can be reached from other machines, and everyone on the network path could read the passwords: "+
				"set --cert-file and --key-file, name the proxies that terminate TLS with --trusted-proxy, listen on loopback, "+
				"or accept the risk with --dangerously-allow-plaintext", quoted(shown(address))))
		}
	}
}

// checkAccounts reports problems of the account store.
func (f *gatewayFlags) checkAccounts(p *problems) {
	if f.Users == "" && !f.sqlFlags.isSet() {
		p.missing("--users is missing: name an htpasswd file (create one with: otelauth users add FILE NAME), or a database with --sql-driver")
	}
	if f.Users != "" && f.sqlFlags.isSet() {
		p.missing("--users and --sql-driver are both set: accounts come from one place; remove one of them")
	}
	if f.Groups != "" && f.Users == "" {
		p.missing("--groups needs --users: a database provides groups itself; remove --groups")
	}
	if err := f.sqlFlags.validate(); err != nil {
		p.all = append(p.all, fmt.Errorf("--%w", err))
	}
}

// config returns the fields that flags set directly.
func (f *gatewayFlags) config() gateway.Config {
	cfg := gateway.Config{
		Upstream:                    f.Upstream,
		UpstreamCAFile:              f.UpstreamCAFile,
		UpstreamHost:                f.UpstreamHost,
		AllowRawPaths:               f.AllowRawPath,
		GroupsHeader:                f.GroupsHeader,
		StripHeaders:                f.StripHeader,
		PassAuthorization:           f.PassAuthorization,
		TrustedOrigins:              f.TrustedOrigin,
		DangerouslyAllowCrossOrigin: f.DangerouslyAllowCrossOrigin,
		CertFile:                    f.CertFile,
		KeyFile:                     f.KeyFile,
		DangerouslyAllowPlaintext:   f.DangerouslyAllowPlaintext,
		MaxStreamAge:                f.MaxStreamAge,
		ReadHeaderTimeout:           f.ReadHeaderTimeout,
		IdleTimeout:                 f.IdleTimeout,
		StallTimeout:                f.StallTimeout,
		MaxHeaderBytes:              f.MaxHeaderBytes,
		DialTimeout:                 f.DialTimeout,
		ResponseHeaderTimeout:       f.ResponseHeaderTimeout,
		DrainTimeout:                f.DrainTimeout,
		ServerName:                  f.ServerName,
	}
	if len(f.IdentityHeader) > 0 {
		cfg.IdentityHeaders = withoutNone(f.IdentityHeader)
	}
	return cfg
}

// auth returns the configuration of the middleware, without the accounts.
func (f *gatewayFlags) auth(p *problems) otelauth.Config {
	auth := otelauth.Config{Realm: f.Realm, TrustUnixSocket: f.TrustUnixSocket, CacheTTL: f.CacheTTL, CacheEntries: f.CacheEntries}
	var err error
	auth.TrustedProxies, err = networks(f.TrustedProxy)
	p.report("trusted-proxy", err)
	if len(f.TrustedCaller) > 0 {
		auth.TrustedCallers, err = networks(withoutNone(f.TrustedCaller))
		p.report("trusted-caller", err)
	}
	if f.ForwardedHeader == "forwarded" {
		auth.ForwardedHeader = clientip.Forwarded
	}
	if f.UserNames == "hash" {
		auth.UserNames = otelauth.HashedNames
	}
	if f.Successes == "first" {
		auth.Events.Success = audit.FirstSuccess
	}
	auth.IdentityKey, err = readIdentityKeys(f.IdentityKeyFile)
	p.report("identity-key-file", err)
	if f.GeoIPDatabase != "" {
		cities, err := geoip.Open(f.GeoIPDatabase)
		p.report("geoip-database", err)
		auth.Detect.Locator = cities
	}
	return auth
}

// isReachable reports whether other machines may reach an address: it is neither a unix socket nor
// on loopback. The gateway checks the actual listener again.
func isReachable(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return false
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return false // listening reports the problem
	}
	addr, err := netip.ParseAddr(host)
	return err != nil || !addr.IsLoopback()
}

// withoutNone returns an empty list for "none", and otherwise list.
func withoutNone(list []string) []string {
	if len(list) == 1 && list[0] == none {
		return []string{}
	}
	return list
}

// networks parses prefixes and single addresses.
func networks(list []string) ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil || a.Zone() != "" {
				return nil, fmt.Errorf("%s is not a network such as 10.0.0.0/8 or an address", quoted(shown(text)))
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		prefixes = append(prefixes, p.Masked())
	}
	return prefixes, nil
}

// accounts is an account store that can be closed.
type accounts interface {
	verify.Accounts
	Close() error
}

// open opens the account store.
func (f *gatewayFlags) open(ctx context.Context) (accounts, error) {
	policy := password.Policy{DangerouslyAllowLegacy: f.DangerouslyAllowLegacy}
	if f.sqlFlags.isSet() {
		return f.sqlFlags.store(ctx, policy)
	}
	file, err := htpasswd.Open(htpasswd.Config{Path: f.Users, Groups: f.Groups, Policy: policy})
	if err != nil {
		return nil, usageError{err}
	}
	return file, nil
}

// fieldName matches the name of a field at the begin of ConfigError.Field.
var fieldName = regexp.MustCompile(`^[A-Za-z]+`)

// flagOf returns the flag that sets a field.
func flagOf(field string) string {
	name := fieldName.FindString(strings.TrimPrefix(field, "Auth."))
	if flag, found := map[string]string{
		"AllowRawPaths": "allow-raw-path", "TrustedOrigins": "trusted-origin", "StripHeaders": "strip-header",
		"IdentityHeaders": "identity-header", "GroupsHeader": "groups-header", "UpstreamCAFile": "upstream-ca-file", "TrustedProxies": "trusted-proxy",
	}[name]; found {
		return flag
	}
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// explain replaces the fields in the gateway's errors by the flags or places that set them.
func explain(err error, cfg *gateway.Config, s *settings) error {
	var all []error
	for _, err := range flatten(err) {
		var problem *gateway.ConfigError
		if !errors.As(err, &problem) {
			all = append(all, err)
			continue
		}
		place := s.place(flagOf(problem.Field))
		var i int
		if _, e := fmt.Sscanf(problem.Field, "Rules[%d]", &i); e == nil && i < len(cfg.Rules) {
			place = "the rules of " + quoted(shown(cfg.Rules[i].Pattern))
		}
		all = append(all, placed{place, problem.Err})
	}
	return usageError{errors.Join(all...)}
}
