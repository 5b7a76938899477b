// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// OpenOn is Open on another disk. Tiles are flushed often.
func OpenOn(cfg Config, d disk.FS) (*Trail, error) { return open(cfg, d, 5) }

// VerifyOn is Verify on another disk.
func VerifyOn(ctx context.Context, d disk.FS, dir string, opts VerifyOptions) (Report, error) {
	return verify(ctx, d, dir, opts)
}

// Tick does what the trail does each second.
func (t *Trail) Tick(ctx context.Context) error {
	return t.call(ctx, func() error {
		t.tick()
		return nil
	})
}

// SetElapsed replaces the clock that cannot be set.
func (t *Trail) SetElapsed(ctx context.Context, elapsed func() time.Duration) error {
	return t.call(ctx, func() error {
		t.elapsed = elapsed
		return nil
	})
}

// AnomalyKinds returns every kind of anomaly.
func AnomalyKinds() (all []string) {
	for k := range anomalyText {
		all = append(all, string(k))
	}
	return all
}

// AnomalyText returns the sentence about a kind.
func AnomalyText(kind string) string { return anomalyText[anomalyKind(kind)] }
