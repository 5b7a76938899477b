// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/witness"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/telemetry"
)

// trailFlags configure the tamper-evident trail.
type trailFlags struct {
	Trail                string        `via:"gateway:Auth.Trail" start:"" placeholder:"DIR" help:"Folder for a tamper-evident record of every attempt. It must be on a local disk. Requires --trail-key-file. Default: no trail."`
	TrailKeyFile         string        `start:"" placeholder:"FILE" help:"File with the private key that signs the trail's checkpoints. Make it with: otelauth trail keygen."`
	TrailPreviousKeyFile string        `start:"" placeholder:"FILE" help:"File with the previous private key. Set it for the first start with a new --trail-key-file: the trail announces the new key, and both sign the next checkpoint."`
	TrailDurability      string        `start:"" enum:"required,ordered" default:"required" placeholder:"required|ordered" help:"required: each attempt is on disk before the service sees the request, and the answer is 503 while the trail cannot write. ordered: requests never wait, and lines that cannot be written are dropped and counted. Default: required."`
	TrailTimeout         time.Duration `start:"" default:"2s" help:"How long required waits for the disk before the answer is 503, 1ms to 1m. Default: 2s."`
	TrailCheckpoint      time.Duration `start:"" name:"trail-checkpoint-interval" default:"10s" help:"How often a checkpoint is signed and emitted while attempts arrive, 100ms to 1h. Lines after the last checkpoint can be changed unseen. Default: 10s."`
	TrailResponses       bool          `start:"" help:"Add a line with the status of each response. It is never waited for."`
	TrailRetention       time.Duration `start:"" placeholder:"DURATION" help:"Remove segments whose lines are all older than this, such as 2160h (90 days). The trail records each removal. Default: nothing is removed."`
	TrailWitness         string        `start:"" placeholder:"URL" help:"Witness that cosigns the checkpoints (c2sp.org/tlog-witness). Requires --trail-witness-key-file. Default: none."`
	TrailWitnessKeyFile  string        `start:"" placeholder:"FILE" help:"File with the public key of --trail-witness."`
}

// config returns the configuration of the trail without its providers; its Dir is empty without a
// trail.
func (f *trailFlags) config(p *problems) trail.Config {
	cfg := trail.Config{Dir: f.Trail, Timeout: f.TrailTimeout, CheckpointInterval: f.TrailCheckpoint, Responses: f.TrailResponses, Retention: f.TrailRetention}
	if f.Trail == "" {
		if f.TrailKeyFile != "" || f.TrailWitness != "" || f.TrailRetention != 0 {
			p.missing("--trail is missing: name a folder for the trail, or remove the other settings that begin with --trail-")
		}
		return cfg
	}
	p.report("trail-durability", cfg.Durability.UnmarshalText([]byte(f.TrailDurability)))
	if f.TrailKeyFile == "" {
		p.missing("--trail-key-file is missing: make a key with: otelauth trail keygen trail.key --origin host.example/service")
		return cfg
	}
	var err error
	cfg.Key, err = readTrailKey(f.TrailKeyFile)
	p.report("trail-key-file", err)
	if f.TrailPreviousKeyFile != "" {
		cfg.PreviousKey, err = readTrailKey(f.TrailPreviousKeyFile)
		p.report("trail-previous-key-file", err)
	}
	cfg.Witness, err = f.witness()
	p.report("trail-witness", err)
	if len(p.all) == 0 {
		for _, err := range flatten(trail.Check(cfg)) {
			p.report(trailFlag(err))
		}
	}
	return cfg
}

// trailFields has the flags of fields of trail.Config.
var trailFields = map[string]string{
	"Timeout": "trail-timeout", "CheckpointInterval": "trail-checkpoint-interval", "Retention": "trail-retention",
	"PreviousKey": "trail-previous-key-file",
}

// trailFlag returns the flag that sets the field of an error, and the error without the field.
func trailFlag(err error) (flag string, problem error) {
	if err == nil {
		return "", nil
	}
	rest, _ := strings.CutPrefix(err.Error(), "trail: Config.")
	field, text, _ := strings.Cut(rest, " ")
	if flag := trailFields[field]; flag != "" {
		return flag, errors.New(text)
	}
	return "trail", err
}

// witness returns the client of the witness, or nil.
func (f *trailFlags) witness() (trail.Witness, error) {
	switch {
	case f.TrailWitness == "" && f.TrailWitnessKeyFile == "":
		return nil, nil
	case f.TrailWitness == "" || f.TrailWitnessKeyFile == "":
		return nil, errors.New("--trail-witness and --trail-witness-key-file need each other: set both, or remove both")
	}
	keys, err := readPublicKeys(f.TrailWitnessKeyFile)
	if err != nil {
		return nil, err
	}
	return witness.New(witness.Config{URL: f.TrailWitness, Key: keys[0]})
}

// recorder is the trail of a running gateway. A nil recorder records nothing.
type recorder struct {
	*trail.Trail
	lines *sdklog.LoggerProvider // with OTEL_SDK_DISABLED
}

// record opens the trail, or returns nil without one.
func (p *process) record(notices attempt.NoticeObserver) (*recorder, error) {
	cfg := p.loaded.trail
	if cfg.Dir == "" {
		return nil, nil
	}
	r := &recorder{}
	cfg.MeterProvider, cfg.LoggerProvider, cfg.Notify, cfg.Now = p.signals.MeterProvider, p.signals.LoggerProvider, notices.Notice, p.t.now
	if p.lines != nil {
		// Checkpoints must leave the process without an SDK too.
		r.lines = sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(telemetry.NewLineExporter(p.t.err))))
		cfg.LoggerProvider = log.LoggerProvider(r.lines)
	}
	var err error
	if r.Trail, err = trail.Open(cfg); errors.Is(err, trail.ErrKey) {
		err = fmt.Errorf("%w; for the first start with a new key set --trail-previous-key-file", err)
	}
	if err != nil {
		return nil, placed{p.loaded.settings.place("trail"), err}
	}
	return r, nil
}

// wire sets the trail in cfg.
func (r *recorder) wire(cfg *gateway.Config) {
	if r != nil {
		cfg.Auth.Trail = r.Trail
	}
}

// trailCloseWait bounds how long the end of the process waits for the last checkpoint.
const trailCloseWait = 10 * time.Second

// close signs the last checkpoint. Call it after the last request and before the telemetry ends.
func (r *recorder) close() error {
	if r == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), trailCloseWait)
	defer cancel()
	err := r.Close(ctx)
	if r.lines != nil {
		err = errors.Join(err, r.lines.Shutdown(ctx))
	}
	if err != nil {
		return fmt.Errorf("the trail was not closed: %w", err)
	}
	return nil
}
