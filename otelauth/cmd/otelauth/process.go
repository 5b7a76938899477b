// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

// process is a running gateway.
type process struct {
	t       *terminal
	signals *signals
	gw      *gateway.Gateway
	lines   *audit.Observer // with OTEL_SDK_DISABLED
	stores  *stores
	trail   *recorder // nil: no trail
	loaded  *loaded

	operator *operatorAPI
}

func newProcess(ctx context.Context, t *terminal, l *loaded) (*process, error) {
	p := &process{t: t, loaded: l}
	var err error
	if p.signals, err = newSignals(ctx, environment, l.flags, t.err); err != nil {
		return nil, err
	}
	if p.signals.Disabled {
		p.lines = audit.NewSlog(slog.NewJSONHandler(t.err, nil))
	}
	if p.operator, err = p.newOperator(); err != nil {
		p.signals.close()
		return nil, err
	}
	notices, err := p.notices()
	if err == nil {
		p.stores, err = l.stores(notices)
	}
	if err == nil {
		p.trail, err = p.record(notices)
	}
	if err != nil {
		p.stores.close()
		p.signals.close()
		return nil, err
	}
	p.wire(&l.config, l)
	if p.gw, err = gateway.New(l.config); err != nil {
		_ = p.trail.close() // it has no line yet
		p.stores.close()
		p.signals.close()
		return nil, explain(err, &l.config, l.settings)
	}
	p.operator.Attach(p.gw.Middleware())
	return p, nil
}

// wire sets the telemetry providers and the shared state in cfg.
func (p *process) wire(cfg *gateway.Config, l *loaded) {
	cfg.Propagators = p.signals.Propagator
	p.stores.wire(cfg)
	p.trail.wire(cfg)
	p.operator.wire(cfg, l)
	l.flags.consoleFlags.wire(cfg, l.settings)
	if p.lines != nil {
		// Without an SDK, events are still written as lines.
		cfg.Uninstrumented = true
		cfg.Auth.Observers = []attempt.Observer{p.lines}
		return
	}
	cfg.Auth.TracerProvider, cfg.Auth.MeterProvider, cfg.Auth.LoggerProvider = p.signals.TracerProvider, p.signals.MeterProvider, p.signals.LoggerProvider
}

// serve serves until ctx ends or a listener fails, and then shuts down.
func (p *process) serve(ctx context.Context, stop func(), hangups <-chan os.Signal, load func() (*loaded, error)) error {
	defer p.signals.close()
	defer p.stores.close()
	listeners, admin, err := p.listen()
	var operators net.Listener
	if err == nil {
		operators, err = p.listenOperator()
	}
	if err != nil {
		closeAll(append(listeners, admin))
		_ = p.operator.Close() // ends the sharing
		return errors.Join(err, p.gw.Shutdown(context.Background()), p.trail.close())
	}
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := ends{left: len(listeners), clients: make(chan error, len(listeners))}
	for _, l := range listeners {
		go func() { ends.clients <- p.gw.Serve(serving, l) }()
		p.log("gateway.listening", "address", l.Addr().String())
	}
	// It outlives the other listeners, so that readyz reports the drain.
	adminCtx, closeAdmin := context.WithCancel(context.Background())
	defer closeAdmin()
	if admin != nil {
		ended := make(chan error, 1)
		go func() { ended <- p.gw.ServeAdmin(adminCtx, admin) }()
		ends.admin = ended
		p.log("gateway.admin_listening", "address", admin.Addr().String())
		if p.loaded.flags.Console {
			p.log("gateway.console", "address", "http://"+admin.Addr().String()+"/-/operator/")
		}
	}
	ends.operator = p.serveOperator(adminCtx, operators)
	errs := p.await(ctx, &ends, stop, cancel, hangups, load)
	shutdown, done := context.WithTimeout(context.Background(), p.loaded.drainTimeout())
	defer done()
	errs = append(errs, p.gw.Shutdown(shutdown), p.trail.close())
	_ = p.operator.Close() // ends live views with a message
	closeAdmin()
	if ends.admin != nil {
		errs = append(errs, <-ends.admin)
	}
	if ends.operator != nil {
		errs = append(errs, <-ends.operator)
	}
	p.loaded.close()
	return errors.Join(errs...)
}

