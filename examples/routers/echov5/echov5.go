// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package echov5 puts otelauth inside of an echo v5 router.
package echov5

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/otelauth/otelauth-go/otelauth"
)

// Middleware adapts mw, whose Config.Routes is nil, because echo v5 has found the endpoint before.
// Unlike echo.WrapMiddleware it answers the handler's error inside of otelauth, which then records
// the status.
func Middleware(mw *otelauth.Middleware) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			outer := c.Response()
			c.Request().Pattern = c.Path()
			mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.SetRequest(r)
				c.SetResponse(echo.NewResponse(w, c.Logger()))
				if err := next(c); err != nil {
					c.Echo().HTTPErrorHandler(c, err)
				}
				c.SetResponse(outer)
			})).ServeHTTP(outer, c.Request())
			return nil
		}
	}
}

// New returns the service without otelhttp.
func New(cfg otelauth.Config) (http.Handler, *otelauth.Middleware, error) {
	mw, err := otelauth.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	e := echo.New()
	e.Use(Middleware(mw))
	e.GET("/orders/:id", func(c *echo.Context) error {
		user, _ := otelauth.UserFromContext(c.Request().Context())
		return c.String(http.StatusOK, user.Name)
	})
	e.GET("/admin", func(*echo.Context) error { return echo.ErrForbidden })
	return e, mw, nil
}
