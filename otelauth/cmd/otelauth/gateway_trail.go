// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	Trail                string        `sets:"trail:Dir" via:"gateway:Auth.Trail" start:"" placeholder:"DIR" help:"Folder for a tamper-evident record of every attempt. It must be on a local disk. Requires --trail-key-file. Default: no trail."`
	TrailKeyFile         string        `via:"trail:Key" start:"" placeholder:"FILE" help:"File with the private key that signs the trail's checkpoints. Make it with: otelauth trail keygen."`
	TrailPreviousKeyFile string        `via:"trail:PreviousKey" start:"" placeholder:"FILE" help:"File with the previous private key. Set it for the first start with a new --trail-key-file: the trail announces the new key, and both sign the next checkpoint."`
	TrailDurability      string        `via:"trail:Durability" start:"" enum:"required,ordered" default:"required" placeholder:"required|ordered" help:"required: each attempt is on disk before the service sees the request, and the answer is 503 while the trail cannot write. ordered: requests never wait, and lines that cannot be written are dropped and counted. Default: required."`
	TrailTimeout         time.Duration `sets:"trail:Timeout" start:"" default:"2s" help:"How long required waits for the disk before the answer is 503, 1ms to 1m. Default: 2s."`
	TrailCheckpoint      time.Duration `sets:"trail:CheckpointInterval" start:"" name:"trail-checkpoint-interval" default:"10s" help:"How often a checkpoint is signed and emitted while attempts arrive, 100ms to 1h. Lines after the last checkpoint can be changed unseen. Default: 10s."`
	TrailResponses       bool          `sets:"trail:Responses" start:"" help:"Add a line with the status of each response. It is never waited for."`
	TrailRetention       span          `sets:"trail:Retention" start:"" placeholder:"TIME" help:"Remove segments whose lines are all older than this, such as 90d. The trail records each removal. Default: nothing is removed."`
	TrailWitness         string        `via:"trail:Witness" start:"" placeholder:"URL" help:"Witness that cosigns the checkpoints (c2sp.org/tlog-witness). Requires --trail-witness-key-file. Default: none."`
	TrailWitnessKeyFile  string        `start:"" placeholder:"FILE" help:"File with the public key of --trail-witness."`
	TrailQueueEntries    int           `rare:"" sets:"trail:QueueEntries" start:"" placeholder:"NUMBER" help:"How many lines may wait for the disk. Default: 16384, about 8 MiB."`
	TrailSegmentBytes    int64         `rare:"" sets:"trail:SegmentBytes" start:"" placeholder:"BYTES" help:"The size at which a new segment begins. Default: 67108864 (64 MiB)."`
	TrailSegmentAge      span          `rare:"" sets:"trail:SegmentAge" start:"" placeholder:"TIME" help:"The age at which a new segment begins. Default: 24h."`
	TrailDailyBytes      int64         `rare:"" sets:"trail:DailyBytes" start:"" placeholder:"BYTES" help:"Lines of denials and of public responses beyond this size in a day (UTC) are only counted. Default: 8589934592 (8 GiB)."`
}

// config returns the configuration of the trail without its providers; its Dir is empty without a
// trail.
func (f *trailFlags) config(p *problems) trail.Config {
	var cfg trail.Config
	apply(p.settings.flags, "trail", &cfg)
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
	if cfg.Key != nil {
		p.all = append(p.all, flatten(explain(cfg.Validate(), nil, p.settings))...)
	}
	if parent := filepath.Dir(filepath.Clean(f.Trail)); !isDirectory(parent) {
		p.report("trail", fmt.Errorf("%s is not a directory: create it, writable for the gateway", quoted(shown(parent))))
	}
	return cfg
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
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
