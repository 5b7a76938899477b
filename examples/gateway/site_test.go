// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// The passwords are canaries: no output of any process holds one.
const (
	alice = "alice:canary-wonderland" // belongs to no group
	root  = "root:canary-toor"        // of ops
	wrong = "alice:canary-builder"
)

// site is a proxy, the gateway that it asks, and the application.
type site struct {
	proxy, gateway *testkit.Process
	address        string // of the proxy, which speaks TLS
	roots          *x509.CertPool

	mu   sync.Mutex
	seen []*http.Request
}

// reached returns the requests that the application received.
func (s *site) reached() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.seen...)
}

// application answers 200, or 403 at /admin/own, and records its requests.
func (s *site) application(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Clone(context.Background()))
		s.mu.Unlock()
		if r.URL.Path == "/own" {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = fmt.Fprintf(w, "application: %s %s", r.Method, r.RequestURI)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// rules are the rules of the tests.
var rules = []string{
	"--public", "/open/", "--allow-groups", "/admin/=ops", "--sensitive", "/admin/",
}

// ask starts the gateway for a proxy of this name.
func (s *site) ask(t *testing.T, name string) (address string) {
	t.Helper()
	dir := directory(t)
	var users strings.Builder
	for _, account := range []string{alice, root} {
		who, secret, _ := strings.Cut(account, ":")
		encoded, err := password.Params{MemoryKiB: 64, Passes: 1}.Hash([]byte(secret), nil)
		if err != nil {
			t.Fatal(err)
		}
		users.WriteString(who + ":" + encoded + "\n")
	}
	env := append(os.Environ(), "OTEL_BLRP_SCHEDULE_DELAY=20", "OTELAUTH_TRUSTED_CALLER=127.0.0.1")
	s.gateway = run(t, env, otelauth(t), append([]string{
		"gateway", "--forward-auth", name, "--listen", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1",
		"--users", write(t, dir, "users.htpasswd", users.String()), "--groups", write(t, dir, "groups", "ops: root\n"),
	}, rules...)...)
	return listening(t, s.gateway, "gateway.listening")
}

// certificate writes the proxy's certificate and key.
func (s *site) certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	certificate := testkit.NewCertificate(t, "shop.example")
	s.roots = certificate.Pool()
	cert = write(t, dir, "shop.example.pem", string(certificate.CertPEM))
	key = write(t, dir, "shop.example.key", string(certificate.KeyPEM))
	return cert, key
}

// shipped returns a file of this directory with replaced addresses and paths. Each must occur in
// it.
func shipped(t *testing.T, name string, substitute ...string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for i := 0; i < len(substitute); i += 2 {
		if !strings.Contains(changed, substitute[i]) {
			t.Fatalf("%s does not hold %q", name, substitute[i])
		}
		changed = strings.ReplaceAll(changed, substitute[i], substitute[i+1])
	}
	return changed
}

func nginx(t *testing.T) *site {
	t.Helper()
	bin := program(t, "nginx")
	s := &site{}
	dir := directory(t)
	cert, key := s.certificate(t, dir)
	asked, application := s.ask(t, "nginx"), s.application(t)
	s.serve(t, func() *testkit.Process {
		conf := shipped(t, "nginx.conf",
			"pid /run/nginx.pid;", "pid "+dir+"/nginx.pid; daemon off;",
			"worker_processes auto;", "worker_processes 1;",
			"http {\n", "http {\n"+temporary(dir),
			"listen 443 ssl http2;", "listen "+s.address+" ssl http2;",
			"/etc/nginx/shop.example.pem", cert, "/etc/nginx/shop.example.key", key,
			"server 127.0.0.1:9180;", "server "+asked+";",
			"server 127.0.0.1:8000;", "server "+application+";",
		)
		return run(t, os.Environ(), bin, "-p", dir, "-e", "stderr", "-c", write(t, dir, "nginx.conf", conf))
	})
	return s
}

// temporary makes nginx write to directories of an unprivileged process.
func temporary(dir string) string {
	var b strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "    %s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	return b.String()
}

