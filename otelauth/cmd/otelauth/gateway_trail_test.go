// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// gatewayWith starts a gateway that keeps a trail.
func (e *trailFiles) gatewayWith(t *testing.T, env []string, args ...string) (p *running, url string) {
	t.Helper()
	up := newUpstream(t, nil)
	p = start(t, env, append([]string{
		"gateway", "--upstream", up.url, "--users", usersFile(t), "--listen", "127.0.0.1:0", "--trail", e.dir, "--trail-key-file", e.key,
	}, args...)...)
	return p, "http://" + p.address("gateway.listening")
}

// attempts returns the outcomes of the attempts in the trail.
func (e *trailFiles) attempts(t *testing.T) (outcomes []string) {
	t.Helper()
	out, _, err := command(t, "", "trail", "show", "--event", "auth.attempt", "--format", "ecs", e.dir)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out, "canary") {
		t.Errorf("a secret is in the trail:\n%s", out)
	}
	for line := range strings.Lines(out) {
		_, rest, _ := strings.Cut(line, `"otelauth":`)
		_, rest, _ = strings.Cut(rest, `"outcome":"`)
		outcome, _, _ := strings.Cut(rest, `"`)
		outcomes = append(outcomes, outcome)
	}
	return outcomes
}

// verify verifies the trail with the checkpoints in the output of the gateway.
func (e *trailFiles) verify(t *testing.T, p *running, args ...string) (string, error) {
	t.Helper()
	out, _, err := command(t, p.output(), append([]string{"trail", "verify", "--public-key", e.public, "--checkpoints", "-", e.dir}, args...)...)
	return out, err
}

// Every attempt that was answered is in the trail after kill -9, the restarted gateway continues
// it, and a changed byte is found by its line. Without an SDK it is the same.
func TestGatewayTrail(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{"with the SDK": nil, "without": {"OTEL_SDK_DISABLED=true"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEvidence(t)
			p, url := e.gatewayWith(t, env)
			want := []string{"missing", "failure", "success", "failure"}
			for i, credentials := range [][2]string{{}, {"alice", canaryBad}, {"alice", canaryNew}, {"mallory", canaryBad}} {
				if got := ask(t, url+"/orders", credentials[0], credentials[1]).StatusCode; (got == http.StatusOK) != (want[i] == "success") {
					t.Errorf("%s: status %d", want[i], got)
				}
			}
			p.event("auth.trail.checkpoint", nil)
			p.Kill()
			if got := e.attempts(t); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("after kill -9 the trail has %q, want %q", got, want)
			}
			if out, err := e.verify(t, p); !errors.Is(err, errNotVerified) || !strings.Contains(out, "BAD not_sealed") {
				t.Errorf("lines without a checkpoint: %v\n%s", err, out)
			}
			if out, err := e.verify(t, p, "--unsealed", "1h"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}

			again, url := e.gatewayWith(t, env)
			ask(t, url, "alice", canaryNew)
			again.signal(syscall.SIGTERM)
			if code := again.ended(); code != exitDone {
				t.Errorf("exit code %d\n%s", code, again.output())
			}
			for _, checkpoints := range []*running{p, again} {
				if out, err := e.verify(t, checkpoints); err != nil || !strings.Contains(out, "from outside agree") {
					t.Errorf("%v\n%s", err, out)
				}
			}
			editLines(t, segments(t, e.dir)[0], func(l []string) []string {
				l[3] = strings.Replace(l[3], `"failure"`, `"success"`, 1)
				return l
			})
			checker := start(t, nil, "trail", "verify", "--public-key", e.public, e.dir)
			if code := checker.ended(); code != exitUnverified || !strings.Contains(checker.output(), "BAD line_changed in segments/00000000000000000000.jsonl at line 3: ") {
				t.Errorf("exit code %d\n%s", code, checker.output())
			}
		})
	}
}

