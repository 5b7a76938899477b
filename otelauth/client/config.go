// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// Config configures a [Transport]. Required are Origins and exactly one source of credentials:
// Name and Password, File, Directory or Source. The zero Config is an error.
type Config struct {
	// Origins lists where credentials are sent, at least one: "https://orders.example",
	// "https://10.0.0.7:8443". Scheme and host are case-insensitive, the default port is optional,
	// and a path is an error. Write a host that is not ASCII in its xn-- form, also in request
	// URLs.
	Origins []string

	// Name and Password are fixed credentials. A Name holds no colon (RFC 7617 section 2).
	Name     string
	Password credential.Secret
	// File names a file with one line, "name:password", of at most 8 KiB. Each request checks it
	// for changes. While it is missing or invalid, the last good credentials are used; New returns
	// an error. Replace the file by a rename, because half of a password is also a password.
	File string
	// Directory names a directory with two files of one line, username and password, such as a
	// mounted Kubernetes Secret of type kubernetes.io/basic-auth. Otherwise it is like File.
	Directory string
	// Source is called for every request. New does not call it.
	Source Source

	// OnReload is called after each change of File or Directory. Its argument is nil when new
	// credentials are used, otherwise the reason why the previous ones still are. It is called
	// during a request and must not block. nil: no callback.
	OnReload func(error)

	// DangerouslyAllowPlaintextFrom are the networks to which credentials may go over http. nil
	// allows loopback only; loopback is always allowed. An http origin with a host name other than
	// localhost needs at least one network and a Base that is an *http.Transport: the remote
	// address of each connection is checked.
	DangerouslyAllowPlaintextFrom []netip.Prefix

	// Base sends the requests; nil means a copy of http.DefaultTransport. An *http.Transport is
	// copied when an origin is plaintext, to check its connections and its proxy. For any other
	// RoundTripper an http origin must be an IP address or localhost, and the RoundTripper must
	// not use a proxy for it.
	Base http.RoundTripper

	// TracerProvider, MeterProvider and Propagators configure the otelhttp instrumentation of each
	// request. nil has the defaults of otelhttp: the provider of the calling span or else the
	// global one, the global meter provider, and the global propagator, which propagates nothing
	// until set.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagators    propagation.TextMapPropagator
	// Uninstrumented omits otelhttp, for programs that wrap the Transport in their own
	// otelhttp.NewTransport. The three fields above are then unused. Default: false.
	Uninstrumented bool
}

// New returns a Transport for cfg. It reads File or Directory. The error joins one error for each
// problem of cfg, and each names its field.
func New(cfg Config) (*Transport, error) {
	var p problems
	base := cfg.base(&p)
	allowed := cfg.plaintextNetworks(&p)
	httpTransport, canCheck := base.(*http.Transport)
	origins := cfg.parseOrigins(&p, allowed, canCheck)
	src, err := cfg.source()
	if err != nil {
		p = append(p, err)
	}
	if len(p) > 0 {
		return nil, errors.Join(p...)
	}

	if canCheck && hasPlaintext(origins) {
		base = guard(httpTransport, origins, allowed)
	}
	a := &authenticator{base: base, origins: origins, source: src, isInstrumented: !cfg.Uninstrumented}
	t := &Transport{auth: a, outer: a}
	if a.isInstrumented {
		t.outer = otelhttp.NewTransport(a, cfg.otelhttpOptions()...)
	}
	return t, nil
}

// problems collects the errors of a Config, so that New reports all of them at once.
type problems []error

func (p *problems) add(field string, err error) {
	*p = append(*p, fmt.Errorf("otelauth/client: Config.%s: %w", field, err))
}

func (cfg *Config) base(p *problems) http.RoundTripper {
	base := cfg.Base
	if base == nil {
		base = http.DefaultTransport
		if t, ok := base.(*http.Transport); ok {
			// CloseIdleConnections must not close the connections of the whole program
			base = t.Clone()
		}
	}
	if _, ok := base.(*otelhttp.Transport); ok {
		p.add("Base", errors.New("is instrumented already; set the RoundTripper inside of it, "+
			"or set Uninstrumented and wrap the Transport in otelhttp.NewTransport"))
	}
	return base
}

func (cfg *Config) plaintextNetworks(p *problems) (allowed networks) {
	for i, n := range cfg.DangerouslyAllowPlaintextFrom {
		if !n.IsValid() || n.Addr().Is4In6() {
			p.add(fmt.Sprintf("DangerouslyAllowPlaintextFrom[%d]", i),
				errors.New("is not a network; use netip.ParsePrefix, and write IPv4 networks as IPv4"))
			continue
		}
		allowed = append(allowed, n.Masked())
	}
	return allowed
}

// parseOrigins parses Config.Origins. canCheck means that the connections of Base are checked
// later.
func (cfg *Config) parseOrigins(p *problems, allowed networks, canCheck bool) map[origin]struct{} {
	if len(cfg.Origins) == 0 {
		p.add("Origins", errors.New(`is empty; list where the credentials go, such as "https://orders.example"`))
	}
	origins := make(map[origin]struct{}, len(cfg.Origins))
	for i, s := range cfg.Origins {
		o, err := parseOrigin(s)
		if err == nil && o.isPlaintext() {
			err = allowed.allowOrigin(o, canCheck)
		}
		if err != nil {
			p.add(fmt.Sprintf("Origins[%d]", i), err)
			continue
		}
		origins[o] = struct{}{}
	}
	return origins
}

func hasPlaintext(origins map[origin]struct{}) bool {
	for o := range origins {
		if o.isPlaintext() {
			return true
		}
	}
	return false
}

func (cfg *Config) source() (source, error) {
	given := 0
	for _, set := range []bool{
		cfg.Name != "" || cfg.Password.Len() > 0,
		cfg.File != "", cfg.Directory != "", cfg.Source != nil,
	} {
		if set {
			given++
		}
	}
	if given != 1 {
		return nil, fmt.Errorf("otelauth/client: Config: %d of Name with Password, File, Directory and Source are set; "+
			"set exactly one", given)
	}
	switch {
	case cfg.File != "":
		f, err := openFile(cfg.OnReload, cfg.File)
		if err != nil {
			return nil, fmt.Errorf("otelauth/client: Config.File: %w", err)
		}
		return f, nil
	case cfg.Directory != "":
		f, err := openFile(cfg.OnReload, filepath.Join(cfg.Directory, "username"), filepath.Join(cfg.Directory, "password"))
		if err != nil {
			return nil, fmt.Errorf("otelauth/client: Config.Directory: %w", err)
		}
		return f, nil
	case cfg.Source != nil:
		return cfg.Source, nil
	}
	if _, err := credential.Encode(cfg.Name, cfg.Password); err != nil {
		return nil, fmt.Errorf("otelauth/client: Config.Name, Config.Password: %w", err)
	}
	return static{cfg.Name, cfg.Password}, nil
}

func (cfg *Config) otelhttpOptions() []otelhttp.Option {
	var opts []otelhttp.Option
	if cfg.TracerProvider != nil {
		opts = append(opts, otelhttp.WithTracerProvider(cfg.TracerProvider))
	}
	if cfg.MeterProvider != nil {
		opts = append(opts, otelhttp.WithMeterProvider(cfg.MeterProvider))
	}
	if cfg.Propagators != nil {
		opts = append(opts, otelhttp.WithPropagators(cfg.Propagators))
	}
	return opts
}
