// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
	"github.com/otelauth/otelauth-go/internal/otlpreceiver/otlpserver"
	"github.com/otelauth/otelauth-go/otelauth/internal/probeproof"
	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
	"github.com/otelauth/otelauth-go/otelauth/probe/loglines"
)

// probeTelemetry are the flags of the proof that attempts are recorded.
type probeTelemetry struct {
	Telemetry     string   `placeholder:"HOST:PORT" help:"Receive the telemetry of the service here over OTLP/HTTP, and judge whether each attempt was recorded. Let the service, or the collector in front of sampling, export to this address. Default: telemetry is not judged."`
	TelemetryGRPC string   `name:"telemetry-grpc" placeholder:"HOST:PORT" help:"The same over OTLP/gRPC."`
	Logs          string   `placeholder:"FILE" help:"Judge the lines that the service appends to this log during the run, in JSON or logfmt; - is standard input."`
	LogFields     string   `default:"otelauth" placeholder:"NAME" help:"Which field of a line means what: otelauth, ecs, ocsf, django, or the path of a YAML file. Default: otelauth."`
	TelemetryWait span     `default:"30s" placeholder:"TIME" help:"How long the last telemetry may take to arrive, and the first metrics before the run. Default: 30s."`
	Require       []string `placeholder:"NAME" help:"What must hold: events, each-attempt, no-others, spans, metrics, no-secrets, user, private-names, client, method, route, path, status, agent. Default: everything but each-attempt; with --logs alone what a line can hold."`
	SharedTraffic bool     `help:"Others use the service during the run. Counters must then grow at least by the attempts, and events of others are expected."`
}

// isSet reports whether telemetry is judged.
func (c *probeTelemetry) isSet() bool { return c.isOTLP() || c.Logs != "" }

func (c *probeTelemetry) isOTLP() bool { return c.Telemetry != "" || c.TelemetryGRPC != "" }

// required returns what must hold.
func (c *probeTelemetry) required() []evidence.Requirement {
	var list []evidence.Requirement
	for _, name := range c.Require {
		list = append(list, evidence.Requirement(name))
	}
	switch {
	case len(list) > 0:
		return list
	case c.isOTLP():
		return evidence.DefaultTelemetry()
	}
	return evidence.DefaultLines()
}

// prover receives telemetry during a run and judges it. A nil prover does nothing.
type prover struct {
	flags    *probeTelemetry
	proof    *probeproof.Proof
	ledger   *evidence.Ledger
	receiver *otlpreceiver.Receiver
	server   *otlpserver.Server
	logs     *logReader
}

// prover wires a run, before its prober is made. It returns nil if telemetry is not judged.
func (c *probeTelemetry) prover(config *probe.Config) (*prover, error) {
	if !c.isSet() {
		if len(c.Require) > 0 || c.SharedTraffic {
			return nil, errors.New("--require and --shared-traffic are about telemetry: name an address with --telemetry, or a log with --logs")
		}
		return nil, nil
	}
	return &prover{flags: c, proof: probeproof.New(config)}, nil
}

