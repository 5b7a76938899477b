// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // G505: RFC 6455 section 4.2.2 requires it
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// upstream is the service behind the gateway. It restarts repeatedly, and checks every request
// that reaches it.
type upstream struct {
	address    string
	violations *violations
	hanging    sync.Map // ids of requests that arrived at /private/hang and /private/die
	reached    atomic.Int64

	mu     sync.Mutex
	server *http.Server
	ended  chan struct{}
}

func newUpstream(f *violations) (*upstream, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
	if err != nil {
		return nil, fmt.Errorf("soak: %w", err)
	}
	u := &upstream{address: l.Addr().String(), violations: f}
	u.serve(l)
	return u, nil
}

func (u *upstream) serve(l net.Listener) {
	u.mu.Lock()
	defer u.mu.Unlock()
	server := &http.Server{Handler: u, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)} //nolint:forbidigo // silent: it is closed on purpose
	ended := make(chan struct{})
	u.server, u.ended = server, ended
	go func() { defer close(ended); _ = server.Serve(l) }()
}

// die closes the listener and all connections.
func (u *upstream) die() {
	u.mu.Lock()
	server, ended := u.server, u.ended
	u.mu.Unlock()
	_ = server.Close()
	<-ended
}

// rise listens on the same address again.
func (u *upstream) rise() error {
	l, err := net.Listen("tcp", u.address) //nolint:noctx // nothing to wait for
	if err != nil {
		return fmt.Errorf("soak: the upstream cannot come back: %w", err)
	}
	u.serve(l)
	return nil
}

const bigBytes = 16 << 20

// ServeHTTP answers with the name of the account, and reports requests that must not arrive.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.reached.Add(1)
	user := r.Header.Get("Remote-User")
	switch {
	case len(r.Header.Values("Authorization")) > 0:
		u.violations.add("Authorization reached the upstream at %s", r.URL.Path)
	case len(r.Header.Values("Remote-User")) > 1 || user == forged:
		u.violations.add("a forged Remote-User reached the upstream at %s", r.URL.Path)
	case user == "" && !strings.HasPrefix(r.URL.Path, "/public/"):
		u.violations.add("%s %s reached the upstream without an account", r.Method, r.URL.Path)
	case strings.HasPrefix(r.URL.Path, "/admin/") && user != root.name:
		u.violations.add("%q reached %s", user, r.URL.Path)
	}
	switch r.URL.Path {
	case "/private/stream":
		u.stream(w, r)
	case "/private/socket":
		u.socket(w, r)
	case "/private/upload":
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to abort
		}
		fmt.Fprintf(w, "%d", n)
	case "/private/die":
		u.hanging.Store(r.Header.Get("X-Request-Id"), true)
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half of it")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to abort
	case "/private/hang":
		u.hanging.Store(r.Header.Get("X-Request-Id"), true)
		<-r.Context().Done()
	case "/private/big":
		w.Header().Set("Content-Length", strconv.Itoa(bigBytes))
		chunk := make([]byte, 64<<10)
		for range bigBytes / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	default:
		_, _ = io.WriteString(w, "for "+user) //nolint:gosec // G705: no browser
	}
}

// stream writes ten times a second until the client disconnects.
func (u *upstream) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(w, "data: still here\n\n"); err != nil || rc.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// socket switches protocols according to RFC 6455 and then echoes bytes, because the gateway
// does not read the tunnel.
func (u *upstream) socket(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		http.Error(w, "no handshake", http.StatusBadRequest)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		u.violations.add("the upstream cannot hijack: %v", err)
		return
	}
	defer func() { _ = conn.Close() }()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // G401: see the import
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	if rw.Flush() != nil {
		return
	}
	ended := make(chan struct{})
	go func() { // the server does not close hijacked connections
		select {
		case <-u.dying():
			_ = conn.Close()
		case <-ended:
		}
	}()
	_, _ = io.Copy(conn, bufio.NewReader(rw))
	close(ended)
}

// dying returns a channel that is closed when the current server is.
func (u *upstream) dying() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ended
}
