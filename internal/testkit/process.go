// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Process is a child process of a test. It ends with the test at the latest.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended and its output is read
	stop  func()

	mu    sync.Mutex
	lines []string
	err   error
}

// Start starts a process and collects the lines that it writes to standard output and standard
// error. The end of the test stops it.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	err = cmd.Start()
	_ = write.Close()
	if err != nil {
		_ = read.Close()
		t.Fatalf("testkit: %v", err)
	}
	go p.collect(read)
	p.stop = sync.OnceFunc(func() {
		terminate(cmd.Process)
		late := time.AfterFunc(Patience/2, func() { _ = cmd.Process.Kill() })
		<-p.ended
		late.Stop()
	})
	t.Cleanup(p.Stop)
	return p
}

func (p *Process) collect(out io.ReadCloser) {
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, scanner.Text())
		p.mu.Unlock()
	}
	_ = out.Close()
	err := p.cmd.Wait()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(p.ended)
}

// Lines returns the lines written so far that contain every one of parts.
func (p *Process) Lines(parts ...string) (found []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
next:
	for _, line := range p.lines {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// Output returns what the process has written so far.
func (p *Process) Output() string { return strings.Join(p.Lines(), "\n") }

// WaitLine waits for the first line that contains every one of parts, and returns it.
func (p *Process) WaitLine(t testing.TB, parts ...string) string {
	t.Helper()
	var found []string
	p.Await(t, fmt.Sprintf("a line with %q", parts), func() bool {
		found = p.Lines(parts...)
		return len(found) > 0
	})
	return found[0]
}

// WaitListening waits until a process accepts connections at address.
func (p *Process) WaitListening(t testing.TB, network, address string) {
	t.Helper()
	dialer := net.Dialer{Timeout: time.Second}
	p.Await(t, "a listener at "+address, func() bool {
		c, err := dialer.DialContext(t.Context(), network, address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// Await is [Eventually]. It also fails the test when the process ends, and shows what it has
// written.
func (p *Process) Await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for !ok() {
		select {
		case <-p.ended:
			if ok() {
				return
			}
			t.Fatalf("%s: the process has ended: %v:\n%s", what, p.Err(), p.Output())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v:\n%s", what, Patience, p.Output())
		}
	}
}

// Signal sends a signal to the process.
func (p *Process) Signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("testkit: %v", err)
	}
}

// Stop terminates the process, kills it when that takes too long, and returns when it has ended.
func (p *Process) Stop() { p.stop() }

// Kill ends the process at once, as a power cut does, and returns when it has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Pid returns the number of the process.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// ExitCode waits for the end of the process and returns its exit code.
func (p *Process) ExitCode(t testing.TB) int {
	t.Helper()
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	select {
	case <-p.ended:
	case <-limit.C:
		t.Fatalf("still running after %v:\n%s", Patience, p.Output())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Ended is closed when the process has ended and all of its output is read.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err returns how the process ended; nil before it has ended.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// aloneEnv names the test that a process of [Alone] runs.
const aloneEnv = "OTELAUTH_TESTKIT_ALONE"

// Alone reports whether the calling test has this process to itself. When it has not, Alone runs
// the test once more in a process of its own and reports its failure; the caller then returns.
// What measures the heap needs it.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneEnv) == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=10m") //nolint:gosec // G204: this test binary
	cmd.Env = append(os.Environ(), aloneEnv+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return false
}
