// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// reading holds the arguments of list and check.
type reading struct {
	File                   string `arg:"" complete:"file" help:"The htpasswd file."`
	Groups                 string `placeholder:"FILE" help:"The groups of the accounts, in the format of Apache's AuthGroupFile."`
	DangerouslyAllowLegacy bool   `help:"Accept apr1, {SSHA} and {SHA} hashes, as the gateway does with the same flag."`
}

func (r *reading) policy() password.Policy {
	return password.Policy{DangerouslyAllowLegacy: r.DangerouslyAllowLegacy}
}

// problems returns the errors for which a server refuses the files.
func (r *reading) problems() error {
	f, err := htpasswd.Open(htpasswd.Config{Path: r.File, Groups: r.Groups, Policy: r.policy(), Unwatched: true})
	if err == nil {
		return f.Close()
	}
	return err
}

type usersList struct{ reading }

// Run lists the valid accounts.
func (c *usersList) Run(t *terminal) error {
	content, err := htpasswd.ReadContent(c.File)
	if err != nil {
		return err
	}
	groups := make(map[string][]string)
	// If the files are invalid, the list has no groups, and the error is reported below.
	if f, err := htpasswd.Open(htpasswd.Config{Path: c.File, Groups: c.Groups, Policy: c.policy(), Unwatched: true}); err == nil && c.Groups != "" {
		for _, name := range content.Names() {
			if a, _ := f.Lookup(context.Background(), name); a != nil {
				groups[name] = a.Groups
			}
		}
	}
	w := tabwriter.NewWriter(t.out, 0, 8, 2, ' ', 0)
	heading := "NAME\tSCHEME\tSTATE\tEXPIRES\tPREVIOUS PASSWORD"
	if c.Groups != "" {
		heading += "\tGROUPS"
	}
	fmt.Fprintln(w, heading)
	for _, l := range content.All() {
		scheme := "unknown"
		if h, err := c.policy().Parse(l.Hash); err == nil {
			scheme = h.Scheme()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s", shown(l.Name), scheme, c.state(l, t.now()), dash(l.Expires), previousPassword(l, t.now()))
		if c.Groups != "" {
			fmt.Fprintf(w, "\t%s", orDash(shown(strings.Join(groups[l.Name], ","))))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := c.problems(); err != nil {
		return fmt.Errorf("a server refuses %s: run otelauth users check for the reasons", c.File)
	}
	return nil
}

func (c *usersList) state(l htpasswd.Line, now time.Time) string {
	switch {
	case l.Disabled:
		return "disabled"
	case !l.Expires.IsZero() && !now.Before(l.Expires):
		return "expired"
	}
	return "active"
}

func previousPassword(l htpasswd.Line, now time.Time) string {
	if l.Previous == "" || !now.Before(l.PreviousExpires) {
		return "-"
	}
	return "until " + stamp(l.PreviousExpires)
}

func dash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return stamp(t)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

type usersCheck struct{ reading }

// Run writes one line for each error and warning. It fails if a server would refuse the file.
func (c *usersCheck) Run(t *terminal) error {
	content, err := htpasswd.ReadContent(c.File)
	if err != nil {
		return err
	}
	failures := 0
	if err := c.problems(); err != nil {
		for _, err := range flatten(err) {
			failures++
			t.print("%s", strings.TrimPrefix(err.Error(), "htpasswd: "))
		}
	}
	accounts, warnings := 0, 0
	warn := func(n int, format string, args ...any) {
		warnings++
		t.print("%s:%d: warning: "+format, append([]any{c.File, n}, args...)...)
	}
	now := t.now()
	for n, l := range content.All() {
		accounts++
		h, err := c.policy().Parse(l.Hash)
		if err == nil && h.RehashNeeded() {
			warn(n, "the hash (%s) is weaker than OWASP recommends: set the password again with: otelauth users passwd", h.Scheme())
		}
		if !l.Expires.IsZero() && !now.Before(l.Expires) {
			warn(n, "the account expired at %s: remove it, or set a later end with: otelauth users expire", stamp(l.Expires))
		}
		if l.Previous != "" && !now.Before(l.PreviousExpires) {
			warn(n, "the previous password expired at %s, but each attempt still computes two hashes: remove it with any change of the account, such as otelauth users enable", stamp(l.PreviousExpires))
		}
	}
	if info, err := os.Stat(c.File); err == nil && info.Mode().Perm()&0o007 != 0 {
		warnings++
		t.print("%s: warning: its mode is %04o, so every user of this machine can read the hashes: run chmod o= %s", c.File, info.Mode().Perm(), c.File)
	}
	t.print("%s: %s, %s, %s", c.File, count(accounts, "account"), count(failures, "error"), count(warnings, "warning"))
	if failures > 0 {
		return errors.New("a server refuses the whole file: fix the errors; a running server keeps the last good version")
	}
	return nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
