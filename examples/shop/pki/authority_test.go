// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/examples/shop/pki"
)

func Example() {
	ca, err := pki.New(time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	pair, err := ca.Issue("orders", netip.MustParseAddr("127.0.0.3"))
	if err != nil {
		fmt.Println(err)
		return
	}
	server, err := pair.Server()
	fmt.Println(len(server.Certificates), err)
	// Output: 1 <nil>
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca, err := pki.New(now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := pki.New(now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("orders", netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("::1"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := pair.Server()
	if err != nil || config.MinVersion != tls.VersionTLS13 {
		t.Fatal(config, err)
	}
	leaf := config.Certificates[0].Leaf
	for name, want := range map[string]bool{
		"orders": true, "localhost": true, "127.0.0.3": true, "::1": true, "inventory": false, "127.0.0.4": false,
	} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: name}); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: other.Pool()}); err == nil {
		t.Error("a certificate of another authority was accepted")
	}
	for _, at := range []time.Time{now.Add(-2 * time.Hour), now.Add(pki.Lifetime + time.Second)} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), CurrentTime: at}); err == nil {
			t.Errorf("it is valid at %v", at)
		}
	}
	// A server's certificate must not sign other certificates.
	if leaf.IsCA || leaf.KeyUsage&x509.KeyUsageCertSign != 0 {
		t.Error("the server's certificate is an authority")
	}
	parsed, err := pki.ParsePool(ca.PEM())
	if err != nil || !parsed.Equal(ca.Pool()) {
		t.Error("the pool holds another authority", err)
	}
	if _, err := pki.ParsePool([]byte("nothing")); err == nil {
		t.Error("an empty pool was accepted")
	}
	if _, err := (pki.Pair{Cert: pair.Cert, Key: pair.Cert}).Server(); err == nil {
		t.Error("a pair without a key was accepted")
	}
	block, _ := pem.Decode(pair.Key)
	for _, text := range []string{fmt.Sprint(pair), fmt.Sprintf("%+v", pair), fmt.Sprintf("%#v", pair), fmt.Sprintf("%x", pair)} {
		if strings.Contains(text, fmt.Sprintf("%x", block.Bytes[:8])) || len(text) > 40 {
			t.Errorf("it prints as %q", text)
		}
	}
}
