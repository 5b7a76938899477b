// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"encoding/json"
	"fmt"

	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// parseHeader parses the first line of a segment. The signatures of its checkpoint are not
// checked.
func parseHeader(line []byte) (header, Checkpoint, error) {
	var h header
	if err := json.Unmarshal(line, &h); err != nil || h.Event != semconv.EventTrailSegment {
		return header{}, Checkpoint{}, fmt.Errorf("trail: the segment has no header: %w", errNotALine)
	}
	c, err := parseCheckpointText(h.Note)
	return h, c, err
}
