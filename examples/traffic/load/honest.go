// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/otelauth/otelauth-go/examples/shop/customers"
)

// Goods are the items that the shop sells.
var Goods = []string{"lamp", "kettle", "globe", "teapot", "atlas"}

// Crowd simulates the honest customers. It is not safe for concurrent use.
type Crowd struct {
	random *rand.Rand
	next   []Visit // the follow-up of the previous visit
}

// NewCrowd returns a Crowd. The same seed simulates the same customers.
func NewCrowd(seed uint64) *Crowd {
	//nolint:gosec // G404: what customers buy is not secret
	return &Crowd{random: rand.New(rand.NewPCG(seed, 1))}
}

// Visit returns the next visit of a customer, who looks, buys or reads orders. One in 30 mistypes
// and is right the next time. One in 20 first comes without credentials, as browsers do.
func (c *Crowd) Visit() Visit {
	if len(c.next) > 0 {
		v := c.next[0]
		c.next = c.next[1:]
		return v
	}
	who := customers.All[c.random.IntN(len(customers.All))]
	v := Visit{Who: Honest, From: netip.MustParseAddr(who.Home), Method: "GET", Name: who.Name, Password: who.Password}
	item := Goods[c.random.IntN(len(Goods))]
	switch n := c.random.IntN(100); {
	case n < 40:
		v.Path = "/products/" + item
	case n < 65:
		v.Path = "/orders"
	case n < 80:
		v.Method, v.Path = "POST", "/checkout/"+item
	case n < 97:
		v.Path, v.Name, v.Password = "/", "", ""
	default:
		v.Path = fmt.Sprintf("/products/%s-%d", item, c.random.IntN(1000)) // does not exist
	}
	if v.Name == "" {
		return v
	}
	switch n := c.random.IntN(60); {
	case n < 2:
		c.next = append(c.next, v)
		swapped := []byte(v.Password)
		swapped[1], swapped[2] = swapped[2], swapped[1]
		v.Password = string(swapped)
	case n < 5:
		c.next = append(c.next, v)
		v.Name, v.Password = "", ""
	}
	return v
}
