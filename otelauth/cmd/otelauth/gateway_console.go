// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net/http"

	"github.com/otelauth/otelauth-go/otelauth/console"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// consoleFlags configure the operator's page.
type consoleFlags struct {
	Console          bool   `via:"console:API" help:"Serve the operator's page on --admin-listen, at /-/operator/, to the members of --operator-group. Default: only the API is there."`
	ConsoleTraceLink string `sets:"console:TraceLink" placeholder:"URL" help:"Address of a trace in your backend, for a link on the page. {trace_id} is replaced by the id: 'https://backend.example/trace/{trace_id}'. Default: no link."`
}

// check reports problems of the flags.
func (f *consoleFlags) check(p *problems, g *gatewayFlags) {
	if !f.Console {
		if f.ConsoleTraceLink != "" {
			p.report("console-trace-link", errors.New("has no effect without --console"))
		}
		return
	}
	if g.OperatorGroup == "" {
		p.report("console", errors.New("needs --operator-group, the group whose members may open the page, and --admin-listen, the address on which it is served"))
	}
	_, err := f.page(p.settings, http.NotFoundHandler())
	p.report("console-trace-link", err)
}

// page returns the handler of the page.
func (f *consoleFlags) page(s *settings, api http.Handler) (http.Handler, error) {
	var cfg console.Config
	apply(s.flags, "console", &cfg)
	cfg.API = api
	return console.New(cfg)
}

// wire sets the page in cfg, in front of the API.
func (f *consoleFlags) wire(cfg *gateway.Config, s *settings) {
	if !f.Console || cfg.Operator == nil {
		return
	}
	if page, err := f.page(s, cfg.Operator); err == nil { // check has reported the error
		cfg.Operator = page
	}
}
