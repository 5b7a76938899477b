// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

func TestCandidates(t *testing.T) {
	t.Parallel()
	users := usersFile(t)
	var all commands
	parser, err := newParser(&all)
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"":                                      "gateway users whois status top attempts episodes budgets detect trail probe help completion man version",
		"us":                                    "users",
		"users pas":                             "passwd",
		"users passwd " + users + " al":         "alice",
		"users passwd ":                         filesLine,
		"users passwd " + users + " alice ":     "",
		"gateway --user-na":                     "--user-names",
		"gateway --user-names ":                 "plain hash dangerously-claimed",
		"gateway --user-names=h":                "--user-names=hash",
		"gateway --cert-file ":                  filesLine,
		"gateway --cert-file=x":                 filesLine,
		"gateway --check in":                    "init",
		"gateway --detect-off brute":            "brute_force",
		"gateway --detect-on unusual":           "unusual_hour",
		"gateway init --limit-fil":              "--limit-file --limit-file-every",
		"help us":                               "users",
		"help users pas":                        "passwd",
		"completion ":                           "bash zsh fish",
		"whois --identity-key-file k --users ":  filesLine,
		"gateway --no-such-flag x --user-names": "--user-names",
	} {
		var got []string
		for _, candidate := range newCompletion(parser.Model.Node, strings.Split(line, " ")).candidates() {
			name, _, _ := strings.Cut(candidate, "\t")
			got = append(got, name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// completionFolder returns a folder with a command otelauth that completes as the real one, and
// otherwise prints its arguments. A file in it has the accounts alice and "bob b".
func completionFolder(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/bash\nif [[ $1 == __complete ]]; then exec -a otelauth %q \"$@\"; fi\n"+
		"if [[ $1 == completion ]]; then exec -a otelauth %[1]q \"$@\"; fi\nprintf 'RAN'; printf '<%%s>' \"$@\"; echo\n", exe)
	if err := os.WriteFile(filepath.Join(dir, "otelauth"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	err = htpasswd.Edit(t.Context(), filepath.Join(dir, "users.htpasswd"), func(c *htpasswd.Content) error {
		for _, name := range []string{"alice", "bob b"} {
			if err := c.Add(htpasswd.Line{Name: name, Hash: hashOf(t, canaryNew)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is missing: install the Debian package %s", program, program)
	}
}

// shell is an interactive shell on a pseudo-terminal.
type shell struct {
	t   *testing.T
	tty *os.File
	out chan []byte
	all bytes.Buffer
	pos int // what follows it has not been expected yet
}

func startShell(t *testing.T, dir string, env []string, args ...string) *shell {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "TERM=dumb"), env...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 50, Cols: 250})
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{t: t, tty: tty, out: make(chan []byte)}
	go func() {
		defer close(s.out)
		for {
			buf := make([]byte, 4096)
			n, err := tty.Read(buf)
			if n > 0 {
				s.out <- buf[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = tty.Close()
		for range s.out { // until the reader has ended
		}
		_ = cmd.Wait()
	})
	return s
}

// expect types keys and waits for text in the output that follows.
func (s *shell) expect(keys, text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.tty, keys); err != nil {
		s.t.Fatal(err)
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		if i := strings.Index(s.all.String()[s.pos:], text); i >= 0 {
			s.pos += i + len(text)
			return
		}
		select {
		case b, ok := <-s.out:
			if !ok {
				s.t.Fatalf("the shell ended:\n%s", s.all.String())
			}
			s.all.Write(b)
		case <-late.C:
			s.t.Fatalf("%q does not lead to %q:\n%s", keys, text, s.all.String()[s.pos:])
		}
	}
}

// completed holds lines with TAB, and the arguments that the command then gets.
var completed = [][2]string{
	{"otelauth users pas\t\r", "RAN<users><passwd>"},
	{"otelauth users passwd users.ht\tali\t\r", "RAN<users><passwd><users.htpasswd><alice>"},
	{"otelauth users passwd users.htpasswd bo\t\r", "RAN<users><passwd><users.htpasswd><bob b>"},
	{"otelauth gateway --user-names ha\t\r", "RAN<gateway><--user-names><hash>"},
	{"otelauth gateway --user-names=ha\t\r", "RAN<gateway><--user-names=hash>"},
	{"otelauth gateway --users users.h\t\r", "RAN<gateway><--users><users.htpasswd>"},
	{"otelauth gateway --users=users.h\t\r", "RAN<gateway><--users=users.htpasswd>"},
	{"otelauth gateway --limit-acc\t9/1m\r", "RAN<gateway><--limit-account><9/1m>"},
	{"otelauth help us\t\r", "RAN<help><users>"},
}

func TestCompletionBash(t *testing.T) {
	t.Parallel()
	need(t, "bash")
	dir := completionFolder(t)
	s := startShell(t, dir, []string{"PS1=READY> "}, "bash", "--norc", "--noprofile", "-i")
	s.expect("bind 'set enable-bracketed-paste off'; source <(otelauth completion bash); echo LOAD''ED\r", "LOADED")
	for _, c := range completed {
		s.expect(c[0], c[1])
	}
}

func TestCompletionZsh(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	need(t, "zsh")
	dir := completionFolder(t)
	s := startShell(t, dir, []string{"PROMPT=READY> "}, "zsh", "-f", "-i")
	s.expect("otelauth completion zsh > _otelauth; fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; PROMPT='READY> '; echo LOAD''ED\r", "LOADED\r\n")
	for _, c := range completed {
		s.expect("", "READY> ")
		s.expect(c[0], c[1]+"\r\n")
	}
}

// TestCompletionFish asks fish for its completions, descriptions included.
func TestCompletionFish(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	need(t, "fish")
	dir := completionFolder(t)
	for line, want := range map[string]string{
		"otelauth users pas":                      "passwd\tChange the password of an account",
		"otelauth users passwd users.h":           "users.htpasswd",
		"otelauth users passwd users.htpasswd al": "alice",
		"otelauth gateway --user-names ha":        "hash",
		"otelauth gateway --user-names=ha":        "--user-names=hash",
		"otelauth gateway --users users.h":        "users.htpasswd",
		"otelauth help us":                        "users\tEdit the accounts of an htpasswd file",
	} {
		cmd := exec.CommandContext(t.Context(), "fish", "--no-config", "-c", "otelauth completion fish | source; complete -C "+"'"+line+"'")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil || !slices.Contains(strings.Split(string(out), "\n"), want) {
			t.Errorf("%q: %v\n%s", line, err, out)
		}
	}
}
