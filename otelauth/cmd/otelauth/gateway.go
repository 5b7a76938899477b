// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// gatewayCommand serves authentication in front of a service.
type gatewayCommand struct {
	Config string    `placeholder:"FILE" help:"A YAML file of settings. Its keys are the names of the flags."`
	Check  checkMode `placeholder:"online" help:"Check all settings and files, print the settings in force in the form of a configuration file, and exit. --check=online also connects to the service, the database, Redis and collectors, and warns of those that do not answer."`
	gatewayFlags

	Init gatewayInit `cmd:"" help:"Write a commented configuration file, from the flags and from answers to five questions."`
}

// Run serves until a signal ends it. It parses the arguments again together with the environment
// and the file, as every SIGHUP does.
func (c *gatewayCommand) Run(t *terminal, k *kong.Context) error {
	if k.Selected().Name != "gateway" {
		return nil // kong runs the parents of a subcommand too
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Registered first, because an unhandled SIGHUP ends the process.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	load := func() (*loaded, error) { return load(ctx, t.args, environment) }
	if c.Check != "" {
		return t.check(ctx, c.Check, os.Environ())
	}
	l, err := load()
	if err != nil {
		return err
	}
	t.warn(unknownVariables(os.Environ(), l.settings))
	t.warn(l.unknown)
	defer l.close()
	p, err := newProcess(ctx, t, l)
	if err != nil {
		return err
	}
	return p.serve(ctx, stop, hangups, load)
}

// loaded is the result of reading all settings, with an open account store.
type loaded struct {
	flags    *gatewayFlags
	settings *settings
	config   gateway.Config
	trail    trail.Config // its Dir is empty without a trail
	accounts accounts
	// unknown are the accounts and groups in the rules that do not exist, or nil.
	unknown error
	// certificate is the hash of the certificate files, or zero without them.
	certificate [sha256.Size]byte
}

// load reads all settings. It changes nothing, so after an error the previous settings stay in
// force.
func load(ctx context.Context, args []string, getenv func(string) string) (*loaded, error) {
	c, s, err := loadGateway(args, getenv)
	if err != nil {
		return nil, err
	}
	l := &loaded{flags: &c.gatewayFlags, settings: s}
	if l.config, l.trail, err = l.flags.build(s); err != nil {
		return nil, usageError{err}
	}
	l.certificate = l.flags.certificate()
	if l.accounts, err = l.flags.open(ctx, s); err != nil {
		return nil, err
	}
	l.unknown = unknownNames(ctx, l.flags, s, l.accounts)
	l.config.Auth.Accounts = l.accounts
	if err := gateway.Check(l.config); err != nil {
		_ = l.accounts.Close()
		return nil, explain(err, &l.config, s)
	}
	return l, nil
}

// certificate returns the hash of the certificate files. gateway.Check reports unreadable files.
func (f *gatewayFlags) certificate() (sum [sha256.Size]byte) {
	if f.CertFile == "" || f.KeyFile == "" {
		return sum
	}
	h := sha256.New()
	for _, name := range []string{f.CertFile, f.KeyFile} {
		content, _ := os.ReadFile(name)
		fmt.Fprintln(h, len(content))
		h.Write(content)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// unchanged returns the htpasswd file if nothing else can have changed, and otherwise nil.
func (l *loaded) unchanged(next *loaded) *htpasswd.File {
	file, ok := l.accounts.(*htpasswd.File)
	if !ok || l.flags.UpstreamCAFile != "" || l.certificate != next.certificate || !reflect.DeepEqual(l.flags, next.flags) ||
		!reflect.DeepEqual(l.config.Auth.IdentityKey, next.config.Auth.IdentityKey) ||
		!reflect.DeepEqual(l.config.Auth.Detect.Custom, next.config.Auth.Detect.Custom) {
		return nil
	}
	return file
}

func (l *loaded) drainTimeout() time.Duration {
	return cmp.Or(l.flags.DrainTimeout, gateway.Defaults().DrainTimeout)
}

func (l *loaded) close() { _ = l.accounts.Close() }
