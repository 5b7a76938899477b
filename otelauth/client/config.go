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

// Config says which credentials go where. Origins and exactly one of the four ways to give credentials
// (Name and Password, File, Directory, Source) are required; its zero value is an error.
type Config struct {
	// Origins are where credentials are sent: "https://orders.example", "https://10.0.0.7:8443". Scheme and
	// host in any case, the port may be left out when it is the scheme's own, nothing after it. At least one.
	// A host that is not ASCII is written in its xn-- form, here and in the URLs of requests.
	Origins []string

	// Name and Password never change. A Name holds no colon (RFC 7617 section 2).
	Name     string
	Password credential.Secret
	// File holds one line, "name:password", at most 8 KiB. It is looked at for every request and read again when
	// it changed. A file that is gone or broken keeps the last good credentials; at New it is an error. Replace
	// it by rename: half of a password is a password too.
	File string
	// Directory holds two files, username and password, each one line: a mounted Kubernetes Secret of type
	// kubernetes.io/basic-auth. Otherwise like File.
	Directory string
	// Source is asked for every request. It is not called by New.
	Source Source

	// OnReload is told of each change of File or Directory: nil when new credentials are served, otherwise why the
	// former still are. It is called during a request and must not block. nil tells nobody.
	OnReload func(error)

	// DangerouslyAllowPlaintextFrom are the networks to which credentials may go over http. Loopback is always
	// allowed. An http origin with a host name other than localhost needs at least one, and each
	// connection to it is judged by the address that it reached, which takes a Base that is an
	// *http.Transport. nil allows loopback only.
	DangerouslyAllowPlaintextFrom []netip.Prefix

	// Base sends the requests; nil means a copy of http.DefaultTransport. An *http.Transport is copied when an
	// origin is plaintext, to guard its connections and its proxy. Of any other RoundTripper neither can be seen: it must
	// not proxy what is sent to an http origin, and such an origin is an IP address or localhost.
	Base http.RoundTripper

	// TracerProvider, MeterProvider and Propagators are those of the otelhttp instrumentation around each request.
	// nil means what otelhttp means by it: the provider of the calling span or else the global one, the global meter
	// provider and the global propagator, which propagates nothing until the program sets one.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagators    propagation.TextMapPropagator
	// Uninstrumented leaves otelhttp out, for those who put their own otelhttp.NewTransport around the
	// Transport. The three fields above are then unused. false instruments.
	Uninstrumented bool
}

// New returns a Transport, or every fault of cfg at once, joined by [errors.Join]; each names its field.
// File and Directory are read. cfg is not kept.
func New(cfg Config) (*Transport, error) {
	var faults []error
	fault := func(field string, err error) {
		faults = append(faults, fmt.Errorf("otelauth/client: Config.%s: %w", field, err))
	}

	base := cfg.Base
	if base == nil {
		base = http.DefaultTransport
		if t, ok := base.(*http.Transport); ok {
			base = t.Clone() // CloseIdleConnections must not close those of the whole program
		}
	}
	if _, ok := base.(*otelhttp.Transport); ok {
		fault("Base", errors.New("is instrumented already; give the RoundTripper beneath it, "+
			"or set Uninstrumented and put otelhttp.NewTransport around the Transport"))
	}

	var allowed networks
	for i, p := range cfg.DangerouslyAllowPlaintextFrom {
		if !p.IsValid() || p.Addr().Is4In6() {
			fault(fmt.Sprintf("DangerouslyAllowPlaintextFrom[%d]", i),
				errors.New("is no network; IPv4 networks are written as such, not mapped into IPv6"))
			continue
		}
		allowed = append(allowed, p.Masked())
	}

	origins := make(map[origin]struct{}, len(cfg.Origins))
	plaintext := false
	if len(cfg.Origins) == 0 {
		fault("Origins", errors.New(`is empty; name where the credentials go, such as "https://orders.example"`))
	}
	httpTransport, checked := base.(*http.Transport)
	for i, s := range cfg.Origins {
		o, err := parseOrigin(s)
		if err == nil && o.plaintext() {
			plaintext = true
			err = allowed.allowOrigin(o, checked)
		}
		if err != nil {
			fault(fmt.Sprintf("Origins[%d]", i), err)
			continue
		}
		origins[o] = struct{}{}
	}

	src, err := cfg.source()
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}

	if plaintext && checked {
		base = guard(httpTransport, origins, allowed)
	}
	a := &authenticator{base: base, origins: origins, source: src, instrumented: !cfg.Uninstrumented}
	t := &Transport{auth: a, outer: a}
	if a.instrumented {
		t.outer = otelhttp.NewTransport(a, cfg.otelhttpOptions()...)
	}
	return t, nil
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
