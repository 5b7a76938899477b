// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package htpasswd

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestOnlyRegularFilesAreRead: opening a FIFO blocks until a writer opens it, and a device never
// ends.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, fifo, "/dev/zero"} {
		if _, err := Open(Config{Path: path}); err == nil || err.Error() != "htpasswd: "+path+": not a regular file" {
			t.Errorf("got %v", err)
		}
	}
}
