// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

var snapshotKey = bytes.Repeat([]byte("k"), 32)

// kept sets a snapshot file.
func kept(file string, notices *[]attempt.Notice) func(*detect.Config) {
	return func(cfg *detect.Config) {
		cfg.Snapshot = detect.Snapshot{File: file, Key: snapshotKey}
		cfg.Notice = func(_ context.Context, n attempt.Notice) { *notices = append(*notices, n) }
	}
}

// restart saves and returns a Detector that reads the file, as after a restart.
func (w *watch) restart(change ...func(*detect.Config)) *watch {
	w.t.Helper()
	if err := w.d.Save(); err != nil {
		w.t.Fatal(err)
	}
	next := newWatch(w.t, change...)
	next.now = w.now
	return next
}

// TestTakeoverAfterARestart: what was learned before a restart finds a takeover two hours later.
// Without the file, nothing does.
func TestTakeoverAfterARestart(t *testing.T) {
	t.Parallel()
	for _, with := range []bool{true, false} {
		var notices []attempt.Notice
		file := filepath.Join(t.TempDir(), "evidence")
		w := newWatch(t, kept(file, &notices))
		w.live(20, "alice", "")
		w.found = nil
		if !with {
			w = newWatch(t)
			w.now = monday.Add(20 * 24 * time.Hour)
		} else {
			w = w.restart(kept(file, &notices))
		}
		w.pass(2 * time.Hour)
		w.try(try{})
		w.none("the owner, after a restart")
		w.try(try{from: "198.51.100.200"})
		if got := w.starts(detect.NewNetwork) > 0; got != with {
			t.Errorf("with a file: %t; new_network: %t", with, got)
		}
		if len(notices) != 0 {
			t.Errorf("notices %v", notices)
		}
	}
}

// TestEvidenceSurvivesARestart: a restart in the middle of an attack changes neither what is
// detected nor the episode.
func TestEvidenceSurvivesARestart(t *testing.T) {
	t.Parallel()
	// spray guesses one password for each of n users, an hour apart, and restarts before one of
	// them.
	spray := func(n, at int) []detect.Detection {
		var notices []attempt.Notice
		file := filepath.Join(t.TempDir(), "evidence")
		w := newWatch(t, kept(file, &notices))
		w.live(3, "alice", "")
		var found []detect.Detection
		for i := range n {
			if i == at {
				found = w.found
				w = w.restart(kept(file, &notices))
			}
			w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1), from: "198.51.100.9"})
			w.pass(time.Hour)
		}
		w.pass(5 * 24 * time.Hour)
		if len(notices) != 0 {
			t.Errorf("notices %v", notices)
		}
		return append(found, w.found...)
	}
	want := spray(30, -1)
	if len(want) < 3 {
		t.Fatalf("%d events without a restart", len(want))
	}
	for _, at := range []int{5, 9, 10, 15, 25} {
		got := spray(30, at)
		if len(got) != len(want) {
			t.Errorf("a restart before guess %d: %d events, want %d", at, len(got), len(want))
			continue
		}
		for i := range got {
			if got[i].Episode != want[i].Episode && at > 0 && got[i].Rule.Name != want[i].Rule.Name || got[i].Phase != want[i].Phase || got[i].Attempts != want[i].Attempts ||
				!got[i].First.Equal(want[i].First) || !got[i].Time.Equal(want[i].Time) || got[i].AccountCount != want[i].AccountCount {
				t.Errorf("a restart before guess %d: event %d is %+v, want %+v", at, i, got[i], want[i])
			}
		}
	}
}

// bruteForced returns a watch with one open episode and a snapshot file.
func bruteForced(t *testing.T) (w *watch, file string, notices *[]attempt.Notice) {
	t.Helper()
	file, notices = filepath.Join(t.TempDir(), "evidence"), new([]attempt.Notice)
	w = newWatch(t, kept(file, notices), quietBurst)
	for i := range 40 {
		w.try(try{password: uint64(i + 1)})
	}
	if w.starts(detect.BruteForce) != 1 {
		t.Fatal("no episode to restore")
	}
	return w, file, notices
}

