// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// gatewayCommand puts authentication in front of a service.
type gatewayCommand struct {
	Config string `placeholder:"FILE" help:"A YAML file with the same settings, a key each."`
	Check  bool   `help:"Validate everything, print the settings in force as such a file, and end."`
	gatewayFlags
}

// Run serves until a signal ends it. What kong has parsed is parsed again with environment and file, as at every SIGHUP.
func (c *gatewayCommand) Run(t *terminal) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// From the first: a SIGHUP nobody waits for would end the process.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	load := func() (*loaded, error) { return load(ctx, t.args) }
	if c.Check {
		return t.check(ctx, load)
	}
	l, err := load()
	if err != nil {
		return err
	}
	defer l.close()
	p, err := newProcess(ctx, t, l)
	if err != nil {
		return err
	}
	paceCollector()
	return p.serve(ctx, stop, hangups, load)
}

// loaded is one reading of all settings, with its accounts open.
type loaded struct {
	flags    *gatewayFlags
	settings *settings
	config   gateway.Config
	accounts accounts
	// certificate is the hash of its files; zero without. The gateway finds a change by size and time, SIGHUP by content.
	certificate [sha256.Size]byte
}

// load reads everything. It changes nothing, so with an error the former reading stays in force.
func load(ctx context.Context, args []string) (*loaded, error) {
	c, s, err := loadGateway(args, environment)
	if err != nil {
		return nil, err
	}
	l := &loaded{flags: &c.gatewayFlags, settings: s}
	if l.config, err = l.flags.build(s); err != nil {
		return nil, usageError{err}
	}
	l.certificate = l.flags.certificate()
	if l.accounts, err = l.flags.open(ctx); err != nil {
		return nil, err
	}
	l.config.Auth.Accounts = l.accounts
	if err := gateway.Check(l.config); err != nil {
		_ = l.accounts.Close()
		return nil, explain(err, &l.config, s)
	}
	return l, nil
}

func (t *terminal) check(ctx context.Context, load func() (*loaded, error)) error {
	l, err := load()
	if err != nil {
		return err
	}
	defer l.close()
	signals, err := newSignals(ctx, func(name string) string {
		if value := environment(name); name != "OTEL_METRICS_EXPORTER" || value != "prometheus" {
			return value
		}
		return "none" // it listens, maybe where the gateway in service does
	}, t.err)
	if err != nil {
		return err
	}
	signals.close()
	var c commands
	parser, err := newParser(&c)
	if err != nil {
		return err
	}
	c.Gateway.gatewayFlags = *l.flags
	return effective(t.out, gatewayNode(parser).Flags, l.settings)
}

// process is a gateway that serves.
type process struct {
	t       *terminal
	signals *signals
	gw      *gateway.Gateway
	told    *audit.SlogObserver // with OTEL_SDK_DISABLED
	shared  *shared             // nil: with nobody
	loaded  *loaded
}

func newProcess(ctx context.Context, t *terminal, l *loaded) (*process, error) {
	p := &process{t: t, loaded: l}
	var err error
	if p.signals, err = newSignals(ctx, environment, t.err); err != nil {
		return nil, err
	}
	if p.signals.disabled {
		p.told = audit.NewSlog(slog.NewJSONHandler(t.err, nil))
	}
	notices, err := p.notices()
	if err == nil {
		p.shared, err = l.flags.share(l.config.Auth.IdentityKey, notices)
	}
	if err != nil {
		p.signals.close()
		return nil, err
	}
	p.wire(&l.config)
	if p.gw, err = gateway.New(l.config); err != nil {
		p.shared.close()
		p.signals.close()
		return nil, explain(err, &l.config, l.settings)
	}
	return p, nil
}

// wire tells cfg where signals go.
func (p *process) wire(cfg *gateway.Config) {
	cfg.Propagators = p.signals.propagators
	p.shared.wire(cfg)
	if p.told != nil {
		// No attempt is invisible: without an SDK its events are lines still.
		cfg.Uninstrumented = true
		cfg.Auth.Observers = []attempt.Observer{p.told}
		return
	}
	cfg.Auth.TracerProvider, cfg.Auth.MeterProvider, cfg.Auth.LoggerProvider = p.signals.tracer, p.signals.meter, p.signals.logger
}

