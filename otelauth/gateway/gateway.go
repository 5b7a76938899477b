// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/gateway/internal/policy"
)

// ScopeName is the import path of this package, the instrumentation scope of its own signals.
const ScopeName = "github.com/otelauth/otelauth-go/otelauth/gateway"

// Gateway lets requests through to one upstream. It is an http.Handler; [Gateway.Serve] is a server around it with the limits
// of its [Config]. Use [New]. It is safe for concurrent use.
type Gateway struct {
	mw          *otelauth.Middleware
	handler     http.Handler
	signals     *signals
	propagators propagation.TextMapPropagator
	blind       bool // Config.Uninstrumented

	latest  atomic.Pointer[state]
	streams streams

	mu       sync.Mutex // one Reconfigure at a time; guards serving and closed
	serving  map[*server]struct{}
	closed   bool
	draining atomic.Bool
	ended    chan struct{} // closed by Shutdown
	kick     chan struct{} // wakes the keeper of streams
	kept     chan struct{} // closed when the keeper has ended
}

// state is one Config at work. A request belongs to the one that its credentials were judged under, from the rule to the
// upstream.
type state struct {
	cfg      Config
	policy   *policy.Policy
	clients  *clientip.Resolver
	origins  *origins
	cert     *certificate // nil: plaintext
	headers  *headers
	upstream *upstream    // nil with ForwardAuth
	proxy    http.Handler // as well
}

// New returns a Gateway that does what cfg says, or every fault of cfg at once: a [*ConfigError] for each of its own fields. It
// reads the certificate files, opens no socket and does not call the upstream. [Gateway.Shutdown] ends what it started.
func New(cfg Config) (*Gateway, error) {
	cfg = cfg.withDefaults()
	g := &Gateway{
		propagators: cfg.Propagators, blind: cfg.Uninstrumented,
		serving: make(map[*server]struct{}), ended: make(chan struct{}), kick: make(chan struct{}, 1), kept: make(chan struct{}),
	}
	var errSignals error
	g.signals, errSignals = newSignals(&cfg)
	st, auth, err := g.compile(&cfg, nil)
	mw, errAuth := otelauth.New(auth)
	if err := errors.Join(err, errAuth, errSignals); err != nil {
		if mw != nil {
			_ = mw.Close()
		}
		return nil, err
	}
	g.mw = mw
	g.latest.Store(st)
	g.handler = mw.Wrap(http.HandlerFunc(g.serve))
	if !g.blind {
		options := []otelhttp.Option{
			otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName(serverName(cfg.ServerName)), otelhttp.WithPropagators(g.propagators),
		}
		if cfg.Auth.TracerProvider != nil {
			options = append(options, otelhttp.WithTracerProvider(cfg.Auth.TracerProvider))
		}
		if cfg.Auth.MeterProvider != nil {
			options = append(options, otelhttp.WithMeterProvider(cfg.Auth.MeterProvider))
		}
		g.handler = otelhttp.NewHandler(g.handler, "gateway", options...)
	}
	go g.keepStreams()
	return g, nil
}

// Check returns what [New] would say of cfg, and leaves nothing running.
func Check(cfg Config) error {
	g, err := New(cfg)
	if err != nil {
		return err
	}
	return g.Shutdown(context.Background())
}

// Reconfigure replaces the configuration as a whole, under load: certificate, rules, accounts and upstream. Requests that have begun end under
// the former one, but for [Config.MaxStreamAge], which is judged by the new. With an error nothing changes. Limits of connections (ReadHeaderTimeout,
// IdleTimeout, StallTimeout, MaxHeaderBytes) hold for listeners served afterwards. It is an error to take away what a listener that is served
// stands on: its certificate, or what allows its plaintext.
func (g *Gateway) Reconfigure(cfg Config) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return http.ErrServerClosed
	}
	cfg = cfg.withDefaults()
	former := g.latest.Load()
	st, auth, err := g.compile(&cfg, former)
	if err == nil {
		err = g.tenable(st)
	}
	if cfg.ForwardAuth != former.cfg.ForwardAuth {
		err = errors.Join(err, &ConfigError{Field: "ForwardAuth", Err: errors.New("cannot change while it serves; start anew")})
	}
	if err != nil {
		return err
	}
	if err := g.mw.Reconfigure(auth); err != nil {
		if st.upstream != former.upstream {
			st.upstream.close()
		}
		return err
	}
	g.latest.Store(st)
	if st.upstream != former.upstream {
		former.upstream.close()
	}
	select {
	case g.kick <- struct{}{}:
	default:
	}
	return nil
}

