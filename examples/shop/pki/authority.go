// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package pki is a certificate authority for services that start together. It is created at start,
// and its key exists in memory only.
//
//	ca, err := pki.New(time.Now())
//	pair, err := ca.Issue("orders", netip.MustParseAddr("127.0.0.3"))
//	server := &http.Server{TLSConfig: pair.Server()}
//
// An Authority can issue certificates that all services trust, so it cannot be serialized. If a
// certificate is missing later, create a new Authority and issue all certificates again. The
// package is for demonstrations and tests; production needs an authority that can revoke.
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

// Lifetime is how long certificates are valid.
const Lifetime = 90 * 24 * time.Hour

// Authority issues certificates. Use [New]. It is safe for concurrent use.
type Authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	from time.Time
	pem  []byte
}

// New returns an authority with a new key. It is valid from now on for [Lifetime].
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

// PEM returns the certificate of the authority, which is not secret.
func (a *Authority) PEM() []byte { return a.pem }

// Pool returns a pool that holds this authority only.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Issue returns a new server certificate for name, localhost and the addresses.
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

// Pair is a certificate and its key, both PEM. Key is a secret: keep it in memory, or in a file of
// mode 0600.
type Pair struct{ Cert, Key []byte }

// Server returns the configuration of a TLS server that presents the certificate. It returns an
// error if key and certificate do not belong together.
func (p Pair) Server() (*tls.Config, error) {
	cert, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}, nil
}

// Format never prints the key, whatever the verb.
func (Pair) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("Pair([redacted])")) }

// ParsePool returns a pool of the certificates in PEM. At least one is required.
func ParsePool(certificates []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("pki: the file holds no certificate in PEM; give the file that ends in ca.pem")
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
