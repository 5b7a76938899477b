// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"net/http"
	"slices"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/gateway/internal/policy"
)

// state is one compiled Config. A request is handled by the state under which its credentials
// were verified, from the rules to the upstream.
type state struct {
	cfg      Config
	policy   *policy.Policy
	clients  *clientip.Resolver
	origins  *origins
	cert     *certificate // nil: plaintext
	headers  *headers
	upstream *upstream    // nil with ForwardAuth
	proxy    http.Handler // nil with ForwardAuth
}

// compile checks cfg as a whole. With an error only auth is usable, to find the problems that
// otelauth reports.
func (g *Gateway) compile(cfg *Config, previous *state) (st *state, auth otelauth.Config, err error) {
	st = &state{cfg: *cfg}
	var problems []error
	report := func(field string, err error) {
		if err != nil {
			problems = append(problems, &ConfigError{Field: field, Err: err})
		}
	}
	auth = g.authConfig(st)
	cfg.check(report)
	if st.clients, err = clientip.New(clientip.Config{
		TrustedProxies: auth.TrustedProxies, TrustUnixSocket: auth.TrustUnixSocket, Header: auth.ForwardedHeader,
	}); err != nil {
		st.clients = nil // otelauth reports the problem
	}
	var found []policy.Problem
	st.policy, found = policy.New(cfg.policyRules(report), cfg.AllowRawPaths)
	for _, p := range found {
		report(p.Field, p.Err)
	}
	st.origins = newOrigins(cfg, report)
	st.headers = newHeaders(cfg, report)
	if st.cert, err = newCertificate(cfg, g.signals); err != nil {
		report("CertFile", err)
	}
	if cfg.ForwardAuth == NoForwardAuth {
		if st.upstream, err = newUpstream(cfg, previous); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return nil, auth, errors.Join(problems...)
	}
	if cfg.ForwardAuth == NoForwardAuth {
		st.proxy = g.newProxy(st)
	}
	for _, r := range cfg.Rules {
		if r.Access != Public {
			auth.Registered = append(auth.Registered, r.Pattern)
		}
	}
	return st, auth, nil
}

// authConfig returns the configuration of the middleware. The fields that cfg.check reports are
// cleared.
func (g *Gateway) authConfig(st *state) otelauth.Config {
	auth := st.cfg.Auth
	auth.Endpoint, auth.RequestID = st.endpoint, requestIDOf
	auth.Routes, auth.Public, auth.Sensitive, auth.Registered = nil, nil, nil, nil
	if st.cfg.DangerouslyAllowPlaintext {
		auth.DangerouslyAllowPlaintextFrom = slices.Concat(auth.DangerouslyAllowPlaintextFrom, allNetworks())
	}
	if g.uninstrumented && auth.Observers == nil {
		auth.Observers = []attempt.Observer{}
	}
	return auth
}
