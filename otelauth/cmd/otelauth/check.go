// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// checkMode is the value of --check: "" without the flag, "offline", or "online".
type checkMode string

const (
	offline checkMode = "offline"
	online  checkMode = "online"
)

// IsBool makes the value optional.
func (m *checkMode) IsBool() bool { return true }

// Decode implements kong.MapperValue.
func (m *checkMode) Decode(ctx *kong.DecodeContext) error {
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		*m = offline
		return nil
	}
	text, _ := ctx.Scan.Pop().Value.(string)
	if *m = checkMode(text); *m != online && *m != offline {
		return errors.New("must be --check or --check=online")
	}
	return nil
}

// check checks all settings, prints those in force, and returns all problems at once. Only in the
// mode online it connects to anything, and then reports what does not answer as a warning.
func (t *terminal) check(ctx context.Context, mode checkMode, environ []string) error {
	c, s, err := loadGateway(t.args, environment)
	if err != nil {
		return err
	}
	f := &c.gatewayFlags
	cfg, _, err := f.build(s)
	problems := []error{err, unknownVariables(environ, s)}
	accounts, err := f.openOffline(s)
	problems = append(problems, err)
	cfg.Auth.Accounts = accounts
	if err == nil {
		defer func() { _ = accounts.Close() }()
		problems = append(problems, unknownNames(ctx, f, s, accounts))
	}
	if err == nil {
		problems = append(problems, newProblems(problems[0], explain(gateway.Check(cfg), &cfg, s)))
	}
	problems = append(problems, checkTelemetryVariables(environment), t.checkListeners(f, s))
	if err := errors.Join(problems...); err != nil {
		return usageError{err}
	}
	if err := checkSignals(ctx, t, f); err != nil {
		return err
	}
	if mode == online {
		f.checkOnline(ctx, t, s)
	}
	return effective(t.out, s)
}

