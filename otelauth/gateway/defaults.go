// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"github.com/otelauth/otelauth-go/otelauth/gateway/internal/policy"
)

// verifierMaxStreamAge is the default of Config.MaxStreamAge with a Verifier.
const verifierMaxStreamAge = time.Hour

// Defaults returns a Config whose fields hold their defaults. Use it to show the settings in
// force; [New] does not need it, because zero fields mean the same.
func Defaults() Config {
	return Config{
		IdentityHeaders:       []string{"Remote-User", "X-Forwarded-User"},
		MaxStreamAge:          5 * time.Minute,
		ReadHeaderTimeout:     10 * time.Second,
		IdleTimeout:           2 * time.Minute,
		StallTimeout:          time.Minute,
		MaxHeaderBytes:        64 << 10,
		DialTimeout:           5 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		DrainTimeout:          30 * time.Second,
		ServerName:            "otelauth-gateway",
		Propagators:           propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}
}

// withDefaults returns a copy of cfg with every default filled in, which shares no slice of
// rules with the caller.
func (cfg Config) withDefaults() Config {
	d := Defaults()
	if cfg.Auth.Verifier != nil {
		d.MaxStreamAge = verifierMaxStreamAge
	}
	cfg.MaxStreamAge = cmp.Or(cfg.MaxStreamAge, d.MaxStreamAge)
	cfg.ReadHeaderTimeout = cmp.Or(cfg.ReadHeaderTimeout, d.ReadHeaderTimeout)
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, d.IdleTimeout)
	cfg.StallTimeout = cmp.Or(cfg.StallTimeout, d.StallTimeout)
	cfg.MaxHeaderBytes = cmp.Or(cfg.MaxHeaderBytes, d.MaxHeaderBytes)
	cfg.DialTimeout = cmp.Or(cfg.DialTimeout, d.DialTimeout)
	cfg.ResponseHeaderTimeout = cmp.Or(cfg.ResponseHeaderTimeout, d.ResponseHeaderTimeout)
	cfg.DrainTimeout = cmp.Or(cfg.DrainTimeout, d.DrainTimeout)
	cfg.ServerName = cmp.Or(cfg.ServerName, d.ServerName)
	if cfg.Propagators == nil {
		cfg.Propagators = d.Propagators
	}
	if cfg.IdentityHeaders == nil {
		cfg.IdentityHeaders = d.IdentityHeaders
	}
	if cfg.Auth.Now == nil {
		cfg.Auth.Now = time.Now
	}
	cfg.Rules = slices.Clone(cfg.Rules)
	return cfg
}

// report records a problem of one field of a Config.
type report func(field string, err error)

// check reports the problems of single fields that no other part of the gateway checks.
func (cfg *Config) check(report report) {
	cfg.checkForwardAuth(report)
	reserved := errors.New("is set by the gateway; leave it unset and write Config.Rules")
	if cfg.Auth.Routes != nil {
		report("Auth.Routes", reserved)
	}
	if len(cfg.Auth.Public) > 0 {
		report("Auth.Public", reserved)
	}
	if len(cfg.Auth.Sensitive) > 0 {
		report("Auth.Sensitive", reserved)
	}
	if len(cfg.Auth.Registered) > 0 {
		report("Auth.Registered", reserved)
	}
	if cfg.Auth.Endpoint != nil {
		report("Auth.Endpoint", reserved)
	}
	if cfg.Auth.RequestID != nil {
		report("Auth.RequestID", errors.New("is set by the gateway; leave it unset"))
	}
	if host, port, err := net.SplitHostPort(cfg.ServerName); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil || host == "" {
			report("ServerName", errors.New("is not a host, or host:port with a port number, such as shop.example:443"))
		}
	}
	cfg.checkSigns(report)
	cfg.checkOperator(report)
}

// checkSigns reports fields that must not be negative.
func (cfg *Config) checkSigns(report report) {
	for _, d := range []struct {
		field string
		value int64
	}{
		{"MaxStreamAge", int64(cfg.MaxStreamAge)},
		{"ReadHeaderTimeout", int64(cfg.ReadHeaderTimeout)},
		{"IdleTimeout", int64(cfg.IdleTimeout)},
		{"DialTimeout", int64(cfg.DialTimeout)},
		{"DrainTimeout", int64(cfg.DrainTimeout)},
		{"MaxHeaderBytes", int64(cfg.MaxHeaderBytes)},
	} {
		if d.value < 0 {
			report(d.field, errors.New("is negative; leave it 0 for the default"))
		}
	}
}

// serverName returns name with a port, because otelhttp otherwise takes server.port from the
// Host header, and a client could create a time series with each port. Port 0 is not recorded.
func serverName(name string) string {
	if _, _, err := net.SplitHostPort(name); err == nil {
		return name
	}
	return net.JoinHostPort(strings.Trim(name, "[]"), "0")
}

// policyRules returns the rules in the form of package policy.
func (cfg *Config) policyRules(report report) []policy.Rule {
	rules := make([]policy.Rule, 0, len(cfg.Rules))
	for i, r := range cfg.Rules {
		if r.Access > Public {
			report(fmt.Sprintf("Rules[%d]", i), fmt.Errorf("%q: Access is %d; use Required or Public", r.Pattern, r.Access))
		}
		rules = append(rules, policy.Rule{
			Pattern: r.Pattern, Public: r.Access == Public, Sensitive: r.Sensitive, Accounts: r.Accounts, Groups: r.Groups,
		})
	}
	if len(cfg.ProtectOnly) > 0 {
		rules = append(rules, policy.Rule{Pattern: "/", Public: true, Everything: true})
	}
	for _, pattern := range cfg.ProtectOnly {
		rules = append(rules, policy.Rule{Pattern: pattern})
	}
	return rules
}

// allNetworks returns the networks from which Config.DangerouslyAllowPlaintext accepts plaintext.
func allNetworks() []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
}
