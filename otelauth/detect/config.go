// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
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
)

// Config is how a [Detector] works. Its zero value is a good one: every rule, at its default, told through the global
// providers.
type Config struct {
	// LoggerProvider emits the events auth.detection; nil means that of [otel.GetLoggerProvider].
	LoggerProvider log.LoggerProvider
	// MeterProvider makes the counters; nil means [otel.GetMeterProvider].
	MeterProvider metric.MeterProvider
	// TracerProvider makes the spans auth.detection; nil means [otel.GetTracerProvider].
	TracerProvider trace.TracerProvider
	// OnDetection is told what the events tell, by the goroutine that runs [Detector.Run] or Drain; it must not
	// block. nil: nobody.
	OnDetection func(Detection)

	// Thresholds are when the rules speak.
	Thresholds Thresholds
	// Off names rules that stay silent. Default: none.
	Off []string
	// Locator tells where an address is, for the rule impossible_travel, which is silent without it.
	Locator Locator

	// Feed shares attempts with other processes, see the chapter Sharing; nil: this process adds up its own alone.
	Feed Feed

	// Entries bounds each of the tables of evidence, and of what is usual for an account; rounded up to a power of two.
	// Default: 16,384. At the default a Detector takes 33 MiB at most, whatever its clients send; it grows in proportion.
	Entries int
	// Queue is how many attempts may wait to be added up, rounded up to a power of two. What comes on top is dropped
	// and counted. Default: 8,192, of 144 bytes each.
	Queue int

	// Now is the clock of [Detector.Run], of attempts that do not say when they began, and of the ends of spans. Default: time.Now.
	Now func() time.Time
	// Rand is the source of the key that makes places in tables unforeseeable. Default: crypto/rand.Reader.
	Rand io.Reader
}

// The deproblems of [Config].
const (
	DefaultEntries = 1 << 14
	DefaultQueue   = 1 << 13
)

// Locator tells where an address is. Package geoip has one for databases in MaxMind's format.
type Locator interface {
	// Locate returns latitude and longitude in degrees, and false when it does not know. It is asked off the path of
	// requests, and does no I/O on a network.
	Locate(addr netip.Addr) (latitude, longitude float64, ok bool)
}

// complete fills in the deproblems and returns every fault at once.
func (cfg *Config) complete() error {
	problems := cfg.Thresholds.complete()
	for _, name := range cfg.Off {
		if !slices.ContainsFunc(rules[:], func(r definition) bool { return r.Name == name }) {
			problems = append(problems, fmt.Errorf("detect: Config.Off has %q, which is not a rule; use a name of detect.Rules", name))
		}
	}
	for _, f := range []struct {
		name           string
		value          *int
		byDefault, top int
	}{
		{"Entries", &cfg.Entries, DefaultEntries, 1 << 24},
		{"Queue", &cfg.Queue, DefaultQueue, 1 << 20},
	} {
		if *f.value == 0 {
			*f.value = f.byDefault
		}
		if *f.value < 0 || *f.value > f.top {
			problems = append(problems, fmt.Errorf("detect: Config.%s is %d; choose 1 to %d, or 0 for %d", f.name, *f.value, f.top, f.byDefault))
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
