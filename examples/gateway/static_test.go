// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package gateway

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestStaticBinary builds the command as the Dockerfile does. The image has no C library and no
// loader, so the binary must need neither. It recompiles every package, so the short tests leave
// it out.
func TestStaticBinary(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "otelauth")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path,
		"github.com/otelauth/otelauth-go/otelauth/cmd/otelauth")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Errorf("%s needs a loader", path)
		}
	}
	if len(libraries) > 0 {
		t.Errorf("%s needs %q", path, libraries)
	}
}
