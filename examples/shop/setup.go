// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/otelauth/otelauth-go/examples/shop/customers"
	"github.com/otelauth/otelauth-go/examples/shop/pki"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Files in the directory of a party.
const (
	caFile          = "ca.pem"
	certFile        = "tls.pem"
	keyFile         = "tls.key"
	accountsFile    = "accounts.htpasswd"
	groupsFile      = "accounts.groups"
	identityFile    = "identity.key"        // 32 random bytes, shared by the three services
	ordersFile      = "orders.credentials"  // of the storefront, at orders
	stockFile       = "stock.credentials"   // of orders, at inventory, to read and reserve
	returnsFile     = "returns.credentials" // of orders, at inventory, to take back
	otlpTokenFile   = "otlp.token"          // required by the collector
	redisSecretFile = "redis.password"
	redisConfFile   = "redis.conf"
)

// returnsDesk is the account that orders uses to take goods back. Inventory has it disabled, which
// causes the denial.
const returnsDesk = "returns-desk"

// demands are the inputs of setup.
type demands struct {
	// hosts are the addresses of servers, in addition to their names, localhost and 127.0.0.1.
	hosts map[string][]netip.Addr
	// customers is the storefront's accounts file. Default: customers.Htpasswd.
	customers []byte
	// cost is the bcrypt cost of the services' own passwords. Default: 10. They are random, so
	// they cannot be guessed.
	cost int
}

// file is one file that setup writes. A public file is readable by all users.
type file struct {
	path   string // within the directory
	text   []byte
	public bool
}

// setup creates a certificate authority, a certificate for each server and all credentials. It
// writes one directory for each party, which holds only what that party needs. It changes nothing
// if all files exist and are valid for another month. The authority's key is never written.
func setup(dir string, now time.Time, d demands) (made bool, err error) {
	if complete(dir, now) {
		return false, nil
	}
	//nolint:gosec // G301: the directory holds files of mode 0600
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	files, err := belongings(now, d)
	if err != nil {
		return false, err
	}
	for _, f := range files {
		path := filepath.Join(dir, f.path)
		//nolint:gosec // G301: the directory holds files of mode 0600
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return false, err
		}
		mode := fs.FileMode(0o600)
		if f.public {
			mode = 0o644
		}
		if err := replace(path, f.text, mode); err != nil {
			return false, err
		}
	}
	return true, nil
}

// replace writes the file atomically.
func replace(path string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return err
	}
	_, errWrite := f.Write(text)
	if err := errors.Join(errWrite, f.Chmod(mode), f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return os.Rename(f.Name(), path)
}

// servers have a certificate each.
var servers = []string{storefrontName, ordersName, inventoryName, "collector"}

func belongings(now time.Time, d demands) ([]file, error) {
	if d.customers == nil {
		d.customers = customers.Htpasswd
	}
	if d.cost == 0 {
		d.cost = 10
	}
	ca, err := pki.New(now)
	if err != nil {
		return nil, err
	}
	var files []file
	for _, name := range append(servers, "traffic") {
		files = append(files, file{name + "/" + caFile, ca.PEM(), true})
	}
	for _, name := range servers {
		pair, err := ca.Issue(name, append([]netip.Addr{netip.MustParseAddr("127.0.0.1")}, d.hosts[name]...)...)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name + "/" + certFile, pair.Cert, true}, file{name + "/" + keyFile, pair.Key, false})
	}

	account := func(name, settings string) (credentials, line []byte, err error) {
		secret := rand.Text()
		hash, err := password.Params{Scheme: "bcrypt", BcryptCost: d.cost}.Hash([]byte(secret), rand.Reader)
		return []byte(name + ":" + secret + "\n"), []byte(name + ":" + hash + settings + "\n"), err
	}
	storefront, atOrders, err1 := account(storefrontName, "")
	orders, atInventory, err2 := account(ordersName, "")
	returns, disabled, err3 := account(returnsDesk, ":disabled")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	files = append(
		files,
		file{storefrontName + "/" + accountsFile, d.customers, false},
		file{storefrontName + "/" + ordersFile, storefront, false},
		file{ordersName + "/" + accountsFile, atOrders, false},
		file{ordersName + "/" + stockFile, orders, false},
		file{ordersName + "/" + returnsFile, returns, false},
		file{inventoryName + "/" + accountsFile, append(atInventory, disabled...), false},
		file{inventoryName + "/" + groupsFile, []byte("stock: " + ordersName + "\nreturns: " + returnsDesk + "\n"), false},
	)

	identity := make([]byte, 32)
	_, _ = rand.Read(identity) // never fails
	token, redisPassword := rand.Text(), rand.Text()
	for _, name := range []string{storefrontName, ordersName, inventoryName} {
		files = append(
			files,
			file{name + "/" + identityFile, []byte(hex.EncodeToString(identity) + "\n"), false},
			file{name + "/" + otlpTokenFile, []byte(token + "\n"), false},
			file{name + "/" + redisSecretFile, []byte(redisPassword + "\n"), false},
		)
	}
	// With an eviction policy Redis would drop budgets. Without one a full Redis returns an error.
	redisConf := "requirepass " + redisPassword + "\nmaxmemory 64mb\nmaxmemory-policy noeviction\nsave \"\"\nappendonly no\n"
	return append(files, file{"collector/" + otlpTokenFile, []byte(token), false}, file{"redis/" + redisConfFile, []byte(redisConf), false}), nil
}

// complete reports whether dir holds everything that setup writes, signed by one authority.
func complete(dir string, now time.Time) bool {
	var authority []byte
	for _, path := range expected() {
		text, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil || len(text) == 0 {
			return false
		}
		if filepath.Base(path) == caFile {
			if authority != nil && !bytes.Equal(authority, text) {
				return false
			}
			authority = text
		}
	}
	pool, err := pki.ParsePool(authority)
	if err != nil {
		return false
	}
	for _, name := range servers {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name, certFile), filepath.Join(dir, name, keyFile))
		if err != nil {
			return false
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: now.Add(pki.Lifetime / 3)}); err != nil {
			return false
		}
	}
	return true
}

// expected returns the paths of the files that setup writes.
func expected() []string {
	paths := []string{
		"traffic/" + caFile, "collector/" + otlpTokenFile, "redis/" + redisConfFile,
		storefrontName + "/" + ordersFile, ordersName + "/" + stockFile, ordersName + "/" + returnsFile, inventoryName + "/" + groupsFile,
	}
	for _, name := range servers {
		paths = append(paths, name+"/"+caFile, name+"/"+certFile, name+"/"+keyFile)
	}
	for _, name := range []string{storefrontName, ordersName, inventoryName} {
		paths = append(paths, name+"/"+accountsFile, name+"/"+identityFile, name+"/"+otlpTokenFile, name+"/"+redisSecretFile)
	}
	return paths
}
