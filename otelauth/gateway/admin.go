// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Admin returns the handler of the two endpoints for whoever runs the gateway. They tell nothing of accounts and ask for no
// credentials: serve them on a listener of their own that clients do not reach.
//
//	GET /-/healthz   200 while the process answers
//	GET /-/readyz    200 when the store of accounts answers and the upstream accepts connections; 503 with what does not, and while
//	                 the gateway drains
//
// An answer of the upstream is kept for a second, so that probes cost it no more than one connection in that time.
func (g *Gateway) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/healthz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok\n")
	})
	ready := &readiness{g: g}
	mux.HandleFunc("GET /-/readyz", ready.serve)
	return mux
}

// ServeAdmin serves [Gateway.Admin] on l until ctx ends. It closes l.
func (g *Gateway) ServeAdmin(ctx context.Context, l net.Listener) error {
	s := &http.Server{Handler: g.Admin(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute}
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

// readiness remembers what the upstream said last.
type readiness struct {
	g *Gateway

	mu       sync.Mutex
	upstream *upstream
	asked    time.Time
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
	faults := ""
	if r.g.draining.Load() {
		faults += "draining\n"
	}
	if accounts := st.cfg.Auth.Accounts; accounts != nil {
		// No account has this name, and a store that answers says so.
		if _, err := accounts.Lookup(ctx, "-/readyz"); err != nil {
			faults += "the store of accounts does not answer\n"
		}
	}
	if st.upstream != nil && r.reach(ctx, st.upstream) != nil {
		faults += "the upstream accepts no connection\n"
	}
	if faults != "" {
		plain(w, http.StatusServiceUnavailable, faults)
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func (r *readiness) reach(ctx context.Context, up *upstream) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.upstream == up && time.Since(r.asked) < readyFor {
		return r.err
	}
	conn, err := up.dial(ctx)
	if err == nil {
		_ = conn.Close()
	}
	r.upstream, r.asked, r.err = up, time.Now(), err
	return err
}
