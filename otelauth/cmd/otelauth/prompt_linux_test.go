// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// dialogue runs the command on a pseudo-terminal and types the next answer at each prompt.
func dialogue(t *testing.T, args []string, answers ...[2]string) (shown string, code int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Args = append([]string{"otelauth"}, args...)
	f, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	var out bytes.Buffer
	seen := 0
	buf := make([]byte, 4096)
	for {
		n, err := f.Read(buf)
		out.Write(buf[:n])
		for len(answers) > 0 {
			i := strings.Index(out.String()[seen:], answers[0][0])
			if i < 0 {
				break
			}
			seen += i + len(answers[0][0])
			// The prompt appears before echo is switched off. The terminal buffers input until
			// it is read.
			if strings.Contains(answers[0][0], "assword") {
				waitForNoEcho(t, f)
			}
			if _, err := io.WriteString(f, answers[0][1]); err != nil {
				t.Fatal(err)
			}
			answers = answers[1:]
		}
		if err != nil { // EIO: the other end is closed
			break
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func TestPrompt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	add := []string{"users", "add", path, "alice", "--calibrate", "1ms"}

	shown, code := dialogue(t, add, [2]string{"Password for alice: ", canaryNew + "\r"}, [2]string{"Repeat the password: ", canaryBad + "\r"})
	if code != exitFailed || !strings.Contains(shown, "the two passwords differ; nothing was changed") {
		t.Errorf("two different ones: %d\n%s", code, shown)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was created nevertheless")
	}
	all := shown
	shown, code = dialogue(t, add, [2]string{"Password for alice: ", canaryNew + "\r"}, [2]string{"Repeat the password: ", canaryNew + "\r"})
	if code != exitDone || !strings.Contains(shown, "added alice to") || !strings.Contains(shown, "calibrating, step 1 of at most") {
		t.Errorf("%d\n%s", code, shown)
	}
	all += shown
	c, err := htpasswd.ReadContent(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	h, err := password.Parse(l.Hash)
	if err != nil || !h.Verify([]byte(canaryNew)).Match {
		t.Errorf("the password that was typed does not match: %v", err)
	}
	shown, code = dialogue(t, []string{"users", "passwd", path, "alice"}, [2]string{"Password for alice: ", "\x03"})
	if code != exitInterrupted {
		t.Errorf("interrupted: %d\n%s", code, shown)
	}
	if all += shown; strings.Contains(all, "canary") {
		t.Errorf("the terminal shows a password:\n%s", all)
	}
}

// TestGatewayInit checks the five questions on a terminal, and that --check accepts the file.
func TestGatewayInit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	users, config := filepath.Join(dir, "users"), filepath.Join(dir, "gateway.yaml")
	shown, code := dialogue(t, []string{"gateway", "init", config},
		[2]string{"1. Which service does the gateway protect?", "\r"},
		[2]string{"2. In which file are the accounts?", users + "\r"},
		[2]string{"The name of its first account", "alice\r"},
		[2]string{"Password for alice: ", canaryNew + "\r"}, [2]string{"Repeat the password: ", canaryNew + "\r"},
		[2]string{"3. Which paths need no credentials?", "/static/, nonsense\r"},
		[2]string{"4. Is a proxy in front?", "10.0.0.0/8\r"},
		[2]string{"5. Where does telemetry go?", "http://127.0.0.1:4318\r"})
	if code != exitUsage || !strings.Contains(shown, `the rules of "nonsense"`) {
		t.Errorf("a bad pattern: exit code %d\n%s", code, shown)
	}
	shown, code = dialogue(t, []string{"gateway", "init", config},
		[2]string{"1. Which service does the gateway protect?", "http://127.0.0.1:9000\r"},
		[2]string{"2. In which file are the accounts?", users + "\r"},
		[2]string{"3. Which paths need no credentials?", "/static/, GET /healthz\r"},
		[2]string{"4. Is a proxy in front?", "\r"},
		[2]string{"5. Where does telemetry go?", "\r"})
	if code != exitDone || !strings.Contains(shown, "start it:  otelauth gateway --config "+config) || strings.Contains(shown, "canary") {
		t.Fatalf("exit code %d\n%s", code, shown)
	}
	got := loadFlags(t, []string{"--config", config}, nil)
	if got.Upstream != "http://127.0.0.1:9000" || got.Users != users || len(got.Public) != 2 || len(got.TrustedProxy) != 0 {
		t.Errorf("the file has %+v", got)
	}
	if err := acceptable(config); err != nil {
		t.Errorf("--check refuses the file: %v", err)
	}
}

// waitForNoEcho waits until the command has switched echo off.
func waitForNoEcho(t *testing.T, f *os.File) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if state.Lflag&unix.ECHO == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the prompt leaves echo on")
		}
	}
}

// TestProbeProgressOnTerminal: a terminal gets one line that says how much is done and how long the
// rest takes, and that is gone at the end.
func TestProbeProgressOnTerminal(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&shop{})
	t.Cleanup(server.Close)
	dir := shopFiles(t)
	shown, _ := dialogue(t, []string{
		"probe", server.URL, "--list", filepath.Join(dir, "list.txt"), "--identities", filepath.Join(dir, "identities.yaml"), "--only", "none", "--rate", "12",
	})
	for _, want := range []string{
		`\r\x1b\[K\[\.{30}\] 0 of 4 endpoints  \d+ requests  0 findings  estimating the time`,
		`\r\x1b\[K\[#+\.+\] [123] of 4 endpoints  \d+ requests  \d+ findings?  about \d+s left`,
		`\r\x1b\[Khttp://127\.0\.0\.1:\d+: 4 endpoints, \d+ requests in `,
	} {
		if !regexp.MustCompile(want).MatchString(shown) {
			t.Errorf("no %s in\n%q", want, shown)
		}
	}
}