func caddy(t *testing.T) *site {
	t.Helper()
	bin := program(t, "caddy")
	s := &site{}
	dir := directory(t)
	cert, key := s.certificate(t, dir)
	asked, application := s.ask(t, "caddy"), s.application(t)
	s.serve(t, func() *testkit.Process {
		_, port, _ := net.SplitHostPort(s.address)
		conf := shipped(t, "Caddyfile",
			"\tadmin off\n", "\tadmin off\n\thttps_port "+port+"\n\tdefault_bind 127.0.0.1\n\tauto_https disable_redirects\n",
			"shop.example {\n", "shop.example {\n\ttls "+cert+" "+key+"\n",
			"forward_auth 127.0.0.1:9180", "forward_auth "+asked,
			"reverse_proxy 127.0.0.1:8000", "reverse_proxy "+application,
		)
		env := append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
		return run(t, env, bin, "run", "--adapter", "caddyfile", "--config", write(t, dir, "Caddyfile", conf))
	})
	return s
}

// serve starts the proxy on a free address and returns when it serves. It tries again if the
// address was taken meanwhile.
func (s *site) serve(t *testing.T, start func() *testkit.Process) {
	t.Helper()
	for range 5 {
		s.address = testkit.FreeAddress(t)
		s.proxy = start()
		if s.up(t) {
			return
		}
	}
	t.Fatalf("the proxy exited:\n%s", s.proxy.Output())
}

// up waits until the proxy serves, or has ended.
func (s *site) up(t *testing.T) (up bool) {
	t.Helper()
	testkit.Eventually(t, "the proxy listens", func() bool {
		select {
		case <-s.proxy.Ended():
			return true
		default:
		}
		conn, err := tls.Dial("tcp", s.address, s.tls())
		if err != nil {
			return false
		}
		_ = conn.Close()
		up = true
		return true
	})
	if !up {
		return false
	}
	t.Cleanup(func() {
		s.proxy.Stop()
		s.gateway.Stop()
		for _, p := range []*testkit.Process{s.proxy, s.gateway} {
			for _, line := range p.Lines("canary") {
				t.Errorf("a password is in the output: %s", line)
			}
		}
		for _, r := range s.reached() {
			if len(r.Header["Authorization"]) > 0 || strings.Contains(fmt.Sprint(r.Header), "canary") {
				t.Errorf("the application sees Authorization: %v", r.Header)
			}
		}
	})
	return true
}

func (s *site) tls() *tls.Config {
	return &tls.Config{RootCAs: s.roots, ServerName: "shop.example", MinVersion: tls.VersionTLS12}
}

// answer is the response to a client.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request byte for byte, with an unchanged target and more header lines. Its user
// agent identifies it.
func (s *site) do(t *testing.T, agent, method, target, account string, header ...string) answer {
	t.Helper()
	conn, err := tls.Dial("tcp", s.address, s.tls())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// a hung proxy fails this test, not the run
	_ = conn.SetDeadline(time.Now().Add(testkit.Patience))
	var b strings.Builder
	_, port, _ := net.SplitHostPort(s.address)
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: shop.example:%s\r\nUser-Agent: %s\r\nConnection: close\r\n", method, target, port, agent)
	for _, line := range header {
		b.WriteString(line + "\r\n")
	}
	if account != "" {
		b.WriteString("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(account)) + "\r\n")
	}
	if _, err := io.WriteString(conn, b.String()+"\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// event is an auth.attempt event of the gateway.
type event struct {
	TraceID   string   `json:"trace_id"`
	Outcome   string   `json:"auth.outcome"`
	Reason    string   `json:"auth.reason"`
	User      string   `json:"user.name"`
	Client    string   `json:"client.address"`
	Method    string   `json:"http.request.method"`
	Route     string   `json:"http.route"`
	Path      string   `json:"url.path"`
	Status    int      `json:"http.response.status_code"`
	Elsewhere bool     `json:"auth.response.elsewhere"`
	RequestID []string `json:"http.request.header.x-request-id"`
}

// event waits for the only event of the request with this user agent.
func (s *site) event(t *testing.T, agent string) (e event) {
	t.Helper()
	line := s.gateway.WaitLine(t, `"msg":"auth.attempt"`, `"`+agent+`"`)
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if n := len(s.gateway.Lines(`"msg":"auth.attempt"`, `"`+agent+`"`)); n != 1 {
		t.Errorf("%s has %d events", agent, n)
	}
	return e
}
