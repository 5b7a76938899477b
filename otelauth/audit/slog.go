// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"log/slog"

	"github.com/otelauth/otelauth-go/otelauth/internal/slogevent"
)

// NewSlog returns an Observer that writes to h: the attributes under their own keys, the name of
// the event as the message, the message of a notice under "body", and trace_id and span_id.
// Default: the handler that [slog.Default] has now. It ignores the errors of h, so a full disk
// fails no authentication. A request without a Time makes a record without one. The zero [Events]
// decides which events are written individually.
func NewSlog(h slog.Handler) *Observer {
	o, _ := NewSlogEvents(h, Events{}) // the zero Events is valid
	return o
}

// NewSlogEvents is [NewSlog] with an [Events]. It returns all errors of e, joined.
func NewSlogEvents(h slog.Handler, e Events) (*Observer, error) {
	if h == nil {
		h = slog.Default().Handler() //nolint:forbidigo // what nil is documented to mean
	}
	return New(Config{LoggerProvider: slogevent.To(h), Events: e})
}