// Two gateways cannot write one trail.
func TestGatewayTrailIsLocked(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	e.gatewayWith(t, nil)
	second := start(t, nil, "gateway", "--upstream", "http://127.0.0.1:1", "--users", usersFile(t), "--listen", "127.0.0.1:0", "--trail", e.dir, "--trail-key-file", e.key)
	if code := second.ended(); code != exitFailed || !strings.Contains(second.output(), "another process writes to this folder") {
		t.Errorf("exit code %d\n%s", code, second.output())
	}
	_, _, err := command(t, "", "trail", "prune", "--key-file", e.key, "--before", "1d", "--actor", "a", "--reason", "b", e.dir)
	if !errors.Is(err, trail.ErrLocked) || !strings.Contains(err.Error(), "--trail-retention") {
		t.Errorf("prune: %v", err)
	}
}

// The gateway has its checkpoints cosigned, and verify finds the cosignature.
func TestGatewayTrailWitness(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	w := testkit.NewWitness(t, strings.TrimSpace(read(t, e.public)))
	key := filepath.Join(t.TempDir(), "witness.pub")
	overwrite(t, key, w.Key()+"\n")
	p, url := e.gatewayWith(t, nil, "--trail-witness", w.URL, "--trail-witness-key-file", key, "--trail-checkpoint-interval", "100ms")
	for range 3 {
		ask(t, url, "alice", canaryNew)
	}
	p.Await(t, "a cosigned checkpoint of all lines", func() bool {
		out, err := e.verify(t, p, "--witness-key", key)
		return err == nil && strings.Contains(out, "witness: witness.example/w cosigned the newest checkpoint at ") && w.Size() >= 5
	})
}

// A new key is announced in the trail, and the old public key is enough to verify it.
func TestGatewayTrailKeyChange(t *testing.T) {
	t.Parallel()
	e, next := newEvidence(t), newEvidence(t)
	p, url := e.gatewayWith(t, nil)
	ask(t, url, "alice", canaryNew)
	p.signal(syscall.SIGTERM)
	p.ended()
	p = start(t, nil, "gateway", "--upstream", "http://127.0.0.1:1", "--users", usersFile(t), "--listen", "127.0.0.1:0",
		"--trail", e.dir, "--trail-key-file", next.key)
	if code := p.ended(); code != exitFailed || !strings.Contains(p.output(), "PreviousKey") && !strings.Contains(p.output(), "--trail-previous-key-file") {
		t.Errorf("a foreign key: exit code %d\n%s", code, p.output())
	}
	p = start(t, nil, "gateway", "--upstream", "http://127.0.0.1:1", "--users", usersFile(t), "--listen", "127.0.0.1:0",
		"--trail", e.dir, "--trail-key-file", next.key, "--trail-previous-key-file", e.key)
	p.address("gateway.listening")
	p.signal(syscall.SIGTERM)
	p.ended()
	for _, keys := range [][]string{{"--public-key", e.public}, {"--public-key", e.public, "--public-key", next.public}} {
		if out, _, err := command(t, "", append([]string{"trail", "verify", e.dir}, keys...)...); err != nil {
			t.Errorf("%q: %v\n%s", keys, err, out)
		}
	}
}

// Mistakes in the settings are found by --check, each with its place and without the key.
func TestGatewayTrailSettings(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--trail", e.dir}, "--trail-key-file is missing"},
		{[]string{"--trail-key-file", e.key}, "--trail is missing"},
		{[]string{"--trail", e.dir, "--trail-key-file", e.public}, "--trail-key-file: "},
		{[]string{"--trail", e.dir, "--trail-key-file", e.key + "x"}, "--trail-key-file: "},
		{[]string{"--trail", e.dir, "--trail-key-file", e.key, "--trail-witness", "http://w"}, "--trail-witness: "},
		{[]string{"--trail", e.dir, "--trail-key-file", e.key, "--trail-witness", "w", "--trail-witness-key-file", e.public}, "--trail-witness: "},
		{[]string{"--trail", e.dir, "--trail-key-file", e.key, "--trail-timeout", "2h"}, "--trail-timeout"},
		{[]string{"--trail", e.dir, "--trail-key-file", e.key, "--trail-retention", "1m"}, "--trail-retention"},
		{[]string{"--trail", e.dir, "--trail-key-file", e.key, "--trail-durability", "always"}, "--trail-durability"},
	} {
		args := append([]string{"gateway", "--check", "--upstream", "http://127.0.0.1:1", "--users", usersFile(t)}, tc.args...)
		p := start(t, nil, args...)
		if code := p.ended(); code != exitUsage || !strings.Contains(p.output(), tc.want) || strings.Contains(p.output(), "PRIVATE") {
			t.Errorf("%q: exit code %d, want %q in:\n%s", tc.args, code, tc.want, p.output())
		}
	}
	if _, err := os.Stat(e.dir); err == nil {
		t.Error("--check made the folder")
	}
}

