// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// verdict is one attempt: the request, the decision and, at its end, the response.
type verdict struct {
	req  attempt.Request
	res  attempt.Result
	resp attempt.Response
}

// arrival is the result of stages 1 and 2. It holds the token: keep it in a local variable.
type arrival struct {
	field    credential.Field
	defect   credential.Defect
	isSecure bool // not readable in transit, or the configuration accepts plaintext

	endpoint Endpoint // the result of Config.Endpoint
}

// isAnonymous reports whether the request has neither Basic credentials nor a defect to report.
func (a *arrival) isAnonymous() bool {
	return a.defect == credential.NoDefect && a.field.Scheme != attempt.SchemeBasic && a.endpoint.Refusal.Status == 0
}

// receive runs stages 1 and 2, credential and client address, and fills req.
func (c *core) receive(r *http.Request, req *attempt.Request) (a arrival) {
	a.field, a.defect = credential.Split(r.Header, c.cfg.MaxHeaderBytes)
	client := c.clients.Resolve(r)
	a.isSecure = client.Secure || within(c.cfg.DangerouslyAllowPlaintextFrom, client.Addr)

	req.Context = r.Context()
	req.Time = c.clock.now()
	req.Scheme = a.field.Scheme
	req.Client, req.ClientPort, req.Peer = client.Addr, client.Port, client.Peer
	req.Exposed = a.field.Scheme != attempt.SchemeNone && !a.isSecure
	if c.cfg.Endpoint != nil {
		a.endpoint = c.cfg.Endpoint(r)
	}
	if c.observer == nil {
		return a
	}
	req.Method = attempt.KnownMethod(r.Method)
	if req.Method == "" {
		req.Method = http.MethodGet // net/http sends "" as GET
	}
	req.Route = routeOf(c.pattern(r, &a))
	req.Path = attempt.Text(escapedPath(r.URL), attempt.MaxPathBytes)
	if agent := r.Header["User-Agent"]; len(agent) > 0 {
		req.UserAgent = attempt.Text(agent[0], attempt.MaxUserAgentBytes)
	}
	ignored := client.Ignored(r.Header)
	req.ClientText = clientText(r.RemoteAddr, client, ignored)
	req.Sensitive = a.endpoint.Sensitive || c.isSensitive(r)
	if c.cfg.RequestID != nil {
		req.RequestID = c.cfg.RequestID(r)
	}
	if ignored {
		c.noticeUntrustedForwarded(client.Peer.Addr(), req.Time)
	}
	return a
}

// escapedPath returns the path as it was sent. It cuts a long path first, so that no more of it is
// escaped than is recorded.
func escapedPath(u *url.URL) string {
	const enough = attempt.MaxPathBytes + len("%XX")
	if len(u.Path) <= enough && len(u.RawPath) <= enough {
		return u.EscapedPath()
	}
	if u.RawPath == "" {
		return (&url.URL{Path: u.Path[:enough]}).EscapedPath()
	}
	begin := u.RawPath[:min(enough, len(u.RawPath))]
	if i := strings.LastIndexByte(begin, '%'); i > len(begin)-len("%XX") {
		begin = begin[:i]
	}
	path, err := url.PathUnescape(begin)
	if err != nil {
		return begin // cannot happen: net/url has parsed the whole path
	}
	return (&url.URL{Path: path, RawPath: begin}).EscapedPath()
}

// clientText returns the client's address as it is written in RemoteAddr, so that observers need
// not format it; "" when they must.
func clientText(remote string, client clientip.Client, ignored bool) string {
	if !client.Addr.IsValid() && ignored {
		return "unknown"
	}
	if i := strings.LastIndexByte(remote, ':'); i > 0 && client.Addr.Is4() && client.Addr == client.Peer.Addr() && remote[0] != '[' {
		return remote[:i]
	}
	return ""
}

// pattern returns the pattern of the endpoint, from the configuration or else from an outer mux.
func (c *core) pattern(r *http.Request, a *arrival) string {
	if a != nil && a.endpoint.Pattern != "" {
		return a.endpoint.Pattern
	}
	if c.cfg.Routes != nil {
		if _, pattern := c.cfg.Routes.Handler(r); pattern != "" {
			return pattern
		}
	}
	return r.Pattern
}

