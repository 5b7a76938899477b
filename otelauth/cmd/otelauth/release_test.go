// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package main

import (
	"bufio"
	"crypto/sha256"
	"debug/buildinfo"
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
// packages for each processor, an SBOM for each binary, the checksums, and a static and stripped
// binary.
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
		if a.Type == "Binary" {
			checkSBOM(t, a.Goos+"_"+a.Goarch, filepath.Join("../../..", a.Path))
		}
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
	if n != 16 {
		t.Errorf("checksums.txt has %d lines, want 6 archives, 4 packages and 6 SBOMs", n)
	}
}

// checkSBOM compares the SBOM of a platform with what the Go linker has written into its binary.
func checkSBOM(t *testing.T, platform, binary string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dist, "otelauth_*_"+platform+".sbom.json"))
	if err != nil || len(names) != 1 {
		t.Errorf("%s has the SBOMs %q, want one", platform, names)
		return
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		SPDXVersion string `json:"spdxVersion"`
		Packages    []struct{ Name, VersionInfo string }
	}
	if err := json.Unmarshal(text, &document); err != nil || !strings.HasPrefix(document.SPDXVersion, "SPDX-") {
		t.Errorf("%s: version %q, %v", names[0], document.SPDXVersion, err)
	}
	listed := make(map[string]string)
	for _, p := range document.Packages {
		listed[p.Name] = p.VersionInfo
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := listed[info.Main.Path]; !ok {
		t.Errorf("%s does not list %s", names[0], info.Main.Path)
	}
	for _, module := range info.Deps {
		if listed[module.Path] != module.Version {
			t.Errorf("%s lists %s %q; the binary has %s", names[0], module.Path, listed[module.Path], module.Version)
		}
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
