// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for an expected event.
const patience = 60 * time.Second

// unprivileged is the user and group "nobody" of Debian.
const unprivileged = 65534

// process is a running program. It stops when the test ends.
type process struct {
	mu     sync.Mutex
	output []string
	ended  chan struct{} // closed when the program has ended
}

// command is a program to start. AsIs keeps the user of the test; otherwise root becomes
// "nobody".
type command struct {
	path string
	args []string
	env  []string
	dir  string
	asIs bool
}

// start starts a program and stops it by its own process id when the test ends.
func start(t testing.TB, c command) *process {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), c.path, c.args...)
	cmd.Env, cmd.Dir = append(os.Environ(), c.env...), c.dir
	if os.Geteuid() == 0 && !c.asIs {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}}
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{ended: make(chan struct{})}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			if len(p.output) < 200 {
				p.output = append(p.output, lines.Text())
			}
			p.mu.Unlock()
		}
		_ = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience/4, func() { _ = cmd.Process.Kill() })
		<-p.ended
		late.Stop()
	})
	return p
}

// text returns the first lines that the program wrote to standard error.
func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.output, "\n")
}

// serve starts a server on a free address and returns the address when the server accepts
// connections. It tries another address when the server ends first: the address may be taken.
func serve(t testing.TB, begin func(addr string) *process) string {
	t.Helper()
	var p *process
	for range 5 {
		addr := freeAddress(t)
		p = begin(addr)
		if p.accepts(t, "tcp", addr) {
			return addr
		}
	}
	t.Fatalf("the server exited:\n%s", p.text())
	return ""
}

// accepts waits until the server accepts connections, and reports false when it has ended.
func (p *process) accepts(t testing.TB, network, addr string) bool {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		conn, err := new(net.Dialer).DialContext(t.Context(), network, addr)
		if err == nil {
			_ = conn.Close()
			return true
		}
		select {
		case <-p.ended:
			return false
		case <-late:
			t.Fatalf("the server does not accept connections within %v:\n%s", patience, p.text())
		case <-tick.C:
		}
	}
}

// freeAddress returns an address on loopback that is not in use.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// program returns the path of a program, or skips the test and names the Debian package.
func program(t testing.TB, name, debian string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	t.Skipf("%s is missing: apt-get install %s", name, debian)
	return ""
}

// directory returns a new directory that an unprivileged server can write to.
func directory(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	// t.TempDir is private to the user
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	own(t, dir)
	return dir
}

// own gives a file to the user that servers run as.
func own(t testing.TB, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(path, unprivileged, unprivileged); err != nil {
		t.Fatal(err)
	}
}

// write creates a file below dir, with its directories, and returns its path.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	for i := range name {
		if name[i] == '/' {
			parent := filepath.Join(dir, name[:i])
			if err := os.MkdirAll(parent, 0o755); err != nil {
				t.Fatal(err)
			}
			own(t, parent)
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	own(t, path)
	return path
}
