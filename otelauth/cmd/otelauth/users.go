// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// usersCommands edit an htpasswd file.
type usersCommands struct {
	Add     usersAdd     `cmd:"" help:"Add an account. A missing file is created with mode 0600."`
	Passwd  usersPasswd  `cmd:"" help:"Change the password of an account."`
	Disable usersDisable `cmd:"" help:"Reject the logins of an account until it is enabled again."`
	Enable  usersEnable  `cmd:"" help:"Accept the logins of a disabled account again."`
	Expire  usersExpire  `cmd:"" help:"Set when an account expires."`
	Remove  usersRemove  `cmd:"" help:"Remove an account."`
	List    usersList    `cmd:"" help:"List the accounts, without their hashes."`
	Check   usersCheck   `cmd:"" help:"Check a file, and report errors and warnings line by line."`
}

// account holds the file and the account name of a command.
type account struct {
	File string `arg:"" complete:"file" help:"The htpasswd file."`
	Name string `arg:"" complete:"account" help:"The name of the account."`
}

// hashing holds the flags for hashing a new password.
type hashing struct {
	Scheme    string `enum:"argon2id,bcrypt" default:"argon2id" help:"The hash: argon2id, or bcrypt (cost 12) if Apache or nginx reads the file too. Default: argon2id."`
	Calibrate span   `placeholder:"100ms" help:"Choose the memory and passes of argon2id so that one hash takes this long on this machine, within the memory limit of the server. Default: 19 MiB and 2 passes, as OWASP recommends."`
}

// lockWait is how long to wait for another process that edits the file.
const lockWait = 10 * time.Second

// edit changes one file under its lock.
func edit(file string, change func(*htpasswd.Content) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	return htpasswd.Edit(ctx, file, change)
}

// change replaces the line of an account. It also removes a previous password that has expired.
func (t *terminal) change(a account, change func(*htpasswd.Line) error) error {
	// Without this check a missing file would leave a lock file behind.
	if _, err := htpasswd.ReadContent(a.File); err != nil {
		return err
	}
	return edit(a.File, func(c *htpasswd.Content) error {
		l, err := c.Get(a.Name)
		if err != nil {
			return err
		}
		if l.Previous != "" && !t.now().Before(l.PreviousExpires) {
			l.Previous, l.PreviousExpires = "", time.Time{}
		}
		if err := change(&l); err != nil {
			return err
		}
		return c.Replace(l)
	})
}

