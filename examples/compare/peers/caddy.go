// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
)

// caddyPeer is Caddy's basic_auth with the hash cache that its Caddyfile directive switches on.
// Verify is the provider. Handler is Caddy's authentication handler around it, inside a net/http
// server; the rest of Caddy's own server is not included.
var caddyPeer = Peer{
	Name: "caddy", Title: "Caddy basic_auth, hash cache", Module: "github.com/caddyserver/caddy/v2", Hashed: true,
	New: func(users []User, next http.Handler) (*Service, error) {
		accounts := make([]caddyauth.Account, len(users))
		for i, u := range users {
			accounts[i] = caddyauth.Account{Username: u.Name, Password: u.Hash}
		}
		provider := caddyauth.HTTPBasicAuth{AccountList: accounts, Realm: "compare", HashCache: new(caddyauth.Cache)}
		config, err := json.Marshal(provider)
		if err != nil {
			return nil, fmt.Errorf("peers: caddy: %w", err)
		}
		ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
		auth := &caddyauth.Authentication{ProvidersRaw: caddy.ModuleMap{"http_basic": config}}
		if err := auth.Provision(ctx); err != nil {
			cancel()
			return nil, fmt.Errorf("peers: caddy: %w", err)
		}
		ready, ok := auth.Providers["http_basic"].(*caddyauth.HTTPBasicAuth)
		if !ok {
			cancel()
			return nil, fmt.Errorf("peers: caddy: provider is a %T", auth.Providers["http_basic"])
		}
		counts := new(Counts)
		ready.Hash = countingComparer{ready.Hash, counts}

		inner := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			next.ServeHTTP(w, r)
			return nil
		})
		handler := func(w http.ResponseWriter, r *http.Request) {
			if r.Context().Value(caddy.ReplacerCtxKey) == nil {
				r = withReplacer(r)
			}
			if err := auth.ServeHTTP(w, r, inner); err != nil {
				status := http.StatusInternalServerError
				if refused := (caddyhttp.HandlerError{}); errors.As(err, &refused) {
					status = refused.StatusCode
				}
				w.WriteHeader(status)
			}
		}
		return &Service{
			Handler: http.HandlerFunc(handler),
			Verify: func(r *http.Request) bool {
				_, right, err := ready.Authenticate(nowhere{}, r)
				return right && err == nil
			},
			Counts:  counts,
			Prepare: withReplacer,
			close:   func() error { cancel(); return nil },
		}, nil
	},
}

// withReplacer gives a request the replacer that Caddy's server creates for each request.
func withReplacer(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer()))
}

// countingComparer counts the runs of a hash function. The counters cost nanoseconds beside a
// hash, and a cached credential does not reach them.
type countingComparer struct {
	caddyauth.Comparer
	counts *Counts
}

func (c countingComparer) Compare(hashed, plaintext []byte) (bool, error) {
	same, err := c.Comparer.Compare(hashed, plaintext)
	c.counts.Add(same)
	return same, err
}

// nowhere is a ResponseWriter for verifiers that write their challenge to one.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}
