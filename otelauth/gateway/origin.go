// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"net/http"
	"strings"
)

// origins refuses what a page of another origin makes a browser send, which adds the Basic credentials by itself.
type origins struct {
	protection http.CrossOriginProtection
	// strict has no patterns: a raw path is never exempt by one.
	strict http.CrossOriginProtection
}

func newOrigins(cfg *Config) (*origins, []error) {
	o := &origins{}
	var faults []error
	for i, origin := range cfg.TrustedOrigins {
		if err := o.protection.AddTrustedOrigin(origin); err != nil {
			faults = append(faults, &ConfigError{Field: fmt.Sprintf("TrustedOrigins[%d]", i), Err: fmt.Errorf("%q: %w; write scheme://host[:port]", origin, err)})
			continue
		}
		_ = o.strict.AddTrustedOrigin(origin)
	}
	bypass := http.NewServeMux()
	for i, pattern := range cfg.DangerouslyAllowCrossOrigin {
		_, err := parsePattern(pattern)
		if err == nil {
			err = handle(bypass, pattern)
		}
		if err != nil {
			faults = append(faults, &ConfigError{Field: fmt.Sprintf("DangerouslyAllowCrossOrigin[%d]", i), Err: fmt.Errorf("%q: %w", pattern, err)})
			continue
		}
		o.protection.AddInsecureBypassPattern(pattern)
	}
	return o, faults
}

// permit reports whether r may pass. The handshake of a WebSocket is a GET, and opens a channel on which anything can be said, so
// it counts as unsafe, and as a POST where patterns name methods.
func (o *origins) permit(r *http.Request, normal bool) bool {
	protection := &o.protection
	if !normal {
		protection = &o.strict
	}
	if upgrades(r.Header) && r.Method == http.MethodGet {
		if r.Header["Origin"] == nil && r.Header["Sec-Fetch-Site"] == nil {
			return true
		}
		r = &http.Request{Method: http.MethodPost, URL: r.URL, Host: r.Host, Header: r.Header}
	}
	return protection.Check(r) == nil
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
