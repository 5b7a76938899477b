// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/internal/wide"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// anomalyKind is a value of auth.trail.anomaly.kind.
type anomalyKind string

// The kinds of anomalies; otelauth/semconv/registry/trail.yaml explains them.
const (
	writeFailed       anomalyKind = "write_failed"
	syncFailed        anomalyKind = "sync_failed"
	diskFull          anomalyKind = "disk_full"
	readOnly          anomalyKind = "read_only"
	timedOut          anomalyKind = "timeout"
	unlinked          anomalyKind = "unlinked"
	renamed           anomalyKind = "renamed"
	replaced          anomalyKind = "replaced"
	truncated         anomalyKind = "truncated"
	appended          anomalyKind = "appended"
	clockStepped      anomalyKind = "clock_stepped"
	checkpointMissing anomalyKind = "checkpoint_missing"
	debris            anomalyKind = "debris"
	dropped           anomalyKind = "dropped"
	dailyBound        anomalyKind = "daily_bound"
	witnessFailed     anomalyKind = "witness"
	recovered         anomalyKind = "recovered"
)

// anomaly is something that an operator must know about the trail.
type anomaly struct {
	kind    anomalyKind
	time    time.Time
	segment string // file name; "" if it is not about one
	count   int64  // lines that it concerns
	err     error
}

// anomalyText has one sentence for each kind, which ends with what to do next.
var anomalyText = map[anomalyKind]string{
	writeFailed:       "a write to the trail failed; check the disk",
	syncFailed:        "a flush of the trail failed; check the disk, what was not flushed was written again to a new segment",
	diskFull:          "the disk of the trail is full; free space, or prune old segments",
	readOnly:          "the disk of the trail is read-only; repair it and mount it writable",
	timedOut:          "the disk of the trail did not answer in time; check the disk",
	unlinked:          "another program removed the segment of the trail; find out which, and verify the trail",
	renamed:           "another program renamed the segment of the trail; find out which, rename it back and verify the trail",
	replaced:          "another program replaced the segment of the trail; find out which, and verify the trail",
	truncated:         "another program truncated the segment of the trail; find out which, and verify the trail",
	appended:          "another program wrote to the segment of the trail; find out which, and verify the trail",
	clockStepped:      "the clock of the host was set; compare the times of the lines before and after this one",
	checkpointMissing: "the checkpoint of the trail was missing or unreadable; verify the trail against checkpoints kept elsewhere",
	debris:            "bytes that are not part of the trail were moved to debris/; after a crash this is normal, otherwise verify the trail",
	dropped:           "lines could not be recorded; check the disk",
	dailyBound:        "the daily bound is reached, denials are only counted until midnight UTC; stop the flood",
	witnessFailed:     "the witness did not cosign a checkpoint; check its address and log",
	recovered:         "the trail writes again; verify it, and look for the cause of the interruption",
}

func (a *anomaly) attributes(kv *wide.Attributes) {
	kv.Add(attribute.String(semconv.KeyTrailAnomalyKind, string(a.kind)))
	kv.Str(semconv.KeyTrailSegmentName, a.segment, wide.MaxNameBytes)
	if a.count != 0 {
		kv.Add(attribute.Int64(semconv.KeyTrailAnomalyCount, a.count))
	}
	if a.err != nil {
		kv.Str(semconv.KeyExceptionMessage, a.err.Error(), wide.MaxMessageBytes)
	}
}

func (a *anomaly) body() []byte {
	var kv wide.Attributes
	a.attributes(&kv)
	return appendBody(nil, a.time, semconv.EventTrailAnomaly, trace.SpanContext{}, kv.All())
}

func (a *anomaly) notice(dir string) attempt.Notice {
	n := attempt.Notice{Kind: attempt.TrailAnomaly, Time: a.time, Source: dir, Message: "trail: " + anomalyText[a.kind], Err: a.err}
	if n.Err == nil && a.isError() {
		n.Err = errors.New("trail: " + string(a.kind))
	}
	return n
}

// isError reports whether the operator must do something.
func (a *anomaly) isError() bool {
	return a.kind != recovered && a.kind != debris && a.kind != dailyBound
}

// classify returns the kind of a failed write or flush.
func classify(err error, otherwise anomalyKind) anomalyKind {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return diskFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return readOnly
	}
	return otherwise
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// headerBody is the first line of a segment. previous is the size of the previous segment if more
// bytes may follow it, otherwise -1.
func headerBody(at time.Time, c Checkpoint, previous int64) []byte {
	kv := []attribute.KeyValue{attribute.String(semconv.KeyTrailNote, string(c.Note))}
	if previous >= 0 {
		kv = append(kv, attribute.Int64(semconv.KeyTrailSegmentPreviousBytes, previous))
	}
	return appendBody(nil, at, semconv.EventTrailSegment, trace.SpanContext{}, kv)
}

// keyBody announces a key, or has the checkpoint that it and the previous key have signed.
func keyBody(at time.Time, k *Key, signed []byte) []byte {
	kv := []attribute.KeyValue{attribute.String(semconv.KeyTrailKeyPublic, k.Public())}
	if signed != nil {
		kv = append(kv, attribute.String(semconv.KeyTrailNote, string(signed)))
	}
	return appendBody(nil, at, semconv.EventTrailKey, trace.SpanContext{}, kv)
}

func pruneBody(r *PrunedRange) []byte {
	return appendBody(nil, r.Time, semconv.EventTrailPrune, trace.SpanContext{}, []attribute.KeyValue{
		attribute.Int64(semconv.KeyTrailPruneFrom, r.From), attribute.Int64(semconv.KeyTrailPruneTo, r.To),
		attribute.String(semconv.KeyTrailRoot, r.Root.String()),
		attribute.String(semconv.KeyTrailPruneActor, attempt.Text(r.Actor, wide.MaxNameBytes)),
		attribute.String(semconv.KeyTrailPruneReason, attempt.Text(r.Reason, wide.MaxMessageBytes)),
	})
}
