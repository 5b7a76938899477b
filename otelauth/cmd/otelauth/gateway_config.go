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
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/detect/geoip"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// nothing empties a list that has a default.
const nothing = "none"

// build makes the gateway's configuration, all but the accounts, and says every fault with the place of its setting.
func (f *gatewayFlags) build(s *settings) (gateway.Config, error) {
	var faults []error
	fault := func(flag string, err error) {
		if err != nil {
			faults = append(faults, placed{s.place(flag), err})
		}
	}
	switch {
	case f.Upstream == "" && f.ForwardAuth == "":
		faults = append(faults, errors.New("--upstream is missing: name the service, such as http://127.0.0.1:8000"))
	case f.Upstream != "" && f.ForwardAuth != "":
		fault("forward-auth", errors.New("stands beside --upstream: the gateway is the proxy itself or answers one, remove either"))
	case f.ForwardAuth != "" && len(f.TrustedProxy) == 0 && !f.TrustUnixSocket:
		fault("forward-auth", errors.New("who asks is not named: give the proxy's network with --trusted-proxy, or listen on a unix socket with --trust-unix-socket"))
	}
	if f.Users == "" && !f.sqlFlags.given() {
		faults = append(faults, errors.New("--users is missing: name an htpasswd file (made with: otelauth users add FILE NAME), or a database with --sql-driver"))
	}
	if f.Users != "" && f.sqlFlags.given() {
		faults = append(faults, errors.New("--users and --sql-driver are both given: the accounts are in one place, remove the other"))
	}
	if f.Groups != "" && f.Users == "" {
		faults = append(faults, errors.New("--groups belongs to --users: a database tells groups itself"))
	}
	if err := f.sqlFlags.validate(); err != nil {
		faults = append(faults, fmt.Errorf("--%w", err))
	}
	if len(f.Listen) == 0 {
		fault("listen", errors.New("empty: name an address such as 127.0.0.1:8080"))
	}
	if f.CertFile == "" && !f.DangerouslyAllowPlaintext && len(f.TrustedProxy) == 0 {
		for _, address := range f.Listen {
			if public(address) {
				fault("listen", fmt.Errorf("%s can be reached from other machines, and everybody on the way would read the passwords: "+
					"give --cert-file and --key-file, name the proxies that speak TLS with --trusted-proxy, listen on loopback, or accept that with --dangerously-allow-plaintext",
					quoted(shown(address))))
			}
		}
	}
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
		Auth: otelauth.Config{
			Realm:           f.Realm,
			TrustUnixSocket: f.TrustUnixSocket,
			CacheTTL:        f.CacheTTL,
			CacheEntries:    f.CacheEntries,
		},
	}
	if len(f.IdentityHeader) > 0 {
		cfg.IdentityHeaders = withoutNothing(f.IdentityHeader)
	}
	err := cfg.ForwardAuth.UnmarshalText([]byte(f.ForwardAuth))
	fault("forward-auth", err)
	cfg.Auth.TrustedProxies, err = networks(f.TrustedProxy)
	fault("trusted-proxy", err)
	if len(f.TrustedCaller) > 0 {
		cfg.Auth.TrustedCallers, err = networks(withoutNothing(f.TrustedCaller))
		fault("trusted-caller", err)
	}
	if f.ForwardedHeader == "forwarded" {
		cfg.Auth.ForwardedHeader = clientip.Forwarded
	}
	if f.UserNames == "hash" {
		cfg.Auth.UserNames = otelauth.HashedNames
	}
	if f.Successes == "first" {
		cfg.Auth.Events.Success = audit.FirstSuccess
	}
	cfg.Auth.IdentityKey, err = readIdentityKeys(f.IdentityKeyFile)
	fault("identity-key-file", err)
	faults = append(faults, f.redisFlags.validate(s, cfg.Auth.IdentityKey)...)
	if f.GeoIPDatabase != "" {
		cities, err := geoip.Open(f.GeoIPDatabase)
		fault("geoip-database", err)
		cfg.Auth.Detect.Locator = cities
	}
	rules, err := f.rules(s)
	if err != nil {
		faults = append(faults, err)
	}
	cfg.Rules = rules
	if len(faults) > 0 {
		return cfg, errors.Join(faults...)
	}
	return cfg, nil
}

