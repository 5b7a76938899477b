// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// The two oracles: content that a caller must never receive.
func forbidden(who account, k kind) bool {
	return k == restricted && who != root || k == protected && who == anonymous
}

// auth is the configuration that all tests share. It records nothing.
func auth() otelauth.Config {
	return otelauth.Config{Accounts: accounts(), Throttle: throttle.DangerouslyNone{}, Observers: []attempt.Observer{}}
}

func newGateway(t testing.TB, cfg gateway.Config) *gateway.Gateway {
	t.Helper()
	cfg.Auth, cfg.Uninstrumented = auth(), true
	if cfg.Rules == nil {
		cfg.Rules = rules()
	}
	if cfg.ForwardAuth != gateway.NoForwardAuth {
		cfg.Auth.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	}
	gw, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gw.Shutdown(context.Background()) })
	return gw
}

// defect is a request that received forbidden content.
type defect struct {
	where string // what was asked, and how
	who   account
	got   kind
	in    input
}

// library is a router with the middleware.
type library struct {
	name    string
	handler http.Handler
}

// judge asks the gateway's policy and the library in process, without a connection.
type judge struct {
	mirrors   *mirrors
	policies  map[string]http.Handler // they answer as forward-auth for nginx
	libraries []library
	passed    int // requests that a policy let through
}

func newJudge(t testing.TB) *judge {
	t.Helper()
	j := &judge{mirrors: newMirrors(), policies: map[string]http.Handler{
		"policy":              newGateway(t, gateway.Config{ForwardAuth: gateway.Nginx}),
		"policy, raw paths":   newGateway(t, gateway.Config{ForwardAuth: gateway.Nginx, AllowRawPaths: []string{"/"}}),
		"policy, raw /files/": newGateway(t, gateway.Config{ForwardAuth: gateway.Nginx, AllowRawPaths: []string{"/files/"}}),
	}}
	for _, r := range routers() {
		for _, named := range []bool{true, false} {
			if l, ok := newLibrary(t, r, named); ok {
				j.libraries = append(j.libraries, l)
			}
		}
	}
	// A handler that reads paths in its own way.
	l, _ := newLibrary(t, router{"lenient handlers", func(*otelauth.Middleware) (http.Handler, otelauth.Routes) {
		return http.HandlerFunc(worst), otelauth.RouteFunc(nil)
	}}, false)
	j.libraries = append(j.libraries, l)
	return j
}

// newLibrary puts the middleware around or into a router. Only with Config.Routes can it know
// that "/u/me" is not the public "/u/{id}".
func newLibrary(t testing.TB, r router, named bool) (library, bool) {
	t.Helper()
	cfg := auth()
	cfg.Public = []string{"GET /healthz", "/static/"}
	site, routes := r.build(nil)
	name := r.name
	if named {
		if routes == nil {
			return library{}, false
		}
		cfg.Routes, cfg.Public, name = routes, append(cfg.Public, "/u/{id}"), name+" with Routes"
	}
	mw, err := otelauth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mw.Close() })
	if routes == nil {
		inside, _ := r.build(mw)
		return library{name + " inside", inside}, true
	}
	return library{name, mw.Wrap(site)}, true
}

// worst answers with the worst kind that any reading shows.
func worst(w http.ResponseWriter, r *http.Request) {
	found := public
	for _, reading := range readings {
		if k := reading.read(r.RequestURI); k != public {
			found = k
		}
	}
	mark(found, "")(w, r)
}

// check returns the defects that an input shows.
func (j *judge) check(in input) (found []defect) {
	for _, who := range []account{anonymous, alice} {
		r := parse(in, who)
		for name, policy := range j.policies {
			if !asks(policy, in, who) {
				continue
			}
			j.passed++
			j.mirrors.each(in.target, r, func(mirror string, k kind) {
				if forbidden(who, k) {
					found = append(found, defect{name + " / " + mirror, who, k, in})
				}
			})
		}
	}
	if r := parse(in, anonymous); r != nil {
		for _, l := range j.libraries {
			if k := show(l.handler, r); k == restricted || k == protected {
				found = append(found, defect{"library / " + l.name, anonymous, k, in})
			}
		}
	}
	return found
}

// asks reports whether forward-auth lets a request pass. A proxy cannot ask about what no
// header holds.
func asks(policy http.Handler, in input, who account) bool {
	if strings.ContainsFunc(in.target, func(r rune) bool { return r < ' ' || r == 0x7F }) {
		return false
	}
	return ask(policy, in, who) == http.StatusOK
}

func newReader(b []byte) *bufio.Reader { return bufio.NewReaderSize(bytes.NewReader(b), 512) }

// minimise removes from an input what the defect does not need.
func minimise(in input, shows func(input) bool) input {
	budget := 400
	try := func(candidate input) bool {
		if budget == 0 || candidate.target == "" || candidate.target[0] != '/' {
			return false
		}
		budget--
		if shows(candidate) {
			in = candidate
			return true
		}
		return false
	}
	for _, simpler := range []input{
		{method: in.method, target: in.target, host: in.host}, {method: in.method, target: in.target}, {method: http.MethodGet, target: in.target},
	} {
		try(simpler)
	}
	for size := len(in.target) / 2; size > 0; size /= 2 {
		for i := 0; i+size <= len(in.target); {
			candidate := in
			candidate.target = in.target[:i] + in.target[i+size:]
			if !try(candidate) {
				i += size
			}
		}
	}
	for i := 0; i+2 < len(in.target); i++ { // what is encoded without need
		candidate := in
		candidate.target = in.target[:i] + decode(in.target[i:i+3]) + in.target[i+3:]
		if candidate.target != in.target && !strings.ContainsAny(candidate.target, " \r\n") {
			try(candidate)
		}
	}
	return in
}
