// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/cmd/otelauth/internal/nearest"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/detect/geoip"
	"github.com/otelauth/otelauth-go/otelauth/detect/rulefile"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
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
	f.checkSigns(p)
	var cfg gateway.Config
	apply(s.flags, "gateway", &cfg)
	f.auth(p, &cfg.Auth)
	if len(f.IdentityHeader) > 0 {
		cfg.IdentityHeaders = withoutNone(f.IdentityHeader)
	}
	p.all = append(p.all, f.checkLimits(s, cfg.Auth.IdentityKey)...)
	p.report("forward-auth", cfg.ForwardAuth.UnmarshalText([]byte(f.ForwardAuth)))
	p.all = append(p.all, f.redisFlags.validate(s, &cfg.Auth)...)
	f.operatorFlags.check(p, f)
	f.consoleFlags.check(p, f)
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

// checkSigns reports negative numbers of flags for which the library takes them as the default.
func (f *gatewayFlags) checkSigns(p *problems) {
	for _, flag := range p.settings.flags {
		if flag.Target.CanInt() && flag.Target.Int() < 0 && flag.Target.Type() != reflect.TypeFor[time.Duration]() {
			p.report(flag.Name, errors.New("is negative: remove it for the default"))
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
	if f.Users != "" && f.Groups == "" {
		for _, group := range []struct {
			flag  string
			isSet bool
		}{{"allow-groups", len(f.AllowGroups) > 0}, {"default-groups", len(f.DefaultGroups) > 0}, {"groups-header", f.GroupsHeader != ""}} {
			if group.isSet {
				p.report(group.flag, errors.New("needs --groups, the file of the groups: without it no account is in a group"))
			}
		}
	}
	if err := f.sqlFlags.validate(); err != nil {
		p.all = append(p.all, fmt.Errorf("--%w", err))
	}
}

// auth sets the fields of the middleware that need more than a copy of their flag, except the
// accounts.
func (f *gatewayFlags) auth(p *problems, auth *otelauth.Config) {
	auth.DisableFallback = true // the command always sets the providers
	var err error
	auth.TrustedProxies, err = networks(f.TrustedProxy)
	p.report("trusted-proxy", err)
	if len(f.TrustedCaller) > 0 {
		auth.TrustedCallers, err = networks(withoutNone(f.TrustedCaller))
		p.report("trusted-caller", err)
	}
	auth.DangerouslyAllowPlaintextFrom, err = networks(f.DangerouslyAllowPlaintextFrom)
	p.report("dangerously-allow-plaintext-from", err)
	if f.ForwardedHeader == "forwarded" {
		auth.ForwardedHeader = clientip.Forwarded
	}
	switch f.UserNames {
	case "hash":
		auth.UserNames = otelauth.HashedNames
	case "dangerously-claimed":
		auth.UserNames = otelauth.DangerouslyClaimedNames
	}
	if f.Successes == "first" {
		auth.Events.Success = audit.FirstSuccess
	}
	auth.IdentityKey, err = readIdentityKeys(f.IdentityKeyFile)
	p.report("identity-key-file", err)
	auth.Detect.On, auth.Detect.Off = f.DetectOn, f.DetectOff
	p.report("detect-on", checkRuleNames(f.DetectOn))
	p.report("detect-off", checkRuleNames(f.DetectOff))
	if f.DetectRules != "" {
		custom, err := rulefile.Load(f.DetectRules)
		p.report("detect-rules", err)
		if err == nil {
			auth.Detect.Custom = *custom
		}
	}
	if f.GeoIPDatabase == "" && len(f.GeoIPOwners) > 0 {
		p.report("geoip-owners", errors.New("requires --geoip-database; set it too"))
	}
	if f.GeoIPDatabase != "" {
		cities, err := geoip.Open(f.GeoIPDatabase, f.GeoIPOwners...)
		p.report("geoip-database", err)
		auth.Detect.Locator = cities
	}
}

// checkRuleNames returns an error for the first name that is not a rule of detection.
func checkRuleNames(names []string) error {
	var rules []string
	for _, r := range detect.Rules() {
		rules = append(rules, r.Name)
	}
	for _, name := range names {
		if !slices.Contains(rules, name) {
			return fmt.Errorf("%s is not a rule%s; the rules are %s", quoted(shown(name)), nearest.Hint(name, rules), strings.Join(rules, ", "))
		}
	}
	return nil
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
func (f *gatewayFlags) open(ctx context.Context, s *settings) (accounts, error) {
	if f.sqlFlags.isSet() {
		return f.sqlFlags.store(ctx, s)
	}
	var cfg htpasswd.Config
	apply(s.flags, "htpasswd", &cfg)
	file, err := htpasswd.Open(cfg)
	if err != nil {
		return nil, explain(placeFiles(err, cfg, s), nil, s)
	}
	return file, nil
}

// placeFiles names the setting of each file that cannot be read.
func placeFiles(err error, cfg htpasswd.Config, s *settings) error {
	all := flatten(err)
	for i, err := range all {
		var problem *fs.PathError
		if !errors.As(err, &problem) {
			continue
		}
		switch problem.Path {
		case cfg.Path:
			all[i] = placed{s.place("users"), err}
		case cfg.Groups:
			all[i] = placed{s.place("groups"), err}
		}
	}
	return errors.Join(all...)
}