// smallDisk returns a folder on an ext4 file system of 8 MB, or "" where this user may not mount
// one.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		return ""
	}
	base := t.TempDir()
	image, dir := filepath.Join(base, "image"), filepath.Join(base, "disk")
	for _, args := range [][]string{{"truncate", "-s", "8M", image}, {"mkfs.ext4", "-q", image}, {"mkdir", dir}, {"mount", "-o", "loop", image, dir}} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("%s: %v %s", args, err, out)
			return ""
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	return dir
}

// While the disk is full, credentials are refused with 503 before they are hashed, right and wrong
// ones alike; when there is room again, the gateway serves by itself.
func TestGatewayTrailFullDisk(t *testing.T) {
	t.Parallel()
	e := newEvidence(t)
	fill, free := brokenFolder(t, e)
	p, url := e.gatewayWith(t, []string{"OTEL_SDK_DISABLED=true"})
	t.Cleanup(p.Stop) // before the disk is unmounted
	if got := ask(t, url, "alice", canaryNew).StatusCode; got != http.StatusOK {
		t.Fatalf("status %d", got)
	}
	fill()
	p.Await(t, "503", func() bool { return ask(t, url, "alice", canaryNew).StatusCode == http.StatusServiceUnavailable })
	for range 20 {
		for _, secret := range []string{canaryNew, canaryBad} {
			if got := ask(t, url, "alice", secret).StatusCode; got != http.StatusServiceUnavailable {
				t.Errorf("status %d while the trail cannot write", got)
			}
		}
	}
	e.recovers(t, p, url, free)
}

// recovers asserts that no password was hashed while the trail could not write, and that the
// gateway serves again after free, with a trail that verifies.
func (e *trailFiles) recovers(t *testing.T, p *running, url string, free func()) {
	t.Helper()
	p.event("auth.trail.anomaly", nil)
	for _, line := range p.Lines("trail_unavailable", `"auth.password.scheme"`) {
		t.Errorf("a password was hashed: %s", line)
	}
	free()
	p.Await(t, "200 again", func() bool { return ask(t, url, "alice", canaryNew).StatusCode == http.StatusOK })
	p.signal(syscall.SIGTERM)
	if code := p.ended(); code != exitDone {
		t.Errorf("exit code %d\n%s", code, p.output())
	}
	if out, err := e.verify(t, p); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// brokenFolder returns how to take away the room for the trail, and how to give it back: a small
// disk that is filled, or without the right to mount one, a folder that is replaced by a file.
func brokenFolder(t *testing.T, e *trailFiles) (fill, free func()) {
	t.Helper()
	if disk := smallDisk(t); disk != "" {
		e.dir = filepath.Join(disk, "trail")
		ballast := filepath.Join(disk, "ballast")
		return func() {
				f, err := os.Create(ballast)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = f.Close() }()
				for size := 1 << 16; size > 0; {
					if _, err := f.Write(bytes.Repeat([]byte{'x'}, size)); err != nil {
						size /= 2
					}
				}
			}, func() {
				if err := os.Remove(ballast); err != nil {
					t.Fatal(err)
				}
			}
	}
	// The names are looked up beneath a file, which fails for every user.
	dir, aside := filepath.Join(e.dir, "segments"), filepath.Join(e.dir, "aside")
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
			must(os.Rename(dir, aside))
			must(os.WriteFile(dir, nil, 0o600))
		}, func() {
			must(os.Remove(dir))
			must(os.Rename(aside, dir))
		}
}
