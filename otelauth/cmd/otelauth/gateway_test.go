// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

func gatewayArgs(upstream, users string, more ...string) []string {
	return append([]string{"gateway", "--upstream", upstream, "--users", users, "--listen", "127.0.0.1:0"}, more...)
}

// TestGateway checks that two flags are enough. Without exporters every attempt is a line with
// the trace id that the upstream received.
func TestGateway(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil)
	p := start(t, nil, gatewayArgs(up.url, usersFile(t))...)
	url := "http://" + p.address("gateway.listening")

	if resp := ask(t, url+"/x", "", ""); resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("without credentials: %d", resp.StatusCode)
	}
	p.event("auth.attempt", map[string]any{"auth.outcome": "missing", "http.response.status_code": 401.0, "url.path": "/x"})
	if resp := ask(t, url, "alice", canaryBad); resp.StatusCode != 401 {
		t.Errorf("a wrong password: %d", resp.StatusCode)
	}
	p.event("auth.attempt", map[string]any{"auth.outcome": "failure", "user.name": "alice", "auth.reason": "wrong_password"})

	for secret, previous := range map[string]any{canaryNew: nil, canaryOld: true} {
		path := map[any]string{nil: "/new", true: "/old"}[previous]
		if resp := ask(t, url+path, "alice", secret); resp.StatusCode != 200 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
		got := up.last(t)
		if got.Header.Get("Remote-User") != "alice" || got.Header.Get("Authorization") != "" {
			t.Errorf("%s: the upstream got %v", path, got.Header)
		}
		e := p.event("auth.attempt", map[string]any{
			"auth.outcome": "success", "url.path": path, "user.name": "alice", "auth.credentials.previous": previous,
		})
		if id, _ := e["trace_id"].(string); len(id) != 32 || !strings.Contains(got.Header.Get("Traceparent"), id) {
			t.Errorf("%s: traceparent %q, the event has %q", path, got.Header.Get("Traceparent"), id)
		}
	}
	p.signal(syscall.SIGTERM)
	if code := p.ended(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// TestGatewayReload checks that SIGHUP reads all settings again, and that an error changes
// nothing.
func TestGatewayReload(t *testing.T) {
	t.Parallel()
	up, users := newUpstream(t, nil), usersFile(t)
	config := filepath.Join(t.TempDir(), "gateway.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte("upstream: "+up.url+"\nusers: "+users+"\nlisten: 127.0.0.1:0\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("realm: first\n")
	p := start(t, nil, "gateway", "--config", config)
	url := "http://" + p.address("gateway.listening")
	realm := func(want string) {
		t.Helper()
		if got := ask(t, url, "", "").Header.Get("WWW-Authenticate"); !strings.Contains(got, want) {
			t.Errorf("challenge %s, want realm %s", got, want)
		}
	}
	realm("first")

	write("realm: second\nwrong: canary\n")
	p.signal(syscall.SIGHUP)
	p.line("error of the file", func(l string) bool {
		return strings.HasPrefix(l, "otelauth: SIGHUP: "+config+":5: unknown key") && strings.HasSuffix(l, "; the previous configuration stays in force")
	})
	p.event("gateway.reload_failed", nil)
	realm("first")

	// Either the watcher of the file or SIGHUP may reload the accounts.
	err := htpasswd.Edit(t.Context(), users, func(c *htpasswd.Content) error {
		return c.Add(htpasswd.Line{Name: "bob", Hash: hashOf(t, canaryNew)})
	})
	if err != nil {
		t.Fatal(err)
	}
	write("realm: second\nsensitive: [/admin/]\n")
	p.signal(syscall.SIGHUP)
	p.event("gateway.reloaded", map[string]any{"accounts": 2.0})
	realm("second")
	if resp := ask(t, url, "bob", canaryNew); resp.StatusCode != 200 {
		t.Errorf("bob: %d", resp.StatusCode)
	}

	// Only the accounts have changed: verified credentials are kept.
	ask(t, url+"/a", "alice", canaryNew)
	err = htpasswd.Edit(t.Context(), users, func(c *htpasswd.Content) error { return c.Remove("bob") })
	if err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.event("gateway.reloaded", map[string]any{"accounts": 1.0})
	if resp := ask(t, url, "bob", canaryNew); resp.StatusCode != 401 {
		t.Errorf("bob was removed: %d", resp.StatusCode)
	}
	ask(t, url+"/b", "alice", canaryNew)
	p.event("auth.attempt", map[string]any{"url.path": "/b", "auth.cache.result": "hit"})

	if err := os.WriteFile(users, []byte("alice:canary-plaintext\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.line("error of the accounts", func(l string) bool {
		return strings.HasPrefix(l, "otelauth: SIGHUP: htpasswd: "+users+":1: ")
	})
	if resp := ask(t, url, "alice", canaryNew); resp.StatusCode != 200 {
		t.Errorf("after a broken file: %d", resp.StatusCode)
	}
}

// TestGatewayDrain checks that SIGTERM lets a request end, and that readyz reports the drain
// until then.
func TestGatewayDrain(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	up := newUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "done")
	}))
	p := start(t, nil, gatewayArgs(up.url, usersFile(t), "--admin-listen", "127.0.0.1:0")...)
	url, admin := "http://"+p.address("gateway.listening"), "http://"+p.address("gateway.admin_listening")
	if resp := ask(t, admin+"/-/readyz", "", ""); resp.StatusCode != 200 {
		t.Errorf("readyz: %d", resp.StatusCode)
	}
	status := make(chan int, 1)
	go func() { status <- ask(t, url, "alice", canaryNew).StatusCode }()
	<-arrived
	p.signal(syscall.SIGTERM)
	p.event("gateway.draining", nil)
	deadline := time.Now().Add(patience)
	for ask(t, admin+"/-/readyz", "", "").StatusCode != 503 {
		if time.Now().After(deadline) {
			t.Fatal("readyz does not report the drain")
		}
	}
	if resp := ask(t, admin+"/-/healthz", "", ""); resp.StatusCode != 200 {
		t.Errorf("healthz in the drain: %d", resp.StatusCode)
	}
	close(release)
	if got := <-status; got != 200 {
		t.Errorf("the request in flight: %d", got)
	}
	if code := p.ended(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	p.event("auth.attempt", map[string]any{"auth.outcome": "success"}) // written at the end
}

