// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
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
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// patience is how long a test waits for an expected event, on slow and loaded machines too.
const patience = 60 * time.Second

// Passwords are canaries: no output may hold them.
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

// djangoHash returns the hash that Django stores for a password.
func djangoHash(secret string) string {
	key, err := pbkdf2.Key(sha256.New, secret, []byte("saltsaltsalt"), 1000, 32)
	if err != nil {
		panic(err)
	}
	return "pbkdf2_sha256$1000$saltsaltsalt$" + base64.StdEncoding.EncodeToString(key)
}

// usersFile holds alice, whose password changes from canaryOld to canaryNew.
func usersFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.htpasswd")
	err := htpasswd.Edit(t.Context(), path, func(c *htpasswd.Content) error {
		return c.Add(htpasswd.Line{
			Name: "alice", Hash: hashOf(t, canaryNew), Previous: hashOf(t, canaryOld), PreviousExpires: time.Now().Add(time.Hour),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// running is an otelauth process.
type running struct {
	*testkit.Process
	t testing.TB
}

// start starts the command. It is killed at the end of the test if it still runs.
func start(t testing.TB, env []string, args ...string) *running {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Args = append([]string{"otelauth"}, args...)
	cmd.Env = append(os.Environ(), env...)
	p := &running{testkit.Start(t, cmd), t}
	t.Cleanup(func() {
		p.Kill()
		for _, line := range p.Lines("canary") {
			t.Errorf("a secret is in the output: %s", line)
		}
	})
	return p
}

func (p *running) output() string { return p.Output() }

// line waits for a line for which pass returns true.
func (p *running) line(what string, pass func(string) bool) {
	p.t.Helper()
	p.Await(p.t, what, func() bool { return slices.ContainsFunc(p.Lines(), pass) })
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

// address returns the address on which it listens.
func (p *running) address(event string) string {
	p.t.Helper()
	return p.event(event, nil)["address"].(string)
}

func (p *running) signal(s syscall.Signal) {
	p.t.Helper()
	p.Signal(p.t, s)
}

// ended waits for the process to exit and returns its exit code.
func (p *running) ended() int {
	p.t.Helper()
	return p.ExitCode(p.t)
}

// upstream is a service that records its requests.
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
		t.Fatal("the upstream received no request")
	}
	return u.got[len(u.got)-1]
}

// ask sends one request on a new connection.
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
