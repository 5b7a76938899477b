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

// fewCharacters is below what OWASP ASVS 5.0 V6.2.1 asks for.
const fewCharacters = 8

// newPassword asks for a password twice, or reads it from standard input when that is no terminal. The caller clears it.
func (t *terminal) newPassword(name string) ([]byte, error) {
	fd := int(t.in.Fd())
	var secret []byte
	var err error
	if term.IsTerminal(fd) {
		secret, err = t.ask(fd, "Password for "+shown(name)+": ")
		if err == nil {
			var again []byte
			if again, err = t.ask(fd, "The same again: "); err == nil && subtle.ConstantTimeCompare(secret, again) != 1 {
				err = errors.New("the two passwords differ; nothing is changed")
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
	if utf8.RuneCount(secret) < fewCharacters {
		fmt.Fprintf(t.err, "otelauth: warning: a password of fewer than %d characters is soon guessed (OWASP ASVS 6.2.1)\n", fewCharacters)
	}
	return secret, nil
}

// ask reads a line without echo. An interrupt gives the terminal its echo back.
func (t *terminal) ask(fd int, prompt string) ([]byte, error) {
	state, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("the terminal cannot be read: %w", err)
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
			l.err = errors.New("no password was typed; nothing is changed")
		}
		return l.secret, l.err
	}
}

// readPassword reads one line: its end, LF or CRLF, is no part of the password, and may be missing. A second line is an error, because
// one of the two would be dropped.
func readPassword(r io.Reader) ([]byte, error) {
	buf := make([]byte, password.MaxPasswordBytes+len("\r\n")+1)
	n, err := io.ReadFull(r, buf)
	defer clear(buf)
	switch {
	case err == nil:
		return nil, fmt.Errorf("standard input holds more than %d octets: it must be the password on one line", password.MaxPasswordBytes)
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("standard input: %w", err)
	}
	line, rest, found := bytes.Cut(buf[:n], []byte{'\n'})
	if found && len(rest) > 0 {
		return nil, errors.New("standard input holds more than one line: it must be the password alone")
	}
	if found {
		line = bytes.TrimSuffix(line, []byte{'\r'})
	}
	return bytes.Clone(line), nil
}

// checkPassword refuses what no client could send: RFC 7617 section 2 forbids control characters.
func checkPassword(secret []byte) error {
	switch {
	case len(secret) == 0:
		return errors.New("the password is empty; nothing is changed")
	case len(secret) > password.MaxPasswordBytes:
		return fmt.Errorf("the password is longer than %d octets; nothing is changed", password.MaxPasswordBytes)
	case bytes.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("the password holds a control character, which no client can send (RFC 7617); nothing is changed")
	}
	return nil
}
