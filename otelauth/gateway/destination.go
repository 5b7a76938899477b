// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"net/url"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// decide says what r needs, and what the path needs that COPY and MOVE write to (RFC 4918 section 10.3), as if it were sent there,
// and as a PUT too.
func (p *policy) decide(r *http.Request, d *decision) {
	p.judge(r, d)
	fields := r.Header["Destination"]
	if d.refusal.Status != 0 || fields == nil {
		return
	}
	// ParseRequestURI does not cut at "#".
	u, err := url.ParseRequestURI(fields[0])
	if err != nil || len(fields) > 1 {
		d.refusal = otelauth.Refusal{Status: http.StatusBadRequest, Reason: attempt.ReasonRawPath, Detail: "The field Destination is no URL, or stands twice."}
		return
	}
	there := &http.Request{URL: u, Host: u.Host}
	if u.Host == "" {
		there.Host = r.Host
	}
	q := query{d: d}
	for _, there.Method = range [...]string{r.Method, http.MethodPut} {
		var other decision
		p.judge(there, &other)
		if d.refusal = other.refusal; d.refusal.Status != 0 {
			return
		}
		d.public = d.public && other.public
		d.sensitive = d.sensitive || other.sensitive
		for _, rule := range other.needs {
			q.add(rule)
		}
	}
}
