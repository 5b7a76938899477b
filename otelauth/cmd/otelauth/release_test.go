// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package main

import (
	"bufio"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const dist = "../../../dist"

// TestReleaseArtifacts checks what .ci/full release has built: an archive for each platform, both
// packages for each processor, their checksums, and a static and stripped binary.
func TestReleaseArtifacts(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(dist, "artifacts.json"))
	if err != nil {
		t.Skipf("%v: run .ci/full release", err)
	}
	var all []struct{ Name, Path, Type, Goos, Goarch string }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, a := range all {
		found[strings.Join([]string{a.Type, a.Goos, a.Goarch, strings.TrimPrefix(filepath.Ext(a.Name), ".")}, " ")] = a.Path
	}
	for _, processor := range []string{"amd64", "arm64"} {
		for _, want := range []string{
			"Archive linux " + processor + " gz", "Archive darwin " + processor + " gz", "Archive windows " + processor + " zip",
			"Linux Package linux " + processor + " deb", "Linux Package linux " + processor + " rpm",
		} {
			if found[want] == "" {
				t.Errorf("there is no %s", want)
			}
		}
	}
	checkSums(t)
	if runtime.GOOS == "linux" {
		checkBinary(t, filepath.Join("../../..", found["Binary linux "+runtime.GOARCH+" "]))
	}
}

func checkSums(t *testing.T) {
	t.Helper()
	f, err := os.Open(filepath.Join(dist, "checksums.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		content, err := os.ReadFile(filepath.Join(dist, name))
		if got := sha256.Sum256(content); err != nil || hex.EncodeToString(got[:]) != sum {
			t.Errorf("checksums.txt: %s: %v", name, err)
		}
	}
	if n != 10 {
		t.Errorf("checksums.txt has %d lines, want 6 archives and 4 packages", n)
	}
}

func checkBinary(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil || len(libraries) > 0 {
		t.Errorf("%s needs %q, %v", path, libraries, err)
	}
	if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
		t.Errorf("%s is not stripped", path)
	}
	out, err := exec.CommandContext(t.Context(), path, "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "otelauth ") {
		t.Errorf("version prints %q, %v", out, err)
	}
}
