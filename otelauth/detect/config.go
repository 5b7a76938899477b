// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
)

// Config configures a [Detector]. The zero value enables every rule that is not [Rule].Optional,
// with its default thresholds, and reports through the global providers.
type Config struct {
	// LoggerProvider emits the events auth.detection. Default: [otel.GetLoggerProvider].
	LoggerProvider log.LoggerProvider
	// MeterProvider creates the counters. Default: [otel.GetMeterProvider].
	MeterProvider metric.MeterProvider
	// TracerProvider creates the spans auth.detection. Default: [otel.GetTracerProvider].
	TracerProvider trace.TracerProvider
	// OnDetection, if not nil, gets each detection that is emitted as an event. The goroutine of
	// [Detector.Run] or [Detector.Drain] calls it, so it must not block.
	OnDetection func(Detection)
	// OnEpisode, if not nil, gets each detection of this process, also those that another process
	// emits as an event because both share a Feed. It is called like OnDetection.
	OnEpisode func(Detection)

	// Thresholds decide when the rules fire.
	Thresholds Thresholds
	// On has the names of rules that are off by default ([Rule].Optional) and wanted. The name of a
	// rule that is on by default has no effect. Default: none.
	On []string
	// Off has the names of rules that never fire. No name may be in both On and Off. Default: none.
	Off []string
	// Custom has rules and exceptions of the operator. [Detector.Use] replaces them.
	Custom Custom
	// Locator returns the place of an address. Without it, impossible_travel never fires.
	Locator Locator

	// Feed shares attempts with other processes; see the section Sharing. Package redisfeed has
	// one. Default: this process evaluates its own attempts only.
	Feed feed.Feed

	// Snapshot keeps what was learned and the evidence over a restart. Default: a restart loses
	// them. With a Feed no file is allowed, because the feed keeps them.
	Snapshot Snapshot

	// Entries is the size of each table of evidence and of habits, at most 2^24, rounded up to a
	// power of two. Choose at least the number of accounts that succeed within 30 days. Memory is
	// in proportion: at the default about 20 MiB, and at most 64 MiB while attacks fill the tables.
	// Default: 16,384.
	Entries int
	// Queue is the number of attempts that can wait for evaluation, at most 2^20, rounded up to a
	// power of two. Further ones are dropped and counted. Default: 8,192, of 224 bytes each.
	Queue int

	// Notice, if not nil, gets a notice if the snapshot is unusable or cannot be stored, and if
	// the tables become half full, lose state or have room again. It must not block.
	Notice func(context.Context, attempt.Notice)

	// Now is the clock of [Detector.Run], of attempts without a time, and of the ends of spans.
	// Default: time.Now.
	Now func() time.Time
	// Rand is the source of the key that makes places in tables unpredictable.
	// Default: crypto/rand.Reader.
	Rand io.Reader
}

const (
	defaultEntries = 1 << 14
	defaultQueue   = 1 << 13
)

// Locator returns the place of an address. Package geoip has one for databases in MaxMind's
// format. If it implements [Owner] too, detections list countries and owners of networks.
type Locator interface {
	// Locate returns latitude and longitude in degrees, and false if the place is unknown. No
	// request waits for it, but it must not use the network.
	Locate(addr netip.Addr) (latitude, longitude float64, ok bool)
}

// complete sets the defaults and returns one error that lists every problem.
func (cfg *Config) complete() error {
	problems := append(cfg.Thresholds.complete(), cfg.Snapshot.complete()...)
	problems = append(problems, cfg.Custom.Validate())
	if cfg.Snapshot.File != "" && cfg.Feed != nil {
		problems = append(problems, errors.New("detect: Config.Snapshot.File cannot be combined with Config.Feed, which keeps what is learned; remove one of them"))
	}
	if cfg.Notice == nil {
		cfg.Notice = func(context.Context, attempt.Notice) {}
	}
	problems = append(problems, cfg.checkNames()...)
	for _, f := range []struct {
		name           string
		value          *int
		byDefault, top int
	}{
		{"Entries", &cfg.Entries, defaultEntries, 1 << 24},
		{"Queue", &cfg.Queue, defaultQueue, 1 << 20},
	} {
		if *f.value == 0 {
			*f.value = f.byDefault
		}
		if *f.value < 0 || *f.value > f.top {
			problems = append(problems, fmt.Errorf("detect: Config.%s is %d; choose 1 to %d, or 0 for %d",
				f.name, *f.value, f.top, f.byDefault))
		}
	}
	if cfg.LoggerProvider == nil {
		cfg.LoggerProvider = otel.GetLoggerProvider()
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return errors.Join(problems...)
}

// checkNames returns the errors of On and Off.
func (cfg *Config) checkNames() (problems []error) {
	for _, list := range []struct {
		field string
		names []string
	}{{"On", cfg.On}, {"Off", cfg.Off}} {
		for _, name := range list.names {
			if !slices.ContainsFunc(rules[:], func(r definition) bool { return r.Name == name }) {
				problems = append(problems, fmt.Errorf("detect: Config.%s has %q, which is not a rule; use a name of detect.Rules", list.field, name))
			}
		}
	}
	for _, name := range cfg.On {
		if slices.Contains(cfg.Off, name) {
			problems = append(problems, fmt.Errorf("detect: Config.On has %q, and so has Config.Off; remove it from one of them", name))
		}
	}
	return problems
}

// IsOn reports whether a [Detector] with cfg evaluates the built-in rule of this name: Off does not
// have it, and it is not [Rule].Optional or On has it. It returns false for a name that is not a
// built-in rule.
func (cfg *Config) IsOn(name string) bool {
	i := slices.IndexFunc(rules[:], func(r definition) bool { return r.Name == name })
	return i >= 0 && !slices.Contains(cfg.Off, name) && (!rules[i].Optional || slices.Contains(cfg.On, name))
}
