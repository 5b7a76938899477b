// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/telemetry"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// operatorFlags configure the operator's API.
type operatorFlags struct {
	OperatorListen   string `start:"" placeholder:"unix:PATH" help:"Unix socket of the operator's API, which otelauth status, top, attempts, episodes and budgets call. Only the user of the gateway and root can open it. none: no socket. Default: unix:/run/otelauth/operator.sock, if that folder exists and is writable."`
	OperatorGroup    string `via:"gateway:OperatorGroup gateway:Operator" placeholder:"GROUP" help:"Serve the operator's API also on --admin-listen, beneath /-/operator/, to the members of this group. Requires --groups or a database. Default: on the socket only."`
	OperatorActs     bool   `sets:"operator:Acts" start:"" help:"Let operators act: clear, allow, deny, forget. Each act is an event. Default: the API is read-only."`
	OperatorAttempts int    `rare:"" sets:"operator:Attempts" start:"" placeholder:"NUMBER" help:"How many recent attempts the API shows, 64 to 1048576, of about 250 bytes each. Default: 8192."`
	OperatorWatchers int    `rare:"" sets:"operator:Watchers" start:"" placeholder:"NUMBER" help:"How many live views may be open at once. Default: 1024."`
}

// check reports problems of the flags.
func (f *operatorFlags) check(p *problems, g *gatewayFlags) {
	if f.OperatorListen != "" && f.OperatorListen != none && !strings.HasPrefix(f.OperatorListen, "unix:") {
		p.report("operator-listen", fmt.Errorf("%s is not a unix socket, such as unix:%s: to serve the API on an address, use --admin-listen and --operator-group, which verify who calls",
			quoted(shown(f.OperatorListen)), operator.DefaultSocket))
	}
	if _, err := operator.New(f.config(p.settings)); err != nil {
		p.all = append(p.all, flatten(explain(err, nil, p.settings))...)
	}
	if f.OperatorGroup == "" {
		return
	}
	if g.AdminListen == "" {
		p.report("operator-group", errors.New("needs --admin-listen, the address on which the API is served"))
	}
	if g.Users != "" && g.Groups == "" {
		p.report("operator-group", errors.New("needs --groups, the file of the groups: without it no account is in a group"))
	}
}

// config returns the configuration of the operator's API.
func (f *operatorFlags) config(s *settings) operator.Config {
	var cfg operator.Config
	apply(s.flags, "operator", &cfg)
	return cfg
}

// operatorAPI is the operator's API of a running gateway.
type operatorAPI struct {
	*operator.Operator
	loaded   atomic.Pointer[loaded]
	disabled bool // OTEL_SDK_DISABLED
	upstream func() gateway.UpstreamState
}

// newOperator returns the operator's API.
func (p *process) newOperator() (*operatorAPI, error) {
	l := p.loaded
	a := &operatorAPI{disabled: p.signals.Disabled}
	a.loaded.Store(l)
	l.config.Auth.Budgets.NameOf = a.nameOf
	cfg := l.flags.operatorFlags.config(l.settings)
	cfg.SharedDetection = l.flags.RedisURLFile != ""
	cfg.Version, cfg.Now, cfg.Describe = version(), p.t.now, a.describe
	a.upstream = func() gateway.UpstreamState { return p.gw.UpstreamState() }
	cfg.CloseStreams = func(account string) int { return p.gw.CloseStreams(account) }
	var err error
	if a.Operator, err = operator.New(cfg); err != nil {
		return nil, explain(err, &l.config, l.settings)
	}
	return a, nil
}

// wire sets the API in cfg.
func (a *operatorAPI) wire(cfg *gateway.Config, l *loaded) {
	cfg.Auth.Additional = []attempt.Observer{a.Operator}
	cfg.Auth.Detect.OnEpisode = a.Detection
	if cfg.OperatorGroup = l.flags.OperatorGroup; cfg.OperatorGroup != "" {
		cfg.Operator = a.Operator
	}
}

// nameOf implements throttle.Config.NameOf.
func (a *operatorAPI) nameOf(canonical string) string {
	l := a.loaded.Load()
	if l.flags.UserNames == "hash" {
		return ""
	}
	if p, ok := l.accounts.(verify.Peeker); ok {
		if account := p.Peek(canonical); account != nil {
			return account.Name
		}
	}
	return ""
}

