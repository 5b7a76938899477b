// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package listed_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	echov4 "github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"

	"github.com/otelauth/otelauth-go/examples/routers/listed"
	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// value gives an order for each route of an order, and nothing for other parameters.
func value(pattern string) string {
	if strings.HasPrefix(pattern, "/orders/") {
		return "/orders/7"
	}
	return ""
}

func texts(list []probe.Endpoint) []string {
	var all []string
	for _, e := range list {
		text := e.String()
		if e.Skip != "" {
			text += " skipped"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

func TestRoutersAreListed(t *testing.T) {
	t.Parallel()
	nothing := func(http.ResponseWriter, *http.Request) {}
	c := chi.NewRouter()
	c.Get("/stock", nothing)
	c.Route("/orders", func(r chi.Router) { r.Get("/{id}", nothing) })
	c.Post("/customers/{name}", nothing)
	fromChi, err := listed.Chi(c, value)
	if err != nil {
		t.Fatal(err)
	}
	m := mux.NewRouter()
	m.HandleFunc("/stock", nothing)
	m.HandleFunc("/orders/{id}", nothing).Methods(http.MethodGet)
	m.HandleFunc("/customers/{name}", nothing).Methods(http.MethodPost)
	fromMux, err := listed.Gorilla(m, value)
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.GET("/stock", func(*gin.Context) {})
	g.GET("/orders/:id", func(*gin.Context) {})
	g.POST("/customers/:name", func(*gin.Context) {})
	e4 := echov4.New()
	e4.GET("/stock", func(echov4.Context) error { return nil })
	e4.GET("/orders/:id", func(echov4.Context) error { return nil })
	e4.POST("/customers/:name", func(echov4.Context) error { return nil })
	e5 := echov5.New()
	e5.GET("/stock", func(*echov5.Context) error { return nil })
	e5.GET("/orders/:id", func(*echov5.Context) error { return nil })
	e5.POST("/customers/:name", func(*echov5.Context) error { return nil })
	for router, list := range map[string][]probe.Endpoint{
		"chi": fromChi, "gorilla": fromMux, "gin": listed.Gin(g, value), "echo v4": listed.EchoV4(e4, value), "echo v5": listed.EchoV5(e5, value),
	} {
		got := texts(list)
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], "{name}", ":name")
		}
		if want := []string{"GET /orders/7", "GET /stock", "POST /customers/:name skipped"}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", router, got, want)
		}
	}
}
