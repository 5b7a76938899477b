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
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// core is one configuration at work. It is immutable once it serves.
type core struct {
	m     *Middleware
	cfg   Config
	clock clock
	settings
	engine   *verify.Engine
	identify func(canonical string) string // user.hash
	arrivals throttle.Arrivals             // nil: requests without credentials are free
	observer attempt.Observer              // nil: nobody is told
	stops    []func()
}

// judged is one attempt on its way through the pipeline.
type judged struct {
	req  attempt.Request
	res  attempt.Result
	resp attempt.Response // written by whoever ends the attempt
}

// arrival is what stages 1 and 2 found. It holds the token: keep it in a local variable.
type arrival struct {
	field  credential.Field
	fault  credential.Fault
	secure bool // nobody on the way could read it, or the configuration accepts that

	endpoint Endpoint // what Config.Endpoint says
}

// anonymous reports that no credentials came that this verifier could judge or complain of.
func (a *arrival) anonymous() bool {
	return a.fault == credential.NoFault && a.field.Scheme != attempt.SchemeBasic && a.endpoint.Refusal.Status == 0
}

// receive is stages 1 and 2: what was sent, and by whom. It fills req.
func (c *core) receive(r *http.Request, req *attempt.Request) (a arrival) {
	a.field, a.fault = credential.Split(r.Header, c.cfg.MaxHeaderBytes)
	client := c.clients.Resolve(r)
	a.secure = client.Secure || within(c.cfg.DangerouslyAllowPlaintextFrom, client.Addr)

	req.Context = r.Context()
	req.Time = c.clock.now()
	req.Scheme = a.field.Scheme
	req.Client, req.ClientPort, req.Peer = client.Addr, client.Port, client.Peer
	req.Exposed = a.field.Scheme != attempt.SchemeNone && !a.secure
	if c.cfg.Endpoint != nil {
		a.endpoint = c.cfg.Endpoint(r)
	}
	if c.observer == nil {
		return a
	}
	req.Method = attempt.KnownMethod(r.Method)
	if req.Method == "" {
		req.Method = http.MethodGet // as net/http means it
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
		c.untrustedForwarded(client.Peer.Addr(), req.Time)
	}
	return a
}

// escapedPath returns the path as it was sent, or the begin of a long one: no client has more of it escaped than is recorded.
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
		return begin // cannot be: net/url has read the whole
	}
	return (&url.URL{Path: path, RawPath: begin}).EscapedPath()
}

// clientText spares the observers the formatting of an address that stands in RemoteAddr already.
func clientText(remote string, client clientip.Client, ignored bool) string {
	if !client.Addr.IsValid() && ignored {
		return "unknown"
	}
	if i := strings.LastIndexByte(remote, ':'); i > 0 && client.Addr.Is4() && client.Addr == client.Peer.Addr() && remote[0] != '[' {
		return remote[:i]
	}
	return ""
}

// pattern returns the pattern of the endpoint: what the configured routes say, else what an outer mux has set.
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

func (c *core) untrustedForwarded(peer netip.Addr, at time.Time) {
	c.m.untrustedForwarded.Do(func() {
		c.notice(attempt.Notice{
			Kind: attempt.UntrustedForwarded, Time: at,
			Message: "a peer that is no trusted proxy, " + peer.String() + ", sends forwarding headers; they are not believed. " +
				"If it is a proxy of yours, name it in Config.TrustedProxies: all its clients share one address until then",
		})
	})
}

// authenticate is stages 3 and 4, between the observers' Begin and Decide. It returns the account, nil unless
// the Outcome is Success.
func (c *core) authenticate(a *arrival, req *attempt.Request, res *attempt.Result) *verify.Account {
	if c.observer == nil {
		return c.judge(req.Context, a, req, res)
	}
	ctx := c.observer.Begin(req.Context, req)
	account := c.judge(ctx, a, req, res)
	if c.cfg.UserNames == HashedNames {
		res.UserName = ""
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

// judge writes the verdict to res. A store that panics has not answered: the attempt is denied, and recorded like any other.
func (c *core) judge(ctx context.Context, a *arrival, req *attempt.Request, res *attempt.Result) (account *verify.Account) {
	defer func() {
		if p := recover(); p != nil {
			account = nil
			// The value is not told: it may hold what the store was given.
			*res = attempt.Result{
				Outcome: attempt.Error, ErrorType: attempt.AccountsUnavailable, Reason: attempt.ReasonVerifierFailed,
				Err: fmt.Errorf("otelauth: the store of accounts panicked with a %T", p),
			}
		}
	}()
	switch {
	case a.endpoint.Refusal.Status != 0:
		res.Outcome, res.ErrorType, res.Reason = attempt.Malformed, attempt.MalformedRequest, a.endpoint.Refusal.Reason
	case !a.secure && a.field.Scheme == attempt.SchemeNone:
		res.Outcome, res.ErrorType, res.Reason = attempt.Missing, attempt.InsecureTransport, attempt.ReasonPlaintextRefused
	case !a.secure:
		res.Outcome, res.ErrorType, res.Reason = attempt.Failure, attempt.InsecureTransport, attempt.ReasonPlaintextRefused
	case a.fault != credential.NoFault:
		res.Outcome, res.ErrorType, res.Reason = attempt.Malformed, attempt.MalformedCredentials, a.fault.Reason()
	case a.field.Scheme == attempt.SchemeNone:
		res.Outcome = attempt.Missing
	case a.field.Scheme != attempt.SchemeBasic:
		res.Outcome, res.ErrorType = attempt.Missing, attempt.UnsupportedScheme
	default:
		return c.engine.Verify(ctx, req.Time, a.field, clientip.Network(req.Client), res)
	}
	c.arrive(ctx, req, res)
	return nil
}

// arrive charges a request without well-formed credentials, where there is a budget for such. It is denied in any case.
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
