// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// What the process of the gateway reads.
const (
	usersFile  = "users.htpasswd"
	groupsFile = "groups"
	certFile   = "cert.pem"
	keyFile    = "key.pem"
)

type login struct{ name, password string }

var (
	alice = login{"alice", "wonderland"}
	root  = login{"root", "toor and more"}
	// temp is revoked again and again.
	temp = login{"temp", "for the time being"}
	// victim is an account that the bad clients guess at, so that nobody else is throttled for it.
	victim = login{"victim", "never guessed"}
)

// forged is the identity that every client claims by header.
const forged = "forged"

// files are those of the gateway, each replaced in one step.
type files struct {
	dir     string
	hashes  map[string]string
	ca      *x509.Certificate
	caKey   *ecdsa.PrivateKey
	roots   *x509.CertPool
	serial  int64
	changes int
}

func newFiles(dir string) (*files, error) {
	f := &files{dir: dir, hashes: make(map[string]string), roots: x509.NewCertPool()}
	for _, a := range []login{alice, root, temp, victim} {
		h, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte(a.password), nil)
		if err != nil {
			return nil, fmt.Errorf("soak: %w", err)
		}
		f.hashes[a.name] = h
	}
	var err error
	if f.caKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("soak: %w", err)
	}
	template := f.template("soak CA")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, f.caKey.Public(), f.caKey)
	if err != nil {
		return nil, fmt.Errorf("soak: %w", err)
	}
	if f.ca, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("soak: %w", err)
	}
	f.roots.AddCert(f.ca)
	if err := f.replace(groupsFile, []byte("ops: "+root.name+"\n")); err != nil {
		return nil, err
	}
	if err := f.accounts(true); err != nil {
		return nil, err
	}
	return f, f.certificate()
}

func (f *files) template(name string) *x509.Certificate {
	f.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(f.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

// certificate writes a new one. Between its two files the pair does not match.
func (f *files) certificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, f.template("soak"), f.ca, key.Public(), f.caKey)
	if err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	if err := f.replace(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})); err != nil {
		return err
	}
	return f.replace(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// accounts writes them, temp only when it has an account, and always something new.
func (f *files) accounts(withTemp bool) error {
	f.changes++
	var b strings.Builder
	fmt.Fprintf(&b, "# change %d\n", f.changes)
	for _, a := range []login{alice, root, victim} {
		fmt.Fprintf(&b, "%s:%s\n", a.name, f.hashes[a.name])
	}
	if withTemp {
		fmt.Fprintf(&b, "%s:%s\n", temp.name, f.hashes[temp.name])
	}
	fmt.Fprintf(&b, "extra%d:%s\n", f.changes, f.hashes[victim.name])
	return f.replace(usersFile, []byte(b.String()))
}

func (f *files) replace(name string, content []byte) error {
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	return nil
}