// authenticate runs stages 3 and 4 between Begin and Decide of the observer. It returns the
// account, nil unless the Outcome is Success.
func (c *core) authenticate(a *arrival, req *attempt.Request, res *attempt.Result) *verify.Account {
	if c.observer == nil {
		return c.judge(req.Context, a, req, res)
	}
	ctx := c.observer.Begin(req.Context, req)
	account := c.judge(ctx, a, req, res)
	if c.cfg.UserNames == HashedNames {
		res.UserName = ""
	}
	if account != nil {
		res.Groups = account.Groups
	} else if c.cfg.UserNames == DangerouslyClaimedNames {
		res.ClaimedName = claimedName(a, res)
	}
	res.Duration = c.clock.since(req.Time)
	if err := c.observer.Decide(ctx, req, res); err != nil && res.Outcome == attempt.Success {
		res.Outcome, res.ErrorType, res.Err = attempt.Error, attempt.TrailUnavailable, err
	}
	if res.Outcome != attempt.Success {
		return nil
	}
	return account
}

// maxClaimedBytes bounds a name that is not an account.
const maxClaimedBytes = 128

// claimedName returns the name that the client sent, if it is not an account. It costs the same if
// it is one.
func claimedName(a *arrival, res *attempt.Result) string {
	if res.UserHash == "" {
		return ""
	}
	sent, _ := a.field.Decode()
	name := attempt.Text(sent.Name, maxClaimedBytes)
	if res.UserName != "" {
		return ""
	}
	return name
}

// judge writes the decision to res. When a store panics, the attempt is denied and recorded.
func (c *core) judge(ctx context.Context, a *arrival, req *attempt.Request, res *attempt.Result) (account *verify.Account) {
	defer func() {
		if p := recover(); p != nil {
			account = nil
			// The value is not recorded: it may hold the credentials.
			*res = attempt.Result{
				Outcome: attempt.Error, ErrorType: attempt.AccountsUnavailable, Reason: attempt.ReasonVerifierFailed,
				Err: fmt.Errorf("otelauth: the account store panicked with a %T; read its log and fix the store", p),
			}
		}
	}()
	switch {
	case a.endpoint.Refusal.Status != 0:
		res.Outcome, res.ErrorType, res.Reason = attempt.Malformed, attempt.MalformedRequest, a.endpoint.Refusal.Reason
	case !a.isSecure && a.field.Scheme == attempt.SchemeNone:
		res.Outcome, res.ErrorType, res.Reason = attempt.Missing, attempt.InsecureTransport, attempt.ReasonPlaintextRefused
	case !a.isSecure:
		res.Outcome, res.ErrorType, res.Reason = attempt.Failure, attempt.InsecureTransport, attempt.ReasonPlaintextRefused
	case a.defect != credential.NoDefect:
		res.Outcome, res.ErrorType, res.Reason = attempt.Malformed, attempt.MalformedCredentials, a.defect.Reason()
	case a.field.Scheme == attempt.SchemeNone:
		res.Outcome = attempt.Missing
	case a.field.Scheme != attempt.SchemeBasic:
		res.Outcome, res.ErrorType = attempt.Missing, attempt.UnsupportedScheme
	case c.refuses(res):
	default:
		return c.engine.Verify(ctx, req.Time, a.field, clientip.Network(req.Client), res)
	}
	c.arrive(ctx, req, res)
	return nil
}

// refuses reports whether no credentials may be verified now, because a required trail cannot
// record the attempt. It then denies.
func (c *core) refuses(res *attempt.Result) bool {
	if c.ready == nil {
		return false
	}
	err := c.ready.Ready()
	if err != nil {
		res.Outcome, res.ErrorType, res.Err = attempt.Error, attempt.TrailUnavailable, err
	}
	return err != nil
}

// arrive charges a request without well-formed credentials when there is a budget for such
// requests. The request is denied in any case.
func (c *core) arrive(ctx context.Context, req *attempt.Request, res *attempt.Result) {
	if c.arrivals == nil {
		return
	}
	if d, err := c.arrivals.Arrive(ctx, clientip.Network(req.Client)); err == nil && d.Verdict == throttle.Refused {
		res.Outcome, res.ErrorType = attempt.Throttled, attempt.RateLimited
		res.Reason, res.RetryAfter = attempt.ReasonBudgetEmpty, d.RetryAfter
	}
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
