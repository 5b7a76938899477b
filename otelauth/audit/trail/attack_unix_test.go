// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package trail_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// Pipes, links and folders in place of files are errors: Verify and Open neither hang nor follow
// them, and a link's target stays as it is.
func TestNotRegular(t *testing.T) {
	t.Parallel()
	replacements := map[string]func(path, target string) error{
		"pipe":   func(path, _ string) error { return syscall.Mkfifo(path, 0o600) },
		"link":   func(path, target string) error { return os.Symlink(target, path) },
		"folder": func(path, _ string) error { return os.Mkdir(path, 0o700) },
	}
	for name, replace := range replacements {
		for _, file := range []string{"checkpoint", "tiles-flushed", "lock", "segments/00000000000000000000.jsonl"} {
			t.Run(name+" "+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				f := newFolder(t, trail.Config{})
				f.record(t, 10)
				f.close(t)
				const content = "a file of another program\n"
				target := filepath.Join(t.TempDir(), "target")
				if err := os.WriteFile(target, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(f.dir, file)
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				if err := replace(path, target); err != nil {
					t.Fatal(err)
				}
				_, err := trail.Verify(t.Context(), f.dir, trail.VerifyOptions{Keys: []string{f.key.Public()}})
				if isRead := file == "checkpoint" || strings.HasPrefix(file, "segments"); isRead && err == nil {
					t.Error("Verify accepts it")
				}
				tr, err := trail.Open(trail.Config{Dir: f.dir, Key: f.key, Durability: trail.Ordered})
				if err == nil {
					if err := tr.Close(t.Context()); err != nil {
						t.Error(err)
					}
				}
				if file != "tiles-flushed" && file != "lock" && err == nil {
					t.Error("Open accepts it")
				}
				if got, err := os.ReadFile(target); err != nil || string(got) != content {
					t.Errorf("the target of the link is %q, %v", got, err)
				}
			})
		}
	}
}

// What other programs do to the segment on a real disk is noticed within a second.
func TestChangesOnDisk(t *testing.T) {
	t.Parallel()
	for kind, change := range map[string]func(segment string) error{
		"unlinked": os.Remove,
		"renamed":  func(segment string) error { return os.Rename(segment, segment+".1") },
		"replaced": func(segment string) error { // what editors do
			text, err := os.ReadFile(segment)
			if err != nil {
				return err
			}
			if err := os.WriteFile(segment+".new", bytes.ReplaceAll(text, []byte("alice"), []byte("carol")), 0o600); err != nil {
				return err
			}
			return os.Rename(segment+".new", segment)
		},
		"truncated": func(segment string) error { return os.Truncate(segment, 100) },
		"appended": func(segment string) error {
			f, err := os.OpenFile(segment, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("{}\n")
			return errors.Join(err, f.Close())
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t, trail.Config{})
			f.record(t, 3)
			if _, err := f.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := change(filepath.Join(f.dir, "segments/00000000000000000000.jsonl")); err != nil {
				t.Fatal(err)
			}
			current := filepath.Join(f.dir, "current.jsonl") // leads to the new segment
			testkit.Eventually(t, "a line about the change", func() bool {
				text, _ := os.ReadFile(current)
				return strings.Contains(string(text), `"auth.trail.anomaly.kind":"`+kind+`"`)
			})
			f.record(t, 1)
			f.close(t)
			if _, err := trail.Verify(t.Context(), f.dir, trail.VerifyOptions{Keys: []string{f.key.Public()}}); err == nil {
				t.Error("the trail verifies")
			}
		})
	}
}

// tail -F follows the link to the newest segment, into the next one.
func TestTail(t *testing.T) {
	t.Parallel()
	f := newFolder(t, trail.Config{SegmentBytes: 1 << 20})
	current := filepath.Join(f.dir, "current.jsonl")
	tail := testkit.Start(t, exec.Command("tail", "-n", "+1", "-s", "0.1", "-F", current))
	f.record(t, 1)
	tail.WaitLine(t, `"seq":1,`)
	f.record(t, 7000)
	if _, err := f.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := decide(f.Trail, "/last", attempt.Success); err != nil {
		t.Fatal(err)
	}
	tail.WaitLine(t, `"url.path":"/last"`)
	if to, err := os.Readlink(current); err != nil || to == "segments/00000000000000000000.jsonl" {
		t.Errorf("current.jsonl leads to %s, %v", to, err)
	}
}
