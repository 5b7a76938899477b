// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// probeCommand probes a service.
type probeCommand struct {
	Target string `arg:"" help:"The base URL of the service: https://shop.example or http://127.0.0.1:8080."`

	probeSources `group:"Endpoints"`

	Identities string `placeholder:"FILE" group:"Accounts" help:"A YAML file with accounts of the service, and how to get their passwords. Default: the variables OTELAUTH_PROBE_USER, OTELAUTH_PROBE_PASSWORD and OTELAUTH_PROBE_GROUPS; further accounts with the suffix _2, _3 and so on."`
	Throwaway  string `placeholder:"NAME" group:"Accounts" help:"The name of an account that may be locked. Wrong passwords go to it. Default: none, and the probes that need one are not made."`

	Only                            []string `placeholder:"PROBE" group:"Requests" help:"Make these probes only. A group counts as its probes: credentials, identity, path, method, header, protocol. Default: all."`
	Without                         []string `placeholder:"PROBE" group:"Requests" help:"Leave these probes or groups out."`
	UnsafeMethods                   bool     `group:"Requests" help:"Also probe POST, PUT, PATCH and DELETE, which may change data of the service. Use it with a copy of the service only."`
	Rate                            float64  `default:"20" placeholder:"NUMBER" group:"Requests" help:"How many requests are sent in a second; 0: no limit. Default: 20."`
	Workers                         int      `placeholder:"NUMBER" group:"Requests" help:"How many endpoints are probed at once. Default: 1, or 4 with --rate 0."`
	MaxRequests                     int      `default:"100000" placeholder:"NUMBER" group:"Requests" help:"The run ends after this number of requests. Default: 100000."`
	MaxWait                         span     `default:"5m" placeholder:"TIME" group:"Requests" help:"The longest Retry-After that the run waits for. Default: 5m."`
	TargetLimit                     window   `placeholder:"NUMBER/TIME" group:"Requests" help:"How many wrong passwords in which time make the service throttle or lock an account: 5/10m. The run stays one below. A limit 10/1m of otelauth gateway is 10/10m here. Default: learned when the service throttles."`
	MaxBody                         int64    `default:"262144" placeholder:"BYTES" group:"Requests" help:"How much of an answer is read and compared. Default: 262144."`
	Timeout                         span     `default:"10s" placeholder:"TIME" group:"Requests" help:"How long the service may take for one answer. Default: 10s."`
	Samples                         int      `default:"200" placeholder:"NUMBER" group:"Requests" help:"How many answers to unknown users, and as many to wrong passwords, are compared by their time at most; 0: none. Requires --throwaway. Default: 200."`
	Correlate                       []string `placeholder:"TOKEN" group:"Requests" help:"What carries the token of a request: traceparent, request-id, user-agent. Default: all three."`
	Plaintext                       string   `placeholder:"HOST:PORT" group:"Requests" help:"Where the host of an https target may answer without TLS. Default: not tested."`
	CAFile                          string   `name:"ca-file" placeholder:"FILE" group:"Requests" help:"CA certificates (PEM) that verify the target. Default: the system's."`
	DangerouslyAcceptAnyCertificate bool     `group:"Requests" help:"Do not verify the certificate of the target: everyone on the network path can read the passwords."`

	probeTelemetry `group:"Telemetry"`

	probeReports `group:"Reports"`
}

// window is a number of events within a time: "5/10m".
type window struct {
	count  int
	period span
}

// UnmarshalText reads NUMBER/TIME.
func (w *window) UnmarshalText(text []byte) error {
	number, period, found := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(number)
	if !found || err != nil || n < 2 || w.period.UnmarshalText([]byte(period)) != nil {
		return errors.New("not a valid limit: write how many wrong passwords, 2 or more, and within which time, such as 5/10m")
	}
	w.count = n
	return nil
}

// findingsError means that the run has findings of or above --fail-on: exit code 1.
type findingsError struct {
	count int
	level probe.Severity
}

func (e findingsError) Error() string {
	return fmt.Sprintf("%s of severity %s or above; see the report", count(e.count, "finding"), e.level)
}

// Run probes the service and writes the reports.
func (c *probeCommand) Run(t *terminal) error {
	config, err := c.config(t)
	if err != nil {
		return usageError{err}
	}
	if config.Baseline, err = c.baseline(); err != nil {
		return usageError{err}
	}
	if err := c.check(); err != nil {
		return usageError{err}
	}
	keep, err := openSpool(c.Resume, c.settings(&config), c.isSet())
	if err != nil {
		return usageError{err}
	}
	defer keep.close()
	config.Each = keep.add
	if keep.resumes {
		config.Done = keep.done
	}
	bar := &probeProgress{progress: newProgress(t.err)}
	config.Progress = bar.show
	ctx, stop := interruptible()
	defer stop()
	report, err := c.probe(ctx, t, &config, bar, keep)
	if err != nil {
		return err
	}
	if err := c.write(t, report, keep, len(config.Endpoints)); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	return c.verdict(report)
}