// TestOpenEpisodesAfterARestart: OnEpisode gets them again, and there is no second start.
func TestOpenEpisodesAfterARestart(t *testing.T) {
	t.Parallel()
	w, file, notices := bruteForced(t)
	id := w.found[0].Episode
	data := func() []byte {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var listed []detect.Detection
	w = w.restart(kept(file, notices), func(cfg *detect.Config) {
		cfg.OnEpisode = func(d detect.Detection) { listed = append(listed, d) }
	}, quietBurst)
	if b := data(); bytes.Contains(b, []byte("alice")) {
		t.Error("the file shows a name")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	w.pass(time.Second)
	if len(listed) != 1 || listed[0].Episode != id || listed[0].Phase != detect.Update || !slices.Contains(listed[0].Accounts, "alice") {
		t.Errorf("OnEpisode got %+v", listed)
	}
	w.try(try{password: 1000})
	w.try(try{password: 1001})
	w.pass(6 * 24 * time.Hour)
	if len(w.found) != 1 || w.found[0].Phase != detect.End || w.found[0].Episode != id || w.found[0].Attempts < 41 {
		t.Errorf("after the restart: %+v", w.found)
	}
}

// TestEndIsReportedOnce: an episode that ends long after the last attempt, between two snapshots,
// does not end again after a restart.
func TestEndIsReportedOnce(t *testing.T) {
	t.Parallel()
	w, file, notices := bruteForced(t)
	if err := w.d.Save(); err != nil {
		t.Fatal(err)
	}
	w.pass(6 * 24 * time.Hour)
	if n := len(w.found); n != 2 || w.found[1].Phase != detect.End {
		t.Fatalf("before the restart: %+v", w.found)
	}
	w = w.restart(kept(file, notices), quietBurst)
	w.pass(time.Minute)
	w.none("an attack that was over before the restart")
}

// TestStalePasswordAfterARestart: fingerprints change with a restart, so the first password of a
// client after it is not evidence. A client with one old password stays silent over 40 restarts.
func TestStalePasswordAfterARestart(t *testing.T) {
	t.Parallel()
	var notices []attempt.Notice
	file := filepath.Join(t.TempDir(), "evidence")
	w := newWatch(t, kept(file, &notices))
	for i := range 40 {
		w.try(try{name: "backup", from: "198.51.100.7", password: uint64(1000 + i)})
		w.pass(6 * time.Hour)
		w.try(try{name: "backup", from: "198.51.100.7", password: uint64(1000 + i)})
		w.pass(time.Minute)
		w.none("an old password")
		w = w.restart(kept(file, &notices))
	}
}

func TestSnapshotsThatAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var notices []attempt.Notice
	good := filepath.Join(dir, "good")
	w := newWatch(t, kept(good, &notices))
	w.live(20, "alice", "")
	later := w.now
	if err := w.d.Save(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		key  []byte
		now  time.Time
		want string
	}{
		"another key":     {data, bytes.Repeat([]byte("x"), 32), later, "another key: restore that key"},
		"another version": {bytes.Replace(data, []byte("snapshot 1"), []byte("snapshot 9"), 1), snapshotKey, later, "another version of this program: start that version"},
		"cut off":         {data[:len(data)-9], snapshotKey, later, "cut off or damaged: restore it from a copy"},
		"empty":           {nil, snapshotKey, later, "cut off or damaged"},
		"from the future": {data, snapshotKey, later.Add(-24 * time.Hour), "written in the future: set the clock"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "evidence")
			if err := os.WriteFile(file, c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			var notices []attempt.Notice
			w := newWatch(t, kept(file, &notices), func(cfg *detect.Config) { cfg.Snapshot.Key = c.key })
			w.now = c.now
			w.try(try{})
			if len(notices) != 1 || notices[0].Kind != attempt.DetectionSnapshot || notices[0].Err == nil || notices[0].Source != file {
				t.Fatalf("notices %+v", notices)
			}
			for _, part := range []string{c.want, file + ".broken", "delete it", "learns anew"} {
				if !strings.Contains(notices[0].Message, part) {
					t.Errorf("the message %q lacks %q", notices[0].Message, part)
				}
			}
			if aside, err := os.ReadFile(file + ".broken"); err != nil || !bytes.Equal(aside, c.data) {
				t.Errorf("the last good state is not kept: %v", err)
			}
			if err := w.d.Save(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("an hour back", func(t *testing.T) {
		t.Parallel()
		var notices []attempt.Notice
		w := newWatch(t, kept(good, &notices))
		w.now = later.Add(-time.Hour)
		w.try(try{})
		if len(notices) != 0 {
			t.Errorf("a clock that was set back by an hour: %v", notices)
		}
	})
}

// TestSnapshotOfOtherSizes: Entries may change between two starts.
func TestSnapshotOfOtherSizes(t *testing.T) {
	t.Parallel()
	for _, entries := range []int{1 << 9, 1 << 13} {
		var notices []attempt.Notice
		file := filepath.Join(t.TempDir(), "evidence")
		w := newWatch(t, kept(file, &notices))
		w.live(20, "alice", "")
		w = w.restart(kept(file, &notices), func(cfg *detect.Config) { cfg.Entries = entries })
		w.try(try{})
		w.none("the owner")
		w.try(try{from: "198.51.100.200"})
		if w.starts(detect.NewNetwork) == 0 || len(notices) != 0 {
			t.Errorf("%d entries: nothing is known; notices %v", entries, notices)
		}
	}
}

// TestSnapshotConfig: every problem is reported, and says what to do.
func TestSnapshotConfig(t *testing.T) {
	t.Parallel()
	_, err := detect.New(detect.Config{Snapshot: detect.Snapshot{File: "x", Key: []byte("short"), Every: -1}})
	for _, part := range []string{"Config.Snapshot.Key has 5 bytes", "Config.Snapshot.Every is negative"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v lacks %q", err, part)
		}
	}
}

// TestSnapshotThatCannotBeWritten: an error and a notice name the file, and the next Save tries
// again.
func TestSnapshotThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	var notices []attempt.Notice
	file := filepath.Join(t.TempDir(), "no", "such", "folder")
	w := newWatch(t, kept(file, &notices))
	if err := w.d.Save(); err != nil {
		t.Errorf("without an attempt there is nothing to write: %v", err)
	}
	w.try(try{})
	for range 2 {
		if err := w.d.Save(); err == nil || !strings.HasPrefix(err.Error(), "detect: ") || !strings.Contains(err.Error(), file) {
			t.Errorf("Save: %v", err)
		}
	}
	if len(notices) != 2 || notices[0].Err == nil || notices[0].Kind != attempt.DetectionSnapshot {
		t.Errorf("notices %v", notices)
	}
}

// TestRunSaves: Run writes the file now and then, and at its end.
func TestRunSaves(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "evidence")
	synctest.Test(t, func(t *testing.T) {
		var notices []attempt.Notice
		w := newWatch(t, kept(file, &notices), func(cfg *detect.Config) { cfg.Now = time.Now })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.d.Run(ctx) }()
		attemptNow := func() {
			req, res := sampleAttempt(attempt.Success)
			req.Time = time.Time{}
			_ = w.d.Decide(req.Context, req, res)
			time.Sleep(time.Second) // of the bubble
			synctest.Wait()
		}
		attemptNow()
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("written at the start: %v", err)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("written without a new attempt: %v", err)
		}
		attemptNow()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	})
}

