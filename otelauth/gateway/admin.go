// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// Admin returns the handler of the operator's two health endpoints, and of Config.Operator. The
// health endpoints show nothing about accounts and require no credentials. Serve them on a
// separate listener that clients cannot reach.
//
//	GET /-/healthz   200 while the process answers
//	GET /-/readyz    200 when the account store answers, a required trail can write and the
//	                 upstream accepts connections; otherwise, and while the gateway drains,
//	                 503 with the reason
//	/-/operator/     Config.Operator, for the members of Config.OperatorGroup
//
// The state of the upstream is cached for a second, so probes open at most one connection a
// second to it.
func (g *Gateway) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/healthz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok\n")
	})
	ready := &readiness{g: g}
	mux.HandleFunc("GET /-/readyz", ready.serve)
	mux.Handle(operatorRoute, g.operator())
	return mux
}

// ServeAdmin serves [Gateway.Admin] on l until ctx ends. It closes l.
func (g *Gateway) ServeAdmin(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler: g.Admin(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("otelauth/gateway: serving %s ended: %w", l.Addr(), err)
	case <-ctx.Done():
		_ = s.Close()
		<-failed //nolint:errcheck // http.ErrServerClosed
		return nil
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// readiness caches whether the upstream accepts connections.
type readiness struct {
	g *Gateway

	mu       sync.Mutex
	upstream *upstream
	checked  time.Time
	err      error
}

const (
	readyFor     = time.Second
	readyTimeout = 2 * time.Second
)

func (r *readiness) serve(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), readyTimeout)
	defer cancel()
	st := r.g.latest.Load()
	problems := ""
	if r.g.draining.Load() {
		problems += "draining\n"
	}
	if accounts := st.cfg.Auth.Accounts; accounts != nil {
		// No account has this name; a working store reports that without an error.
		if _, err := accounts.Lookup(ctx, "-/readyz"); err != nil {
			problems += "the account store does not answer\n"
		}
	}
	if !canRecord(&st.cfg.Auth) {
		problems += "the trail cannot write\n"
	}
	if st.upstream != nil && r.reach(ctx, st.upstream) != nil {
		problems += "the upstream accepts no connections\n"
	}
	if problems != "" {
		plain(w, http.StatusServiceUnavailable, problems)
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

// canRecord reports whether no observer refuses credentials now, as a required trail does that
// cannot write.
func canRecord(cfg *otelauth.Config) bool {
	for _, o := range append(slices.Clip(cfg.Observers), cfg.Trail) {
		if ready, ok := o.(attempt.ReadyObserver); ok && ready.Ready() != nil {
			return false
		}
	}
	return true
}

func (r *readiness) reach(ctx context.Context, up *upstream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.upstream == up && time.Since(r.checked) < readyFor {
		return r.err
	}
	conn, err := up.dial(ctx)
	if err == nil {
		_ = conn.Close()
	}
	r.upstream, r.checked, r.err = up, time.Now(), err
	return err
}