// start begins to receive, and waits for the first metrics if counters are judged.
func (p *prover) start(ctx context.Context, t *terminal, prober *probe.Prober, config *probe.Config) error {
	if p == nil {
		return nil
	}
	require := p.flags.required()
	var err error
	p.ledger, err = evidence.New(evidence.Config{
		Require: require, SharedTraffic: p.flags.SharedTraffic, Secrets: prober.Canaries(), SecretNames: p.proof.SecretNames(), Expected: p.proof.Expected(),
		MaxAttempts: config.MaxRequests + 1,
	})
	if err != nil {
		return usageError{err}
	}
	p.proof.Use(p.ledger)
	if p.flags.Logs != "" {
		if p.logs, err = p.flags.follow(ctx, t, p.ledger); err != nil {
			return usageError{err}
		}
	}
	if !p.flags.isOTLP() {
		return nil
	}
	p.receiver = otlpreceiver.New(otlpreceiver.Config{Sink: p.ledger.Export})
	p.server, err = otlpserver.Listen(ctx, otlpserver.Config{Receiver: p.receiver, HTTP: p.flags.Telemetry, GRPC: p.flags.TelemetryGRPC})
	if err != nil {
		return err
	}
	if p.server.HTTP != "" {
		fmt.Fprintf(t.err, "otelauth: receiving telemetry over OTLP/HTTP on %s\n", p.server.HTTP)
	}
	if p.server.GRPC != "" {
		fmt.Fprintf(t.err, "otelauth: receiving telemetry over OTLP/gRPC on %s\n", p.server.GRPC)
	}
	if slices.Contains(require, evidence.Metrics) {
		fmt.Fprintf(t.err, "otelauth: waiting for metrics from before the run, at most %s\n", p.flags.TelemetryWait)
		p.awaitMetrics(ctx)
	}
	return nil
}

// awaitMetrics waits for metrics from before the run, without which the attempts of others before
// the run cannot be separated from those of the run.
func (p *prover) awaitMetrics(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.flags.TelemetryWait))
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !p.ledger.HasBaseline() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// judge waits for the last telemetry and adds the judgement to the report, also after an interrupt:
// what is in transit is not missing. The function that it returns completes attempts; it is nil
// without a prover.
func (p *prover) judge(ctx context.Context, t *terminal, report *probe.Report) (func(*probe.Attempt), error) {
	if p == nil {
		return nil, nil
	}
	if ctx.Err() != nil {
		fmt.Fprintf(t.err, "otelauth: interrupted; waiting for the last telemetry, at most %s; Ctrl-C again ends at once\n", p.flags.TelemetryWait)
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Duration(p.flags.TelemetryWait))
	defer cancel()
	_ = p.ledger.Wait(wait) // what did not arrive is a verdict
	if err := p.logs.end(); err != nil {
		return nil, err
	}
	if p.receiver != nil && p.receiver.Refused() > 0 {
		p.ledger.Refused(p.receiver.Refused())
	}
	return p.proof.Apply(report, p.ledger.Judge())
}

func (p *prover) close() {
	if p != nil && p.server != nil {
		_ = p.server.Close()
	}
}

// logReader reads the log of the service during a run. A nil logReader has nothing to read.
type logReader struct {
	cancel context.CancelFunc
	done   chan error
}

// follow begins to read the log.
func (c *probeTelemetry) follow(ctx context.Context, t *terminal, ledger *evidence.Ledger) (*logReader, error) {
	fields, err := c.fields()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &logReader{cancel: cancel, done: make(chan error, 1)}
	if c.Logs == "-" {
		go func() { l.done <- readLines(ctx, t.in, fields, ledger) }()
		return l, nil
	}
	ready := make(chan struct{})
	go func() { l.done <- loglines.Follow(ctx, c.Logs, fields, func() { close(ready) }, ledger.Add) }()
	select {
	case <-ready:
		return l, nil
	case err := <-l.done:
		cancel()
		return nil, fmt.Errorf("--logs: %w", err)
	}
}

// readLines reads until the input ends, or ctx has ended and a line arrives.
func readLines(ctx context.Context, in io.Reader, fields *loglines.Fields, ledger *evidence.Ledger) error {
	lines := loglines.NewReader(in, fields, nil)
	for ctx.Err() == nil {
		record, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		ledger.Add(record)
	}
	return nil
}

// fields returns the mapping that --log-fields names.
func (c *probeTelemetry) fields() (*loglines.Fields, error) {
	return readFields("--log-fields", c.LogFields)
}

// end reads what is left of a file. Standard input may never end, so it is not waited for.
func (l *logReader) end() error {
	if l == nil {
		return nil
	}
	l.cancel()
	select {
	case err := <-l.done:
		return err
	case <-time.After(time.Second):
		return nil
	}
}