// probe makes the run, and judges its telemetry.
func (c *probeCommand) probe(ctx context.Context, t *terminal, config *probe.Config, bar *probeProgress, keep *spool) (*probe.Report, error) {
	telemetry, err := c.prover(config)
	if err != nil {
		return nil, usageError{err}
	}
	defer telemetry.close()
	prober, err := probe.New(*config)
	if err != nil {
		return nil, usageError{err}
	}
	if err := telemetry.start(ctx, t, prober, config); err != nil {
		return nil, err
	}
	report, err := prober.Run(ctx)
	bar.end()
	if err != nil {
		return nil, err
	}
	report.Version = version()
	complete, err := telemetry.judge(ctx, t, report)
	if err != nil {
		return nil, err
	}
	if err := keep.settle(report, complete); err != nil {
		return nil, err
	}
	report.Accept(config.Baseline)
	return report, nil
}

// verdict returns an error if there are findings that matter.
func (c *probeCommand) verdict(report *probe.Report) error {
	n, level := 0, c.failOn()
	for _, f := range report.Findings {
		if f.Accepted == nil && f.Severity >= level {
			n++
		}
	}
	switch {
	case n > 0:
		return findingsError{n, level}
	case !report.Complete:
		return fmt.Errorf("the run is not complete: %s", report.Stopped)
	}
	return nil
}

// config returns the configuration of the engine.
func (c *probeCommand) config(t *terminal) (probe.Config, error) {
	endpoints, err := c.endpoints(t)
	if err != nil {
		return probe.Config{}, err
	}
	config := probe.Config{
		Target: c.Target, Endpoints: withoutPrefix(endpoints, c.Target), Throwaway: c.Throwaway,
		Only: c.Only, Without: c.Without, UnsafeMethods: c.UnsafeMethods, Rate: c.Rate, Workers: c.Workers, MaxRequests: c.MaxRequests,
		GuessLimit: c.TargetLimit.count, GuessPeriod: time.Duration(c.TargetLimit.period), MaxBodyBytes: c.MaxBody,
		MaxWait: time.Duration(c.MaxWait), Timeout: time.Duration(c.Timeout), Samples: c.Samples, Correlate: c.Correlate, Plaintext: c.Plaintext,
	}
	if c.Rate <= 0 {
		config.Rate = -1
	}
	if c.Samples <= 0 {
		config.Samples = -1
	}
	if config.Identities, err = readIdentities(c.Identities, environment); err != nil {
		return config, err
	}
	config.TLS, err = c.tls()
	return config, err
}

// tls returns the configuration of connections, or nil for that of the system.
func (c *probeCommand) tls() (*tls.Config, error) {
	if c.CAFile == "" && !c.DangerouslyAcceptAnyCertificate {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.DangerouslyAcceptAnyCertificate} //nolint:gosec // the flag says so
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca-file: %s has no certificate in PEM", c.CAFile)
		}
	}
	return config, nil
}

// probeProgress shows how far a run is on one line of a terminal.
type probeProgress struct {
	*progress
	last time.Duration
}

// show is called after each request. It writes ten times a second at most.
func (p *probeProgress) show(at probe.Progress) {
	isWaiting := time.Until(at.Waiting) > time.Second
	if !p.live || !isWaiting && at.Elapsed-p.last < 100*time.Millisecond {
		return
	}
	p.last = at.Elapsed
	const width = 30
	done := width * at.EndpointsDone / max(1, at.Endpoints)
	state := "estimating the time"
	switch {
	case isWaiting:
		state = "waiting until " + at.Waiting.Format(time.TimeOnly) + " because the service limits attempts"
	case at.Remaining > 0:
		state = "about " + at.Remaining.Round(time.Second).String() + " left"
	}
	fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %d of %d endpoints  %s  %s  %s", strings.Repeat("#", done), strings.Repeat(".", width-done),
		at.EndpointsDone, at.Endpoints, count(at.Requests, "request"), count(at.Findings, "finding"), state)
}

// withoutPrefix removes the path of the target from endpoints that all have it, because documents
// often name the whole path.
func withoutPrefix(endpoints []probe.Endpoint, target string) []probe.Endpoint {
	_, rest, _ := strings.Cut(target, "://")
	_, prefix, found := strings.Cut(rest, "/")
	if prefix = "/" + strings.TrimSuffix(prefix, "/"); !found || prefix == "/" {
		return endpoints
	}
	for _, e := range endpoints {
		if !strings.HasPrefix(e.Path, prefix+"/") {
			return endpoints
		}
	}
	for i := range endpoints {
		endpoints[i].Path = strings.TrimPrefix(endpoints[i].Path, prefix)
	}
	return endpoints
}

// errNoSource means that the command line names no endpoints.
var errNoSource = errors.New("no endpoints: name them with --list, --openapi, --policy or --events")

// each reads the files of one kind of source.
func each(t *terminal, flag string, files []string, read func(r *os.File, name string) ([]probe.Endpoint, error)) ([]probe.Endpoint, error) {
	var all []probe.Endpoint
	for _, name := range files {
		f := t.in
		if name != "-" {
			var err error
			if f, err = openRegular(name); err != nil {
				return nil, fmt.Errorf("--%s: %w", flag, err)
			}
		}
		list, err := read(f, name)
		if name != "-" {
			_ = f.Close() // only read
		}
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", flag, err)
		}
		all = append(all, list...)
	}
	return all, nil
}
