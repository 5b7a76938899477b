// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package trail_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
