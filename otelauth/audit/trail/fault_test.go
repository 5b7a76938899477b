// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk/disktest"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// rig is a trail on a disk that can fail.
type rig struct {
	*trail.Trail
	disk *disktest.Disk
	key  *trail.Key
	rec  *otelauthtest.Recorder
}

func newRig(t *testing.T, cfg trail.Config) *rig {
	t.Helper()
	r := &rig{disk: disktest.New(1), key: newKey(t), rec: otelauthtest.NewRecorder(t)}
	cfg.Dir, cfg.MeterProvider, cfg.LoggerProvider = "/trail", r.rec.MeterProvider(), r.rec.LoggerProvider()
	if cfg.Key == nil {
		cfg.Key = r.key
	} else {
		r.key = cfg.Key
	}
	var err error
	if r.Trail, err = trail.OpenOn(cfg, r.disk); err != nil {
		t.Fatal(err)
	}
	return r
}

// segment returns the path of the newest segment.
func (r *rig) segment() string {
	names := segments(r.disk)
	return "/trail/segments/" + names[len(names)-1]
}

// kinds returns the kinds of the anomalies that were emitted.
func (r *rig) kinds() (all []string) {
	for _, e := range r.rec.Events() {
		if e.Name() == semconv.EventTrailAnomaly {
			for _, kv := range e.Attributes() {
				if kv.Key == semconv.KeyTrailAnomalyKind {
					all = append(all, kv.Value.AsString())
				}
			}
		}
	}
	return all
}

// text returns all lines.
func (r *rig) text() string {
	var all strings.Builder
	for name, data := range r.disk.Files() {
		if strings.Contains(name, "/segments/") {
			all.Write(data)
		}
	}
	return all.String()
}

func (r *rig) close(t *testing.T) {
	t.Helper()
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) verify(t *testing.T) error {
	t.Helper()
	_, err := trail.VerifyOn(t.Context(), r.disk, "/trail", trail.VerifyOptions{Keys: []string{r.key.Public()}})
	return err
}

// A failed flush is never retried: the segment ends with what was flushed before, and the lines are
// written to a new one.
func TestFailedFlush(t *testing.T) {
	t.Parallel()
	r := newRig(t, trail.Config{})
	if err := decide(r.Trail, "/before", attempt.Success); err != nil {
		t.Fatal(err)
	}
	first := r.segment()
	r.disk.FailSyncs(1)
	if err := decide(r.Trail, "/after", attempt.Success); err != nil {
		t.Fatal(err)
	}
	if r.segment() == first {
		t.Fatal("the segment goes on after a failed flush")
	}
	after := r.disk.Crash() // what was acknowledged is on the disk, not only in a cache
	if text := string(after.Files()[first]); !strings.Contains(text, "/before") || strings.Contains(text, "/after") {
		t.Errorf("the abandoned segment is\n%s", text)
	}
	if text := string(after.Files()[r.segment()]); !strings.Contains(text, "/after") || !strings.Contains(text, `"sync_failed"`) {
		t.Errorf("the new segment is\n%s", text)
	}
	r.disk = after
	tr, err := trail.OpenOn(trail.Config{Dir: "/trail", Key: r.key}, after)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.verify(t); err != nil {
		t.Error(err)
	}
}

// Lines that arrive during a flush share the next one.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	const lines = 200
	r := newRig(t, trail.Config{Timeout: time.Minute, CheckpointInterval: time.Hour})
	hung, release := r.disk.Hang()
	results := make(chan error, lines+1)
	go func() { results <- decide(r.Trail, "/first", attempt.Success) }()
	testkit.Receive(t, "a flush", hung)
	for range lines {
		go func() { results <- decide(r.Trail, "/shared", attempt.Success) }()
	}
	testkit.Eventually(t, "all lines wait", func() bool { return r.Status().Queued == lines+1 })
	release()
	for range lines + 1 {
		if err := testkit.Receive(t, "a line", results); err != nil {
			t.Error(err)
		}
	}
	commits := 0.0
	for _, p := range r.rec.Metrics() {
		if p.Name == semconv.MetricTrailCommitDuration {
			commits += float64(p.Count)
		}
	}
	if commits != 2 {
		t.Errorf("%v commits of %d lines, want 2", commits, lines+1)
	}
	r.close(t)
}

