// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"net/http"
	"strings"

	auth "github.com/abbot/go-http-auth"
	"github.com/tg123/go-htpasswd"
)

// goHTPasswd is the library behind the basicauth extension of the OpenTelemetry collector: it
// hashes on every request.
var goHTPasswd = Peer{
	Name: "go-htpasswd", Title: "tg123/go-htpasswd (no cache)", Module: "github.com/tg123/go-htpasswd", Hashed: true,
	New: func(users []User, next http.Handler) (*Service, error) {
		var lines strings.Builder
		for _, u := range users {
			lines.WriteString(u.Name + ":" + u.Hash + "\n")
		}
		counts := new(Counts)
		bcrypt := func(encoded string) (htpasswd.EncodedPasswd, error) {
			p, err := htpasswd.AcceptBcrypt(encoded)
			if p == nil || err != nil {
				return nil, err
			}
			return countingPassword{p, counts}, nil
		}
		file, err := htpasswd.NewFromReader(strings.NewReader(lines.String()), []htpasswd.PasswdParser{bcrypt}, nil)
		if err != nil {
			return nil, err
		}
		verify := func(r *http.Request) bool {
			name, pw, ok := r.BasicAuth()
			return ok && file.Match(name, pw)
		}
		handler := func(w http.ResponseWriter, r *http.Request) {
			if !verify(r) {
				w.Header().Set("WWW-Authenticate", `Basic realm="compare"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		}
		return &Service{Handler: http.HandlerFunc(handler), Verify: verify, Counts: counts}, nil
	},
}

type countingPassword struct {
	htpasswd.EncodedPasswd
	counts *Counts
}

func (p countingPassword) MatchesPassword(pw string) bool {
	right := p.EncodedPasswd.MatchesPassword(pw)
	p.counts.Add(right)
	return right
}

// goHTTPAuth is the oldest of the libraries; it hashes on every request too.
var goHTTPAuth = Peer{
	Name: "go-http-auth", Title: "abbot/go-http-auth (no cache)", Module: "github.com/abbot/go-http-auth", Hashed: true,
	New: func(users []User, next http.Handler) (*Service, error) {
		hashes := make(map[string]string, len(users))
		for _, u := range users {
			hashes[u.Name] = u.Hash
		}
		a := auth.NewBasicAuthenticator("compare", func(name, _ string) string { return hashes[name] })
		return &Service{
			Handler: a.Wrap(func(w http.ResponseWriter, r *auth.AuthenticatedRequest) { next.ServeHTTP(w, &r.Request) }),
			Verify:  func(r *http.Request) bool { return a.CheckAuth(r) != "" },
		}, nil
	},
}
