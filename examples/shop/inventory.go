// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"sync"

	"github.com/otelauth/otelauth-go/examples/traffic/load"
	"github.com/otelauth/otelauth-go/otelauth"
)

// offer is the stock of one item.
type offer struct {
	Item   string `json:"item"`
	Pieces int    `json:"pieces"`
}

// delivery is how many pieces arrive when an item is sold out.
const delivery = 50

// inventory counts the pieces in stock.
type inventory struct {
	mu     sync.Mutex
	pieces map[string]int
}

func newInventory() *inventory {
	i := &inventory{pieces: make(map[string]int)}
	for _, item := range load.Goods {
		i.pieces[item] = delivery
	}
	return i
}

func (i *inventory) addRoutes(mux *http.ServeMux, mw *otelauth.Middleware) {
	// Each route admits one group, so the account that reads and reserves stock cannot add to it.
	handle := func(pattern, group string, handler http.HandlerFunc) {
		mux.Handle(pattern, mw.RequireGroup(group)(handler))
	}
	handle("GET /stock/{item}", "stock", func(w http.ResponseWriter, r *http.Request) {
		if n, ok := i.change(r.PathValue("item"), 0); ok {
			reply(w, http.StatusOK, offer{r.PathValue("item"), n})
			return
		}
		http.NotFound(w, r)
	})
	change := func(by int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch n, ok := i.change(r.PathValue("item"), by); {
			case !ok:
				http.NotFound(w, r)
			case n == 0 && by < 0:
				http.Error(w, "Sold out.", http.StatusConflict)
			default:
				w.WriteHeader(http.StatusNoContent)
			}
		}
	}
	handle("POST /stock/{item}/reservations", "stock", change(-1))
	handle("POST /stock/{item}/returns", "returns", change(+1))
}

// change returns the previous stock, or false if there is no such item. It does not sell the last
// piece before a delivery.
func (i *inventory) change(item string, by int) (int, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	n, ok := i.pieces[item]
	switch {
	case !ok:
		return 0, false
	case n+by < 0:
		i.pieces[item] = delivery
	default:
		i.pieces[item] = n + by
	}
	return n, true
}
