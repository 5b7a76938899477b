// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package gin puts otelauth inside of a gin engine, because gin does not report the endpoint of a
// request to outer handlers.
package gin

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/otelauth/otelauth-go/otelauth"
)

// Middleware adapts mw, whose Config.Routes is nil.
func Middleware(mw *otelauth.Middleware) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed, outer := false, c.Writer
		c.Request.Pattern = c.FullPath()
		mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			passed = true
			c.Request, c.Writer = r, &writer{ResponseWriter: outer, seen: w}
			c.Next()
		})).ServeHTTP(outer, c.Request)
		if c.Writer = outer; !passed {
			c.Abort()
		}
	}
}

// New returns the service without otelhttp.
func New(cfg otelauth.Config) (http.Handler, *otelauth.Middleware, error) {
	mw, err := otelauth.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(Middleware(mw))
	engine.GET("/orders/:id", func(c *gin.Context) {
		user, _ := otelauth.UserFromContext(c.Request.Context())
		c.String(http.StatusOK, user.Name)
	})
	engine.GET("/admin", func(c *gin.Context) { c.AbortWithStatus(http.StatusForbidden) })
	return engine, mw, nil
}
