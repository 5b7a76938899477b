// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
)

// noAuth is the cost of the protected handler alone.
var noAuth = Peer{
	Name: "noauth", Title: "no auth", Open: true,
	New: func(_ []User, next http.Handler) (*Service, error) { return &Service{Handler: next}, nil },
}

// bare is the minimum that a Go service can do: parse with the standard library and compare
// digests of the plaintext. Its Verify only parses, and is the unit of the comparison.
var bare = Peer{
	Name: "basicauth", Title: "r.BasicAuth()",
	New: func(users []User, next http.Handler) (*Service, error) {
		digests := make(map[string][sha256.Size]byte, len(users))
		for _, u := range users {
			digests[u.Name] = sha256.Sum256([]byte(u.Password))
		}
		handler := func(w http.ResponseWriter, r *http.Request) {
			name, pw, ok := r.BasicAuth()
			got, want := sha256.Sum256([]byte(pw)), digests[name]
			if !ok || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				w.Header().Set("WWW-Authenticate", `Basic realm="compare"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		}
		return &Service{Handler: http.HandlerFunc(handler), Verify: parses}, nil
	},
}

// parses calls r.BasicAuth() and does nothing else.
func parses(r *http.Request) bool {
	_, _, ok := r.BasicAuth()
	return ok
}
