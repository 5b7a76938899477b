// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package bearer is a service that verifies bearer tokens (RFC 6750) itself and records its
// attempts as otelauth does: the same spans and metrics, with auth.scheme=bearer. It imports
// spans, metrics and the data model, but no Basic Auth.
package bearer

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/spans"
)

// Tokens maps the SHA-256 of each token to its owner. Tokens are random, so a fast hash is enough,
// and the time of a lookup by hash reveals nothing about the token.
type Tokens map[[sha256.Size]byte]string

// Guard protects handlers.
type Guard struct {
	tokens   Tokens
	observer attempt.Observer
}

// New returns a Guard that records its attempts with the providers.
func New(tokens Tokens, tracers trace.TracerProvider, meters metric.MeterProvider) (*Guard, error) {
	s, errSpans := spans.New(spans.Config{TracerProvider: tracers, Scheme: attempt.SchemeBearer})
	m, errMetrics := metrics.New(metrics.Config{MeterProvider: meters})
	if err := errors.Join(errSpans, errMetrics); err != nil {
		return nil, err
	}
	return &Guard{tokens: tokens, observer: attempt.Join(s, m)}, nil
}

// Wrap protects the handler of one route.
func (g *Guard) Wrap(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := attempt.Request{
			Context: r.Context(), Time: time.Now(), Scheme: attempt.SchemeNone,
			Route: route, Method: attempt.KnownMethod(r.Method),
		}
		if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			req.Client, req.ClientPort, req.Peer = peer.Addr().Unmap(), peer.Port(), peer
		}
		var res attempt.Result

		ctx := g.observer.Begin(req.Context, &req)
		g.verify(r.Header.Values("Authorization"), &req, &res)
		res.Duration = time.Since(req.Time)
		if err := g.observer.Decide(ctx, &req, &res); err != nil {
			res.Outcome = attempt.Error // a required observer could not record the attempt
		}

		resp := attempt.Response{Status: http.StatusOK, Handler: true}
		defer func() { g.observer.End(req.Context, &req, &res, &resp) }()
		switch res.Outcome {
		case attempt.Success:
			recorder := &status{ResponseWriter: w, resp: &resp}
			next.ServeHTTP(recorder, r)
			return
		case attempt.Malformed:
			resp = attempt.Response{Status: http.StatusBadRequest}
		case attempt.Missing, attempt.Failure:
			resp = attempt.Response{Status: http.StatusUnauthorized}
			w.Header().Set("WWW-Authenticate", "Bearer")
		default:
			resp = attempt.Response{Status: http.StatusServiceUnavailable}
		}
		http.Error(w, http.StatusText(resp.Status), resp.Status)
	})
}

// verify writes the decision to res. Without a decision the attempt is denied: the zero Outcome is
// an error.
func (g *Guard) verify(fields []string, req *attempt.Request, res *attempt.Result) {
	if len(fields) == 0 {
		res.Outcome = attempt.Missing
		return
	}
	if len(fields) > 1 {
		res.Outcome, res.ErrorType, res.Reason = attempt.Malformed, attempt.MalformedCredentials, attempt.ReasonDuplicateHeader
		return
	}
	scheme, token, _ := strings.Cut(fields[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		req.Scheme = attempt.SchemeOther
		res.Outcome, res.ErrorType = attempt.Missing, attempt.UnsupportedScheme
		return
	}
	req.Scheme = attempt.SchemeBearer
	owner, known := g.tokens[sha256.Sum256([]byte(token))]
	if !known {
		res.Outcome, res.ErrorType, res.Reason = attempt.Failure, attempt.InvalidCredentials, "unknown_token"
		return
	}
	res.Outcome, res.UserName = attempt.Success, owner
}

// status records the status of the handler.
type status struct {
	http.ResponseWriter
	resp *attempt.Response
}

func (s *status) WriteHeader(code int) {
	s.resp.Status = code
	s.ResponseWriter.WriteHeader(code)
}

func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }
