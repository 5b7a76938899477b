// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"net/http"
	"strings"
)

// origins refuses unsafe requests that a page of another origin makes a browser send. The
// browser adds the Basic credentials automatically.
type origins struct {
	protection http.CrossOriginProtection
	exempt     patterns
}

func newOrigins(cfg *Config, report report) *origins {
	o := &origins{exempt: newPatterns("DangerouslyAllowCrossOrigin", cfg.DangerouslyAllowCrossOrigin, report)}
	for i, origin := range cfg.TrustedOrigins {
		if err := o.protection.AddTrustedOrigin(origin); err != nil {
			report(fmt.Sprintf("TrustedOrigins[%d]", i), fmt.Errorf("%q: %w; write scheme://host[:port]", origin, err))
		}
	}
	return o
}

// permit reports whether r may pass. A WebSocket handshake is a GET but opens a channel for any
// message, so it counts as unsafe, and as a POST for patterns with a method.
func (o *origins) permit(r *http.Request) bool {
	if isWebSocket(r.Header) && r.Method == http.MethodGet {
		if r.Header["Origin"] == nil && r.Header["Sec-Fetch-Site"] == nil {
			return true
		}
		r = &http.Request{Method: http.MethodPost, URL: r.URL, Host: r.Host, Header: r.Header}
	}
	return o.protection.Check(r) == nil || o.exempt.match(r)
}

// isWebSocket reports whether h is that of a WebSocket handshake.
func isWebSocket(h http.Header) bool {
	return len(h["Upgrade"]) > 0 && hasToken(h["Connection"], "upgrade") && hasToken(h["Upgrade"], "websocket")
}

// hasToken reports whether one of the fields, which are lists, holds a token in any letter case.
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
