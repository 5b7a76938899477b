// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// Config is the configuration of [Open]. Dir and Key are required; the zero value of every other
// field is a safe default.
type Config struct {
	// Dir is the folder of the trail. Open makes it, with mode 0700. Its parent must exist.
	Dir string
	// Key signs checkpoints.
	Key *Key
	// PreviousKey signed the checkpoints until now, if Key is new. Open then announces Key in a
	// line, and the next checkpoint is signed by both. It must have the same origin. Default: Key
	// is not new.
	PreviousKey *Key
	// Durability is when a line is on disk. Default: [Required].
	Durability Durability
	// Timeout bounds how long [Required] waits for the disk; 1 ms to 1 minute. Default: 2 s.
	Timeout time.Duration
	// QueueEntries bounds the lines that wait for the disk, 16 to 1,048,576. Beyond it, [Required]
	// refuses and [Ordered] drops and counts. Default: 16,384, about 8 MiB.
	QueueEntries int
	// SegmentBytes is the size at which a new segment begins, 1 MiB to 1 GiB. Default: 64 MiB.
	SegmentBytes int64
	// SegmentAge is the age at which a new segment begins, at least 1 minute. Default: 24 h.
	SegmentAge time.Duration
	// CheckpointInterval is how often a checkpoint is signed while lines arrive, 100 ms to 1 hour.
	// Default: 10 s.
	CheckpointInterval time.Duration
	// DailyBytes bounds the lines of denials and of public responses a day (UTC). Beyond it they
	// are only counted. Default: 8 GiB.
	DailyBytes int64
	// Retention removes segments whose lines are all older, as [Trail.Prune] does, with the actor
	// "retention"; at least 1 hour. Default: every line is kept.
	Retention time.Duration
	// Responses adds a line "auth.trail.response" for each "auth.attempt" line, when the status
	// of the response is known. These lines are never waited for. Default: no such lines.
	Responses bool

	// Witness cosigns checkpoints. It is called in a goroutine of its own, one call at a time.
	// Default: none.
	Witness Witness
	// Notify gets each anomaly, after its event was emitted. It must not block. Default: none.
	Notify func(ctx context.Context, n attempt.Notice)
	// MeterProvider and LoggerProvider receive the telemetry. Default: the global providers at
	// the time of Open.
	MeterProvider  metric.MeterProvider
	LoggerProvider log.LoggerProvider
	// Now returns the time with a monotonic reading. Default: time.Now.
	Now func() time.Time
}

// Durability is when a line is on disk, compared with the request that it is about.
type Durability uint8

const (
	// Required means on disk before the handler runs, otherwise 503.
	Required Durability = 0
	// Ordered means soon: lines wait in a bounded queue, requests never wait.
	Ordered Durability = 1
	// Off writes nothing. Open makes no folder and needs no key.
	Off Durability = 2
)

var durabilityNames = [...]string{Required: "required", Ordered: "ordered", Off: "off"}

// String returns "required", "ordered" or "off"; "" for a value outside the constants.
func (d Durability) String() string {
	if int(d) < len(durabilityNames) {
		return durabilityNames[d]
	}
	return ""
}

// MarshalText returns what String returns.
func (d Durability) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText accepts what String returns.
func (d *Durability) UnmarshalText(text []byte) error {
	for i, name := range durabilityNames {
		if name == string(text) {
			*d = Durability(i)
			return nil
		}
	}
	return fmt.Errorf("trail: unknown durability %.20q; use required, ordered or off", text)
}

// The defaults of [Config].
const (
	DefaultTimeout            = 2 * time.Second
	DefaultQueueEntries       = 16_384
	DefaultSegmentBytes       = 64 << 20
	DefaultSegmentAge         = 24 * time.Hour
	DefaultCheckpointInterval = 10 * time.Second
	DefaultDailyBytes         = 8 << 30
)

// MaxLineBytes bounds a line, without its newline. An entry of c2sp.org/tlog-tiles cannot be
// longer.
const MaxLineBytes = 65_535

func (c *Config) validate() error {
	var errs []error
	invalid := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("trail: Config."+format, args...))
	}
	if c.Durability > Off {
		invalid("Durability is %d; use Required, Ordered or Off", c.Durability)
	}
	if c.Durability != Off {
		if c.Dir == "" {
			invalid("Dir is empty; set it to a folder on a local disk")
		}
		if c.Key == nil {
			invalid("Key is nil; make one with GenerateKey and keep it")
		}
	}
	if c.Key != nil && c.PreviousKey != nil && c.Key.Origin() != c.PreviousKey.Origin() {
		invalid("PreviousKey is of %q and Key of %q; make the new key for the same origin", c.PreviousKey.Origin(), c.Key.Origin())
	}
	for _, b := range []struct {
		field                string
		value, min, max, def int64
	}{
		{"QueueEntries", int64(c.QueueEntries), 16, 1 << 20, DefaultQueueEntries},
		{"SegmentBytes", c.SegmentBytes, 1 << 20, 1 << 30, DefaultSegmentBytes},
		{"DailyBytes", c.DailyBytes, 1 << 20, 1 << 50, DefaultDailyBytes},
	} {
		if b.value != 0 && (b.value < b.min || b.value > b.max) {
			invalid("%s is %d; choose %d to %d, or 0 for %d", b.field, b.value, b.min, b.max, b.def)
		}
	}
	for _, b := range []struct {
		field                string
		value, min, max, def time.Duration
	}{
		{"Timeout", c.Timeout, time.Millisecond, time.Minute, DefaultTimeout},
		{"SegmentAge", c.SegmentAge, time.Minute, 366 * 24 * time.Hour, DefaultSegmentAge},
		{"CheckpointInterval", c.CheckpointInterval, 100 * time.Millisecond, time.Hour, DefaultCheckpointInterval},
	} {
		if b.value != 0 && (b.value < b.min || b.value > b.max) {
			invalid("%s is %v; choose %v to %v, or 0 for %v", b.field, b.value, b.min, b.max, b.def)
		}
	}
	if c.Retention != 0 && c.Retention < time.Hour {
		invalid("Retention is %v; choose at least 1h, or 0 to keep every line", c.Retention)
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.QueueEntries = cmp.Or(c.QueueEntries, DefaultQueueEntries)
	c.SegmentBytes = cmp.Or(c.SegmentBytes, DefaultSegmentBytes)
	c.SegmentAge = cmp.Or(c.SegmentAge, DefaultSegmentAge)
	c.CheckpointInterval = cmp.Or(c.CheckpointInterval, DefaultCheckpointInterval)
	c.DailyBytes = cmp.Or(c.DailyBytes, DefaultDailyBytes)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.LoggerProvider == nil {
		c.LoggerProvider = otel.GetLoggerProvider()
	}
	return c
}