// TestGatewayDrainBound checks that requests are cut after the drain timeout, with exit code 1.
func TestGatewayDrainBound(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 1)
	up := newUpstream(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	p := start(t, nil, gatewayArgs(up.url, usersFile(t), "--drain-timeout", "100ms")...)
	url := "http://" + p.address("gateway.listening")
	go func() {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		req.SetBasicAuth("alice", canaryNew)
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-arrived
	p.signal(syscall.SIGINT)
	if code := p.ended(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
}

// TestGatewayUnixSocket checks that the socket of a dead process is replaced, and a live one is
// not.
func TestGatewayUnixSocket(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "otelauth") //nolint:usetesting // the path of a socket is bounded by 108 bytes, and that of t.TempDir is long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	sock := filepath.Join(dir, "gw.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: sock, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	_ = old.Close()

	up, users := newUpstream(t, nil), usersFile(t)
	p := start(t, nil, "gateway", "--upstream", up.url, "--users", users, "--listen", "unix:"+sock)
	if got := p.address("gateway.listening"); got != sock {
		t.Errorf("listens at %s", got)
	}
	second := start(t, nil, "gateway", "--upstream", up.url, "--users", users, "--listen", "unix:"+sock)
	if code := second.ended(); code != exitFailed || !strings.Contains(second.output(), "another process listens there") {
		t.Errorf("exit code %d:\n%s", code, second.output())
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", sock)
	}}
	defer tr.CloseIdleConnections()
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://site/", nil)
	req.SetBasicAuth("alice", canaryNew)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
}

// TestGatewayDjango checks the accounts of a Django site's own database.
func TestGatewayDjango(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db.sqlite3")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{
		"CREATE TABLE auth_user (id integer PRIMARY KEY, username text UNIQUE, password text, is_active bool)",
		"CREATE TABLE auth_group (id integer PRIMARY KEY, name text)",
		"CREATE TABLE auth_user_groups (user_id integer, group_id integer)",
		// django.contrib.auth.hashers.make_password("canary-new-looking-glass", "saltsaltsalt",
		// "pbkdf2_sha256") with 1000 iterations
		"INSERT INTO auth_user VALUES (1, 'alice', '" + djangoHash(canaryNew) + "', 1), (2, 'bob', '" + djangoHash(canaryNew) + "', 0)",
		"INSERT INTO auth_group VALUES (1, 'ops')",
		"INSERT INTO auth_user_groups VALUES (1, 1)",
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	up := newUpstream(t, nil)
	p := start(t, []string{dsnVariable + "=file:" + path},
		"gateway", "--upstream", up.url, "--sql-driver", "sqlite", "--django", "--listen", "127.0.0.1:0",
		"--allow-groups", "/admin/=ops", "--groups-header", "Remote-Groups")
	url := "http://" + p.address("gateway.listening")
	if resp := ask(t, url+"/admin/", "alice", canaryNew); resp.StatusCode != 200 || up.last(t).Header.Get("Remote-Groups") != "ops" {
		t.Errorf("alice: %d, groups %q", resp.StatusCode, up.last(t).Header.Get("Remote-Groups"))
	}
	if resp := ask(t, url+"/", "bob", canaryNew); resp.StatusCode != 401 {
		t.Errorf("bob, who is not active: %d", resp.StatusCode)
	}
	p.event("auth.attempt", map[string]any{"auth.reason": "account_disabled"})
	p.signal(syscall.SIGHUP)
	p.event("gateway.reloaded", nil)
	if resp := ask(t, url+"/", "alice", canaryNew); resp.StatusCode != 200 {
		t.Errorf("after SIGHUP: %d", resp.StatusCode)
	}
}

