// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package nethttp shows three ways to combine otelauth with an http.ServeMux.
//
// [Inside] wraps the mux in the Middleware: every endpoint is protected unless it is listed as
// public. [Outside] wraps single handlers inside of the mux: every other endpoint is open. Prefer
// Inside, where a forgotten endpoint is protected. [Mixed] protects some routes beside those of
// another login.
package nethttp

import (
	"fmt"
	"net/http"

	"github.com/otelauth/otelauth-go/otelauth"
)

func order(w http.ResponseWriter, r *http.Request) {
	user, _ := otelauth.UserFromContext(r.Context())
	fmt.Fprintf(w, "Order %q, shown to %s.\n", r.PathValue("id"), user.Name)
}

func status(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "up") }
