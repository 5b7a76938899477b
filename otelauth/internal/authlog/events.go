// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package authlog

import (
	"encoding/json"
	"net/netip"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// event reads a line with fields.
func (p *Parser) event(raw []byte) Line {
	for i, f := range p.fields {
		rec := f.Record(raw)
		if rec.IsAttempt {
			p.fields[0], p.fields[i] = p.fields[i], p.fields[0] // the next lines have it too
			return p.record(&rec)
		}
		if rec.Name == semconv.EventEventsSuppressed {
			return folded(raw)
		}
	}
	if raw[0] == '{' && json.Valid(raw) {
		return Line{Kind: Other}
	}
	return Line{}
}

// folded reads the number of denials that otelauth has folded into one line.
func folded(raw []byte) Line {
	var fields map[string]any
	line := Line{Kind: Folded}
	if err := json.Unmarshal(raw, &fields); err == nil {
		if n, ok := fields[semconv.KeyEventsSuppressedCount].(float64); ok {
			line.Folded = int64(n)
		}
	}
	return line
}

// record makes an attempt of a record.
func (p *Parser) record(rec *evidence.Record) Line {
	get := func(key string) string { return rec.Attributes[key] }
	if rec.Time.IsZero() {
		return Line{}
	}
	outcomes := strings.Split(get(semconv.KeyOutcome), ",")
	has := func(o attempt.Outcome) bool {
		for _, text := range outcomes {
			if text == o.String() {
				return true
			}
		}
		return false
	}
	a := Attempt{
		Time: rec.Time, Name: get(semconv.KeyUserName), Hash: get(semconv.KeyUserHash), Route: get(semconv.KeyHTTPRoute),
		Reason: attempt.Reason(get(semconv.KeyReason)), Count: 1,
	}
	isNamed := a.Name != "" || a.Hash != ""
	switch {
	case has(attempt.Success) && len(outcomes) == 1:
		a.Outcome = attempt.Success
	case has(attempt.Throttled) && len(outcomes) == 1:
		a.Outcome = attempt.Throttled
	// Some formats have one word for every denial. Only a client with credentials has a name.
	case has(attempt.Failure) && (isNamed || len(outcomes) == 1):
		a.Outcome = attempt.Failure
	case has(attempt.Missing):
		return Line{Kind: NoCredentials}
	default:
		return Line{Kind: Undecided}
	}
	if get(semconv.KeyErrorType) == attempt.InsecureTransport.String() {
		return Line{Kind: Undecided} // the password was not checked
	}
	if text := get(semconv.KeyClientAddress); text != "" {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return Line{Kind: NoAddress}
		}
		a.Client = addr.Unmap().WithZone("")
	}
	return Line{Kind: Attempted, Attempt: a}
}
