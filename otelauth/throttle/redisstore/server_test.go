// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"io"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// server is a redis-server of the test's own, on loopback.
type server struct {
	addr string
	args []string
	cmd  *exec.Cmd
}

// startRedis starts a server that ends with the test.
func startRedis(t testing.TB, args ...string) *server {
	t.Helper()
	path := ""
	for _, name := range []string{"redis-server", "valkey-server"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no redis-server: apt-get install redis-server")
	}
	port := freePort(t)
	s := &server{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	s.args = append([]string{
		path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", t.TempDir(), "--daemonize", "no", "--loglevel", "warning",
	}, args...)
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *server) start(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for !s.answers() {
		if time.Now().After(deadline) {
			t.Fatalf("redis-server on %s does not answer", s.addr)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (s *server) answers() bool {
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return false
	}
	var b [5]byte
	_, err = io.ReadFull(c, b[:])
	return err == nil && string(b[:]) == "+PONG"
}

// kill ends the server at once, as a power cut does.
func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// client of the test itself, with the library's defaults.
func (s *server) client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func freePort(t testing.TB) int {
	t.Helper()
	// Cluster buses listen at port + 10000, so the port must be low enough.
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port < 55000 {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// proxy stands between a client and a server, counts what passes and can cut the wire.
type proxy struct {
	addr, to string
	l        net.Listener

	mu      sync.Mutex
	dropped bool          // bytes vanish, connections stay
	mute    bool          // the next reply ends its connection instead
	stalled chan struct{} // replies wait until it is closed
	conns   map[net.Conn]bool
	sent    int // packets from the client that began a request
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

// loseReply cuts a connection where its next reply would be.
func (p *proxy) loseReply() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

// stall keeps replies back until it is released.
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

// within waits for a value, for so long that a machine under load is no failure.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: nothing after 30 s", what)
		panic("unreachable")
	}
}

var ctx = context.Background()