// print writes one line to standard output.
func (t *terminal) print(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// shown returns a name in a form that is safe for a terminal.
func shown(name string) string { return attempt.Text(name, 256) }

func (h *hashing) validate() error {
	if h.Calibrate > 0 && h.Scheme == "bcrypt" {
		return usageError{errors.New("--calibrate works with argon2id only: remove --scheme")}
	}
	return nil
}

// params returns the parameters of new hashes.
func (h *hashing) params(t *terminal) (password.Params, error) {
	if h.Scheme == "bcrypt" {
		return password.Params{Scheme: "bcrypt"}, nil
	}
	if h.Calibrate == 0 {
		return password.Params{MemoryKiB: leastMemoryKiB, Passes: leastPasses, Lanes: 1}, nil
	}
	p, n := newProgress(t.err), 0
	target := time.Duration(h.Calibrate)
	params, took, err := calibrate(target, mostMemoryKiB(runtime.GOMAXPROCS(0)-1), func(params password.Params) (time.Duration, error) {
		n++
		p.measuring(n, params)
		return measureHash(params)
	})
	p.end()
	if err != nil {
		return params, err
	}
	fmt.Fprintf(t.err, "otelauth: %s takes %v on this machine", describe(params), took.Round(time.Millisecond))
	if distance(took, target) > target/2 {
		fmt.Fprintf(t.err, " instead of %v: it is the closest value within the limits", target)
	}
	fmt.Fprintln(t.err)
	return params, nil
}

// hash reads a new password and hashes it. Call it without holding the lock of the file.
func (h *hashing) hash(t *terminal, name string) (encoded string, p password.Params, err error) {
	secret, err := t.newPassword(name)
	if err != nil {
		return "", p, err
	}
	defer clear(secret)
	if p, err = h.params(t); err != nil {
		return "", p, err
	}
	encoded, err = p.Hash(secret, nil)
	return encoded, p, err
}

type usersAdd struct {
	account
	hashing
	Expires when `placeholder:"WHEN" help:"When the account expires: its last day (2026-12-31, UTC), a time (2026-12-31T12:00:00Z) or a duration from now (90d). Default: never."`
}

// Run adds an account.
func (c *usersAdd) Run(t *terminal) error {
	if err := errors.Join(c.hashing.validate(), checkName(c.Name)); err != nil {
		return err
	}
	expires, err := c.Expires.at(t.now())
	if err != nil {
		return err
	}
	// Checked before the password is read, and again under the lock.
	content, err := htpasswd.ReadContent(c.File)
	switch {
	case err == nil:
		if _, err := content.Get(c.Name); !errors.Is(err, htpasswd.ErrUnknown) {
			return exists(c.File, c.Name, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	encoded, p, err := c.hash(t, c.Name)
	if err != nil {
		return err
	}
	err = edit(c.File, func(content *htpasswd.Content) error {
		return content.Add(htpasswd.Line{Name: c.Name, Hash: encoded, Expires: expires})
	})
	if errors.Is(err, htpasswd.ErrExists) {
		return exists(c.File, c.Name, nil)
	}
	if err != nil {
		return err
	}
	t.print("added %s to %s (%s%s)", shown(c.Name), c.File, describe(p), untilText(expires))
	return nil
}

// checkName returns why a name cannot be added, or nil.
func checkName(name string) error {
	if err := verify.ValidName(name); err != nil {
		return usageError{err}
	}
	// the argument parser replaces invalid bytes by it
	if strings.ContainsRune(name, utf8.RuneError) {
		return usageError{errors.New("the name is not valid UTF-8: choose another")}
	}
	if strings.HasPrefix(name, "#") {
		return usageError{errors.New("the name begins with #, which begins a comment in the file: choose another")}
	}
	return nil
}

func exists(file, name string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s is already in %s: change its password with: otelauth users passwd", shown(name), file)
}

func untilText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", until " + stamp(t)
}

type usersPasswd struct {
	account
	hashing
	KeepOld span `placeholder:"24h" help:"Accept the previous password too, for this long, at most 90d. Telemetry reports each use of it. Default: it is rejected at once."`
	Expires when `placeholder:"WHEN" help:"When the account expires: last day, time, duration from now, or never. Default: unchanged."`
}

// maxKeepOld is how long two passwords may be valid.
const maxKeepOld = 90 * 24 * time.Hour

// Run changes a password.
func (c *usersPasswd) Run(t *terminal) error {
	if err := c.hashing.validate(); err != nil {
		return err
	}
	if c.KeepOld > span(maxKeepOld) {
		return usageError{errors.New("--keep-old must be at most 90d")}
	}
	expires, err := c.Expires.at(t.now())
	if err != nil {
		return err
	}
	content, err := htpasswd.ReadContent(c.File)
	if err != nil {
		return err
	}
	if _, err := content.Get(c.Name); err != nil {
		return err
	}
	encoded, p, err := c.hash(t, c.Name)
	if err != nil {
		return err
	}
	var until time.Time // of the previous password
	var dropped bool
	err = t.change(c.account, func(l *htpasswd.Line) error {
		dropped = l.Previous != ""
		l.Previous, l.PreviousExpires = "", time.Time{}
		if c.KeepOld > 0 {
			if _, err := password.Parse(l.Hash); err != nil {
				return fmt.Errorf("the previous password cannot be kept: %w", err)
			}
			until = t.now().Add(time.Duration(c.KeepOld))
			l.Previous, l.PreviousExpires = l.Hash, until
		}
		l.Hash = encoded
		if c.Expires.set {
			l.Expires = expires
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.print("%s has a new password in %s (%s)", shown(c.Name), c.File, describe(p))
	if !until.IsZero() {
		t.print("the previous password is accepted too, until %s", stamp(until))
	}
	if dropped {
		t.print("the password before that is no longer accepted")
	}
	return nil
}

type usersDisable struct{ account }

// Run disables an account.
func (c *usersDisable) Run(t *terminal) error {
	if err := t.change(c.account, func(l *htpasswd.Line) error { l.Disabled = true; return nil }); err != nil {
		return err
	}
	t.print("%s is disabled in %s", shown(c.Name), c.File)
	return nil
}

type usersEnable struct{ account }

// Run enables an account.
func (c *usersEnable) Run(t *terminal) error {
	var expired bool
	err := t.change(c.account, func(l *htpasswd.Line) error {
		l.Disabled = false
		expired = !l.Expires.IsZero() && !t.now().Before(l.Expires)
		return nil
	})
	if err != nil {
		return err
	}
	t.print("%s is enabled in %s", shown(c.Name), c.File)
	if expired {
		t.print("but the account has expired: set a later end with: otelauth users expire")
	}
	return nil
}

type usersExpire struct {
	account
	When when `arg:"" help:"The last day (2026-12-31, UTC), a time (2026-12-31T12:00:00Z), a duration from now (90d), or never."`
}

// Run sets when an account expires.
func (c *usersExpire) Run(t *terminal) error {
	at, err := c.When.at(t.now())
	if err != nil {
		return err
	}
	if err := t.change(c.account, func(l *htpasswd.Line) error { l.Expires = at; return nil }); err != nil {
		return err
	}
	if at.IsZero() {
		t.print("%s never expires in %s", shown(c.Name), c.File)
	} else {
		t.print("%s expires at %s in %s", shown(c.Name), stamp(at), c.File)
	}
	return nil
}

type usersRemove struct{ account }

// Run removes an account.
func (c *usersRemove) Run(t *terminal) error {
	if _, err := htpasswd.ReadContent(c.File); err != nil {
		return err
	}
	if err := edit(c.File, func(content *htpasswd.Content) error { return content.Remove(c.Name) }); err != nil {
		return err
	}
	t.print("removed %s from %s", shown(c.Name), c.File)
	return nil
}
