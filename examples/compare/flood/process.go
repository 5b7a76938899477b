// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package flood

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// childVariable makes a re-executed binary run as a child, so that a test binary can be one too.
const childVariable = "OTELAUTH_COMPARE_CHILD"

// IsChild reports whether this process was started by [Main] as a server or an attacker. A
// test binary asks it in TestMain and then calls Main.
func IsChild() bool { return os.Getenv(childVariable) != "" }

// process is a child that communicates by lines and ends when its input ends.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

// start runs this executable again as a child.
func start(ctx context.Context, env []string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("flood: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(append(os.Environ(), childVariable+"=1"), env...)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 5 * time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("flood: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("flood: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("flood: %w", err)
	}
	return &process{cmd, stdin, bufio.NewReader(stdout)}, nil
}

// line reads one line.
func (p *process) line() (string, error) {
	s, err := p.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("flood: %s ended early: %w", p.cmd.Args[1], err)
	}
	return strings.TrimSpace(s), nil
}

// ask sends a line and decodes the answer.
func (p *process) ask(v any) error {
	if _, err := io.WriteString(p.stdin, "?\n"); err != nil {
		return fmt.Errorf("flood: %s: %w", p.cmd.Args[1], err)
	}
	return p.decode(v)
}

func (p *process) decode(v any) error {
	s, err := p.line()
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(s), v); err != nil {
		return fmt.Errorf("flood: %s: %w", p.cmd.Args[1], err)
	}
	return nil
}

// stop closes the input, which ends the child. It kills the child after five seconds.
func (p *process) stop() {
	_ = p.stdin.Close()
	t := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer t.Stop()
	_, _ = io.Copy(io.Discard, p.out)
	_ = p.cmd.Wait()
}
