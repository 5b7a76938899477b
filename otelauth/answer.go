// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/problem"
)

// Denial is the answer to a denied request. It holds only what the caller may know: an unknown
// user and a wrong password have the same Denial.
type Denial struct {
	// Status is 400, 401, 403, 429 or 503, or that of a [Refusal].
	Status int
	// Detail is a sentence for the caller.
	Detail string
	// TraceID is the trace id that the caller quotes when asking for help, 32 hexadecimal digits;
	// "" without a trace.
	TraceID string
	// RetryAfter is how long the caller must wait; the header rounds it up to seconds. 0: no
	// header.
	RetryAfter time.Duration

	hasChallenge bool
}

// retryAfterDefault is the RetryAfter of a 503 without a better estimate.
const retryAfterDefault = time.Second

// denial returns the answer to a denied attempt.
func (c *core) denial(a *arrival, req *attempt.Request, res *attempt.Result) Denial {
	d := Denial{TraceID: traceID(req), RetryAfter: res.RetryAfter}
	switch {
	case res.ErrorType == attempt.MalformedRequest:
		d.Status, d.Detail = a.endpoint.Refusal.Status, a.endpoint.Refusal.Detail
	case res.ErrorType == attempt.InsecureTransport:
		d.Status = http.StatusForbidden
		d.Detail = "This endpoint accepts credentials over HTTPS only. If a proxy in front of it terminates HTTPS, the operator " +
			"must name it as a trusted proxy, and it must send X-Forwarded-Proto or Forwarded. The operator can also " +
			"dangerously allow plaintext from a network."
		if req.Exposed {
			d.Detail = "The credentials were sent in plaintext and were not verified; change the password. " + d.Detail
		}
	case res.Outcome == attempt.Missing:
		d.Status, d.hasChallenge = http.StatusUnauthorized, true
		d.Detail = "This endpoint requires credentials."
	case res.Outcome == attempt.Malformed:
		d.Status = http.StatusBadRequest
		d.Detail = "The Authorization field is not a well-formed Basic credential (RFC 7617)."
	case res.Outcome == attempt.Failure:
		d.Status, d.hasChallenge = http.StatusUnauthorized, true
		d.Detail = "The credentials are not accepted."
	case res.Outcome == attempt.Throttled:
		d.Status = http.StatusTooManyRequests
		d.Detail = "Rate limited: too many failed attempts. Wait before the next attempt."
		d.RetryAfter = max(d.RetryAfter, time.Second)
	default:
		d.Status = http.StatusServiceUnavailable
		d.Detail = "The credentials cannot be verified now. Try again later."
		d.RetryAfter = max(d.RetryAfter, retryAfterDefault)
	}
	return d
}

// write sends the answer. Config.Deny writes the body only: deniedHead keeps the header.
func (d *Denial) write(w http.ResponseWriter, r *http.Request, c *core) {
	head := deniedHead{ResponseWriter: w, denial: d, core: c}
	if c.cfg.Deny != nil {
		c.cfg.Deny(&head, r, *d)
		head.WriteHeader(d.Status)
		return
	}
	problem.Write(&head, d.Status, d.Detail, d.TraceID)
}

// deniedHead ignores the status that is written to it and sets the status and the security fields
// of the denial.
type deniedHead struct {
	http.ResponseWriter
	denial  *Denial
	core    *core
	written bool
}

func (h *deniedHead) WriteHeader(int) {
	if h.written {
		return
	}
	h.written = true
	header := h.Header()
	for name := range header {
		switch http.CanonicalHeaderKey(name) { // a map accepts any spelling, and net/http sends it
		case "Cache-Control", "Www-Authenticate", "Retry-After":
			delete(header, name)
		}
	}
	header.Set("Cache-Control", "no-store")
	if h.denial.hasChallenge {
		header["Www-Authenticate"] = h.core.challenge
	}
	if h.denial.RetryAfter > 0 {
		header.Set("Retry-After", strconv.FormatInt(int64((h.denial.RetryAfter+time.Second-1)/time.Second), 10))
	}
	h.ResponseWriter.WriteHeader(h.denial.Status)
}

func (h *deniedHead) Write(b []byte) (int, error) {
	h.WriteHeader(h.denial.Status)
	return h.ResponseWriter.Write(b)
}

// forbid answers an authenticated user who lacks a required group.
func forbid(w http.ResponseWriter, r *http.Request) {
	req := attempt.Request{Context: r.Context()}
	problem.Write(w, http.StatusForbidden, "This account is not allowed to do this.", traceID(&req))
}

// traceID returns the trace id of the attempt, from the server span or else the auth span.
func traceID(req *attempt.Request) string {
	sc := trace.SpanContextFromContext(req.Context)
	if span, ok := req.Span.(trace.Span); ok && !sc.IsValid() {
		sc = span.SpanContext()
	}
	if !sc.HasTraceID() {
		return ""
	}
	return sc.TraceID().String()
}