// TestFullSnapshot: at the default size, full tables are written and read within the time and the
// space that the documentation states.
func TestFullSnapshot(t *testing.T) {
	testkit.OnlyLong(t)
	var notices []attempt.Notice
	file := filepath.Join(t.TempDir(), "evidence")
	w := newWatch(t, kept(file, &notices), func(cfg *detect.Config) { cfg.Entries = 0 })
	w.fill(40_000)
	began := time.Now()
	if err := w.d.Save(); err != nil {
		t.Fatal(err)
	}
	saved := time.Since(began)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	next := newWatch(t, kept(file, &notices), func(cfg *detect.Config) { cfg.Entries = 0 })
	next.now = w.now
	began = time.Now()
	next.d.Drain(next.now)
	t.Logf("%d bytes, written in %v, read in %v", info.Size(), saved, time.Since(began))
	isRefused := slices.ContainsFunc(notices, func(n attempt.Notice) bool { return n.Kind == attempt.DetectionSnapshot })
	if info.Size() > 16<<20 || isRefused {
		t.Errorf("%d bytes, notices %v", info.Size(), notices)
	}
}

// fill makes n accounts succeed from three networks each, and as many guesses.
func (w *watch) fill(n int) {
	for i := range n {
		for j := range 3 {
			w.try(try{name: fmt.Sprint("user", i), from: fmt.Sprintf("%d.%d.%d.1", 20+j, i>>8&0xff, i&0xff)})
		}
		w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1), from: fmt.Sprintf("30.%d.%d.1", i>>8&0xff, i&0xff)})
		w.now = w.now.Add(10 * time.Millisecond)
	}
}