// Middleware returns the middleware at work, for an operator to look at its budgets. It belongs to the Gateway.
func (g *Gateway) Middleware() *otelauth.Middleware { return g.mw }

// exchange is one request and its answer. It is the request's context too, and never reused.
type exchange struct {
	context.Context //nolint:containedctx // it is one
	cancel          context.CancelFunc

	state    *state // set when the credentials are looked at
	decision policy.Decision
	refused  otelauth.Refusal // before the rules are asked
	trace    trace.TraceID    // of the server span
	id       string           // X-Request-Id
	ids      [1]string
	writer   http.ResponseWriter // that of net/http
	server   *http.Server        // nil: somebody else's
	values   [identityFields + 4]string
	body     body

	// In the list of streams.
	next, previous *exchange
	gone           bool
	multiplexed    bool // one of several on its connection
	list           *streamList
	watched        watched
	conn           *conn // nil: somebody else's server
	cut            atomic.Bool
}

type exchangeKey struct{}

func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	return x.Context.Value(key)
}

func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// ServeHTTP answers r, has the upstream answer it, or tells the proxy that asks.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{writer: w, multiplexed: r.ProtoMajor >= 2}
	x.Context, x.cancel = context.WithCancel(r.Context())
	defer x.cancel()
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		c.unparsed.Store(false)
		x.conn = c
	}
	x.id = requestID(r.Header)
	x.ids[0] = x.id
	w.Header()["X-Request-Id"] = x.ids[:1:1]
	if r.ProtoMajor == 1 && r.ProtoMinor > 1 {
		// RFC 9110, section 2.5: a higher minor version is processed as the highest that the recipient
		// supports. Otherwise network.protocol.version would take ten values of the client's choice.
		r.Proto, r.ProtoMinor = "HTTP/1.1", 1
	}
	if baggage := r.Header["Baggage"]; baggage != nil && (isLongBaggage(baggage) || g.mw.Untrusted(r)) {
		delete(r.Header, "Baggage") // before anybody extracts it
	}
	x.server, _ = r.Context().Value(http.ServerContextKey).(*http.Server)
	g.streams.add(x)
	defer g.streams.remove(x)
	st := g.latest.Load()
	if !x.multiplexed && st.cfg.StallTimeout > 0 && r.ContentLength != 0 {
		// Before an answer net/http reads what is left of a body, also where nobody has asked for it: a denial, an upstream that is
		// away. Each read of ours moves the deadline.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(st.cfg.StallTimeout))
	}
	if x.multiplexed && st.cfg.StallTimeout > 0 {
		own := &streamWriter{ResponseWriter: w, x: x, stall: st.cfg.StallTimeout}
		defer own.last()
		w = own
	}
	if st.cfg.ForwardAuth == NoForwardAuth {
		g.handler.ServeHTTP(w, r.WithContext(x))
		return
	}
	if st.cfg.ForwardAuth == Nginx {
		w = &nginxWriter{ResponseWriter: w, x: x}
	}
	g.handler.ServeHTTP(w, st.original(r, x))
}

// The bounds of a Baggage field that is read. W3C Baggage, section 3.3.2, asks for 64 members in 8192 bytes; reading so many bytes
// costs more than a request without credentials may cost.
const (
	maxBaggageMembers = 64
	maxBaggageBytes   = 1 << 10
)

// isLongBaggage reports whether a Baggage field has more lines, members or bytes than are read. The gateway then removes it.
func isLongBaggage(lines []string) bool {
	return len(lines) > 1 || len(lines[0]) > maxBaggageBytes || strings.Count(lines[0], ",") >= maxBaggageMembers
}

// endpoint is otelauth's question about a request. The state that answers it stays with the request.
func (st *state) endpoint(r *http.Request) otelauth.Endpoint {
	x := exchangeOf(r.Context())
	if x == nil {
		return otelauth.Endpoint{Pattern: unnamed}
	}
	x.state = st
	x.trace = trace.SpanContextFromContext(r.Context()).TraceID()
	d := &x.decision
	if x.refused.Status == 0 && !isHost(r.Host) {
		x.refused = otelauth.Refusal{
			Status: http.StatusBadRequest, Reason: attempt.ReasonInvalidHost,
			Detail: "The host of the request has characters that no host name has.",
		}
	}
	if d.Refusal = x.refused; d.Refusal.Status == 0 {
		st.policy.Decide(r, d)
	}
	if d.Pattern == "" {
		d.Pattern = unnamed
	}
	return otelauth.Endpoint{
		Pattern: d.Pattern, Public: d.Public, Sensitive: d.Sensitive, Refusal: d.Refusal,
		AnsweredElsewhere: st.cfg.ForwardAuth != NoForwardAuth,
	}
}

