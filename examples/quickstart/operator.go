// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"strings"

	operatorpage "github.com/otelauth/otelauth-go/otelauth/console"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// consolePath is where root sees attempts and attacks in a browser.
const consolePath = "/console/"

// newPage returns the operator's page, for root only.
func newPage(op *operator.Operator) (http.Handler, error) {
	page, err := operatorpage.New(operatorpage.Config{API: op})
	if err != nil {
		return nil, err
	}
	page = http.StripPrefix(strings.TrimSuffix(consolePath, "/"), page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if caller(r) != "root" {
			http.Error(w, "This is for root.", http.StatusForbidden)
			return
		}
		page.ServeHTTP(w, r)
	}), nil
}

// isOfConsole reports whether a story is a request of the page, which would fill the terminal.
func isOfConsole(s *story) bool {
	_, path, _ := strings.Cut(s.attempt, " ")
	return s.outcome == "success" && strings.HasPrefix(path, consolePath)
}
