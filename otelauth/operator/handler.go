// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	_ "embed"
	"encoding/json"
	"net/http"

	"github.com/otelauth/otelauth-go/otelauth/internal/problem"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

//go:embed openapi.json
var openAPI []byte

func version() string { return semconv.Version() }

// routes returns the handler of every path. Each refuses callers without a name and pages of
// other origins.
func (o *Operator) routes() *http.ServeMux {
	mux := http.NewServeMux()
	read := func(pattern string, answer func(r *http.Request) (any, error)) {
		mux.HandleFunc("GET "+pattern, o.guarded(func(w http.ResponseWriter, r *http.Request) error {
			body, err := answer(r)
			if err != nil {
				return err
			}
			return writeJSON(w, body)
		}))
	}
	read("/v1/status", o.serveStatus)
	read("/v1/attempts", o.serveAttempts)
	read("/v1/traffic", o.serveTraffic)
	read("/v1/episodes", o.serveEpisodes)
	read("/v1/episodes/{id}", o.serveEpisode)
	read("/v1/budgets", o.serveBudgets)
	read("/v1/budgets/explain", o.serveExplanation)
	read("/v1/acts", o.serveActs)
	mux.HandleFunc("POST /v1/acts", o.guarded(o.serveAct))
	mux.HandleFunc("POST /v1/acts/{id}/undo", o.guarded(o.serveUndo))
	mux.HandleFunc("GET /v1/live", o.guarded(o.serveLive))
	mux.HandleFunc("GET /v1/openapi.json", o.guarded(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		_, err := w.Write(openAPI)
		return err
	}))
	mux.HandleFunc("/", o.guarded(func(_ http.ResponseWriter, r *http.Request) error {
		return refuse(http.StatusNotFound, CodeNotFound, "There is no %s %s. GET /v1/openapi.json describes the API.", r.Method, shown(r.URL.Path))
	}))
	return mux
}

// guarded answers the errors of serve, and refuses what no handler may see.
func (o *Operator) guarded(serve func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		err := checkOrigin(r)
		if err == nil && actorOf(r.Context()) == "" {
			err = refuse(http.StatusForbidden, CodeNoActor,
				"The caller has no name. Call the API on its unix socket, or behind a Middleware of otelauth.")
		}
		if err == nil {
			err = serve(w, r)
		}
		if err != nil {
			writeRefusal(w, err)
		}
	}
}

// checkOrigin refuses requests that a page of another origin made a browser send, reads included:
// an answer that the page cannot see would still take time that it can measure.
func checkOrigin(r *http.Request) error {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return nil
		}
	default:
		return refuse(http.StatusForbidden, CodeForeignOrigin, "A page of another origin made the browser send this request.")
	}
	// Browsers without Sec-Fetch-Site send Origin with every POST.
	if http.NewCrossOriginProtection().Check(r) != nil {
		return refuse(http.StatusForbidden, CodeForeignOrigin, "A page of another origin made the browser send this request.")
	}
	return nil
}

func writeJSON(w http.ResponseWriter, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n')) // the client may be gone
	return nil
}

// writeRefusal answers with the problem document of an error.
func writeRefusal(w http.ResponseWriter, err error) {
	f := asRefusal(err)
	if f.Code == CodeReauthenticate {
		w.Header().Set("WWW-Authenticate", `Basic realm="operator", charset="UTF-8"`)
	}
	text, errText := json.Marshal(f)
	if errText != nil {
		return // strings and an int always marshal
	}
	w.Header().Set("Content-Type", problem.MediaType)
	w.WriteHeader(f.Status)
	_, _ = w.Write(append(text, '\n'))
}