// public reports whether an address is neither a unix socket nor on loopback. The gateway judges again what is really listened on.
func public(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return false
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return false // listening says what is wrong with it
	}
	addr, err := netip.ParseAddr(host)
	return err != nil || !addr.IsLoopback()
}

func withoutNothing(list []string) []string {
	if len(list) == 1 && list[0] == nothing {
		return []string{}
	}
	return list
}

// networks reads prefixes; an address stands for itself.
func networks(list []string) ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil || a.Zone() != "" {
				return nil, fmt.Errorf("%s is not a network such as 10.0.0.0/8, nor an address", quoted(shown(text)))
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		prefixes = append(prefixes, p.Masked())
	}
	return prefixes, nil
}

// rules makes one rule of everything that names the same pattern.
func (f *gatewayFlags) rules(s *settings) ([]gateway.Rule, error) {
	var rules []gateway.Rule
	at := make(map[string]int)
	rule := func(pattern string) *gateway.Rule {
		i, found := at[pattern]
		if !found {
			i = len(rules)
			at[pattern] = i
			rules = append(rules, gateway.Rule{Pattern: pattern})
		}
		return &rules[i]
	}
	for _, p := range f.Public {
		rule(p).Access = gateway.Public
	}
	for _, p := range f.Endpoint {
		rule(p) // no more than its name
	}
	for _, p := range f.Sensitive {
		rule(p).Sensitive = true
	}
	var faults []error
	grant := func(flag string, list []string, to func(*gateway.Rule) *[]string) {
		for _, text := range list {
			// The last one: a path may hold an equals sign.
			i := strings.LastIndexByte(text, '=')
			if i < 0 {
				faults = append(faults, placed{s.place(flag), fmt.Errorf("%s does not read PATTERN=NAME,NAME", quoted(shown(text)))})
				continue
			}
			names := to(rule(text[:i]))
			for name := range strings.SplitSeq(text[i+1:], ",") {
				if name = strings.TrimSpace(name); name == "" {
					faults = append(faults, placed{s.place(flag), fmt.Errorf("%s has an empty name", quoted(shown(text)))})
					break
				}
				*names = append(*names, name)
			}
		}
	}
	everything := make([]string, 0, len(f.DefaultGroups))
	for _, names := range f.DefaultGroups {
		everything = append(everything, "/="+names)
	}
	grant("default-groups", everything, func(r *gateway.Rule) *[]string { return &r.Groups })
	grant("allow-groups", f.AllowGroups, func(r *gateway.Rule) *[]string { return &r.Groups })
	grant("allow-accounts", f.AllowAccounts, func(r *gateway.Rule) *[]string { return &r.Accounts })
	return rules, errors.Join(faults...)
}

// accounts is a store that can be read again and closed.
type accounts interface {
	verify.Accounts
	Close() error
}

// open opens the accounts.
func (f *gatewayFlags) open(ctx context.Context) (accounts, error) {
	policy := password.Policy{DangerouslyAllowLegacy: f.DangerouslyAllowLegacy}
	if f.sqlFlags.given() {
		return f.sqlFlags.store(ctx, policy)
	}
	file, err := htpasswd.Open(htpasswd.Config{Path: f.Users, Groups: f.Groups, Policy: policy})
	if err != nil {
		return nil, usageError{err}
	}
	return file, nil
}

// fieldName takes the name of a field of gateway.Config out of a ConfigError's path.
var fieldName = regexp.MustCompile(`^[A-Za-z]+`)

// flagOf says which flag makes a field.
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

// explain words the faults that the gateway finds in its Config for those who wrote flags.
func explain(err error, cfg *gateway.Config, s *settings) error {
	var all []error
	for _, err := range flatten(err) {
		var fault *gateway.ConfigError
		if !errors.As(err, &fault) {
			all = append(all, err)
			continue
		}
		place := s.place(flagOf(fault.Field))
		var i int
		if _, e := fmt.Sscanf(fault.Field, "Rules[%d]", &i); e == nil && i < len(cfg.Rules) {
			place = "the rules of " + quoted(shown(cfg.Rules[i].Pattern))
		}
		all = append(all, placed{place, fault.Err})
	}
	return usageError{errors.Join(all...)}
}
