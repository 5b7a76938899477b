// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import "strings"

// The limits of a Baggage field. W3C Baggage, section 3.3.2, asks for 64 members in 8192 bytes,
// but parsing so many bytes costs more than a request without credentials may cost.
const (
	maxBaggageMembers = 64
	maxBaggageBytes   = 1 << 10
)

// isLongBaggage reports whether a Baggage field exceeds the limits or has more than one line. The
// gateway removes such a field.
func isLongBaggage(lines []string) bool {
	return len(lines) > 1 || len(lines[0]) > maxBaggageBytes || strings.Count(lines[0], ",") >= maxBaggageMembers
}
