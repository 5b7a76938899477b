// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"

	"github.com/otelauth/otelauth-go/otelauth/internal/scrub"
)

// HandleErrors makes the errors and warnings of OpenTelemetry JSON lines on w, without the
// passwords of URLs, and the same error at most once a minute. [Start] calls it with os.Stderr.
func HandleErrors(w io.Writer) {
	otel.SetLogger(logr.FromSlogHandler(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: withoutValues})))
	otel.SetErrorHandler(&sdkErrors{log: slog.New(slog.NewJSONHandler(w, nil))})
}

// ErrorState is what the SDK has reported since [HandleErrors] was called.
type ErrorState struct {
	// Count is the number of errors: exports that failed, for the most part.
	Count uint64
	// Last is when the last error occurred; the zero Time without one. Text is what it was.
	Last time.Time
	Text string
}

// Errors returns the errors of all exporters of the process.
func Errors() ErrorState {
	seen.mu.Lock()
	defer seen.mu.Unlock()
	return seen.state
}

// seen is what HandleErrors counts. The SDK has one error handler for the whole process.
var seen counted

type counted struct {
	mu    sync.Mutex
	state ErrorState
}

func (c *counted) add(text string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = ErrorState{c.state.Count + 1, at, text}
}

// withoutValues keeps the message of the SDK's own errors and drops all other attributes.
func withoutValues(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, slog.LevelKey:
		return a
	case slog.MessageKey, "err", "error":
		return slog.String(a.Key, scrub.Text(a.Value.String()))
	}
	return slog.Attr{}
}

// sdkErrors writes errors of the SDK as lines, the same one at most once a minute, because every
// export fails while a collector is down.
type sdkErrors struct {
	log  *slog.Logger
	mu   sync.Mutex
	last string
	at   time.Time
}

// Handle implements otel.ErrorHandler.
func (h *sdkErrors) Handle(err error) {
	if err == nil {
		return
	}
	text := scrub.Text(err.Error())
	now := time.Now()
	seen.add(text, now)
	h.mu.Lock()
	defer h.mu.Unlock()
	if text != h.last || now.Sub(h.at) >= time.Minute {
		h.last, h.at = text, now
		h.log.Error("telemetry", "error", text)
	}
}