// isHost reports whether host has the characters of a host and port only (RFC 3986, section 3.2.2), or is empty. net/http
// checks Host of HTTP/1, but neither :authority of HTTP/2 nor what a proxy says. Otherwise rules for
// a host would be judged by another one than the upstream gets: net/http sends it an empty Host.
func isHost(host string) bool {
	for _, c := range []byte(host) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~%!$&'()*+,;=:[]", rune(c)) {
			return false
		}
	}
	return true
}

// unnamed is the route of what no rule names.
const unnamed = "/"

// serve stands inside of the middleware: the credentials are right, or none are needed.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r.Context())
	if x == nil || x.state == nil {
		answer(w, r, http.StatusServiceUnavailable, "The gateway was entered by a side door.")
		return
	}
	if !x.permitted(w, r) {
		return
	}
	if x.state.cfg.ForwardAuth != NoForwardAuth {
		g.let(w, r, x)
		return
	}
	g.streams.watch(x, r, g.now())
	x.body.wrap(x, r)
	x.state.proxy.ServeHTTP(w, r)
}

// permitted answers the request itself when the account may not make it, or a browser was made to.
func (x *exchange) permitted(w http.ResponseWriter, r *http.Request) bool {
	user, _ := otelauth.UserFromContext(r.Context())
	if !x.decision.Allows(user) {
		answer(w, r, http.StatusForbidden, "This account may not do this.")
		return false
	}
	if !tellable(user.Name) {
		answer(w, r, http.StatusForbidden, "The name of this account cannot be told to the service: it begins or ends with a blank, or holds a control character.")
		return false
	}
	if !x.state.origins.permit(r) {
		answer(w, r, http.StatusForbidden, "A page of another origin made the browser send this. The operator can name that origin in Config.TrustedOrigins.")
		return false
	}
	return true
}

func (g *Gateway) now() time.Time { return g.latest.Load().cfg.Auth.Now() }

// compile checks cfg as a whole. With an error only auth is of use, for otelauth's own faults.
func (g *Gateway) compile(cfg *Config, former *state) (*state, otelauth.Config, error) {
	st := &state{cfg: *cfg}
	var faults []error
	fault := func(field string, err error) {
		if err != nil {
			faults = append(faults, &ConfigError{Field: field, Err: err})
		}
	}
	auth := cfg.Auth
	auth.Endpoint, auth.RequestID = st.endpoint, requestIDOf
	cfg.check(fault)
	if cfg.DangerouslyAllowPlaintext {
		auth.DangerouslyAllowPlaintextFrom = append(auth.DangerouslyAllowPlaintextFrom[:len(auth.DangerouslyAllowPlaintextFrom):len(auth.DangerouslyAllowPlaintextFrom)], everywhere()...)
	}
	auth.Routes, auth.Public, auth.Sensitive = nil, nil, nil // faults already
	if g.blind && auth.Observers == nil {
		auth.Observers = []attempt.Observer{}
	}
	var err error
	if st.clients, err = clientip.New(clientip.Config{
		TrustedProxies: auth.TrustedProxies, TrustUnixSocket: auth.TrustUnixSocket, Header: auth.ForwardedHeader,
	}); err != nil {
		st.clients = nil // otelauth reports it
	}
	var problems []policy.Problem
	st.policy, problems = policy.New(cfg.policyRules(fault), cfg.AllowRawPaths)
	for _, p := range problems {
		fault(p.Field, p.Err)
	}
	var wrong []error
	if st.origins, wrong = newOrigins(cfg); len(wrong) > 0 {
		faults = append(faults, wrong...)
	}
	if st.headers, wrong = newHeaders(cfg); len(wrong) > 0 {
		faults = append(faults, wrong...)
	}
	if st.cert, err = newCertificate(cfg, g.signals); err != nil {
		fault("CertFile", err)
	}
	if cfg.ForwardAuth == NoForwardAuth {
		if st.upstream, err = newUpstream(cfg, former); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, auth, errors.Join(faults...)
	}
	if cfg.ForwardAuth == NoForwardAuth {
		st.proxy = g.newProxy(st)
	}
	return st, auth, nil
}
