// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// OTelAuth is the import path of the command, for [Build].
const OTelAuth = "github.com/otelauth/otelauth-go/otelauth/cmd/otelauth"

var (
	buildsMu sync.Mutex
	builds   = map[string]func() (string, error){}
)

// Build returns the path of a program: a package of the module in whose directory the test runs.
// The go command links it once and keeps it in the build cache, also for the tests of other
// packages. Only the owner of that cache can run it.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	buildsMu.Lock()
	once := builds[pkg]
	if once == nil {
		once = sync.OnceValues(func() (string, error) { return build(pkg) })
		builds[pkg] = once
	}
	buildsMu.Unlock()
	path, err := once()
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	return path
}

func build(pkg string) (string, error) {
	// go run -exec echo prints the path of the program. The first run links it at a path that is
	// gone when the run ends; the second run finds it in the cache.
	for range 2 {
		out, err := exec.Command("go", "run", "-exec", "echo", pkg).CombinedOutput() //nolint:gosec,noctx // G204: a package of this module; outlives the test that calls it first
		path := strings.TrimSpace(string(out))
		if err != nil {
			return "", fmt.Errorf("go run %s: %w\n%s", pkg, err, path)
		}
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("go run %s: the build cache does not keep the program", pkg)
}
