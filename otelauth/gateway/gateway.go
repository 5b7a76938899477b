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
)

// ScopeName is the import path of this package, the instrumentation scope of its own signals.
const ScopeName = "github.com/otelauth/otelauth-go/otelauth/gateway"

// Gateway authenticates requests and forwards them to one upstream. It is an http.Handler;
// [Gateway.Serve] serves it with the limits of its [Config]. Use [New]. It is safe for
// concurrent use.
type Gateway struct {
	mw             *otelauth.Middleware
	handler        http.Handler
	signals        *signals
	propagators    propagation.TextMapPropagator
	uninstrumented bool

	latest  atomic.Pointer[state]
	streams streams

	mu       sync.Mutex // one Reconfigure at a time; guards serving and closed
	serving  map[*server]struct{}
	closed   bool
	draining atomic.Bool
	shutdown chan struct{} // closed by Shutdown
	rewatch  chan struct{} // wakes watchStreams after a Reconfigure
	watching chan struct{} // closed when watchStreams has returned
}

// New returns a Gateway for cfg, or all problems of cfg at once: a [*ConfigError] for each of
// its own fields. It reads the certificate files. It opens no socket and does not call the
// upstream. [Gateway.Shutdown] stops what New started.
func New(cfg Config) (*Gateway, error) {
	cfg = cfg.withDefaults()
	g := &Gateway{
		propagators: cfg.Propagators, uninstrumented: cfg.Uninstrumented,
		serving: make(map[*server]struct{}), shutdown: make(chan struct{}), rewatch: make(chan struct{}, 1), watching: make(chan struct{}),
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
	if !g.uninstrumented {
		g.handler = g.instrument(g.handler, &cfg)
	}
	go g.watchStreams()
	return g, nil
}

// instrument wraps the handler into otelhttp.
func (g *Gateway) instrument(h http.Handler, cfg *Config) http.Handler {
	options := []otelhttp.Option{
		otelhttp.WithPublicEndpointFn(g.mw.Untrusted), otelhttp.WithServerName(serverName(cfg.ServerName)), otelhttp.WithPropagators(g.propagators),
	}
	if cfg.Auth.TracerProvider != nil {
		options = append(options, otelhttp.WithTracerProvider(cfg.Auth.TracerProvider))
	}
	if cfg.Auth.MeterProvider != nil {
		options = append(options, otelhttp.WithMeterProvider(cfg.Auth.MeterProvider))
	}
	return otelhttp.NewHandler(h, "gateway", options...)
}

// Check returns the error that [New] would return for cfg, and leaves nothing running.
func Check(cfg Config) error {
	g, err := New(cfg)
	if err != nil {
		return err
	}
	return g.Shutdown(context.Background())
}

// Reconfigure replaces the configuration as a whole, under load: certificate, rules, accounts
// and upstream. Requests that have begun end under the previous one, except that
// [Config.MaxStreamAge] of the new one applies to them. With an error nothing changes.
// ReadHeaderTimeout, IdleTimeout, StallTimeout and MaxHeaderBytes apply to listeners that are
// served afterwards. It is an error to remove the certificate of a listener that is served, or
// the field that allows its plaintext.
func (g *Gateway) Reconfigure(cfg Config) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return http.ErrServerClosed
	}
	cfg = cfg.withDefaults()
	previous := g.latest.Load()
	st, auth, err := g.compile(&cfg, previous)
	if err == nil {
		err = g.canServeAll(st)
	}
	if cfg.ForwardAuth != previous.cfg.ForwardAuth {
		err = errors.Join(err, &ConfigError{Field: "ForwardAuth", Err: errors.New("cannot change while the gateway runs; restart it")})
	}
	if err != nil {
		return err
	}
	if err := g.mw.Reconfigure(auth); err != nil {
		if st.upstream != previous.upstream {
			st.upstream.close()
		}
		return err
	}
	g.latest.Store(st)
	if st.upstream != previous.upstream {
		previous.upstream.close()
	}
	select {
	case g.rewatch <- struct{}{}:
	default:
	}
	return nil
}

// Middleware returns the middleware in use, whose budgets an operator may inspect. It belongs to
// the Gateway: do not close it.
func (g *Gateway) Middleware() *otelauth.Middleware { return g.mw }

