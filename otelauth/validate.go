// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// defaultRealm replaces an empty Config.Realm.
const defaultRealm = "restricted"

// settings is a validated Config in the form that requests need.
type settings struct {
	challenge  []string
	clients    *clientip.Resolver
	public     []*pathform.Pattern
	sensitive  []*pathform.Pattern
	registered []*pathform.Pattern
}

// problems collects the errors of a Config, so that New reports all of them at once.
type problems []error

func (p *problems) add(format string, args ...any) {
	*p = append(*p, fmt.Errorf("otelauth: "+format, args...))
}

// compile validates cfg as a whole. The error joins one error for each problem.
func (cfg *Config) compile() (settings, error) {
	var p problems
	cfg.checkAccounts(&p)
	s := cfg.compileEndpoints(&p)
	cfg.compileClients(&p, &s)
	cfg.checkBounds(&p)
	cfg.checkTelemetry(&p)
	return s, errors.Join(p...)
}

func (cfg *Config) checkAccounts(p *problems) {
	switch {
	case cfg.Accounts == nil && cfg.Verifier == nil:
		p.add("neither Config.Accounts nor Config.Verifier is set; set one of them")
	case cfg.Accounts != nil && cfg.Verifier != nil:
		p.add("both Config.Accounts and Config.Verifier are set; remove one")
	}
	if v, ok := cfg.Accounts.(verify.Validator); ok {
		if err := v.Validate(); err != nil {
			p.add("Config.Accounts: %w", err)
		}
	}
}

func (cfg *Config) compileEndpoints(p *problems) (s settings) {
	realm := cfg.Realm
	if realm == "" {
		realm = defaultRealm
	}
	challenge, err := credential.Challenge(realm)
	if err != nil {
		p.add("Config.Realm: %w", err)
	}
	s.challenge = []string{challenge}
	if cfg.Endpoint != nil && (cfg.Routes != nil || len(cfg.Public) > 0 || len(cfg.Sensitive) > 0) {
		p.add("Config.Endpoint replaces Config.Routes, Config.Public and Config.Sensitive; " +
			"remove Endpoint, or unset these three")
	}
	s.public = newPatterns(p, "Public", cfg.Public, true)
	s.sensitive = newPatterns(p, "Sensitive", cfg.Sensitive, false)
	s.registered = newPatterns(p, "Registered", cfg.Registered, false)
	return s
}

func (cfg *Config) compileClients(p *problems, s *settings) {
	var err error
	s.clients, err = clientip.New(clientip.Config{
		TrustedProxies: cfg.TrustedProxies, TrustUnixSocket: cfg.TrustUnixSocket, Header: cfg.ForwardedHeader,
	})
	if err != nil {
		p.add("Config.TrustedProxies: %w", err)
	}
	p.checkNetworks("TrustedCallers", cfg.TrustedCallers)
	p.checkNetworks("DangerouslyAllowPlaintextFrom", cfg.DangerouslyAllowPlaintextFrom)
}

func (p *problems) checkNetworks(field string, networks []netip.Prefix) {
	for i, n := range networks {
		if !n.IsValid() {
			p.add("Config.%s[%d] is not a network; use netip.ParsePrefix", field, i)
		}
	}
}

func (cfg *Config) checkBounds(p *problems) {
	for _, bound := range []struct {
		field string
		value int64
	}{
		{"CacheTTL", int64(cfg.CacheTTL)},
		{"CacheEntries", int64(cfg.CacheEntries)},
		{"MaxHeaderBytes", int64(cfg.MaxHeaderBytes)},
		{"Hashing.Slots", int64(cfg.Hashing.Slots)},
		{"Hashing.MemoryBytes", cfg.Hashing.MemoryBytes},
		{"Hashing.Queued", int64(cfg.Hashing.Queued)},
		{"Hashing.MaxWait", int64(cfg.Hashing.MaxWait)},
	} {
		if bound.value < 0 {
			p.add("Config.%s is negative; leave it 0 for the default", bound.field)
		}
	}
}

func (cfg *Config) checkTelemetry(p *problems) {
	if err := cfg.IdentityKey.validate(); err != nil {
		*p = append(*p, err)
	}
	if cfg.UserNames > DangerouslyClaimedNames {
		p.add("Config.UserNames is %d; use PlainNames, HashedNames or DangerouslyClaimedNames", cfg.UserNames)
	}
	for i, o := range cfg.Observers {
		if o == nil {
			p.add("Config.Observers[%d] is nil; remove it", i)
		}
	}
	if err := cfg.Events.Validate(); err != nil {
		p.add("Config.Events: %w", err)
	}
}
