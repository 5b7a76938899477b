// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// sequence is what sets a colour.
var sequence = regexp.MustCompile("\x1b\\[[0-9;]*m")

// TestTopOnATerminal draws on a terminal of 100 columns, again each second, until Ctrl-C.
func TestTopOnATerminal(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	socket := filepath.Join(t.TempDir(), "op.sock")
	p := start(t, nil, gatewayArgs(newUpstream(t, nil).url, usersFile(t), "--operator-listen", "unix:"+socket)...)
	url := "http://" + p.address("gateway.listening")
	p.event("gateway.operator_listening", nil)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Args = []string{"otelauth", "top", "--operator", "unix:" + socket}
	cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=")
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var mu sync.Mutex
	var all strings.Builder
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 64<<10)
		for {
			n, err := f.Read(buffer)
			mu.Lock()
			all.Write(buffer[:n])
			mu.Unlock()
			if err != nil { // EIO: the other end is closed
				return
			}
		}
	}()
	const erase = "\x1b[H\x1b[J"
	screens := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Split(all.String(), erase)[1:]
	}
	shows := func(what string, parts ...string) {
		t.Helper()
		testkit.Eventually(t, what, func() bool {
			have := screens()
			for _, part := range parts {
				if len(have) == 0 || !strings.Contains(have[len(have)-1], part) {
					return false
				}
			}
			return true
		})
	}
	shows("the first screen", "last minute: ", "No attack is running.", "No client is blocked by a budget.")
	attackAlice(t, url)
	before := len(screens())
	began := time.Now()
	shows("the attack", "BLOCKED", "alice", "127.0.0.1", "wrong_password")
	t.Logf("the attack was on the screen after %v and %d further screens", time.Since(began).Round(time.Millisecond), len(screens())-before)
	for _, line := range strings.Split(screens()[before], "\r\n") {
		if width := len([]rune(sequence.ReplaceAllString(line, ""))); width > 100 {
			t.Errorf("a line has %d columns: %q", width, line)
		}
	}
	if _, err := io.WriteString(f, "\x03"); err != nil {
		t.Fatal(err)
	}
	testkit.Receive(t, "the end", ended)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if text := all.String(); !strings.HasPrefix(text, "\x1b[?1049h") || !strings.HasSuffix(text, "\x1b[?1049l") {
		t.Error("the screen that was there before is not restored")
	}
}
