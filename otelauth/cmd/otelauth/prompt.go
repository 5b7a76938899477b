// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

var errInterrupted = errors.New("interrupted")

// minCharacters is the minimum of OWASP ASVS 5.0, V6.2.1.
const minCharacters = 8

// newPassword prompts for a password twice, or reads it from standard input if that is not a
// terminal. The caller clears it.
func (t *terminal) newPassword(name string) ([]byte, error) {
	fd := int(t.in.Fd())
	var secret []byte
	var err error
	if term.IsTerminal(fd) {
		secret, err = t.ask(fd, "Password for "+shown(name)+": ")
		if err == nil {
			var again []byte
			if again, err = t.ask(fd, "Repeat the password: "); err == nil && subtle.ConstantTimeCompare(secret, again) != 1 {
				err = errors.New("the two passwords differ; nothing was changed")
			}
			clear(again)
		}
	} else {
		secret, err = readPassword(t.in)
	}
	if err == nil {
		err = checkPassword(secret)
	}
	if err != nil {
		clear(secret)
		return nil, err
	}
	if utf8.RuneCount(secret) < minCharacters {
		fmt.Fprintf(t.err, "otelauth: warning: a password of fewer than %d characters is easily guessed (OWASP ASVS 6.2.1)\n", minCharacters)
	}
	return secret, nil
}

// ask reads a line without echo. It restores the echo after an interrupt.
func (t *terminal) ask(fd int, prompt string) ([]byte, error) {
	state, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot read the terminal: %w", err)
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	fmt.Fprint(t.err, prompt)

	type line struct {
		secret []byte
		err    error
	}
	answer := make(chan line, 1)
	go func() {
		secret, err := term.ReadPassword(fd)
		answer <- line{secret, err}
	}()
	select {
	case <-interrupts:
		_ = term.Restore(fd, state)
		fmt.Fprintln(t.err)
		return nil, errInterrupted
	case l := <-answer:
		fmt.Fprintln(t.err)
		if errors.Is(l.err, io.EOF) {
			l.err = errors.New("no password was entered; nothing was changed")
		}
		return l.secret, l.err
	}
}

// readPassword reads one line. Its end, LF or CRLF, is not part of the password and may be
// missing. A second line is an error, because one of the two would be ignored.
func readPassword(r io.Reader) ([]byte, error) {
	buf := make([]byte, password.MaxPasswordBytes+len("\r\n")+1)
	n, err := io.ReadFull(r, buf)
	defer clear(buf)
	switch {
	case err == nil:
		return nil, fmt.Errorf("standard input has more than %d bytes: write only the password, on one line", password.MaxPasswordBytes)
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("standard input: %w", err)
	}
	line, rest, found := bytes.Cut(buf[:n], []byte{'\n'})
	if found && len(rest) > 0 {
		return nil, errors.New("standard input has more than one line: write only the password")
	}
	if found {
		line = bytes.TrimSuffix(line, []byte{'\r'})
	}
	return bytes.Clone(line), nil
}

// checkPassword refuses passwords that no client can send: RFC 7617, section 2, forbids control
// characters.
func checkPassword(secret []byte) error {
	switch {
	case len(secret) == 0:
		return errors.New("the password is empty; nothing was changed")
	case len(secret) > password.MaxPasswordBytes:
		return fmt.Errorf("the password is longer than %d bytes; nothing was changed", password.MaxPasswordBytes)
	case bytes.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("the password holds a control character, which no client can send (RFC 7617); nothing was changed")
	}
	return nil
}
