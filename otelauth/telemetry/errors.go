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
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); text != h.last || now.Sub(h.at) >= time.Minute {
		h.last, h.at = text, now
		h.log.Error("telemetry", "error", text)
	}
}
