// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Owner owns a server: a [testing.TB], or the command that measures.
type Owner interface {
	Helper()
	TempDir() string
	Cleanup(func())
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// patience bounds the time until a server answers on a loaded machine.
const patience = 2 * time.Minute

// Process is a running program. Its methods are not safe for concurrent use.
type Process struct {
	Dir string // with its data and configuration

	name  string
	path  string
	args  []string
	env   []string
	ready func() error

	cmd    *exec.Cmd
	exited chan struct{}
	output tail
}

// Program describes how to start a process.
type Program struct {
	Name  string   // for messages
	Path  string   // as [Find] returns it
	Args  []string // without the name
	Env   []string // added to the environment
	Dir   string   // as in [Process]
	Ready func() error
}

// Start starts a program and waits until Ready returns nil.
func Start(t Owner, program Program) *Process {
	t.Helper()
	p := &Process{
		Dir: program.Dir, name: program.Name, path: program.Path, args: program.Args, env: program.Env, ready: program.Ready,
	}
	t.Cleanup(p.end)
	p.Restart(t)
	return p
}

// Restart starts the process again, with the same ports and data, after [Process.Kill] or
// [Process.Stop].
func (p *Process) Restart(t Owner) {
	t.Helper()
	if p.cmd != nil {
		t.Fatalf("servers: %s is running", p.name)
	}
	// Not the context of the test: cleanups run after its end and may still query the server.
	cmd := exec.CommandContext(context.Background(), p.path, p.args...) //nolint:gosec // G204: the test's own arguments
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	if err := cmd.Start(); err != nil {
		t.Fatalf("servers: %s: %v", p.name, err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	p.cmd, p.exited = cmd, exited

	deadline := time.Now().Add(patience)
	for {
		err := p.ready()
		if err == nil {
			return
		}
		select {
		case <-exited:
			p.cmd = nil
			t.Fatalf("servers: %s exited (%v) before it answered; its output:\n%s", p.name, cmd.ProcessState, p.Output())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("servers: %s does not answer: %v; its output:\n%s", p.name, err, p.Output())
		}
	}
}

// PID returns the process id, or 0 if the process does not run.
func (p *Process) PID() int {
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Kill sends SIGKILL to the process, like a power cut.
func (p *Process) Kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		<-p.exited
		p.cmd = nil
	}
}

// Stop sends SIGTERM to the process and waits for its end.
func (p *Process) Stop(t Owner) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		p.cmd = nil
	case <-time.After(patience):
		t.Fatalf("servers: %s does not exit after SIGTERM; its output:\n%s", p.name, p.Output())
	}
}

// Freeze stops the process with SIGSTOP: connections stay open and get no answers.
func (p *Process) Freeze(t Owner) { t.Helper(); p.signal(t, syscall.SIGSTOP) }

// Thaw lets the process continue.
func (p *Process) Thaw(t Owner) { t.Helper(); p.signal(t, syscall.SIGCONT) }

func (p *Process) signal(t Owner, sig syscall.Signal) {
	t.Helper()
	if p.cmd == nil {
		t.Fatalf("servers: %s does not run", p.name)
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("servers: %s: %v", p.name, err)
	}
}

// Output returns the last part of the output of the process.
func (p *Process) Output() string { return p.output.String() }

// end ends a process that may be frozen or busy. It tries SIGTERM first, so that the process can
// remove its files outside of Dir.
func (p *Process) end() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
	}
	p.Kill()
}

// tail keeps the last bytes written.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 64 << 10

func (w *tail) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, b...)
	if len(w.buf) > 2*tailBytes {
		w.buf = bytes.Clone(w.buf[len(w.buf)-tailBytes:])
	}
	return len(b), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.buf[max(0, len(w.buf)-tailBytes):])
}

// FreeAddrs returns n free addresses on loopback.
func FreeAddrs(t Owner, n int) []string {
	t.Helper()
	addrs := make([]string, 0, n)
	for range n {
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("servers: %v", err)
		}
		defer func() { _ = l.Close() }() // all are held until all are known, so that they differ
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// Port returns the port of an address.
func Port(addr string) int {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return n
}

// Eventually calls check until it returns nil. After the deadline the test fails with what and
// check's last error.
func Eventually(t Owner, deadline time.Duration, what string, check func() error) {
	t.Helper()
	end := time.Now().Add(deadline)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not after %s: %v", what, deadline, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// answers returns a check that url answers with 200.
func answers(url string) func() error {
	return func() error {
		_, err := get(url)
		return err
	}
}

// found looks for a program, and skips the test if it is missing.
func found(t Owner, name string) string {
	t.Helper()
	path, err := Find(name)
	if err != nil {
		t.Skipf("%v", err)
	}
	return path
}

func writeFile(t Owner, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatalf("servers: %v", err)
	}
}

var errNothing = errors.New("nothing yet")

// client is separate, because otelhttp may have wrapped the default one.
var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func status(resp *http.Response, body []byte) error {
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s: %s", resp.Request.URL.Path, resp.Status, bytes.TrimSpace(body[:min(len(body), 500)]))
	}
	return nil
}
