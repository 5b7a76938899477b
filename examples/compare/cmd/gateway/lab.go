// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
	"github.com/otelauth/otelauth-go/internal/testkit"
)

// lab is the state that all measurements share.
type lab struct {
	plan   *plan
	dir    string
	script string
	stderr io.Writer

	upstream, sink               *process
	upstreamAddress, sinkAddress string

	proxies []proxy
	left    []string // proxies that are left out, with the reason
}

func newLab(ctx context.Context, p *plan, dir string, stderr io.Writer) (*lab, error) {
	l := &lab{plan: p, dir: dir, script: filepath.Join(dir, "report.lua"), stderr: stderr}
	for _, x := range proxies() {
		if !p.pick.MatchString(x.name) {
			continue
		}
		if why := x.missing(ctx, l); why != "" {
			l.left = append(l.left, x.name+": "+why)
			continue
		}
		l.proxies = append(l.proxies, x)
	}
	if len(l.proxies) == 0 {
		return nil, errors.New("gateway: nothing to measure")
	}
	if err := errors.Join(writeScript(l.script), writeAccounts(ctx, l.users(1), 1, p.cost), writeAccounts(ctx, l.users(p.accounts), p.accounts, p.cost)); err != nil {
		return nil, err
	}
	var err error
	if l.upstream, err = self(ctx, filepath.Join(dir, "upstream.log"), "upstream"); err != nil {
		return nil, err
	}
	if l.upstreamAddress, err = l.upstream.line(); err == nil {
		l.sink, err = self(ctx, filepath.Join(dir, "sink.log"), "sink")
	}
	if err == nil {
		l.sinkAddress, err = l.sink.line()
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lab) close() {
	for _, p := range []*process{l.sink, l.upstream} {
		if p != nil {
			p.stop()
		}
	}
}

func (l *lab) upstreamURL() string    { return "http://" + l.upstreamAddress }
func (l *lab) users(n int) string     { return filepath.Join(l.dir, fmt.Sprintf("users-%d", n)) }
func (l *lab) say(f string, a ...any) { fmt.Fprintf(l.stderr, f+"\n", a...) }

// running is a proxy that answers.
type running struct {
	*proxy
	dir       string
	address   string
	processes []*process
}

func (r *running) stop() {
	for _, p := range r.processes {
		p.stop()
	}
}

func (r *running) cpu() (total time.Duration, err error) {
	for _, p := range r.processes {
		t, err := p.cpu()
		if err != nil {
			return 0, err
		}
		total += t
	}
	return total, nil
}

func (r *running) memory() (total int64, err error) {
	for _, p := range r.processes {
		m, err := p.memory()
		if err != nil {
			return 0, err
		}
		total += m
	}
	return total, nil
}

// launch starts x in a directory of its own. It does not wait for the first answer.
func (l *lab) launch(ctx context.Context, x *proxy, users string) (*running, error) {
	dir, err := os.MkdirTemp(l.dir, "proxy-")
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	address, err := testkit.FindAddress(ctx)
	if err != nil {
		return nil, err
	}
	all, err := x.start(ctx, l, dir, address, users)
	if err != nil {
		return nil, err
	}
	return &running{proxy: x, dir: dir, address: address, processes: all}, nil
}

// ready starts x and waits until it accepts the right password. It fails if x also accepts a
// request without credentials.
func (l *lab) ready(ctx context.Context, x *proxy, users string) (*running, error) {
	r, err := l.launch(ctx, x, users)
	if err != nil {
		return nil, err
	}
	if err := l.check(ctx, r); err != nil {
		r.stop()
		if said, _ := os.ReadFile(filepath.Join(r.dir, "log")); len(said) > 0 {
			l.say("%s", said)
		}
		return nil, fmt.Errorf("gateway: %s: %w", x.name, err)
	}
	return r, nil
}

func (l *lab) check(ctx context.Context, r *running) error {
	if err := answers(ctx, r.address, authorization()); err != nil {
		return err
	}
	if !r.verifies {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.address+"/", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("it answers %s without credentials", resp.Status)
	}
	return nil
}

// startsWithin bounds the time until the first answer.
const startsWithin = 30 * time.Second

// answers waits for any answer, or, with credentials, for one with status 200.
func answers(ctx context.Context, address, credentials string) error {
	ctx, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			return err
		}
		if credentials != "" {
			r.Header.Set("Authorization", credentials)
		}
		resp, err := client.Do(r)
		if err == nil {
			_ = resp.Body.Close()
			if credentials == "" || resp.StatusCode == http.StatusOK {
				return nil
			}
			return fmt.Errorf("%s answers %s to the right password", address, resp.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", address, err)
		case <-time.After(time.Millisecond):
		}
	}
}

// samples are the measurements of one proxy.
type samples map[string]measure.Samples

func (s samples) add(key string, v float64) { s[key] = append(s[key], v) }