// ends holds where the listeners report that they have ended.
type ends struct {
	left            int // how many of those for clients still serve
	clients         chan error
	admin, operator <-chan error // nil: not served, or ended
}

// await reloads on hangups until no listener for clients serves any more, and returns their errors.
// When ctx ends it calls stop. When a listener fails it calls cancel, which ends the others.
func (p *process) await(
	ctx context.Context, e *ends, stop, cancel func(), hangups <-chan os.Signal, load func() (*loaded, error),
) (errs []error) {
	for e.left > 0 {
		select {
		case err := <-e.clients:
			e.left--
			var refused *gateway.ConfigError
			if errors.As(err, &refused) {
				err = explain(err, &p.loaded.config, p.loaded.settings)
			}
			errs = append(errs, err)
			cancel() // one failure ends all listeners
		case err := <-e.admin:
			errs = append(errs, err)
			e.admin = nil
			cancel()
		case err := <-e.operator:
			errs = append(errs, err)
			e.operator = nil
			cancel()
		case <-hangups:
			p.reload(load)
		case <-ctx.Done():
			stop() // a second signal ends the process at once
			ctx = context.Background()
			p.log("gateway.draining", "timeout", p.loaded.drainTimeout().String())
		}
	}
	return errs
}

// reload reads all settings again. After an error the previous settings stay in force.
func (p *process) reload(load func() (*loaded, error)) {
	next, err := load()
	if err != nil {
		p.t.complain(fmt.Errorf("SIGHUP: %w; the previous configuration stays in force", err))
		p.log("gateway.reload_failed")
		return
	}
	p.t.warn(next.unknown)
	previous := p.loaded
	if names := onlyAtStart(previous.settings.flags, next.settings.flags); len(names) > 0 {
		p.t.complain(fmt.Errorf("SIGHUP: changes of %s take effect at the next start", strings.Join(names, ", ")))
	}
	if file := previous.unchanged(next); file != nil {
		// Keeping the store keeps the verified credentials.
		next.close()
		if err := file.Reload(); err != nil {
			p.t.complain(fmt.Errorf("SIGHUP: %w", err))
			p.log("gateway.reload_failed")
			return
		}
		p.log("gateway.reloaded", "accounts", file.Len())
		return
	}
	p.wire(&next.config, next)
	if err := p.gw.Reconfigure(next.config); err != nil {
		next.close()
		p.t.complain(fmt.Errorf("SIGHUP: %w; the previous configuration stays in force", explain(err, &next.config, next.settings)))
		p.log("gateway.reload_failed")
		return
	}
	p.loaded = next
	p.operator.loaded.Store(next)
	previous.close()
	p.log("gateway.reloaded", "accounts", next.accounts.Len())
}

// onlyAtStart returns the changed flags that a running gateway cannot change: those with the tag
// start.
func onlyAtStart(previous, next []*kong.Flag) (names []string) {
	for i, flag := range next {
		if flag.Tag.Has("start") && !reflect.DeepEqual(previous[i].Target.Interface(), flag.Target.Interface()) {
			names = append(names, flag.Name)
		}
	}
	return names
}

// log writes a line about the process itself.
func (p *process) log(event string, args ...any) {
	slog.New(slog.NewJSONHandler(p.t.err, nil)).Info(event, args...)
}

// closeAll closes listeners; nil ones are left out.
func closeAll(all []net.Listener) {
	for _, l := range all {
		if l != nil {
			_ = l.Close()
		}
	}
}

// listen opens the listeners of the gateway. The caller closes them after an error too.
func (p *process) listen() (all []net.Listener, admin net.Listener, err error) {
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

// listen opens "host:port" or "unix:/path". It replaces a socket that a previous process left
// behind.
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
			return nil, fmt.Errorf("%s: another process listens there; stop it or choose another path", path)
		}
		if errors.Is(err, syscall.ECONNREFUSED) {
			if err := os.Remove(path); err != nil {
				return nil, err
			}
		}
	}
	return lc.Listen(context.Background(), "unix", path)
}
