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

// certificate writes a new one. Between its two files the pair does not match.
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
