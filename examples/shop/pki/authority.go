// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package pki is a certificate authority for services that start together: made at start, its key
// kept in memory and nowhere else.
//
//	ca, err := pki.New(time.Now())
//	pair, err := ca.Issue("orders", netip.MustParseAddr("127.0.0.3"))
//	server := &http.Server{TLSConfig: pair.Server()}
//
// Who keeps the Authority can issue what the services believe, so it refuses to be written down:
// what is lacking later is issued by another one, to everybody. It is for demonstrations and
// tests; a fleet has an authority that revokes.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"time"
)

// Lifetime is how long certificates are good.
const Lifetime = 90 * 24 * time.Hour

// Authority issues certificates. Use [New]. It is safe for concurrent use.
type Authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	from time.Time
	pem  []byte
}

// New returns an authority with a new key, good from now for [Lifetime].
func New(now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	template, err := newTemplate("shop demonstration authority", now)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	return &Authority{key: key, cert: cert, from: now, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// PEM returns the certificate of the authority, which is no secret.
func (a *Authority) PEM() []byte { return a.pem }

// Pool returns a pool that holds the authority and nobody else.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Issue returns a new certificate of a server that is called name, localhost, or one of the
// addresses.
func (a *Authority) Issue(name string, addresses ...netip.Addr) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("pki: %w", err)
	}
	template, err := newTemplate(name, a.from)
	if err != nil {
		return Pair{}, err
	}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = []string{name, "localhost"}
	for _, addr := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.IP(addr.AsSlice()))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("pki: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("pki: %w", err)
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}

// Pair is a certificate and its key, both PEM. Key is a secret: it belongs into memory, or a file
// of mode 0600.
type Pair struct{ Cert, Key []byte }

// Server returns the configuration of a TLS server that shows the certificate. An error says that
// the two do not belong together.
func (p Pair) Server() (*tls.Config, error) {
	cert, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}, nil
}

// Format shows no key, whatever the verb.
func (Pair) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("Pair([redacted])")) }

// ParsePool returns a pool of the certificates in PEM, at least one.
func ParsePool(certificates []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("pki: no certificate in PEM; give the file that ends in ca.pem")
	}
	return pool, nil
}

func newTemplate(name string, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour), // clocks differ
		NotAfter:     now.Add(Lifetime),
	}, nil
}