// describe adds to a status what only the command knows.
func (a *operatorAPI) describe(s *operator.Status) {
	l := a.loaded.Load()
	for _, signal := range []string{"traces", "metrics", "logs"} {
		s.Exporters = append(s.Exporters, operator.Exporter{Signal: signal, Exporter: telemetry.Exporter(environment, signal)})
	}
	if a.disabled {
		for i := range s.Exporters {
			s.Exporters[i].Exporter = "none"
		}
		s.Exporters[2].Exporter = "lines"
	}
	s.ListDetection(&l.config.Auth.Detect)
	describeErrors(s, telemetry.Errors())
	if l.flags.Upstream != "" { // not with --forward-auth
		describeUpstream(s, a.upstream())
	}
	for _, flag := range l.settings.flags {
		if isOnlyFlag(flag.Name) || flag.Target.IsZero() {
			continue
		}
		text, err := settingText(flag.Target.Interface())
		if err != nil || text == "" {
			continue
		}
		place := ""
		if at, given := l.settings.places[flag.Name]; given {
			place = strings.TrimSuffix(at, ": "+flag.Name)
		}
		value := strings.Join(strings.Fields(strings.ReplaceAll(text, "\n  - ", ", ")), " ")
		s.Configuration = append(s.Configuration, operator.Setting{
			Name: flag.Name, Value: strings.TrimPrefix(value, ", "), Place: shown(place),
		})
	}
}

// exportTrouble is how long an error of an exporter is a problem of the process. Metrics are
// exported once a minute.
const exportTrouble = 2 * time.Minute

func describeErrors(s *operator.Status, e telemetry.ErrorState) {
	if s.ExportErrors.Count = e.Count; e.Count == 0 {
		return
	}
	last := e.Last.UTC()
	s.ExportErrors.Last, s.ExportErrors.LastError = &last, shown(e.Text)
	if s.Now.Sub(last) < exportTrouble {
		s.Problems = append(s.Problems, operator.Problem{
			Kind: "telemetry", Since: last, Message: "an exporter fails, so traces, metrics or events are missing in the backend: " + shown(e.Text),
		})
	}
}

func describeUpstream(s *operator.Status, u gateway.UpstreamState) {
	optional := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	s.Upstream = &operator.Upstream{OK: u.OK, Since: optional(u.Since), LastAnswer: optional(u.LastAnswer), Errors: u.Errors, LastError: u.LastError}
	if !u.OK {
		s.Problems = append(s.Problems, operator.Problem{
			Kind: semconv.EventGatewayUpstream, Since: u.Since.UTC(), Message: "the upstream does not answer (" + u.LastError + "): check that the service behind the gateway runs",
		})
	}
}

// listenOperator opens the socket of the API, or returns nil without one. The default socket is
// optional: its folder may be missing, and another gateway may have it.
func (p *process) listenOperator() (net.Listener, error) {
	f := p.loaded.flags
	switch {
	case f.OperatorListen == none:
		return nil, nil
	case f.OperatorListen != "":
		l, err := operator.Listen(strings.TrimPrefix(f.OperatorListen, "unix:"))
		if err != nil {
			return nil, placed{p.loaded.settings.place("operator-listen"), err}
		}
		return l, nil
	}
	if _, err := os.Stat(filepath.Dir(operator.DefaultSocket)); err != nil {
		return nil, nil //nolint:nilerr // a machine without that folder has no default socket
	}
	l, err := operator.Listen(operator.DefaultSocket)
	if err != nil {
		p.log("gateway.operator_not_listening", "error", shown(err.Error()), "hint", "set --operator-listen to another socket, or to none")
		return nil, nil
	}
	return l, nil
}

// serveOperator serves the API on its socket until ctx ends. The result is nil without a socket.
func (p *process) serveOperator(ctx context.Context, l net.Listener) <-chan error {
	if l == nil {
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- operator.Serve(ctx, l, http.Handler(p.operator)) }()
	p.log("gateway.operator_listening", "address", "unix:"+l.Addr().String(), "acts", p.loaded.flags.OperatorActs)
	return ended
}
