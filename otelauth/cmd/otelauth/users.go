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
	Add     usersAdd     `cmd:"" help:"Add an account. The file is made, with mode 0600, if it is not there."`
	Passwd  usersPasswd  `cmd:"" help:"Change the password of an account."`
	Disable usersDisable `cmd:"" help:"Refuse an account until it is enabled again."`
	Enable  usersEnable  `cmd:"" help:"Accept a disabled account again."`
	Expire  usersExpire  `cmd:"" help:"Set when an account ends."`
	Remove  usersRemove  `cmd:"" help:"Remove an account."`
	List    usersList    `cmd:"" help:"List the accounts, without their hashes."`
	Check   usersCheck   `cmd:"" help:"Say what is wrong with a file, line by line."`
}

// account is the file and the name that a command is about.
type account struct {
	File string `arg:"" help:"The htpasswd file."`
	Name string `arg:"" help:"The name of the account."`
}

// hashing is how a new password is hashed.
type hashing struct {
	Scheme    string `enum:"argon2id,bcrypt" default:"argon2id" help:"argon2id, or bcrypt (cost 12) for a file that Apache or nginx reads too."`
	Calibrate span   `placeholder:"100ms" help:"Choose argon2id's memory and passes so that one hash takes this long on this machine, and no more memory than the gate admits. Default: 19 MiB and 2 passes, as OWASP recommends."`
}

// lockWait bounds the wait for somebody else's edit.
const lockWait = 10 * time.Second

// edit changes one file under its lock.
func edit(file string, change func(*htpasswd.Content) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	return htpasswd.Edit(ctx, file, change)
}

// change replaces the line of an account. A former password that is over goes with the next change of its line.
func (t *terminal) change(a account, change func(*htpasswd.Line) error) error {
	// A lock beside a file that is missing would only be litter.
	if _, err := htpasswd.ReadContent(a.File); err != nil {
		return err
	}
	return edit(a.File, func(c *htpasswd.Content) error {
		l, err := c.Get(a.Name)
		if err != nil {
			return err
		}
		if l.Former != "" && !t.now().Before(l.FormerExpires) {
			l.Former, l.FormerExpires = "", time.Time{}
		}
		if err := change(&l); err != nil {
			return err
		}
		return c.Replace(l)
	})
}

// told is one line of what was done.
func (t *terminal) told(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// shown is a name as a terminal may see it: not everything that a file holds was written by this command.
func shown(name string) string { return attempt.Text(name, 256) }

func (h *hashing) validate() error {
	if h.Calibrate > 0 && h.Scheme == "bcrypt" {
		return usageError{errors.New("--calibrate is for argon2id: leave --scheme out")}
	}
	return nil
}

// params are those of new hashes.
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
		fmt.Fprintf(t.err, ", not %v: it is the nearest within the bounds", target)
	}
	fmt.Fprintln(t.err)
	return params, nil
}

// hash asks for a new password and hashes it, before any lock is taken.
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
	Expires when `placeholder:"WHEN" help:"The last day (2026-12-31, UTC), the time, or how long from now (90d) the account is accepted. Default: never ends."`
}

// Run adds an account.
func (c *usersAdd) Run(t *terminal) error {
	if err := errors.Join(c.hashing.validate(), usable(c.Name)); err != nil {
		return err
	}
	expires, err := c.Expires.at(t.now())
	if err != nil {
		return err
	}
	// Before anybody types a password for nothing; judged again under the lock.
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
	t.told("%s is added to %s (%s%s)", shown(c.Name), c.File, describe(p), until(expires))
	return nil
}

func usable(name string) error {
	if err := verify.ValidName(name); err != nil {
		return usageError{err}
	}
	if strings.ContainsRune(name, utf8.RuneError) { // what the parser of arguments makes of other octets
		return usageError{errors.New("the name is not valid UTF-8")}
	}
	if strings.HasPrefix(name, "#") {
		return usageError{errors.New("the name begins with #, which begins a comment in the file")}
	}
	return nil
}

func exists(file, name string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s stands in %s already: change its password with: otelauth users passwd", shown(name), file)
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", until " + stamp(t)
}

type usersPasswd struct {
	account
	hashing
	KeepOld span `placeholder:"24h" help:"Accept the former password too, for this long, at most 90d; who uses it is told. Default: it ends at once."`
	Expires when `placeholder:"WHEN" help:"The last day, the time, how long from now the account is accepted, or never. Default: as before."`
}

// maxKeepOld bounds how long two passwords are right.
const maxKeepOld = 90 * 24 * time.Hour

// Run changes a password.
func (c *usersPasswd) Run(t *terminal) error {
	if err := c.hashing.validate(); err != nil {
		return err
	}
	if c.KeepOld > span(maxKeepOld) {
		return usageError{errors.New("--keep-old is for a change-over, at most 90d")}
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
	var former time.Time
	var dropped bool
	err = t.change(c.account, func(l *htpasswd.Line) error {
		dropped = l.Former != ""
		l.Former, l.FormerExpires = "", time.Time{}
		if c.KeepOld > 0 {
			if _, err := password.Parse(l.Hash); err != nil {
				return fmt.Errorf("the former password cannot be kept: %w", err)
			}
			former = t.now().Add(time.Duration(c.KeepOld))
			l.Former, l.FormerExpires = l.Hash, former
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
	t.told("%s has a new password in %s (%s)", shown(c.Name), c.File, describe(p))
	if !former.IsZero() {
		t.told("the former one is accepted too, until %s", stamp(former))
	}
	if dropped {
		t.told("the one before that was still accepted, and is no longer")
	}
	return nil
}

type usersDisable struct{ account }

// Run disables an account.
func (c *usersDisable) Run(t *terminal) error {
	if err := t.change(c.account, func(l *htpasswd.Line) error { l.Disabled = true; return nil }); err != nil {
		return err
	}
	t.told("%s is disabled in %s", shown(c.Name), c.File)
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
	t.told("%s is enabled in %s", shown(c.Name), c.File)
	if expired {
		t.told("but it has expired: set a later end with: otelauth users expire")
	}
	return nil
}

type usersExpire struct {
	account
	When when `arg:"" help:"The last day (2026-12-31, UTC), the time, how long from now (90d), or never."`
}

// Run sets when an account ends.
func (c *usersExpire) Run(t *terminal) error {
	at, err := c.When.at(t.now())
	if err != nil {
		return err
	}
	if err := t.change(c.account, func(l *htpasswd.Line) error { l.Expires = at; return nil }); err != nil {
		return err
	}
	if at.IsZero() {
		t.told("%s never expires in %s", shown(c.Name), c.File)
	} else {
		t.told("%s expires at %s in %s", shown(c.Name), stamp(at), c.File)
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
	t.told("%s is removed from %s", shown(c.Name), c.File)
	return nil
}
