// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"crypto/subtle"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"
)

// plaintext returns the accounts in the form that chi, gin and echo need.
func plaintext(users []User) map[string]string {
	m := make(map[string]string, len(users))
	for _, u := range users {
		m[u.Name] = u.Password
	}
	return m
}

var chiPeer = Peer{
	Name: "chi", Title: "chi (plaintext)", Module: "github.com/go-chi/chi/v5",
	New: func(users []User, next http.Handler) (*Service, error) {
		r := chi.NewRouter()
		r.Use(chimiddleware.BasicAuth("compare", plaintext(users)))
		r.Handle("/", next)
		return &Service{Handler: r}, nil
	},
}

var ginPeer = Peer{
	Name: "gin", Title: "gin (plaintext)", Module: "github.com/gin-gonic/gin",
	New: func(users []User, next http.Handler) (*Service, error) {
		gin.SetMode(gin.ReleaseMode) // its debug mode prints every route
		r := gin.New()
		r.Use(gin.BasicAuthForRealm(plaintext(users), "compare"))
		r.Any("/", gin.WrapH(next))
		return &Service{Handler: r}, nil
	},
}

var echoPeer = Peer{
	Name: "echo", Title: "echo (plaintext)", Module: "github.com/labstack/echo/v5",
	New: func(users []User, next http.Handler) (*Service, error) {
		passwords := plaintext(users)
		e := echo.New()
		// The comparison that echo's documentation recommends.
		e.Use(echomiddleware.BasicAuth(func(_ *echo.Context, name, pw string) (bool, error) {
			want, ok := passwords[name]
			return subtle.ConstantTimeCompare([]byte(pw), []byte(want)) == 1 && ok, nil
		}))
		e.Any("/", echo.WrapHandler(next))
		return &Service{Handler: e}, nil
	},
}
