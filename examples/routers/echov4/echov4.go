// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package echov4 puts otelauth around an echo v4 router.
package echov4

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/otelauth/otelauth-go/otelauth"
)

// Routes finds the endpoints of echo's default router.
func Routes(e *echo.Echo) otelauth.RouteFunc {
	return func(r *http.Request) string {
		c := e.AcquireContext()
		defer e.ReleaseContext(c)
		c.Reset(r, nil)
		e.Router().Find(r.Method, echo.GetPath(r), c)
		return c.Path()
	}
}

// New returns the service without otelhttp.
func New(cfg otelauth.Config) (http.Handler, *otelauth.Middleware, error) {
	e := echo.New()
	cfg.Routes = Routes(e)
	mw, err := otelauth.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	e.GET("/orders/:id", func(c echo.Context) error {
		user, _ := otelauth.UserFromContext(c.Request().Context())
		return c.String(http.StatusOK, user.Name)
	})
	e.GET("/admin", func(echo.Context) error { return echo.ErrForbidden })
	return mw.Wrap(e), mw, nil
}
