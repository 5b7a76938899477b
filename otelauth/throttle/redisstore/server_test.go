// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/internal/redistest"
)

// server is a redis-server of one test.
type server struct{ *redistest.Server }

func startRedis(t testing.TB, args ...string) server {
	t.Helper()
	return server{redistest.Start(t, args...)}
}

// proxy connects a client and a server, counts packets and can interrupt the connection.
type proxy struct {
	addr, to string
	l        net.Listener

	mu      sync.Mutex
	dropped bool          // bytes are dropped, connections stay open
	mute    bool          // the next reply closes its connection instead
	stalled chan struct{} // replies wait until it is closed
	conns   map[net.Conn]bool
	sent    int // packets from the client that begin a request
}

func startProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), to: to, l: l, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = l.Close(); p.drop(true); p.reset() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) serve(c net.Conn) {
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = c.Close()
		return
	}
	p.mu.Lock()
	p.conns[c], p.conns[up] = true, true
	p.mu.Unlock()
	go p.copy(up, c, true)
	p.copy(c, up, false)
}

func (p *proxy) copy(dst, src net.Conn, request bool) {
	defer func() { _, _ = dst.Close(), src.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		dropped, stalled := p.dropped, p.stalled
		mute := p.mute && !request
		if mute {
			p.mute = false
		}
		if request {
			p.sent++
		}
		p.mu.Unlock()
		if mute {
			return
		}
		if stalled != nil && !request {
			<-stalled
		}
		if dropped {
			continue
		}
		if _, err := dst.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) drop(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropped = on
}

// loseReply closes the connection in place of its next reply.
func (p *proxy) loseReply() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

// stall holds replies back until release is called.
func (p *proxy) stall() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stalled := make(chan struct{})
	p.stalled = stalled
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.stalled = nil
		close(stalled)
	}
}

// reset closes every connection.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *proxy) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

var ctx = context.Background()
