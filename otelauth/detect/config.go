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

// The defaults of [Config].
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

// Thresholds are when the rules speak. Each zero field means the default in its comment; a distinct count is at
// most 200. Windows slide in two halves: what is said of a window of 3 days holds for evidence at most 3 days
// old, and evidence older than 6 never counts.
type Thresholds struct {
	// BruteForcePasswords is how many different wrong passwords within a day, for one account from one network. Default: 30.
	BruteForcePasswords int
	// SprayAccounts is how many accounts that never came from the network, within 3 days. Default: 10.
	SprayAccounts int
	// StuffingNames is how many names within 3 days. Default: 20.
	StuffingNames int
	// CrowdPercent scales SprayAccounts and StuffingNames with the network: they are at least this part of the
	// accounts that succeed from it, so that those behind one shared address are not one attacker. Default: 20.
	CrowdPercent int
	// SamePasswordAccounts is how many names one wrong password is tried on within 3 days. Default: 10.
	SamePasswordAccounts int
	// SamePasswordNetworks is from how many networks, when there are at least 3 names. Default: 20.
	SamePasswordNetworks int
	// DistributedNetworks is how many networks, and how many different wrong passwords, within 3 days. Default: 10.
	DistributedNetworks int
	// SlowTenMinutes is in how many ten-minute windows of a day. Default: 24.
	SlowTenMinutes int
	// SlowHours is in how many hours of two days. Default: 12.
	SlowHours int
	// SlowDays is on how many days of fourteen. Default: 6.
	SlowDays int
	// TickIntervals is how many equal intervals in a row. Default: 8.
	TickIntervals int
	// RunBeforeSuccess is how many different wrong passwords before a success from a network new to the account. Default: 20.
	RunBeforeSuccess int
	// NewNetworkAfter is how long an account must be known before a new network is news. Default: 7 days.
	NewNetworkAfter time.Duration
	// LearnHours is how long the hours of an account are learned. Default: 14 days.
	LearnHours time.Duration
	// TravelKm and TravelKmPerHour are how far and how fast nobody travels. Defaults: 500 and 1000.
	TravelKm        int
	TravelKmPerHour int
	// EndpointNames is how many failing names within an hour above twice the usual. Default: 20.
	EndpointNames int
	// SensitiveDenials is how many different refusals on sensitive endpoints, within 3 days. Default: 5.
	SensitiveDenials int
	// UnusableTries is how many tries of a disabled or expired account within 3 days. Default: 3.
	UnusableTries int
}

// DefaultThresholds returns what the zero Thresholds mean.
func DefaultThresholds() Thresholds {
	return Thresholds{
		BruteForcePasswords: 30, SprayAccounts: 10, StuffingNames: 20, CrowdPercent: 20,
		SamePasswordAccounts: 10, SamePasswordNetworks: 20, DistributedNetworks: 10,
		SlowTenMinutes: 24, SlowHours: 12, SlowDays: 6, TickIntervals: 8, RunBeforeSuccess: 20,
		NewNetworkAfter: 7 * 24 * time.Hour, LearnHours: 14 * 24 * time.Hour,
		TravelKm: 500, TravelKmPerHour: 1000, EndpointNames: 20, SensitiveDenials: 5, UnusableTries: 3,
	}
}

// complete fills in the defaults and returns every fault.
func (t *Thresholds) complete() (faults []error) {
	d := DefaultThresholds()
	for _, f := range []struct {
		name       string
		value      *int
		byDefault  int
		least, top int
	}{
		{"BruteForcePasswords", &t.BruteForcePasswords, d.BruteForcePasswords, 2, distinctMax},
		{"SprayAccounts", &t.SprayAccounts, d.SprayAccounts, 2, distinctMax},
		{"StuffingNames", &t.StuffingNames, d.StuffingNames, 2, distinctMax},
		{"CrowdPercent", &t.CrowdPercent, d.CrowdPercent, 1, 100},
		{"SamePasswordAccounts", &t.SamePasswordAccounts, d.SamePasswordAccounts, 2, distinctMax},
		{"SamePasswordNetworks", &t.SamePasswordNetworks, d.SamePasswordNetworks, 2, distinctMax},
		{"DistributedNetworks", &t.DistributedNetworks, d.DistributedNetworks, 2, distinctMax},
		{"SlowTenMinutes", &t.SlowTenMinutes, d.SlowTenMinutes, 2, 144},
		{"SlowHours", &t.SlowHours, d.SlowHours, 2, 48},
		{"SlowDays", &t.SlowDays, d.SlowDays, 2, 14},
		{"TickIntervals", &t.TickIntervals, d.TickIntervals, 3, 1000},
		{"RunBeforeSuccess", &t.RunBeforeSuccess, d.RunBeforeSuccess, 2, distinctMax},
		{"TravelKm", &t.TravelKm, d.TravelKm, 1, 20_000},
		{"TravelKmPerHour", &t.TravelKmPerHour, d.TravelKmPerHour, 1, 1_000_000},
		{"EndpointNames", &t.EndpointNames, d.EndpointNames, 2, 1000},
		{"SensitiveDenials", &t.SensitiveDenials, d.SensitiveDenials, 2, distinctMax},
		{"UnusableTries", &t.UnusableTries, d.UnusableTries, 1, 1000},
	} {
		if *f.value == 0 {
			*f.value = f.byDefault
		}
		if *f.value < f.least || *f.value > f.top {
			faults = append(faults, fmt.Errorf("detect: Thresholds.%s is %d; choose %d to %d, or 0 for %d",
				f.name, *f.value, f.least, f.top, f.byDefault))
		}
	}
	for _, f := range []struct {
		name      string
		value     *time.Duration
		byDefault time.Duration
	}{
		{"NewNetworkAfter", &t.NewNetworkAfter, d.NewNetworkAfter},
		{"LearnHours", &t.LearnHours, d.LearnHours},
	} {
		if *f.value == 0 {
			*f.value = f.byDefault
		}
		if *f.value < time.Hour || *f.value > 365*24*time.Hour {
			faults = append(faults, fmt.Errorf("detect: Thresholds.%s is %v; choose 1 h to 365 days, or 0 for %v",
				f.name, *f.value, f.byDefault))
		}
	}
	if t.RunBeforeSuccess > t.BruteForcePasswords {
		faults = append(faults, fmt.Errorf("detect: Thresholds.RunBeforeSuccess is %d and BruteForcePasswords %d: "+
			"a success would be judged more mildly from a new network than from a known one; lower the former",
			t.RunBeforeSuccess, t.BruteForcePasswords))
	}
	return faults
}

// complete fills in the defaults and returns every fault at once.
func (cfg *Config) complete() error {
	faults := cfg.Thresholds.complete()
	for _, name := range cfg.Off {
		if !slices.ContainsFunc(rules[:], func(r Rule) bool { return r.Name == name }) {
			faults = append(faults, fmt.Errorf("detect: Config.Off names no rule %q; see detect.Rules", name))
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
			faults = append(faults, fmt.Errorf("detect: Config.%s is %d; choose 1 to %d, or 0 for %d", f.name, *f.value, f.top, f.byDefault))
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
	return errors.Join(faults...)
}
