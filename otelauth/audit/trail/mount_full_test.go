// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full && linux

package trail_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// mountedDir is the variable with the folder of TestInMount.
const mountedDir = "OTELAUTH_TRAIL_MOUNT"

// File systems that are really mounted, in a mount namespace of their own, are recognized. NFS and
// SMB need a server and modules of the kernel: TestKindOf has their numbers.
func TestMounts(t *testing.T) {
	t.Parallel()
	for name, mount := range map[string]string{
		"tmpfs": `mount -t tmpfs none "$1"`,
		"ramfs": `mount -t ramfs none "$1"`,
		"FUSE":  `mkdir "$1.source" && bindfs "$1.source" "$1"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "mount")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			const script = ` && { "$2" -test.run '^TestInMount$' -test.v; status=$?; umount "$1"; exit $status; }`
			args := []string{"--mount"}
			if os.Geteuid() != 0 {
				args = append(args, "--map-root-user")
			}
			args = append(args, "sh", "-c", mount+script, "sh", dir, os.Args[0])
			cmd := exec.CommandContext(t.Context(), "unshare", args...)
			cmd.Env = append(os.Environ(), mountedDir+"="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS: TestInMount") {
				t.Errorf("%v; the test needs bindfs, /dev/fuse and the right to mount:\n%s", err, out)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("the folder behind the mount has %v, %v", left, err)
			}
		})
	}
}

// TestInMount is run by TestMounts, in a folder that is mounted.
func TestInMount(t *testing.T) {
	dir := os.Getenv(mountedDir)
	if dir == "" {
		return
	}
	cfg := trail.Config{Dir: filepath.Join(dir, "trail"), Key: newKey(t)}
	if _, err := trail.Open(cfg); !errors.Is(err, trail.ErrFileSystem) {
		t.Fatalf("Open returns %v", err)
	}
	cfg.Durability = trail.Ordered
	tr, err := trail.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := decide(tr, "/orders", attempt.Success); err != nil {
		t.Error(err)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := trail.Verify(t.Context(), cfg.Dir, trail.VerifyOptions{Keys: []string{cfg.Key.Public()}}); err != nil {
		t.Error(err)
	}
}
