// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
	"github.com/otelauth/otelauth-go/internal/otlpreceiver/otlpserver"
	"github.com/otelauth/otelauth-go/otelauth/internal/probeproof"
	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
)

// probeTelemetry are the flags of the proof that attempts are recorded.
type probeTelemetry struct {
	Telemetry     string   `placeholder:"HOST:PORT" help:"Receive the telemetry of the service here over OTLP/HTTP, and judge whether each attempt was recorded. Let the service, or the collector in front of sampling, export to this address. Default: telemetry is not judged."`
	TelemetryGRPC string   `name:"telemetry-grpc" placeholder:"HOST:PORT" help:"The same over OTLP/gRPC."`
	TelemetryWait span     `default:"30s" placeholder:"TIME" help:"How long the last telemetry may take to arrive, and the first metrics before the run. Default: 30s."`
	Require       []string `placeholder:"NAME,…" help:"What must hold: events, each-attempt, no-others, spans, metrics, no-secrets, user, private-names, client, method, route, path, status, agent. Default: everything but each-attempt."`
	SharedTraffic bool     `help:"Others use the service during the run. Counters must then grow at least by the attempts, and events of others are expected."`
}

// isSet reports whether telemetry is judged.
func (c *probeTelemetry) isSet() bool { return c.Telemetry != "" || c.TelemetryGRPC != "" }

// prover receives telemetry during a run and judges it. A nil prover does nothing.
type prover struct {
	flags    *probeTelemetry
	proof    *probeproof.Proof
	ledger   *evidence.Ledger
	receiver *otlpreceiver.Receiver
	server   *otlpserver.Server
}

// prover wires a run, before its prober is made. It returns nil if telemetry is not judged.
func (c *probeTelemetry) prover(config *probe.Config) (*prover, error) {
	if !c.isSet() {
		if len(c.Require) > 0 || c.SharedTraffic {
			return nil, errors.New("--require and --shared-traffic are about telemetry: name an address with --telemetry")
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
	var require []evidence.Requirement
	for _, name := range p.flags.Require {
		require = append(require, evidence.Requirement(name))
	}
	var err error
	p.ledger, err = evidence.New(evidence.Config{
		Require: require, SharedTraffic: p.flags.SharedTraffic, Secrets: prober.Canaries(), MaxAttempts: config.MaxRequests + 1,
	})
	if err != nil {
		return usageError{err}
	}
	p.proof.Use(p.ledger)
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
	if len(require) == 0 || slices.Contains(require, evidence.Metrics) {
		p.awaitMetrics(ctx)
	}
	return nil
}

// awaitMetrics waits for metrics from before the run, without which the attempts of others before
// the run cannot be told from those of the run.
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

// judge waits for the last telemetry and adds the judgement to the report. The function that it
// returns completes attempts; it is nil without a prover.
func (p *prover) judge(ctx context.Context, report *probe.Report) (func(*probe.Attempt), error) {
	if p == nil {
		return nil, nil
	}
	wait, cancel := context.WithTimeout(ctx, time.Duration(p.flags.TelemetryWait))
	defer cancel()
	_ = p.ledger.Wait(wait) // what did not arrive is a verdict
	if n := p.receiver.Refused(); n > 0 {
		p.ledger.Refused(n)
	}
	return p.proof.Apply(report, p.ledger.Judge())
}

func (p *prover) close() {
	if p != nil && p.server != nil {
		_ = p.server.Close()
	}
}
