// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
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

// withDefaults returns a copy of cfg that says everything, and that its owner may change no more.
func (cfg Config) withDefaults() Config {
	duration := func(d *time.Duration, fallback time.Duration) {
		if *d == 0 {
			*d = fallback
		}
	}
	age := DefaultMaxStreamAge
	if cfg.Auth.Verifier != nil {
		age = DefaultVerifierMaxStreamAge
	}
	duration(&cfg.MaxStreamAge, age)
	duration(&cfg.ReadHeaderTimeout, DefaultReadHeaderTimeout)
	duration(&cfg.IdleTimeout, DefaultIdleTimeout)
	duration(&cfg.StallTimeout, DefaultStallTimeout)
	duration(&cfg.DialTimeout, DefaultDialTimeout)
	duration(&cfg.ResponseHeaderTimeout, DefaultResponseHeaderTimeout)
	duration(&cfg.DrainTimeout, DefaultDrainTimeout)
	if cfg.MaxHeaderBytes == 0 {
		cfg.MaxHeaderBytes = DefaultMaxHeaderBytes
	}
	if cfg.ServerName == "" {
		cfg.ServerName = DefaultServerName
	}
	if cfg.Propagators == nil {
		cfg.Propagators = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	}
	if cfg.IdentityHeaders == nil {
		cfg.IdentityHeaders = DefaultIdentityHeaders()
	}
	if cfg.Auth.Now == nil {
		cfg.Auth.Now = time.Now
	}
	cfg.Rules = slices.Clone(cfg.Rules)
	return cfg
}

// check reports the faults of single fields that nobody else looks at.
func (cfg *Config) check(fault func(field string, err error)) {
	theirs := errors.New("belongs to the gateway; leave it unset and write Config.Rules")
	cfg.checkForwardAuth(fault)
	if cfg.Auth.Routes != nil {
		fault("Auth.Routes", theirs)
	}
	if len(cfg.Auth.Public) > 0 {
		fault("Auth.Public", theirs)
	}
	if len(cfg.Auth.Sensitive) > 0 {
		fault("Auth.Sensitive", theirs)
	}
	if cfg.Auth.Endpoint != nil {
		fault("Auth.Endpoint", theirs)
	}
	if cfg.Auth.RequestID != nil {
		fault("Auth.RequestID", errors.New("belongs to the gateway; leave it unset"))
	}
	if host, port, err := net.SplitHostPort(cfg.ServerName); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil || host == "" {
			fault("ServerName", errors.New("is not a host, or host:port with a port number, such as shop.example:443"))
		}
	}
	negative := errors.New("is negative; leave it 0 for the default")
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
			fault(d.field, negative)
		}
	}
}

// serverName returns name with a port, as otelhttp needs it. Without one, otelhttp takes server.port from
// the Host header, so that a client creates a time series for each port that it writes there. Port 0 is not recorded.
func serverName(name string) string {
	if _, _, err := net.SplitHostPort(name); err == nil {
		return name
	}
	return net.JoinHostPort(strings.Trim(name, "[]"), "0")
}

// policyRules returns the rules in the form in which they are compared.
func (cfg *Config) policyRules(report func(field string, err error)) []policy.Rule {
	rules := make([]policy.Rule, 0, len(cfg.Rules))
	for i, r := range cfg.Rules {
		if r.Access > Public {
			report(fmt.Sprintf("Rules[%d]", i), fmt.Errorf("%q: Access is %d; use Required or Public", r.Pattern, r.Access))
		}
		rules = append(rules, policy.Rule{
			Pattern: r.Pattern, Public: r.Access == Public, Sensitive: r.Sensitive, Accounts: r.Accounts, Groups: r.Groups,
		})
	}
	return rules
}

// everywhere is what Config.DangerouslyAllowPlaintext accepts plaintext from.
func everywhere() []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
}
