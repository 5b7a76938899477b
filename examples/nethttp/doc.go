// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package nethttp shows the two places in which otelauth can stand beside an http.ServeMux.
//
// [Inside] has the mux inside of the middleware: everything that the mux serves is protected, and what is public is
// named. [Outside] has the mux outside: the middleware wraps single handlers, and what nobody wrapped is open. Prefer
// the first; a forgotten endpoint is closed there.
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