// A commit that is larger than one write, and fails after the first one, is written again whole.
func TestLargeCommit(t *testing.T) {
	t.Parallel()
	const lines = 4000 // about 800 KB
	for name, free := range map[string]int{"first write": 100 << 10, "second write": 400 << 10, "flush": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, trail.Config{Durability: trail.Ordered, CheckpointInterval: time.Hour})
			first := r.segment()
			// Before the lines, because a slow test needs several commits.
			if r.disk.Fill(free); free < 0 {
				r.disk.FailSyncs(1)
			}
			for range lines {
				if err := decide(r.Trail, "/orders", attempt.Success); err != nil {
					t.Fatal(err)
				}
			}
			_, err := r.Checkpoint(t.Context())
			if (err == nil) != (free < 0) {
				t.Errorf("Checkpoint returns %v", err)
			}
			r.disk.Fill(-1)
			if err := r.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.close(t)
			if n := strings.Count(r.text(), "/orders"); n != lines || r.segment() == first {
				t.Errorf("%d lines, want %d; the newest segment is %s", n, lines, r.segment())
			}
			if err := r.verify(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// A disk that cannot be written refuses credentials, records what it missed when it can be written
// again, and recovers by itself.
func TestUnwritableDisk(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		stop, start func(*disktest.Disk)
		cause       error
		kind        string
	}{
		"full":      {func(d *disktest.Disk) { d.Fill(100) }, func(d *disktest.Disk) { d.Fill(-1) }, syscall.ENOSPC, "disk_full"},
		"read-only": {func(d *disktest.Disk) { d.ReadOnly(true) }, func(d *disktest.Disk) { d.ReadOnly(false) }, syscall.EROFS, "read_only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, trail.Config{})
			if err := r.Ready(); err != nil {
				t.Fatal(err)
			}
			tc.stop(r.disk)
			err := decide(r.Trail, "/refused", attempt.Success)
			if !errors.Is(err, trail.ErrUnavailable) || !errors.Is(err, tc.cause) {
				t.Errorf("Decide returns %v", err)
			}
			if err := r.Ready(); !errors.Is(err, trail.ErrUnavailable) {
				t.Errorf("Ready returns %v", err)
			}
			if err := r.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if r.Ready() == nil {
				t.Error("it is ready on a disk that cannot be written")
			}
			tc.start(r.disk)
			if err := r.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := decide(r.Trail, "/accepted", attempt.Success); err != nil {
				t.Errorf("Decide returns %v after the disk is writable again", err)
			}
			if s := r.Status(); s.Refused != 1 || s.Err != nil {
				t.Errorf("the status is %+v", s)
			}
			r.close(t)
			text := r.text()
			for _, want := range []string{"/accepted", `"` + tc.kind + `"`, `"dropped","auth.trail.anomaly.count":1`, `"recovered"`} {
				if !strings.Contains(text, want) {
					t.Errorf("no line has %s", want)
				}
			}
			if strings.Contains(text, "/refused") {
				t.Error("a refused verdict has a line")
			}
			if err := r.verify(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whatever another program does to the segment is noticed at the next line and the next second. It
// is an event and counted, refuses one verdict, and begins a new segment.
func TestForeignChanges(t *testing.T) {
	t.Parallel()
	for kind, change := range map[string]func(r *rig){
		"unlinked": func(r *rig) { _ = r.disk.Remove(r.segment()) },
		"renamed":  func(r *rig) { _ = r.disk.Rename(r.segment(), "/elsewhere") },
		"replaced": func(r *rig) {
			content := bytes.ReplaceAll(r.disk.Files()[r.segment()], []byte("/before"), []byte("/forged"))
			_ = r.disk.Rename(r.segment(), "/elsewhere")
			r.disk.Put("/trail/segments/00000000000000000000.jsonl", content)
		},
		"truncated": func(r *rig) { r.disk.Change(r.segment(), func(b []byte) []byte { return b[:len(b)-1] }) },
		"appended":  func(r *rig) { r.disk.Change(r.segment(), func(b []byte) []byte { return append(b, "{}\n"...) }) },
	} {
		for _, by := range []string{"line", "tick"} {
			t.Run(kind+" "+by, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, trail.Config{})
				if err := decide(r.Trail, "/before", attempt.Success); err != nil {
					t.Fatal(err)
				}
				change(r)
				if by == "line" {
					if err := decide(r.Trail, "/refused", attempt.Success); !errors.Is(err, trail.ErrUnavailable) {
						t.Errorf("Decide returns %v", err)
					}
				} else if err := r.Tick(t.Context()); err != nil {
					t.Fatal(err)
				}
				testkit.Eventually(t, "it is ready again", func() bool { return r.Ready() == nil })
				if n := r.rec.Sum(semconv.MetricTrailAnomalies, attribute.String(semconv.KeyTrailAnomalyKind, kind)); n != 1 {
					t.Errorf("%v anomalies were counted", n)
				}
				if n := r.rec.Sum(semconv.MetricTrailRefused); (n == 1) != (by == "line") {
					t.Errorf("%v refusals were counted", n)
				}
				if err := decide(r.Trail, "/after", attempt.Success); err != nil {
					t.Errorf("Decide returns %v", err)
				}
				r.close(t)
				if text := string(r.disk.Files()[r.segment()]); !strings.Contains(text, `"auth.trail.anomaly.kind":"`+kind+`"`) ||
					!strings.Contains(text, "/after") || strings.Contains(text, "/refused") {
					t.Errorf("the new segment is\n%s", text)
				}
				if got := r.kinds(); len(got) == 0 || got[0] != kind {
					t.Errorf("the anomalies are %v", got)
				}
				if r.verify(t) == nil {
					t.Error("the trail verifies")
				}
			})
		}
	}
}

// A disk that hangs answers within the timeout; the next verdicts are refused at once.
func TestHungDisk(t *testing.T) {
	t.Parallel()
	r := newRig(t, trail.Config{Timeout: 20 * time.Millisecond})
	_, release := r.disk.Hang()
	if err := decide(r.Trail, "/late", attempt.Success); !errors.Is(err, trail.ErrTimeout) || !errors.Is(err, trail.ErrUnavailable) {
		t.Errorf("Decide returns %v", err)
	}
	if err := r.Ready(); !errors.Is(err, trail.ErrTimeout) {
		t.Errorf("Ready returns %v", err)
	}
	if err := decide(r.Trail, "/refused", attempt.Success); !errors.Is(err, trail.ErrTimeout) {
		t.Errorf("Decide returns %v", err)
	}
	release()
	testkit.Eventually(t, "it is ready again", func() bool { return r.Ready() == nil })
	r.close(t)
	if text := r.text(); !strings.Contains(text, `"auth.trail.anomaly.kind":"timeout"`) || strings.Contains(text, "/refused") {
		t.Errorf("the lines are\n%s", text)
	}
	if err := r.verify(t); err != nil {
		t.Error(err)
	}
}

// Ordered never waits, whatever the disk does: beyond the queue lines are dropped and counted.
func TestOrderedNeverWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, trail.Config{Durability: trail.Ordered, QueueEntries: 16})
	_, release := r.disk.Hang()
	for range 100 {
		if err := decide(r.Trail, "/orders", attempt.Success); err != nil && !errors.Is(err, trail.ErrQueueFull) {
			t.Fatal(err)
		}
	}
	if err := r.Ready(); err != nil {
		t.Error(err)
	}
	release()
	dropped := r.Status().Dropped
	if dropped < 100-2*16 {
		t.Errorf("%d lines were dropped", dropped)
	}
	r.close(t)
	if got := strings.Count(r.text(), `"auth.attempt"`); int64(got) != 100-dropped {
		t.Errorf("%d lines of 100 without %d", got, dropped)
	}
	if err := r.verify(t); err != nil {
		t.Error(err)
	}
}

// A queue that is full refuses in Required.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t, trail.Config{QueueEntries: 16, Timeout: time.Minute})
	hung, release := r.disk.Hang()
	results := make(chan error, 20)
	for range 20 {
		go func() { results <- decide(r.Trail, "/orders", attempt.Success) }()
	}
	testkit.Receive(t, "a flush", hung)
	full := 0
	for range 4 {
		if errors.Is(testkit.Receive(t, "a refusal", results), trail.ErrQueueFull) {
			full++
		}
	}
	release()
	for range 16 {
		if err := testkit.Receive(t, "a line", results); err != nil {
			t.Error(err)
		}
	}
	if full != 4 {
		t.Errorf("%d verdicts were refused", full)
	}
	r.close(t)
}

