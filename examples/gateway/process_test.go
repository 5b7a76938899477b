// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// run starts a program, as an unprivileged user if the tests run as root: the shipped files must
// not need more.
func run(t *testing.T, env []string, name string, args ...string) *testkit.Process {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Env = env
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = testkit.As(nobody)
	}
	return testkit.Start(t, cmd)
}

// nobody is Debian's unprivileged user and group.
const nobody = 65534

// directory returns a temporary directory that the unprivileged user may write to.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "otelauth-gateway") //nolint:usetesting // the path of a unix socket has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// write puts a file into dir that every process of the test can read.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// program returns a program of a Debian package, or skips the test.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		if path := filepath.Join(dir, name); isProgram(path) {
			return path
		}
	}
	t.Skipf("no %s: apt-get install %s", name, name)
	return ""
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// programs is a directory that the unprivileged user may read.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "otelauth-gateway"); err != nil {
		panic(err)
	}
	if err := os.Chmod(programs, 0o755); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(programs)
	os.Exit(code)
}

// otelauth returns the path of the command. The unprivileged user cannot read the build cache.
func otelauth(t *testing.T) string {
	t.Helper()
	cached := testkit.Build(t, testkit.OTelAuth)
	path := filepath.Join(programs, "otelauth")
	copied.Do(func() {
		program, err := os.ReadFile(cached)
		if err == nil {
			err = os.WriteFile(path, program, 0o755)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return path
}

var copied sync.Once

// listening returns the address on which a gateway reports to listen.
func listening(t *testing.T, p *testkit.Process, msg string) string {
	t.Helper()
	var e struct{ Address string }
	if err := json.Unmarshal([]byte(p.WaitLine(t, `"`+msg+`"`)), &e); err != nil {
		t.Fatal(err)
	}
	return e.Address
}
