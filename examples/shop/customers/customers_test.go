// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package customers_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/otelauth/otelauth-go/examples/shop/customers"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// TestHtpasswd checks that the file and the list hold the same customers. It verifies two
// passwords only, because each costs a bcrypt.
func TestHtpasswd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "customers.htpasswd")
	if err := os.WriteFile(path, customers.Htpasswd, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := htpasswd.Open(htpasswd.Config{Path: path, Unwatched: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if file.Len() != len(customers.All) {
		t.Fatalf("%d accounts, %d customers", file.Len(), len(customers.All))
	}
	homes := make(map[netip.Addr]bool)
	for _, c := range customers.All {
		account, err := file.Lookup(t.Context(), c.Name)
		if err != nil || account == nil {
			t.Fatalf("%s is not in the file: %v", c.Name, err)
		}
		if (c.Name == "alice" || c.Name == customers.Weak) && !account.Password.Verify([]byte(c.Password)).Match {
			t.Errorf("the file holds another password for %s", c.Name)
		}
		homes[netip.MustParseAddr(c.Home)] = true
	}
	if len(homes) != len(customers.All) {
		t.Error("two customers share an address")
	}
}
