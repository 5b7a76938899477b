// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// newCertificate writes a self-signed certificate for loopback, and its key.
func newCertificate(t testing.TB) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	return certFile, keyFile, renew(t, certFile, keyFile)
}

// renew replaces the files, the certificate first.
func renew(t testing.TB, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	c := testkit.NewCertificate(t, "127.0.0.1")
	write(t, certFile, c.CertPEM)
	write(t, keyFile, c.KeyPEM)
	return c.Pool()
}

// write replaces a file as a whole.
func write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// served returns the serial number of the certificate that a new connection receives.
func (s *site) served(t testing.TB) string {
	t.Helper()
	conn, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// A new certificate is served soon after it is written. An incomplete or mismatched pair leaves
// the last good one in use.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	certFile, keyFile, _ := newCertificate(t)
	s := &site{Recorder: otelauthtest.NewRecorder(t)}
	upstream := httptest.NewServer(s.remember(nil))
	t.Cleanup(upstream.Close)
	cfg := gateway.Config{Upstream: upstream.URL, CertFile: certFile, KeyFile: keyFile}
	s.start(t, cfg)
	first := s.served(t)

	renewed := testkit.NewCertificate(t, "127.0.0.1")
	write(t, certFile, renewed.CertPEM) // without its key yet
	eventually(t, "event of a pair that does not match", func() bool {
		if got := s.served(t); got != first {
			t.Fatalf("serves %s", got)
		}
		return len(s.named(semconv.EventGatewayCertificate)) == 1
	})
	if text := s.named(semconv.EventGatewayCertificate)[0].Attributes().Map(); len(text) == 0 {
		t.Error("the event has no attributes")
	}
	write(t, keyFile, renewed.KeyPEM)
	eventually(t, "the new certificate", func() bool { return s.served(t) == renewed.X509.SerialNumber.String() })
	eventually(t, "its event", func() bool { return len(s.named(semconv.EventGatewayCertificate)) == 2 })

	write(t, certFile, []byte("-----BEGIN CERT"))
	if err := s.gw.Reconfigure(s.own(t, cfg)); err == nil || !strings.Contains(err.Error(), certFile) {
		t.Errorf("Reconfigure with a broken certificate: %v", err)
	}
	equal(t, "certificate", s.served(t), renewed.X509.SerialNumber.String())
	renew(t, certFile, keyFile)
	if err := s.gw.Reconfigure(s.own(t, cfg)); err != nil {
		t.Fatal(err)
	}
	if s.served(t) == renewed.X509.SerialNumber.String() {
		t.Error("Reconfigure did not read the certificate again")
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	certFile, keyFile, roots := newCertificate(t)
	s := &site{Recorder: otelauthtest.NewRecorder(t)}
	upstream := httptest.NewServer(s.remember(nil))
	t.Cleanup(upstream.Close)
	s.start(t, gateway.Config{Upstream: upstream.URL, CertFile: certFile, KeyFile: keyFile})
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", s.addr, &tls.Config{RootCAs: roots, MinVersion: version, MaxVersion: version})
		if err == nil {
			_ = conn.Close()
		}
		equal(t, tls.VersionName(version), err == nil, want)
	}
	eventually(t, "event of the handshakes that failed", func() bool { return len(s.named(semconv.EventGatewayUnparsed)) > 0 })
}

// Plaintext is served to loopback and to trusted proxies; any other plaintext must be configured.
func TestPlaintextIsRefused(t *testing.T) {
	t.Parallel()
	proxies := otelauth.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	for _, tc := range []struct {
		name    string
		network string
		address string
		cfg     gateway.Config
		served  bool
	}{
		{"loopback", "tcp", "127.0.0.1:80", gateway.Config{}, true},
		{"IPv6 loopback", "tcp", "[::1]:80", gateway.Config{}, true},
		{"a unix socket", "unix", "", gateway.Config{}, true},
		{"every address", "tcp", "0.0.0.0:80", gateway.Config{}, false},
		{"behind trusted proxies", "tcp", "0.0.0.0:80", gateway.Config{Auth: proxies}, true},
		{"dangerously", "tcp", "0.0.0.0:80", gateway.Config{DangerouslyAllowPlaintext: true}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			// The listener is fake: no test opens a public port or needs IPv6.
			l := fakeListener{addr: &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"}}
			if tc.network == "tcp" {
				l.addr = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(tc.address))
			}
			l.closed = make(chan struct{})
			tc.cfg.Upstream, tc.cfg.Auth.Accounts, tc.cfg.Uninstrumented = "http://127.0.0.1:1", accounts(t), true
			gw, err := gateway.New(tc.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = gw.Shutdown(context.Background()) }()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			err = gw.Serve(ctx, l)
			var problem *gateway.ConfigError
			if refused := errors.As(err, &problem); refused == tc.served {
				t.Errorf("Serve: %v", err)
			} else if refused {
				equal(t, "field", problem.Field, "DangerouslyAllowPlaintext")
			}
		})
	}
}

// fakeListener has an address and no connections.
type fakeListener struct {
	addr   net.Addr
	closed chan struct{}
}

func (l fakeListener) Accept() (net.Conn, error) { <-l.closed; return nil, net.ErrClosed }
func (l fakeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}
func (l fakeListener) Addr() net.Addr { return l.addr }

// Reconfigure cannot remove the certificate of a listener that is served.
func TestReconfigureKeepsWhatIsServed(t *testing.T) {
	t.Parallel()
	certFile, keyFile, _ := newCertificate(t)
	s := newSite(t, gateway.Config{}, nil)
	s.get(t, "/x", "alice", "wonderland") // it is served
	var problem *gateway.ConfigError
	err := s.gw.Reconfigure(s.own(t, gateway.Config{Upstream: "http://127.0.0.1:1", CertFile: certFile, KeyFile: keyFile}))
	if !errors.As(err, &problem) || problem.Field != "CertFile" {
		t.Errorf("plaintext to TLS: %v", err)
	}
	if res, _ := s.get(t, "/x", "alice", "wonderland"); res.StatusCode != http.StatusOK {
		t.Errorf("after a Reconfigure that failed: %d", res.StatusCode)
	}
}
