// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that this one has started and ends.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
	began time.Time
	ended chan struct{}
	err   error // set when the process has ended
}

// start runs a program. Its standard error goes to a file.
func start(ctx context.Context, logFile string, env []string, name string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	//nolint:gosec // G302: see the directory
	w, err := os.OpenFile(logFile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	defer w.Close()
	cmd.Stderr = w
	stdin, errIn := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	began := time.Now()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		return nil, fmt.Errorf("gateway: %s: %w", name, err)
	}
	p := &process{cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout), began: began, ended: make(chan struct{})}
	go func() {
		_, p.err = cmd.Process.Wait()
		close(p.ended)
	}()
	return p, nil
}

// self runs this program in one of its modes.
func self(ctx context.Context, logFile string, args ...string) (*process, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return start(ctx, logFile, []string{childVariable + "=1"}, own, args...)
}

// childVariable makes a test binary run as a child.
const childVariable = "OTELAUTH_COMPARE_CHILD"

func (p *process) line() (string, error) {
	s, err := p.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("gateway: %s %s ended early: %w", filepath.Base(p.cmd.Path), p.cmd.Args[1], err)
	}
	return strings.TrimSpace(s), nil
}

// ask sends a line and decodes the answer.
func (p *process) ask(v any) error {
	if _, err := io.WriteString(p.stdin, "?\n"); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	s, err := p.line()
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(s), v); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	return nil
}

// stop ends the process, and kills it if it does not exit within five seconds.
func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	t := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer t.Stop()
	<-p.ended
}

// family returns the process and its children, because nginx works in children.
func (p *process) family() []int {
	pids := []int{p.cmd.Process.Pid}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return pids
	}
	for _, name := range stats {
		if fields, err := statFields(name); err == nil && fields[statParent] == strconv.Itoa(pids[0]) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// Fields of /proc/PID/stat (proc(5)), counted from the field after the name.
const (
	statParent = 1
	statUser   = 11
	statSystem = 12
)

// tick is the unit of CPU times in that file: USER_HZ, which is always 100 on Linux.
const tick = 10 * time.Millisecond

func statFields(name string) ([]string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	// The name of the program is in parentheses and may hold any character.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) <= statSystem {
		return nil, fmt.Errorf("gateway: %s has %d fields", name, len(fields))
	}
	return fields, nil
}

// cpu returns the CPU time that the process and its children have used, user and system.
func (p *process) cpu() (total time.Duration, err error) {
	for _, pid := range p.family() {
		fields, err := statFields(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		for _, i := range []int{statUser, statSystem} {
			ticks, err := strconv.ParseInt(fields[i], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("gateway: /proc/%d/stat: %w", pid, err)
			}
			total += time.Duration(ticks) * tick
		}
	}
	return total, nil
}

// memory returns the proportional set size of the process and its children, in bytes. It counts
// shared pages once.
func (p *process) memory() (total int64, err error) {
	for _, pid := range p.family() {
		name := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
		b, err := os.ReadFile(name)
		if err != nil {
			return 0, fmt.Errorf("gateway: %w", err)
		}
		found := false
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				if err != nil {
					return 0, fmt.Errorf("gateway: %s: %w", name, err)
				}
				total, found = total+kib<<10, true
			}
		}
		if !found {
			return 0, fmt.Errorf("gateway: %s says no Pss", name)
		}
	}
	return total, nil
}
