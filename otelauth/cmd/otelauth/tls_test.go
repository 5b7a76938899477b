// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// pair holds the files of a certificate for loopback and its key.
type pair struct {
	dir       string
	cert, key string
	pool      *x509.CertPool // that knows the certificate of the last renew
}

// newPair writes the first one.
func newPair(t *testing.T) *pair {
	t.Helper()
	dir := t.TempDir()
	p := &pair{dir: dir, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	p.renew(t)
	return p
}

// paddedBytes is the size of every version of both files, so that the size does not show a change.
const paddedBytes = 2048

// renew replaces the files.
func (p *pair) renew(t *testing.T) {
	t.Helper()
	certificate := testkit.NewCertificate(t, "127.0.0.1")
	for name, text := range map[string][]byte{p.cert: certificate.CertPEM, p.key: certificate.KeyPEM} {
		text = append(text, bytes.Repeat([]byte("\n"), paddedBytes-len(text))...)
		if err := os.WriteFile(name+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
	p.pool = certificate.Pool()
}

// age sets an old modification time on the files.
func (p *pair) age(t *testing.T) {
	t.Helper()
	for _, name := range []string{p.cert, p.key} {
		if err := os.Chtimes(name, time.Unix(1_700_000_000, 0), time.Unix(1_700_000_000, 0)); err != nil {
			t.Fatal(err)
		}
	}
}

// get sends a request of alice on a new connection that trusts only the last certificate.
func (p *pair) get(t *testing.T, address string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+address+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("alice", canaryNew)
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: p.pool}}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp, resp.Body.Close()
}

// TestGatewayTLS checks that the command serves TLS and loads a replaced certificate, soon after
// the change and at SIGHUP.
func TestGatewayTLS(t *testing.T) {
	t.Parallel()
	up, files := newUpstream(t, nil), newPair(t)
	files.age(t)
	p := start(t, nil, gatewayArgs(up.url, usersFile(t), "--cert-file", files.cert, "--key-file", files.key)...)
	address := p.address("gateway.listening")
	if resp, err := files.get(t, address); err != nil || resp.StatusCode != 200 || resp.TLS.Version < tls.VersionTLS12 {
		t.Fatalf("%+v, %v", resp, err)
	}
	if got := up.last(t).Header.Get("X-Forwarded-Proto"); got != "https" {
		t.Errorf("X-Forwarded-Proto %q", got)
	}
	if conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: files.pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 is served")
	}

	// Size and time are those of the previous files.
	previous := *files
	files.renew(t)
	files.age(t)
	if _, err := previous.get(t, address); err != nil {
		t.Errorf("before SIGHUP: %v", err)
	}
	p.signal(syscall.SIGHUP)
	p.event("gateway.reloaded", nil)
	if resp, err := files.get(t, address); err != nil || resp.StatusCode != 200 {
		t.Errorf("after SIGHUP: %v", err)
	}

	// With a mismatched key the previous configuration stays in force, and the error is reported.
	previous = *files
	if err := os.WriteFile(files.key, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.line("error of the certificate", func(l string) bool {
		return strings.HasPrefix(l, "otelauth: SIGHUP: --cert-file: ") || strings.HasPrefix(l, "otelauth: SIGHUP: --key-file: ")
	})
	if _, err := previous.get(t, address); err != nil {
		t.Errorf("with a broken key: %v", err)
	}

	files.renew(t)
	deadline := time.Now().Add(patience)
	for {
		_, err := files.get(t, address)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a new certificate is not served: %v", err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// TestGatewayStreamEnds checks that a stream ends after its account is removed from the file,
// and others continue.
func TestGatewayStreamEnds(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := 0; r.Context().Err() == nil; n++ {
			fmt.Fprintf(w, "data: %d\n\n", n)
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}))
	users := usersFile(t)
	edit := func(change func(*htpasswd.Content) error) {
		t.Helper()
		if err := htpasswd.Edit(t.Context(), users, change); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(c *htpasswd.Content) error { return c.Add(htpasswd.Line{Name: "bob", Hash: hashOf(t, canaryNew)}) })
	p := start(t, nil, gatewayArgs(up.url, users, "--max-stream-age", "300ms")...)
	url := "http://" + p.address("gateway.listening")
	stream := func(name string) *bufio.Scanner {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/"+name, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(name, canaryNew)
		tr := &http.Transport{}
		t.Cleanup(tr.CloseIdleConnections)
		resp, err := tr.RoundTrip(req)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %v, %v", name, resp, err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return bufio.NewScanner(resp.Body)
	}
	alice, bob := stream("alice"), stream("bob")
	// lines, of half a second at least: longer than a stream may outlive its account
	const some = 100
	for _, s := range []*bufio.Scanner{alice, bob} {
		for range some {
			if !s.Scan() {
				t.Fatalf("a stream ends before its account: %v", s.Err())
			}
		}
	}
	edit(func(c *htpasswd.Content) error { return c.Remove("bob") })
	p.signal(syscall.SIGHUP)
	p.event("gateway.reloaded", map[string]any{"accounts": 1.0})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for bob.Scan() {
		}
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("bob was removed, and the stream continues")
	}
	for range some {
		if !alice.Scan() {
			t.Fatalf("alice's stream ended with bob's: %v", alice.Err())
		}
	}
}
