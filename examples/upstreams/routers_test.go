// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"net/http"

	ginrouter "github.com/gin-gonic/gin"
	chirouter "github.com/go-chi/chi/v5"
	gorillarouter "github.com/gorilla/mux"
	echo4router "github.com/labstack/echo/v4"
	echo5router "github.com/labstack/echo/v5"

	"github.com/otelauth/otelauth-go/examples/routers/chi"
	"github.com/otelauth/otelauth-go/examples/routers/echov4"
	"github.com/otelauth/otelauth-go/examples/routers/echov5"
	"github.com/otelauth/otelauth-go/examples/routers/gin"
	"github.com/otelauth/otelauth-go/examples/routers/gorilla"
	"github.com/otelauth/otelauth-go/otelauth"
)

// router builds the site with a Go router. With inside set, the middleware is part of the
// router. routes names the endpoint of a request for Config.Routes; it is nil where the
// middleware is inside.
type router struct {
	name  string
	build func(inside *otelauth.Middleware) (site http.Handler, routes otelauth.Routes)
}

// routers are all routers of examples/routers, each in every mode that changes how it reads a
// path.
func routers() []router {
	return []router{
		{"ServeMux", func(*otelauth.Middleware) (http.Handler, otelauth.Routes) {
			m := serveMux()
			return m, m
		}},
		{"chi", func(*otelauth.Middleware) (http.Handler, otelauth.Routes) {
			r := chiRouter()
			return r, chi.Routes(r)
		}},
		{"echo v4", func(*otelauth.Middleware) (http.Handler, otelauth.Routes) {
			e := echo4Router()
			return e, echov4.Routes(e)
		}},
		{"echo v5", func(inside *otelauth.Middleware) (http.Handler, otelauth.Routes) { return echo5Router(inside), nil }},
		{"gorilla", func(*otelauth.Middleware) (http.Handler, otelauth.Routes) {
			r := gorillaRouter(gorillarouter.NewRouter())
			return r, gorilla.Routes(r)
		}},
		{"gorilla UseEncodedPath", func(*otelauth.Middleware) (http.Handler, otelauth.Routes) {
			r := gorillaRouter(gorillarouter.NewRouter().UseEncodedPath().SkipClean(true))
			return r, gorilla.Routes(r)
		}},
		{"gin", func(inside *otelauth.Middleware) (http.Handler, otelauth.Routes) {
			return ginRouter(inside, false), nil
		}},
		{"gin UseRawPath", func(inside *otelauth.Middleware) (http.Handler, otelauth.Routes) { return ginRouter(inside, true), nil }},
	}
}

func serveMux() *http.ServeMux {
	m := http.NewServeMux()
	m.Handle("GET /healthz", mark(public, "healthz"))
	m.Handle("/static/", mark(public, "static"))
	m.Handle("/u/{id}", mark(public, "u"))
	m.Handle("/u/me", mark(restricted, "me"))
	m.Handle("/admin/", mark(restricted, "admin"))
	m.Handle("/access/", mark(restricted, "access"))
	m.Handle("/files/private/", mark(restricted, "private"))
	m.Handle("/", mark(protected, "rest"))
	return m
}

func chiRouter() *chirouter.Mux {
	r := chirouter.NewRouter()
	r.Get("/healthz", mark(public, "healthz"))
	r.Head("/healthz", mark(public, "healthz"))
	r.Handle("/static/*", mark(public, "static"))
	r.Handle("/u/{id}", mark(public, "u"))
	r.Handle("/u/me", mark(restricted, "me"))
	r.Handle("/admin/*", mark(restricted, "admin"))
	r.Handle("/access/*", mark(restricted, "access"))
	r.Handle("/files/private/*", mark(restricted, "private"))
	r.Handle("/*", mark(protected, "rest"))
	return r
}

func echo4Router() *echo4router.Echo {
	e := echo4router.New()
	any4 := func(path string, k kind) { e.Any(path, echo4router.WrapHandler(mark(k, path))) }
	e.Match([]string{http.MethodGet, http.MethodHead}, "/healthz", echo4router.WrapHandler(mark(public, "healthz")))
	any4("/static/*", public)
	any4("/u/:id", public)
	any4("/u/me", restricted)
	any4("/admin/*", restricted)
	any4("/access/*", restricted)
	any4("/files/private/*", restricted)
	any4("/*", protected)
	return e
}

func echo5Router(inside *otelauth.Middleware) *echo5router.Echo {
	e := echo5router.New()
	if inside != nil {
		e.Use(echov5.Middleware(inside))
	}
	any5 := func(path string, k kind) { e.Any(path, echo5router.WrapHandler(mark(k, path))) }
	e.Match([]string{http.MethodGet, http.MethodHead}, "/healthz", echo5router.WrapHandler(mark(public, "healthz")))
	any5("/static/*", public)
	any5("/u/:id", public)
	any5("/u/me", restricted)
	any5("/admin/*", restricted)
	any5("/access/*", restricted)
	any5("/files/private/*", restricted)
	any5("/*", protected)
	return e
}

func gorillaRouter(r *gorillarouter.Router) *gorillarouter.Router {
	r.Handle("/healthz", mark(public, "healthz")).Methods(http.MethodGet, http.MethodHead)
	r.PathPrefix("/static/").Handler(mark(public, "static"))
	r.Handle("/u/me", mark(restricted, "me"))
	r.Handle("/u/{id}", mark(public, "u"))
	r.PathPrefix("/admin/").Handler(mark(restricted, "admin"))
	r.PathPrefix("/access/").Handler(mark(restricted, "access"))
	r.PathPrefix("/files/private/").Handler(mark(restricted, "private"))
	r.PathPrefix("/").Handler(mark(protected, "rest"))
	return r
}

func ginRouter(inside *otelauth.Middleware, rawPath bool) *ginrouter.Engine {
	ginrouter.SetMode(ginrouter.ReleaseMode)
	e := ginrouter.New()
	e.UseRawPath = rawPath
	if inside != nil {
		e.Use(gin.Middleware(inside))
	}
	e.Match([]string{http.MethodGet, http.MethodHead}, "/healthz", ginrouter.WrapH(mark(public, "healthz")))
	e.Any("/static/*rest", ginrouter.WrapH(mark(public, "static")))
	e.Any("/u/:id", ginrouter.WrapH(mark(public, "u")))
	e.Any("/u/me", ginrouter.WrapH(mark(restricted, "me")))
	e.Any("/admin/*rest", ginrouter.WrapH(mark(restricted, "admin")))
	e.Any("/access/*rest", ginrouter.WrapH(mark(restricted, "access")))
	e.Any("/files/private/*rest", ginrouter.WrapH(mark(restricted, "private")))
	e.NoRoute(func(c *ginrouter.Context) {
		switch c.Request.Method {
		case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE":
			c.Status(http.StatusOK)
			mark(protected, "rest")(c.Writer, c.Request)
		default: // Any does not know the method, so that "/static/*rest" falls to here
			c.Status(http.StatusMethodNotAllowed)
		}
	})
	return e
}
