// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/url"
	"strconv"
	"sync"
)

// order is what a customer bought.
type order struct {
	ID       int    `json:"id,omitempty"`
	Customer string `json:"customer"`
	Item     string `json:"item"`
}

// maxOrders is how many orders are kept; older ones are dropped.
const maxOrders = 1000

// orders keeps what was bought and calls inventory. It uses one account to read and reserve stock,
// and another one to take goods back.
type orders struct {
	stock, returns *call

	mu   sync.Mutex
	last int
	kept []order
}

func newOrders(stock, returns *call) *orders {
	return &orders{stock: stock, returns: returns, last: 1000}
}

func (o *orders) addRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /offers/{item}", func(w http.ResponseWriter, r *http.Request) {
		var there offer
		status, err := o.stock.do(r.Context(), "GET", "/stock/"+url.PathEscape(r.PathValue("item")), nil, &there)
		if passOn(w, status, err) {
			reply(w, http.StatusOK, there)
		}
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		var wanted order
		if !read(w, r, &wanted) {
			return
		}
		status, err := o.stock.do(r.Context(), "POST", "/stock/"+url.PathEscape(wanted.Item)+"/reservations", nil, nil)
		if passOn(w, status, err) {
			reply(w, http.StatusCreated, o.keep(wanted))
		}
	})
	mux.HandleFunc("GET /customers/{customer}/orders", func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusOK, o.of(r.PathValue("customer")))
	})
	mux.HandleFunc("POST /customers/{customer}/orders/{order}/return", func(w http.ResponseWriter, r *http.Request) {
		bought, ok := o.find(r.PathValue("customer"), r.PathValue("order"))
		if !ok {
			http.Error(w, "There is no such order.", http.StatusNotFound)
			return
		}
		status, err := o.returns.do(r.Context(), "POST", "/stock/"+url.PathEscape(bought.Item)+"/returns", nil, nil)
		if passOn(w, status, err) {
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

func (o *orders) keep(wanted order) order {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	wanted.ID = o.last
	if len(o.kept) == maxOrders {
		o.kept = append(o.kept[:0], o.kept[maxOrders/2:]...)
	}
	o.kept = append(o.kept, wanted)
	return wanted
}

// of returns the customer's last ten orders.
func (o *orders) of(customer string) []order {
	o.mu.Lock()
	defer o.mu.Unlock()
	theirs := []order{}
	for i := len(o.kept) - 1; i >= 0 && len(theirs) < 10; i-- {
		if o.kept[i].Customer == customer {
			theirs = append(theirs, o.kept[i])
		}
	}
	return theirs
}

func (o *orders) find(customer, id string) (order, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, k := range o.kept {
		if k.Customer == customer && strconv.Itoa(k.ID) == id {
			return k, true
		}
	}
	return order{}, false
}
