// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// upstream is the service behind the gateway, with its connections.
type upstream struct {
	identity  string // all settings that the connections depend on
	scheme    string
	host      string
	address   string // server.address: a name, an address, or the path of a socket
	transport *http.Transport
	upgrade   *http.Transport // for WebSockets, which need HTTP/1.1; nil: transport
	dial      func(context.Context) (net.Conn, error)
}

const (
	// idle connections: enough for every request of a busy gateway to find one
	maxIdleUpstream     = 1024
	idleUpstreamTimeout = 90 * time.Second
	continueTimeout     = time.Second
)

// newUpstream returns the upstream of cfg: that of the previous state if no setting of it has
// changed.
func newUpstream(cfg *Config, previous *state) (*upstream, error) {
	problem := func(field string, err error) error { return &ConfigError{Field: field, Err: err} }
	u, network, address, err := parseUpstream(cfg.Upstream)
	if err != nil {
		return nil, problem("Upstream", err)
	}
	var roots *x509.CertPool
	var pem []byte
	if cfg.UpstreamCAFile != "" {
		if u.Scheme != "https" {
			return nil, problem("UpstreamCAFile", errors.New("applies to an https upstream only; remove it or write https://"))
		}
		if pem, err = os.ReadFile(cfg.UpstreamCAFile); err != nil {
			return nil, problem("UpstreamCAFile", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, problem("UpstreamCAFile", fmt.Errorf("%s holds no PEM certificate", cfg.UpstreamCAFile))
		}
	}
	identity := fmt.Sprintf("%s\n%s\n%s\n%v\n%v\n%s", cfg.Upstream, network, address, cfg.DialTimeout, cfg.ResponseHeaderTimeout, pem)
	if previous != nil && previous.upstream.identity == identity {
		return previous.upstream, nil
	}

	dialer := &net.Dialer{Timeout: cfg.DialTimeout, KeepAlive: 30 * time.Second}
	dial := func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, network, address) }
	build := func(configure func(*http.Protocols)) *http.Transport {
		t := &http.Transport{
			DialContext:           func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			TLSHandshakeTimeout:   cfg.DialTimeout,
			ResponseHeaderTimeout: max(cfg.ResponseHeaderTimeout, 0),
			ExpectContinueTimeout: continueTimeout,
			MaxIdleConnsPerHost:   maxIdleUpstream,
			IdleConnTimeout:       idleUpstreamTimeout,
			DisableCompression:    true, // the client and the upstream negotiate it
			Protocols:             new(http.Protocols),
		}
		configure(t.Protocols)
		return t
	}
	up := &upstream{identity: identity, scheme: "http", host: u.Host, address: u.Hostname(), dial: dial}
	if network == "unix" {
		up.address = address
	}
	switch u.Scheme {
	case "http":
		up.transport = build(func(p *http.Protocols) { p.SetHTTP1(true) })
	case "h2c":
		up.transport = build(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
		up.upgrade = build(func(p *http.Protocols) { p.SetHTTP1(true) })
	case "https":
		up.scheme = "https"
		up.transport = build(func(p *http.Protocols) { p.SetHTTP1(true); p.SetHTTP2(true) })
		up.transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	return up, nil
}

// parseUpstream returns the scheme (http, https or h2c) and host of an upstream, and the network
// and address to dial.
func parseUpstream(text string) (u *url.URL, network, address string, err error) {
	const forms = "write http://host:port, https://host, h2c://host:port, unix:/path or unix+h2c:/path"
	if text == "" {
		return nil, "", "", errors.New("is not set; " + forms)
	}
	for prefix, scheme := range map[string]string{"unix:": "http", "unix+h2c:": "h2c"} {
		if path, found := strings.CutPrefix(text, prefix); found {
			path = strings.TrimPrefix(path, "//")
			if !strings.HasPrefix(path, "/") {
				return nil, "", "", fmt.Errorf("%q: the path of the socket must be absolute; write %s/run/service.sock", text, prefix)
			}
			return &url.URL{Scheme: scheme, Host: "localhost"}, "unix", path, nil
		}
	}
	u, err = url.Parse(text)
	if err != nil {
		return nil, "", "", errors.New("is not a URL; " + forms) // the text may hold a password
	}
	port := map[string]string{"http": "80", "https": "443", "h2c": "80"}[u.Scheme]
	switch {
	case u.User != nil:
		return nil, "", "", errors.New("holds credentials; remove them, because the upstream receives the account in a header")
	case port == "" || u.Hostname() == "":
		return nil, "", "", fmt.Errorf("%q: %s", text, forms)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return nil, "", "", fmt.Errorf("%q: has a path, but rules are about the path that the upstream sees; write %s://%s", text, u.Scheme, u.Host)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return u, "tcp", net.JoinHostPort(u.Hostname(), port), nil
}

// RoundTrip sends r over a connection that supports it.
func (up *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	if up.upgrade != nil && r.Header["Upgrade"] != nil {
		return up.upgrade.RoundTrip(r)
	}
	return up.transport.RoundTrip(r)
}

// close closes idle connections; requests in progress end normally. A nil upstream, as with
// ForwardAuth, does nothing.
func (up *upstream) close() {
	if up == nil {
		return
	}
	up.transport.CloseIdleConnections()
	if up.upgrade != nil {
		up.upgrade.CloseIdleConnections()
	}
}
