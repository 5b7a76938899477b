// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// lines collects what a process writes, line by line.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) read(r io.Reader) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		l.mu.Lock()
		l.all = append(l.all, scanner.Text())
		l.mu.Unlock()
	}
}

// grep returns the lines that hold every one of these.
func (l *lines) grep(all ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for _, line := range l.all {
		for _, what := range all {
			if !strings.Contains(line, what) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// await waits for the first line that holds every one of these.
func (l *lines) await(t *testing.T, all ...string) string {
	t.Helper()
	var found []string
	eventually(t, "a line with "+strings.Join(all, " and "), l, func() bool {
		found = l.grep(all...)
		return len(found) > 0
	})
	return found[0]
}

// eventually waits until ok.
func eventually(t *testing.T, what string, said *lines, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v:\n%s", what, patience, strings.Join(said.grep(), "\n"))
		}
		<-time.After(5 * time.Millisecond)
	}
}

// process is a program that runs until the test ends.
type process struct {
	said  *lines
	stop  func()          // returns when it has ended
	ended <-chan struct{} // closed when it writes no more
}

// run starts a program. Where the tests run as root it is nobody's: the shipped files must not need more.
func run(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Env = env
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, read := new(lines), make(chan struct{})
	go func() {
		said.read(out)
		close(read)
	}()
	stop := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience/2, func() { _ = cmd.Process.Kill() })
		<-read
		_ = cmd.Wait()
		late.Stop()
	})
	t.Cleanup(stop)
	return &process{said, stop, read}
}

// nobody is the unprivileged user and group of Debian.
const nobody = 65534

// directory is a temporary one that nobody may write to.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "otelauth-gateway") //nolint:usetesting // the path of a unix socket has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// write puts a file into dir that every process of the test can read.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// program returns a program of Debian's package, or skips.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		if path := filepath.Join(dir, name); isProgram(path) {
			return path
		}
	}
	t.Skipf("no %s: apt-get install %s", name, name)
	return ""
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// otelauth is the command, built once.
func otelauth(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.TempDir(), "otelauth-gateway-"+strconv.Itoa(os.Getpid()))
	build := exec.CommandContext(context.Background(), "go", "build", "-ldflags=-s -w", "-o", path, "github.com/otelauth/otelauth-go/otelauth/cmd/otelauth")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as the Dockerfile has it
	out, err := build.CombinedOutput()
	if err != nil {
		return "", &buildError{string(out), err}
	}
	return path, nil
})

type buildError struct {
	out string
	err error
}

func (e *buildError) Error() string { return "go build: " + e.err.Error() + "\n" + e.out }

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.Remove(filepath.Join(os.TempDir(), "otelauth-gateway-"+strconv.Itoa(os.Getpid())))
	os.Exit(code)
}

// listening is where the gateway says that it listens.
func (p *process) listening(t *testing.T, msg string) string {
	t.Helper()
	var e struct{ Address string }
	if err := json.Unmarshal([]byte(p.said.await(t, `"`+msg+`"`)), &e); err != nil {
		t.Fatal(err)
	}
	return e.Address
}
