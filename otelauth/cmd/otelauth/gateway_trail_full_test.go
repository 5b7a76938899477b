// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full && linux

package main

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A disk that hangs, a file system that is frozen, answers 503 after --trail-timeout and then at
// once, before anything is hashed. When the disk answers, the gateway serves by itself.
func TestGatewayTrailHungDisk(t *testing.T) {
	t.Parallel()
	const timeout, slack = 500 * time.Millisecond, 5 * time.Second // a busy machine
	disk := smallDisk(t)
	if disk == "" {
		t.Fatal("the test needs mkfs.ext4 and the right to mount: run it as root")
	}
	e := newEvidence(t)
	e.dir = filepath.Join(disk, "trail")
	p, url := e.gatewayWith(t, []string{"OTEL_SDK_DISABLED=true"}, "--trail-timeout", timeout.String())
	t.Cleanup(p.Stop) // before the disk is unmounted
	freeze := func(flag string) {
		t.Helper()
		if out, err := exec.Command("fsfreeze", flag, disk).CombinedOutput(); err != nil {
			t.Fatalf("fsfreeze %s: %v %s", flag, err, out)
		}
	}
	if got := ask(t, url, "alice", canaryNew).StatusCode; got != http.StatusOK {
		t.Fatalf("status %d", got)
	}
	freeze("--freeze")
	// If the test has failed; otherwise this does nothing.
	t.Cleanup(func() { _ = exec.Command("fsfreeze", "--unfreeze", disk).Run() })
	for i, secret := range []string{canaryNew, canaryNew, canaryBad} {
		began := time.Now()
		if got := ask(t, url, "alice", secret).StatusCode; got != http.StatusServiceUnavailable {
			t.Errorf("request %d: status %d", i, got)
		}
		took := time.Since(began)
		t.Logf("request %d: 503 after %v", i, took.Round(time.Millisecond))
		if i == 0 && took < timeout || took > timeout+slack {
			t.Errorf("request %d: 503 after %v; the timeout is %v", i, took, timeout)
		}
	}
	e.recovers(t, p, url, func() { freeze("--unfreeze") })
}
