// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package nethttp

import (
	"html/template"
	"net/http"

	"github.com/otelauth/otelauth-go/otelauth"
)

var page = template.Must(template.New("denied").Parse(
	`<!doctype html><title>Access denied</title><p>{{.Detail}}{{with .TraceID}}<p>When you ask for help, quote {{.}}.{{end}}
`))

// errorPage writes the body of a denial. otelauth sets the status, the challenge and Retry-After.
func errorPage(w http.ResponseWriter, _ *http.Request, d otelauth.Denial) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, d)
}
