// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package customers_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/otelauth/otelauth-go/examples/shop/customers"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// TestHtpasswd checks that the file and the list hold the same customers. It verifies two
// passwords only, because each costs a bcrypt.
func TestHtpasswd(t *testing.T) {
	t.Parallel()
	accounts, err := htpasswd.Parse(bytes.NewReader(customers.Htpasswd), "customers.htpasswd", password.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if len(accounts) != len(customers.All) {
		t.Fatalf("%d accounts, %d customers", len(accounts), len(customers.All))
	}
	homes := make(map[netip.Addr]bool)
	for i, c := range customers.All {
		if accounts[i].Name != c.Name {
			t.Errorf("%s is %s in the file", c.Name, accounts[i].Name)
		}
		if (c.Name == "alice" || c.Name == customers.Weak) && !accounts[i].Password.Verify([]byte(c.Password)).Match {
			t.Errorf("the file holds another password for %s", c.Name)
		}
		homes[netip.MustParseAddr(c.Home)] = true
	}
	if len(homes) != len(customers.All) {
		t.Error("two customers share an address")
	}
}
