// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// patience is how long a test waits for what must happen: the machines that run tests are slow, and loaded.
const patience = 60 * time.Second

// Passwords are canaries: no test lets one of them reach an output.
const (
	canaryOld = "canary-old-wonderland"
	canaryNew = "canary-new-looking-glass"
	canaryBad = "canary-wrong-guess"
)

func hashOf(t testing.TB, secret string) string {
	t.Helper()
	encoded, err := password.Params{MemoryKiB: 64, Passes: 1}.Hash([]byte(secret), nil)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// djangoHash is what Django stores for a password.
func djangoHash(secret string) string {
	key, err := pbkdf2.Key(sha256.New, secret, []byte("saltsaltsalt"), 1000, 32)
	if err != nil {
		panic(err)
	}
	return "pbkdf2_sha256$1000$saltsaltsalt$" + base64.StdEncoding.EncodeToString(key)
}

// usersFile holds alice, who changes from canaryOld to canaryNew.
func usersFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.htpasswd")
	err := htpasswd.Edit(t.Context(), path, func(c *htpasswd.Content) error {
		return c.Add(htpasswd.Line{
			Name: "alice", Hash: hashOf(t, canaryNew), Former: hashOf(t, canaryOld), FormerExpires: time.Now().Add(time.Hour),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// running is an otelauth process.
type running struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error

	mu    sync.Mutex
	cond  *sync.Cond
	lines []string
}

// start starts the command; it is killed at the end of the test if it still runs.
func start(t testing.TB, env []string, args ...string) *running {
	t.Helper()
	p := &running{t: t, done: make(chan struct{})}
	p.cond = sync.NewCond(&p.mu)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(exe)
	p.cmd.Args = append([]string{"otelauth"}, args...)
	p.cmd.Env = append(os.Environ(), env...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	p.cmd.Stdout = &stdout
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
			p.cond.Broadcast()
		}
		p.err = p.cmd.Wait()
		close(p.done)
		p.cond.Broadcast()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if text := stdout.String() + p.output(); strings.Contains(text, "canary") {
			t.Errorf("a secret is in the output:\n%s", text)
		}
	})
	return p
}

func (p *running) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// line waits for a line for which pass holds.
func (p *running) line(what string, pass func(string) bool) {
	p.t.Helper()
	late := time.AfterFunc(patience, func() { p.cond.Broadcast() })
	defer late.Stop()
	deadline := time.Now().Add(patience)
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := 0; ; {
		for ; n < len(p.lines); n++ {
			if pass(p.lines[n]) {
				return
			}
		}
		ended := false
		select {
		case <-p.done:
			ended = true
		default:
		}
		if ended || time.Now().After(deadline) {
			p.t.Fatalf("no %s in:\n%s", what, strings.Join(p.lines, "\n"))
		}
		p.cond.Wait()
	}
}

// event waits for a line of JSON with these values.
func (p *running) event(msg string, values map[string]any) map[string]any {
	p.t.Helper()
	var found map[string]any
	p.line(msg, func(line string) bool {
		var e map[string]any
		if json.Unmarshal([]byte(line), &e) != nil || e["msg"] != msg {
			return false
		}
		for k, v := range values {
			if e[k] != v {
				return false
			}
		}
		found = e
		return true
	})
	return found
}

// address is where it listens.
func (p *running) address(event string) string {
	p.t.Helper()
	return p.event(event, nil)["address"].(string)
}

func (p *running) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ended waits for the end and returns the exit code.
func (p *running) ended() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("still running:\n%s", p.output())
	}
	return p.cmd.ProcessState.ExitCode()
}

// upstream is a service that tells what it was sent.
type upstream struct {
	url string
	mu  sync.Mutex
	got []*http.Request
}

func newUpstream(t testing.TB, h http.Handler) *upstream {
	t.Helper()
	u := &upstream{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.got = append(u.got, r.Clone(context.Background()))
		u.mu.Unlock()
		if h != nil {
			h.ServeHTTP(w, r)
		}
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	u.url = "http://" + l.Addr().String()
	return u
}

func (u *upstream) last(t testing.TB) *http.Request {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.got) == 0 {
		t.Fatal("the upstream was asked nothing")
	}
	return u.got[len(u.got)-1]
}

// ask sends one request on a connection of its own.
func ask(t testing.TB, url, name, secret string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if name != "" {
		req.SetBasicAuth(name, secret)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp
}