// A clock that is set is noticed.
func TestClockStep(t *testing.T) {
	t.Parallel()
	r := newRig(t, trail.Config{})
	if err := r.SetElapsed(t.Context(), func() time.Duration { return time.Hour }); err != nil {
		t.Fatal(err)
	}
	if err := r.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Ready(); err != nil {
		t.Error(err)
	}
	r.close(t)
	if got := r.kinds(); len(got) != 1 || got[0] != "clock_stepped" || !strings.Contains(r.text(), `"clock_stepped"`) {
		t.Errorf("the anomalies are %v", got)
	}
	if err := r.verify(t); err != nil {
		t.Error(err)
	}
}

// File systems that lose what was flushed are refused in Required only.
func TestFileSystems(t *testing.T) {
	t.Parallel()
	for _, kind := range []disk.Kind{disk.NFS, disk.SMB, disk.FUSE, disk.TmpFS} {
		d := disktest.New(1)
		d.SetKind(kind)
		if _, err := trail.OpenOn(trail.Config{Dir: "/trail", Key: newKey(t)}, d); !errors.Is(err, trail.ErrFileSystem) {
			t.Errorf("%s: Open returns %v", kind, err)
		}
		tr, err := trail.OpenOn(trail.Config{Dir: "/trail", Key: newKey(t), Durability: trail.Ordered}, d)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if err := tr.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