// collector receives OTLP exports.
type collector struct {
	*httptest.Server
	mu   sync.Mutex
	seen map[string]*bytes.Buffer
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{seen: map[string]*bytes.Buffer{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.seen[r.URL.Path] == nil {
			c.seen[r.URL.Path] = new(bytes.Buffer)
		}
		c.seen[r.URL.Path].Write(body)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) body(path string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.seen[path]; b != nil {
		return b.String()
	}
	return ""
}

// TestGatewayExports checks that the OTEL_ variables select the exporters, and that pending
// signals are exported before the exit. A use of a previous password is an event and is counted
// by a metric.
func TestGatewayExports(t *testing.T) {
	t.Parallel()
	c, up := newCollector(t), newUpstream(t, nil)
	p := start(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, "OTEL_SERVICE_NAME=shop-gateway", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"},
		gatewayArgs(up.url, usersFile(t))...)
	url := "http://" + p.address("gateway.listening")
	ask(t, url+"/x", "alice", canaryOld)
	ask(t, url+"/x", "alice", canaryBad)
	p.signal(syscall.SIGTERM)
	if code := p.ended(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	for path, want := range map[string][]string{
		"/v1/traces":  {"shop-gateway", "authenticate basic", "alice"},
		"/v1/logs":    {"shop-gateway", "auth.attempt", "alice", "auth.credentials.previous"},
		"/v1/metrics": {"shop-gateway", "auth.attempts", "auth.previous_credentials.uses"},
	} {
		body := c.body(path)
		for _, text := range want {
			if !strings.Contains(body, text) {
				t.Errorf("%s: %q was not exported", path, text)
			}
		}
		if strings.Contains(body, "canary") {
			t.Errorf("%s holds a password", path)
		}
	}
	if strings.Contains(c.body("/v1/metrics"), "alice") {
		t.Error("a metric names a user")
	}
	if strings.Contains(p.output(), "auth.attempt") {
		t.Error("events are lines although an exporter is configured")
	}
}

// TestGatewayWithoutSDK checks that attempts are written as lines without an SDK.
func TestGatewayWithoutSDK(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil)
	p := start(t, []string{"OTEL_SDK_DISABLED=true"}, gatewayArgs(up.url, usersFile(t))...)
	ask(t, "http://"+p.address("gateway.listening"), "alice", canaryNew)
	p.event("auth.attempt", map[string]any{"auth.outcome": "success", "user.name": "alice"})
}

// BenchmarkStart measures the time from the start of the process to its first answer, with a
// thousand accounts.
func BenchmarkStart(b *testing.B) {
	path := filepath.Join(b.TempDir(), "users")
	var text strings.Builder
	hash := hashOf(b, canaryNew)
	for i := range 1000 {
		fmt.Fprintf(&text, "user%04d:%s\n", i, hash)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	up := newUpstream(b, nil)
	for b.Loop() {
		p := start(b, nil, gatewayArgs(up.url, path)...)
		if resp := ask(b, "http://"+p.address("gateway.listening"), "", ""); resp.StatusCode != 401 {
			b.Fatal(resp.StatusCode)
		}
		b.StopTimer()
		p.signal(syscall.SIGTERM)
		p.ended()
		b.StartTimer()
	}
}

// TestGatewayTuned checks that settings of limits, folding, hashing and detection have an effect,
// and that --limit-file keeps the budgets over a restart.
func TestGatewayTuned(t *testing.T) {
	t.Parallel()
	up, dir := newUpstream(t, nil), t.TempDir()
	key := fileOf(t, "identity.key", "k1:"+strings.Repeat("5a", 32))
	args := gatewayArgs(up.url, usersFile(t), "--identity-key-file", key, "--limit-file", filepath.Join(dir, "budgets"),
		"--limit-new-pair", "3/1h", "--limit-account", "3/1h", "--event-burst", "1", "--event-every", "1h", "--detect-off", "brute_force")
	statuses := func(p *running, secrets ...string) (all []int) {
		for _, secret := range secrets {
			all = append(all, ask(t, "http://"+p.address("gateway.listening"), "bob", secret).StatusCode)
		}
		return all
	}
	p := start(t, nil, args...)
	if got := fmt.Sprint(statuses(p, canaryBad+"1", canaryBad+"2", canaryBad+"3", canaryBad+"4")); got != "[401 401 401 429]" {
		t.Errorf("statuses %s", got)
	}
	p.signal(syscall.SIGTERM)
	if code := p.ended(); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, p.output())
	}
	p.event("auth.events.suppressed", nil)
	again := start(t, nil, args...)
	if got := fmt.Sprint(statuses(again, canaryBad+"5")); got != "[429]" {
		t.Errorf("after a restart: %s", got)
	}
}
