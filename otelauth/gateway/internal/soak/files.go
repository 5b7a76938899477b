// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// The files that the gateway process reads.
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
	// temp is revoked repeatedly.
	temp = login{"temp", "for the time being"}
	// victim is the account whose password the bad clients guess, so that no other account is
	// throttled.
	victim = login{"victim", "never guessed"}
)

// forged is the identity that every client claims in headers.
const forged = "forged"

// files are the gateway's files. Each is replaced atomically.
type files struct {
	dir     string
	hashes  map[string]string
	ca      *testkit.Certificate
	roots   *x509.CertPool
	changes int
}

func newFiles(dir string) (*files, error) {
	f := &files{dir: dir, hashes: make(map[string]string)}
	for _, a := range []login{alice, root, temp, victim} {
		h, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte(a.password), nil)
		if err != nil {
			return nil, fmt.Errorf("soak: %w", err)
		}
		f.hashes[a.name] = h
	}
	var err error
	if f.ca, err = testkit.SelfSigned("soak CA"); err != nil {
		return nil, fmt.Errorf("soak: %w", err)
	}
	f.roots = f.ca.Pool()
	if err := f.replace(groupsFile, []byte("ops: "+root.name+"\n")); err != nil {
		return nil, err
	}
	if err := f.accounts(true); err != nil {
		return nil, err
	}
	return f, f.certificate()
}

// certificate writes a new certificate. Between its two files the pair does not match.
func (f *files) certificate() error {
	c, err := f.ca.Issue("127.0.0.1")
	if err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	if err := f.replace(keyFile, c.KeyPEM); err != nil {
		return err
	}
	return f.replace(certFile, c.CertPEM)
}

// accounts writes the accounts, temp only with withTemp. The content always differs from the
// previous one.
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