// newProblems returns the errors of second whose place is not that of an error of first.
func newProblems(first, second error) error {
	var all []error
	for _, err := range flatten(second) {
		var at placed
		isKnown := errors.As(err, &at) && slices.ContainsFunc(flatten(first), func(known error) bool {
			return strings.HasPrefix(known.Error(), at.place)
		})
		if !isKnown {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// checkSignals creates the telemetry providers once, to find what the SDK refuses.
func checkSignals(ctx context.Context, t *terminal, f *gatewayFlags) error {
	signals, err := newSignals(ctx, func(name string) string {
		if value := environment(name); name != "OTEL_METRICS_EXPORTER" || value != "prometheus" {
			return value
		}
		return "none" // it would listen, possibly on the address of the running gateway
	}, f, t.err)
	if err == nil {
		signals.close()
	}
	return err
}

// warn writes a problem that does not stop the gateway.
func (t *terminal) warn(err error) {
	for _, err := range flatten(err) {
		t.complain(fmt.Errorf("warning: %w", err))
	}
}

// openOffline opens the file of accounts. For a database it checks the data source only.
func (f *gatewayFlags) openOffline(s *settings) (accounts, error) {
	// One account that no password matches, where build reports an error or a database is not
	// asked.
	stand := offlineAccounts{&verify.Static{Hashes: map[string]string{
		"nobody": "$2y$10$WJkiL6lQ418rEeuyYC3hL.vj9hspEwCQFz/4yehy/VZwmGIMEzoLW",
	}}}
	switch {
	case f.sqlFlags.isSet() && f.sqlFlags.validate() == nil:
		db, err := f.sqlFlags.open()
		if err != nil {
			return nil, err
		}
		return stand, db.Close()
	case f.sqlFlags.isSet(), f.Users == "":
		return stand, nil
	}
	return f.open(context.Background(), s)
}

// offlineAccounts stand in for a database that --check does not connect to.
type offlineAccounts struct{ *verify.Static }

// Close does nothing.
func (offlineAccounts) Close() error { return nil }

// unknownNames returns an error for each account and group in the rules that does not exist. A
// database is asked for accounts only, because its groups are those of the accounts it returns.
func unknownNames(ctx context.Context, f *gatewayFlags, s *settings, store accounts) error {
	if _, isFile := store.(*htpasswd.File); !isFile {
		if _, isDatabase := store.(*databaseAccounts); !isDatabase {
			return nil
		}
	}
	p := &problems{settings: s}
	rules := f.rules(&problems{settings: s}) // build reports their problems
	groups := f.groupNames(store)
	for _, rule := range rules {
		for _, name := range rule.Accounts {
			if a, err := store.Lookup(ctx, name); a == nil && err == nil {
				p.report("allow-accounts", fmt.Errorf("%s is not an account: correct the name, or add it with: otelauth users add", quoted(shown(name))))
			}
		}
		for _, name := range rule.Groups {
			if groups != nil && !groups[name] {
				flag := "allow-groups"
				if rule.Pattern == "/" {
					flag = "default-groups"
				}
				p.report(flag, fmt.Errorf("no account is in the group %s: correct the name, or add the group to %s", quoted(shown(name)), f.Groups))
			}
		}
	}
	return errors.Join(p.all...)
}

// groupNames returns the groups of all accounts of a file, or nil if they are not known.
func (f *gatewayFlags) groupNames(store accounts) map[string]bool {
	content, err := htpasswd.ReadContent(f.Users)
	if f.Groups == "" || err != nil {
		return nil
	}
	names := make(map[string]bool)
	for _, name := range content.Names() {
		if a, _ := store.Lookup(context.Background(), name); a != nil {
			for _, group := range a.Groups {
				names[group] = true
			}
		}
	}
	return names
}

// checkListeners returns the problems of addresses. An address in use is a warning, because the
// running gateway may use it.
func (t *terminal) checkListeners(f *gatewayFlags, s *settings) error {
	p := &problems{settings: s}
	for i, address := range f.Listen {
		if slices.Contains(f.Listen[:i], address) {
			p.report("listen", fmt.Errorf("%s is listed twice: remove one", quoted(shown(address))))
			continue
		}
		p.report("listen", t.checkListener(address, s.place("listen")))
	}
	if address := f.AdminListen; address != "" {
		if slices.Contains(f.Listen, address) {
			p.report("admin-listen", fmt.Errorf("%s is an address of --listen too: choose another port", quoted(shown(address))))
		} else {
			p.report("admin-listen", t.checkListener(address, s.place("admin-listen")))
		}
	}
	return errors.Join(p.all...)
}

func (t *terminal) checkListener(address, place string) error {
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		return checkSocket(path)
	}
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
	}
	if err != nil || port == "" {
		return fmt.Errorf("%s is not an address: write host:port such as 127.0.0.1:8080, or unix:/path", quoted(shown(address)))
	}
	l, err := listen(address)
	switch {
	case err == nil:
		return l.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		t.warn(placed{place, fmt.Errorf("%s is in use: if not by the running gateway, stop that process or choose another port", address)})
		return nil
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("this machine does not have the address %s: choose one of its own, or 0.0.0.0", quoted(shown(host)))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("port %s needs root or the capability CAP_NET_BIND_SERVICE: choose a port from 1024", port)
	}
	return err
}

// maxSocketPath is the longest path of a unix socket on Linux. Other systems allow fewer bytes.
const maxSocketPath = 107

func checkSocket(path string) error {
	if path == "" || len(path) > maxSocketPath {
		return fmt.Errorf("the path of the socket has %d bytes: use 1 to %d", len(path), maxSocketPath)
	}
	dir := filepath.Dir(path)
	if !isDirectory(dir) {
		return fmt.Errorf("%s is not a directory: create it, writable for the gateway", quoted(shown(dir)))
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is not a socket: remove it or choose another path", quoted(shown(path)))
	}
	return nil
}

// checkOnline warns of an upstream, a database, a Redis and collectors that do not answer.
func (f *gatewayFlags) checkOnline(ctx context.Context, t *terminal, s *settings) {
	if f.Upstream != "" {
		if err := f.dialUpstream(ctx); err != nil {
			t.warn(placed{s.place("upstream"), fmt.Errorf("the service does not answer: %w; start it, or correct the address", err)})
		}
	}
	if f.sqlFlags.isSet() {
		store, err := f.open(ctx, s)
		if err != nil {
			t.warn(placed{s.place("sql-driver"), fmt.Errorf("the database cannot be used: %w", err)})
		} else {
			t.warn(unknownNames(ctx, f, s, store))
			_ = store.Close()
		}
	}
	if o, err := f.redisFlags.options(); err == nil && o != nil {
		if err := dialOnce(ctx, o.Network, o.Addr); err != nil {
			t.warn(placed{s.place("redis-url-file"), fmt.Errorf("the Redis does not answer: %w; until it does, this gateway counts for itself", err)})
		}
	}
	seen := make(map[string]bool)
	for _, signal := range []string{"", "TRACES_", "METRICS_", "LOGS_"} {
		name := "OTEL_EXPORTER_OTLP_" + signal + "ENDPOINT"
		u, err := url.Parse(environment(name))
		if err != nil || u.Host == "" || seen[u.Host] {
			continue
		}
		seen[u.Host] = true
		if err := dialOnce(ctx, "tcp", withPort(u)); err != nil {
			t.warn(placed{name, fmt.Errorf("the collector does not answer: %w; telemetry is lost until it does", err)})
		}
	}
}

// onlineWait is the timeout of each connection that --check=online makes.
const onlineWait = 5 * time.Second

func dialOnce(ctx context.Context, network, address string) error {
	d := net.Dialer{Timeout: onlineWait}
	conn, err := d.DialContext(ctx, network, address)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// withPort returns the address of a URL, with the default port of its scheme.
func withPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "https" {
		return net.JoinHostPort(u.Hostname(), "443")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

// dialUpstream connects to the upstream, and over https makes the TLS handshake.
func (f *gatewayFlags) dialUpstream(ctx context.Context) error {
	for _, prefix := range []string{"unix:", "unix+h2c:"} {
		if path, found := strings.CutPrefix(f.Upstream, prefix); found {
			return dialOnce(ctx, "unix", path)
		}
	}
	u, err := url.Parse(f.Upstream)
	if err != nil || u.Scheme != "https" {
		return errors.Join(err, dialOnce(ctx, "tcp", withPort(u)))
	}
	tlsConfig := &tls.Config{ServerName: u.Hostname()}
	if f.UpstreamCAFile != "" {
		pem, err := os.ReadFile(f.UpstreamCAFile)
		if err != nil {
			return err
		}
		tlsConfig.RootCAs = x509.NewCertPool()
		tlsConfig.RootCAs.AppendCertsFromPEM(pem)
	}
	ctx, cancel := context.WithTimeout(ctx, onlineWait)
	defer cancel()
	d := tls.Dialer{Config: tlsConfig}
	conn, err := d.DialContext(ctx, "tcp", withPort(u))
	if err == nil {
		_ = conn.Close()
	}
	return err
}