// ServeHTTP authenticates r. Then it forwards r to the upstream, or answers the proxy that asks.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(w, r)
	defer x.cancel()
	if r.ProtoMajor == 1 && r.ProtoMinor > 1 {
		// RFC 9110, section 2.5: a higher minor version is processed as the highest that the
		// recipient supports. Otherwise a client could give network.protocol.version ten values.
		r.Proto, r.ProtoMinor = "HTTP/1.1", 1
	}
	if baggage := r.Header["Baggage"]; baggage != nil && (isLongBaggage(baggage) || g.mw.Untrusted(r)) {
		delete(r.Header, "Baggage") // before it is extracted
	}
	g.streams.add(x)
	defer g.streams.remove(x)
	st := g.latest.Load()
	if !x.multiplexed && st.cfg.StallTimeout > 0 && r.ContentLength != 0 {
		// Before an answer, net/http reads the rest of a body even if no handler has read it,
		// for example after a denial. The gateway's own reads move this deadline.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(st.cfg.StallTimeout))
	}
	if x.multiplexed && st.cfg.StallTimeout > 0 {
		own := &streamWriter{ResponseWriter: w, x: x, stall: st.cfg.StallTimeout}
		defer own.setFinalDeadline()
		w = own
	}
	if st.cfg.ForwardAuth == NoForwardAuth {
		g.handler.ServeHTTP(w, r.WithContext(x))
		return
	}
	if st.cfg.ForwardAuth == Nginx {
		w = &nginxWriter{ResponseWriter: w, x: x}
	}
	g.handler.ServeHTTP(w, st.described(r, x))
}

// endpoint implements otelauth.Config.Endpoint. The request keeps the state that answers it.
func (st *state) endpoint(r *http.Request) otelauth.Endpoint {
	x := exchangeOf(r.Context())
	if x == nil {
		if e, ok := operatorEndpoint(r.Context()); ok {
			return e
		}
		return otelauth.Endpoint{Pattern: unnamedRoute}
	}
	x.state = st
	x.trace = trace.SpanContextFromContext(r.Context()).TraceID()
	d := &x.decision
	if x.refused.Status == 0 && !isHost(r.Host) {
		x.refused = otelauth.Refusal{
			Status: http.StatusBadRequest, Reason: attempt.ReasonInvalidHost,
			Detail: "The host of the request holds characters that are not allowed in a host name.",
		}
	}
	if d.Refusal = x.refused; d.Refusal.Status == 0 {
		st.policy.Decide(r, d)
	}
	if d.Pattern == "" {
		d.Pattern = unnamedRoute
	}
	return otelauth.Endpoint{
		Pattern: d.Pattern, Public: d.Public, Sensitive: d.Sensitive, Refusal: d.Refusal,
		AnsweredElsewhere: st.cfg.ForwardAuth != NoForwardAuth,
	}
}

// isHost reports whether host is empty or holds only the characters of a host and port (RFC
// 3986, section 3.2.2). net/http checks Host of HTTP/1, but neither :authority of HTTP/2 nor the
// host in a proxy's description. Without this check the rules would be applied to another host
// than the upstream receives, because net/http sends an invalid Host as an empty one.
func isHost(host string) bool {
	for _, c := range []byte(host) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._~%!$&'()*+,;=:[]", rune(c)) {
			return false
		}
	}
	return true
}

// unnamedRoute is the route of paths that no rule names.
const unnamedRoute = "/"

// serve is the handler inside the middleware: the credentials are right, or none are needed.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r.Context())
	if x == nil || x.state == nil {
		answer(w, r, http.StatusServiceUnavailable, "Internal error: the request bypassed authentication.")
		return
	}
	if !x.isPermitted(w, r) {
		return
	}
	if x.state.cfg.ForwardAuth != NoForwardAuth {
		g.allow(w, r, x)
		return
	}
	g.streams.watch(x, r, g.now())
	x.body.wrap(x, r)
	x.state.proxy.ServeHTTP(w, r)
}

func (g *Gateway) now() time.Time { return g.latest.Load().cfg.Auth.Now() }
