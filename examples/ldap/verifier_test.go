// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

func (d *directory) config() Config {
	return Config{
		URL: "ldaps://" + d.ldaps, TLS: d.tls(),
		BindDN: "cn=otelauth,dc=example,dc=com", Password: "canary-service-password",
		BaseDN: "ou=people,dc=example,dc=com", GroupDN: "ou=groups,dc=example,dc=com",
		Timeout: 30 * time.Second, // for a busy machine
	}
}

func newVerifier(t *testing.T, cfg Config) *Verifier {
	t.Helper()
	v, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func TestVerify(t *testing.T) {
	t.Parallel()
	d := startDirectory(t)
	starttls, socket := d.config(), d.config()
	starttls.URL = "ldap://" + d.ldap
	socket.URL = "ldapi://" + d.socket()
	for name, cfg := range map[string]Config{"ldaps": d.config(), "StartTLS": starttls, "ldapi": socket} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVerifier(t, cfg)
			for _, c := range []struct {
				name, pass string
				right      bool
				groups     []string
			}{
				{"alice", "wonderland", true, []string{"editors", "ops"}},
				// whose DN has characters that a filter must escape
				{"bob", "builder", true, []string{"ops"}},
				{"alice", "Wonderland", false, nil},
				{"alice", "", false, nil}, // this server accepts it
				{"", "", false, nil},
				{"", "wonderland", false, nil},
				// the same name for a directory, but a separate budget
				{"ALICE", "wonderland", false, nil},
				{"alice ", "wonderland", false, nil},
				{"nobody", "wonderland", false, nil},
				{"*", "wonderland", false, nil},
				{"a*", "wonderland", false, nil},
				{"alice)(uid=*", "wonderland", false, nil},
				{"*)(|(uid=*", "wonderland", false, nil},
				{"nobody)(|(uid=alice)(uid=alice)", "wonderland", false, nil},
				{`alice\2a`, "wonderland", false, nil},
				{"al\x00ice", "wonderland", false, nil},
				{"uid=alice,ou=people,dc=example,dc=com", "wonderland", false, nil},
				{"cn=otelauth,dc=example,dc=com", "canary-service-password", false, nil},
				{"otelauth", "canary-service-password", false, nil},
				{strings.Repeat("x", 8000), "wonderland", false, nil},
				{"alice", strings.Repeat("x", 8000), false, nil},
			} {
				a, err := v.Verify(t.Context(), c.name, credential.NewSecret(c.pass))
				if err != nil {
					t.Errorf("%.40q: %v", c.name, err)
				}
				if (a != nil) != c.right || a != nil && (a.Name != c.name || !slices.Equal(a.Groups, c.groups)) {
					t.Errorf("%.40q with %.20q: %+v, want right %t, groups %v", c.name, c.pass, a, c.right, c.groups)
				}
			}
			if a, err := v.Verify(t.Context(), "twin", credential.NewSecret("wonderland")); a != nil || err == nil || strings.Contains(err.Error(), "twin") {
				t.Errorf("a name of two entries: %v, %v", a, err)
			}
		})
	}
}

// The password of the decoy authenticates no one.
func TestDecoy(t *testing.T) {
	t.Parallel()
	d := startDirectory(t)
	cfg := d.config()
	cfg.DecoyDN = "uid=mallory,ou=people,dc=example,dc=com"
	v := newVerifier(t, cfg)
	for _, name := range []string{"nobody", "MALLORY", "*"} {
		if a, err := v.Verify(t.Context(), name, credential.NewSecret("canary-of-mallory")); a != nil || err != nil {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	d := startDirectory(t)
	cfg := d.config()
	cfg.Connections = 2
	v := newVerifier(t, cfg)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			name, pass, right := "alice", "wonderland", true
			if i%2 == 0 {
				name, pass, right = "mallory", "guess", false
			}
			a, err := v.Verify(t.Context(), name, credential.NewSecret(pass))
			if err != nil || (a != nil) != right {
				t.Errorf("%s: %v, %v", name, a, err)
			}
		})
	}
	all.Wait()
}

// The Verifier sends nothing to a server that cannot prove its name, nor without TLS.
func TestTLS(t *testing.T) {
	t.Parallel()
	d := startDirectory(t)
	for name, change := range map[string]func(*Config){
		"an unknown authority": func(c *Config) { c.TLS = nil },
		"another host":         func(c *Config) { c.TLS.ServerName = "evil.example.com" },
		"StartTLS with an unknown authority": func(c *Config) {
			c.URL, c.TLS = "ldap://"+d.ldap, nil
		},
	} {
		cfg := d.config()
		change(&cfg)
		a, err := newVerifier(t, cfg).Verify(t.Context(), "alice", credential.NewSecret("wonderland"))
		if a != nil || err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	// A server that refuses StartTLS gets no password.
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan []byte, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		// ExtendedResponse, messageID 1, unwillingToPerform (RFC 4511 section 4.12).
		_, _ = c.Write([]byte{0x30, 0x0c, 0x02, 0x01, 0x01, 0x78, 0x07, 0x0a, 0x01, 0x35, 0x04, 0x00, 0x04, 0x00})
		m, _ := c.Read(b[n:])
		heard <- b[:n+m]
		_ = c.Close()
	}()
	cfg := d.config()
	cfg.URL = "ldap://" + l.Addr().String()
	a, err := newVerifier(t, cfg).Verify(t.Context(), "alice", credential.NewSecret("wonderland"))
	_ = l.Close()
	if a != nil || err == nil {
		t.Errorf("a server without TLS: %v, %v", a, err)
	}
	if b := string(<-heard); strings.Contains(b, "canary") || strings.Contains(b, "wonderland") {
		t.Error("a password was sent in plaintext")
	}
}

// A service with the directory: while it is down, verified credentials work for the cache's
// minute, other requests get 503, and the attempts record the reason.
func TestDown(t *testing.T) {
	t.Parallel()
	d := startDirectory(t)
	cfg := d.config()
	cfg.Timeout = 5 * time.Second
	rec := otelauthtest.NewRecorder(t)
	mw, err := otelauth.New(otelauth.Config{
		Verifier:       newVerifier(t, cfg),
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	h := mw.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	status := func(when, name, pass string, want int) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = "127.0.0.1:4711"
		r.SetBasicAuth(name, pass)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %s gets %d, want %d", when, name, w.Code, want)
		}
	}
	status("up", "alice", "wonderland", 200)
	status("up", "bob", "wrong", 401)
	d.signal(t, syscall.SIGSTOP)
	status("frozen", "alice", "wonderland", 200)
	status("frozen", "bob", "builder", 503)
	d.signal(t, syscall.SIGCONT)
	status("thawed", "bob", "builder", 200)
	d.slapd.Kill()
	status("killed", "bob", "builder", 200)
	status("killed", "mallory", "canary-of-mallory", 503)
	d.start(t)
	status("back", "mallory", "canary-of-mallory", 200)
	if err := mw.Close(); err != nil {
		t.Fatal(err)
	}
	unavailable := 0
	for _, a := range rec.Attempts() {
		if a.ErrorType == attempt.AccountsUnavailable {
			unavailable++
		}
	}
	if unavailable != 2 {
		t.Errorf("%d attempts are recorded as accounts_unavailable, want 2", unavailable)
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	_, err := New(Config{URL: "http://x", BaseDN: "people", BindDN: "cn=x", Filter: "((("})
	for _, want := range []string{"URL", "BaseDN", "Password", "Filter"} {
		if err == nil || !strings.Contains(err.Error(), "ldap: Config."+want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}
