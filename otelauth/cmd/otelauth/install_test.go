// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestGoInstall checks that the root module has nothing that "go install …@version" refuses: no
// replaced and no excluded module.
func TestGoInstall(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", "../../../go.mod").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct{ Replace, Exclude []any }
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	if len(mod.Replace) > 0 || len(mod.Exclude) > 0 {
		t.Errorf("go.mod replaces or excludes modules, so that go install …@version fails: %s", out)
	}
}

// TestFirstAttempt runs the commands of the first path in docs/install.md, and counts the lines
// that they print until an attempt is recorded.
func TestFirstAttempt(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| \[binary\].*\| (\d+) \|$`).FindSubmatch(page)
	if row == nil {
		t.Fatal("docs/install.md has no row for the binary")
	}
	users := filepath.Join(t.TempDir(), "users.htpasswd")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	add := exec.CommandContext(t.Context(), exe)
	add.Args = []string{"otelauth", "users", "add", users, "alice"}
	add.Stdin = strings.NewReader(canaryNew + "\n")
	added, err := add.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, added)
	}
	p := start(t, nil, gatewayArgs(newUpstream(t, nil).url, users)...)
	ask(t, "http://"+p.address("gateway.listening"), "alice", canaryNew)
	p.event("auth.attempt", nil)
	lines := strings.Count(string(added), "\n") + len(p.Lines())
	if got := string(row[1]); got != strconv.Itoa(lines) {
		t.Errorf("docs/install.md says %s lines, printed were %d:\n%s%s", got, lines, added, p.output())
	}
}

// TestPackageConfiguration checks that the gateway accepts the file that the packages install.
func TestPackageConfiguration(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("packaging/gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := configOf(t, strings.ReplaceAll(string(text), "/etc/otelauth/users.htpasswd", usersFile(t)))
	if got := checkOutput(t, nil, "--config", config); strings.Contains(strings.ReplaceAll(got, "warning: --listen", ""), "otelauth: ") &&
		!strings.Contains(got, "is in use") {
		t.Error(got)
	}
	unit, err := os.ReadFile("packaging/otelauth-gateway.service")
	if err != nil || !strings.Contains(string(unit), "\nExecStart=/usr/bin/otelauth gateway --config /etc/otelauth/gateway.yaml\n") {
		t.Errorf("the unit does not start the gateway with the file: %v", err)
	}
}
