// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/internal/pathform"
)

// origins refuses what a page of another origin makes a browser send, which adds the Basic credentials by itself.
type origins struct {
	protection http.CrossOriginProtection
	exempt     []*pathform.Pattern
}

func newOrigins(cfg *Config) (*origins, []error) {
	o := &origins{}
	var problems []error
	for i, origin := range cfg.TrustedOrigins {
		if err := o.protection.AddTrustedOrigin(origin); err != nil {
			problems = append(problems, &ConfigError{Field: fmt.Sprintf("TrustedOrigins[%d]", i), Err: fmt.Errorf("%q: %w; write scheme://host[:port]", origin, err)})
		}
	}
	for i, text := range cfg.DangerouslyAllowCrossOrigin {
		pattern, err := pathform.ParsePattern(text)
		if err != nil {
			problems = append(problems, &ConfigError{Field: fmt.Sprintf("DangerouslyAllowCrossOrigin[%d]", i), Err: fmt.Errorf("%q: %w", text, err)})
			continue
		}
		o.exempt = append(o.exempt, pattern)
	}
	return o, problems
}

// permit reports whether r may pass. The handshake of a WebSocket is a GET, and opens a channel on which anything can be said, so
// it counts as unsafe, and as a POST where patterns name methods.
func (o *origins) permit(r *http.Request) bool {
	if upgrades(r.Header) && r.Method == http.MethodGet {
		if r.Header["Origin"] == nil && r.Header["Sec-Fetch-Site"] == nil {
			return true
		}
		r = &http.Request{Method: http.MethodPost, URL: r.URL, Host: r.Host, Header: r.Header}
	}
	return o.protection.Check(r) == nil || o.isExempt(r)
}

// isExempt reports whether a pattern names the path exactly as it was sent.
func (o *origins) isExempt(r *http.Request) bool {
	if len(o.exempt) == 0 {
		return false
	}
	path := pathform.Get(r.URL)
	defer path.Free()
	host := pathform.SentHost(r.Host)
	return slices.ContainsFunc(o.exempt, func(p *pathform.Pattern) bool {
		return p.MatchesMethod(r.Method) && (p.Host() == "" || p.Host() == host) && p.Opens(path)
	})
}

// upgrades reports whether the client asks for a WebSocket.
func upgrades(h http.Header) bool {
	return len(h["Upgrade"]) > 0 && hasToken(h["Connection"], "upgrade") && hasToken(h["Upgrade"], "websocket")
}

// hasToken looks for a token, in any letter case, in fields that are lists of them.
func hasToken(fields []string, token string) bool {
	for _, field := range fields {
		for part := range strings.SplitSeq(field, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), token) {
				return true
			}
		}
	}
	return false
}
