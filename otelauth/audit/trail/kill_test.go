// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// anyDisk is the real disk, whatever file system the folder of the tests is on.
type anyDisk struct{ disk.OS }

func (anyDisk) Kind(string) (disk.Kind, error) { return "", nil }

// The environment of the process that TestKill kills.
const (
	childDir = "OTELAUTH_TRAIL_TEST_DIR"
	childKey = "OTELAUTH_TRAIL_TEST_KEY"
)

// TestKill kills a process that writes a trail (SIGKILL), again and again: no acknowledged line is
// lost, and the trail verifies after each restart.
func TestKill(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		child(t, dir)
		return
	}
	t.Parallel()
	dir, key := filepath.Join(t.TempDir(), "trail"), newKey(t)
	chance := rand.New(rand.NewPCG(1, 3))
	var acknowledged []string
	for range max(3, *faults/25) {
		acknowledged = append(acknowledged, kill(t, dir, key, chance.IntN(40))...)
	}
	tr, err := trail.OpenOn(trail.Config{Dir: dir, Key: key}, anyDisk{})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	report, err := trail.Verify(t.Context(), dir, trail.VerifyOptions{Keys: []string{key.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	paths := make(map[string]bool)
	for l, err := range trail.Lines(t.Context(), dir, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if _, rest, ok := strings.Cut(string(l.JSON), `"url.path":"`); ok {
			path, _, _ := strings.Cut(rest, `"`)
			paths[path] = true
		}
	}
	for _, path := range acknowledged {
		if !paths[path] {
			t.Errorf("the acknowledged line of %s is lost", path)
		}
	}
	if len(acknowledged) == 0 || report.Lines == 0 {
		t.Error("nothing was written")
	}
}

// kill starts a process, kills it after n acknowledged lines, and returns their paths.
func kill(t *testing.T, dir string, key *trail.Key, n int) (paths []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$", "-test.count=1")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childKey+"="+key.Private())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		path, ok := strings.CutPrefix(lines.Text(), "acknowledged ")
		if !ok {
			t.Errorf("the process printed %s", lines.Text())
			continue
		}
		if paths = append(paths, path); len(paths) > n {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait() // killed
	return paths
}

// child writes lines in several goroutines until it is killed.
func child(t *testing.T, dir string) {
	t.Helper()
	key, err := trail.ParseKey(os.Getenv(childKey))
	if err != nil {
		t.Fatal(err)
	}
	tr, err := trail.OpenOn(trail.Config{Dir: dir, Key: key, Responses: true}, anyDisk{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tr.Close(context.Background()) }()
	for g := range 4 {
		go func() {
			for i := 0; ; i++ {
				path := fmt.Sprintf("/%d/%d/%d", os.Getpid(), g, i)
				if err := decide(tr, path, attempt.Success); err != nil {
					fmt.Println(err)
					return
				}
				fmt.Println("acknowledged " + path)
			}
		}()
	}
	select {} // until it is killed
}