// serve returns when everything has ended.
func (p *process) serve(ctx context.Context, stop func(), hangups <-chan os.Signal, load func() (*loaded, error)) error {
	defer p.signals.close()
	defer p.shared.close()
	listeners, admin, err := p.listen()
	if err != nil {
		return errors.Join(err, p.gw.Shutdown(context.Background()))
	}
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- p.gw.Serve(serving, l) }()
		p.say("gateway.listening", "address", l.Addr().String())
	}
	// It outlives the others, so that readyz tells of the drain.
	adminCtx, closeAdmin := context.WithCancel(context.Background())
	defer closeAdmin()
	var adminEnded chan error
	if admin != nil {
		adminEnded = make(chan error, 1)
		go func() { adminEnded <- p.gw.ServeAdmin(adminCtx, admin) }()
		p.say("gateway.admin_listening", "address", admin.Addr().String())
	}
	var faults []error
	for left := len(listeners); left > 0; {
		select {
		case err := <-ended:
			left--
			var refused *gateway.ConfigError
			if errors.As(err, &refused) {
				err = explain(err, &p.loaded.config, p.loaded.settings)
			}
			faults = append(faults, err)
			cancel() // one that fails takes the others with it
		case err := <-adminEnded:
			faults = append(faults, err)
			adminEnded = nil
			cancel()
		case <-hangups:
			p.reload(load)
		case <-ctx.Done():
			stop() // a second signal ends the process at once
			ctx = context.Background()
			p.say("gateway.draining", "timeout", p.loaded.drainTimeout().String())
		}
	}
	shutdown, done := context.WithTimeout(context.Background(), p.loaded.drainTimeout())
	defer done()
	faults = append(faults, p.gw.Shutdown(shutdown))
	closeAdmin()
	if adminEnded != nil {
		faults = append(faults, <-adminEnded)
	}
	p.loaded.close()
	return errors.Join(faults...)
}

// certificate hashes the certificate's files. What cannot be read is gateway.Check's to say.
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

// unchanged returns the file of accounts when it is all that can have changed.
func (l *loaded) unchanged(next *loaded) *htpasswd.File {
	file, ok := l.accounts.(*htpasswd.File)
	if !ok || l.flags.UpstreamCAFile != "" || l.certificate != next.certificate || !reflect.DeepEqual(l.flags, next.flags) ||
		!reflect.DeepEqual(l.config.Auth.IdentityKey, next.config.Auth.IdentityKey) {
		return nil
	}
	return file
}

func (l *loaded) drainTimeout() time.Duration {
	return cmp.Or(l.flags.DrainTimeout, gateway.Defaults().DrainTimeout)
}

func (l *loaded) close() { _ = l.accounts.Close() }

// reload reads everything again. The process goes on as it was when anything is wrong.
func (p *process) reload(load func() (*loaded, error)) {
	next, err := load()
	if err != nil {
		p.t.complain(fmt.Errorf("SIGHUP: %w; the former configuration stays", err))
		p.say("gateway.reload_failed")
		return
	}
	former := p.loaded
	if !reflect.DeepEqual(former.flags.Listen, next.flags.Listen) || former.flags.AdminListen != next.flags.AdminListen {
		p.t.complain(errors.New("SIGHUP: listen and admin-listen take effect at the next start"))
	}
	if former.flags.redisFlags != next.flags.redisFlags || former.flags.GeoIPDatabase != next.flags.GeoIPDatabase {
		p.t.complain(errors.New("SIGHUP: redis-url-file, redis-prefix, redis-timeout and geoip-database take effect at the next start"))
	}
	if file := former.unchanged(next); file != nil {
		// Nobody has to be hashed again.
		next.close()
		if err := file.Reload(); err != nil {
			p.t.complain(fmt.Errorf("SIGHUP: %w", err))
			p.say("gateway.reload_failed")
			return
		}
		p.say("gateway.reloaded", "accounts", file.Len())
		return
	}
	p.wire(&next.config)
	if err := p.gw.Reconfigure(next.config); err != nil {
		next.close()
		p.t.complain(fmt.Errorf("SIGHUP: %w; the former configuration stays", explain(err, &next.config, next.settings)))
		p.say("gateway.reload_failed")
		return
	}
	p.loaded = next
	former.close()
	p.say("gateway.reloaded", "accounts", next.accounts.Len())
}

// say writes a line about the process itself.
func (p *process) say(event string, args ...any) {
	slog.New(slog.NewJSONHandler(p.t.err, nil)).Info(event, args...)
}

func (p *process) listen() (all []net.Listener, admin net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range all {
				_ = l.Close()
			}
		}
	}()
	for _, address := range p.loaded.flags.Listen {
		l, err := listen(address)
		if err != nil {
			return all, nil, placed{p.loaded.settings.place("listen"), err}
		}
		all = append(all, l)
	}
	if address := p.loaded.flags.AdminListen; address != "" {
		if admin, err = listen(address); err != nil {
			return all, nil, placed{p.loaded.settings.place("admin-listen"), err}
		}
	}
	return all, admin, nil
}

// listen opens "host:port" or "unix:/path". A socket that a former process has left behind, to which nobody answers, is replaced.
func listen(address string) (net.Listener, error) {
	var lc net.ListenConfig
	path, isUnix := strings.CutPrefix(address, "unix:")
	if !isUnix {
		return lc.Listen(context.Background(), "tcp", address)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		d := net.Dialer{Timeout: time.Second}
		conn, err := d.DialContext(context.Background(), "unix", path)
		if err == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("%s: another process answers there", path)
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			if err := os.Remove(path); err != nil {
				return nil, err
			}
		}
	}
	return lc.Listen(context.Background(), "unix", path)
}
