// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // G505: what RFC 6455 section 4.2.2 asks for
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

// upstream is the service behind the gateway. It dies and comes back, and looks at everything that reaches it.
type upstream struct {
	address string
	faults  *faults
	hanging sync.Map // ids of requests to /private/hang and /private/die that have arrived
	reached atomic.Int64

	mu     sync.Mutex
	server *http.Server
	ended  chan struct{}
}

func newUpstream(f *faults) (*upstream, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
	if err != nil {
		return nil, fmt.Errorf("soak: %w", err)
	}
	u := &upstream{address: l.Addr().String(), faults: f}
	u.serve(l)
	return u, nil
}

func (u *upstream) serve(l net.Listener) {
	u.mu.Lock()
	defer u.mu.Unlock()
	server := &http.Server{Handler: u, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)} //nolint:forbidigo // silent: it dies on purpose
	ended := make(chan struct{})
	u.server, u.ended = server, ended
	go func() { defer close(ended); _ = server.Serve(l) }()
}

// die cuts every connection and listens no more.
func (u *upstream) die() {
	u.mu.Lock()
	server, ended := u.server, u.ended
	u.mu.Unlock()
	_ = server.Close()
	<-ended
}

// rise listens where it did.
func (u *upstream) rise() error {
	l, err := net.Listen("tcp", u.address) //nolint:noctx // nothing to wait for
	if err != nil {
		return fmt.Errorf("soak: the upstream cannot come back: %w", err)
	}
	u.serve(l)
	return nil
}

const bigBytes = 16 << 20

// ServeHTTP answers with the name of the account, and reports what should never have come.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.reached.Add(1)
	user := r.Header.Get("Remote-User")
	switch {
	case len(r.Header.Values("Authorization")) > 0:
		u.faults.add("Authorization reached the upstream at %s", r.URL.Path)
	case len(r.Header.Values("Remote-User")) > 1 || user == forged:
		u.faults.add("a forged Remote-User reached the upstream at %s", r.URL.Path)
	case user == "" && !strings.HasPrefix(r.URL.Path, "/public/"):
		u.faults.add("%s %s reached the upstream without an account", r.Method, r.URL.Path)
	case strings.HasPrefix(r.URL.Path, "/admin/") && user != root.name:
		u.faults.add("%q reached %s", user, r.URL.Path)
	}
	switch r.URL.Path {
	case "/private/stream":
		u.stream(w, r)
	case "/private/socket":
		u.socket(w, r)
	case "/private/upload":
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to break off
		}
		fmt.Fprintf(w, "%d", n)
	case "/private/die":
		u.hanging.Store(r.Header.Get("X-Request-Id"), true)
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half of it")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to break off
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

// stream says something ten times a second until nobody listens.
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

// socket switches protocols as RFC 6455 says, and then echoes octets: what goes through the tunnel is not the gateway's to read.
func (u *upstream) socket(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		http.Error(w, "no handshake", http.StatusBadRequest)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		u.faults.add("the upstream cannot hijack: %v", err)
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
	go func() { // the server closes no connection that was hijacked, so a dying upstream does
		select {
		case <-u.dying():
			_ = conn.Close()
		case <-ended:
		}
	}()
	_, _ = io.Copy(conn, bufio.NewReader(rw))
	close(ended)
}

// dying is closed when the server of this moment is.
func (u *upstream) dying() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ended
}
