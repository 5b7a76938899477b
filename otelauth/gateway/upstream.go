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

// upstream is where requests go, with its connections.
type upstream struct {
	identity  string // of everything that the connections depend on
	scheme    string
	host      string
	address   string // server.address: a name, an address, or the path of a socket
	transport *http.Transport
	upgrade   *http.Transport // for WebSockets, which HTTP/2 has no way to ask a plaintext upstream for; nil: transport
	dial      func(context.Context) (net.Conn, error)
}

// Connections to the upstream that are kept idle: enough for every request of a busy gateway to find one.
const (
	maxIdleUpstream     = 1024
	idleUpstreamTimeout = 90 * time.Second
	continueTimeout     = time.Second
)

func newUpstream(cfg *Config, former *state) (*upstream, error) {
	fault := func(field string, err error) error { return &ConfigError{Field: field, Err: err} }
	u, network, address, err := parseUpstream(cfg.Upstream)
	if err != nil {
		return nil, fault("Upstream", err)
	}
	var roots *x509.CertPool
	var pem []byte
	if cfg.UpstreamCAFile != "" {
		if u.Scheme != "https" {
			return nil, fault("UpstreamCAFile", errors.New("is for an https upstream; remove it or write https://"))
		}
		if pem, err = os.ReadFile(cfg.UpstreamCAFile); err != nil {
			return nil, fault("UpstreamCAFile", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fault("UpstreamCAFile", fmt.Errorf("%s holds no certificate in PEM", cfg.UpstreamCAFile))
		}
	}
	identity := fmt.Sprintf("%s\n%s\n%s\n%v\n%v\n%s", cfg.Upstream, network, address, cfg.DialTimeout, cfg.ResponseHeaderTimeout, pem)
	if former != nil && former.upstream.identity == identity {
		return former.upstream, nil
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
			DisableCompression:    true, // what the client accepts is between it and the upstream
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

// parseUpstream returns scheme (http, https or h2c) and host, and where to dial.
func parseUpstream(text string) (u *url.URL, network, address string, err error) {
	const forms = "write http://host:port, https://host, h2c://host:port, unix:/path or unix+h2c:/path"
	if text == "" {
		return nil, "", "", errors.New("is not set; " + forms)
	}
	for prefix, scheme := range map[string]string{"unix:": "http", "unix+h2c:": "h2c"} {
		if path, found := strings.CutPrefix(text, prefix); found {
			path = strings.TrimPrefix(path, "//")
			if !strings.HasPrefix(path, "/") {
				return nil, "", "", fmt.Errorf("%q: the path of the socket is not absolute; write %s/run/service.sock", text, prefix)
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
		return nil, "", "", errors.New("holds credentials; the upstream is told the account by header. Remove them")
	case port == "" || u.Hostname() == "":
		return nil, "", "", fmt.Errorf("%q: %s", text, forms)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return nil, "", "", fmt.Errorf("%q: has a path; rules are about the path that the upstream sees, so write %s://%s", text, u.Scheme, u.Host)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return u, "tcp", net.JoinHostPort(u.Hostname(), port), nil
}

// RoundTrip sends r over the connections that can carry it.
func (up *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	if up.upgrade != nil && r.Header["Upgrade"] != nil {
		return up.upgrade.RoundTrip(r)
	}
	return up.transport.RoundTrip(r)
}

// close lets requests that have begun end. With ForwardAuth there is no upstream.
func (up *upstream) close() {
	if up == nil {
		return
	}
	up.transport.CloseIdleConnections()
	if up.upgrade != nil {
		up.upgrade.CloseIdleConnections()
	}
}
