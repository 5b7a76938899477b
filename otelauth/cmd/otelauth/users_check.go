// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// reading is how list and check read a file.
type reading struct {
	File                   string `arg:"" help:"The htpasswd file."`
	Groups                 string `placeholder:"FILE" help:"The group file that belongs to it, in the form of Apache's AuthGroupFile."`
	DangerouslyAllowLegacy bool   `help:"Take apr1, {SSHA} and {SHA} as the gateway does with the flag of the same name."`
}

func (r *reading) policy() password.Policy {
	return password.Policy{DangerouslyAllowLegacy: r.DangerouslyAllowLegacy}
}

// faults are those that a server would refuse the files for.
func (r *reading) faults() error {
	f, err := htpasswd.Open(htpasswd.Config{Path: r.File, Groups: r.Groups, Policy: r.policy(), Unwatched: true})
	if err == nil {
		return f.Close()
	}
	return err
}

type usersList struct{ reading }

// Run lists the accounts that can be read.
func (c *usersList) Run(t *terminal) error {
	content, err := htpasswd.ReadContent(c.File)
	if err != nil {
		return err
	}
	groups := make(map[string][]string)
	// With a fault the groups stay out, and the fault is told below.
	if f, err := htpasswd.Open(htpasswd.Config{Path: c.File, Groups: c.Groups, Policy: c.policy(), Unwatched: true}); err == nil && c.Groups != "" {
		for _, name := range content.Names() {
			if a, _ := f.Lookup(context.Background(), name); a != nil {
				groups[name] = a.Groups
			}
		}
	}
	w := tabwriter.NewWriter(t.out, 0, 8, 2, ' ', 0)
	heading := "NAME\tSCHEME\tSTATE\tEXPIRES\tFORMER PASSWORD"
	if c.Groups != "" {
		heading += "\tGROUPS"
	}
	fmt.Fprintln(w, heading)
	for _, l := range content.All() {
		scheme := "unknown"
		if h, err := c.policy().Parse(l.Hash); err == nil {
			scheme = h.Scheme()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s", shown(l.Name), scheme, c.state(l, t.now()), dash(l.Expires), former(l, t.now()))
		if c.Groups != "" {
			fmt.Fprintf(w, "\t%s", orDash(shown(strings.Join(groups[l.Name], ","))))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := c.faults(); err != nil {
		return fmt.Errorf("%s is not served as it is: see otelauth users check", c.File)
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

func former(l htpasswd.Line, now time.Time) string {
	if l.Former == "" || !now.Before(l.FormerExpires) {
		return "-"
	}
	return "until " + stamp(l.FormerExpires)
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

// Run says what is wrong, a line for each fault and warning, and fails when a server would refuse the file.
func (c *usersCheck) Run(t *terminal) error {
	content, err := htpasswd.ReadContent(c.File)
	if err != nil {
		return err
	}
	faults := 0
	if err := c.faults(); err != nil {
		for _, err := range flatten(err) {
			faults++
			t.told("%s", strings.TrimPrefix(err.Error(), "htpasswd: "))
		}
	}
	accounts, warnings := 0, 0
	warn := func(n int, format string, args ...any) {
		warnings++
		t.told("%s:%d: warning: "+format, append([]any{c.File, n}, args...)...)
	}
	now := t.now()
	for n, l := range content.All() {
		accounts++
		h, err := c.policy().Parse(l.Hash)
		if err == nil && h.RehashNeeded() {
			warn(n, "the hash (%s) is weaker than OWASP recommends: have the password set again with: otelauth users passwd", h.Scheme())
		}
		if !l.Expires.IsZero() && !now.Before(l.Expires) {
			warn(n, "the account has expired at %s: remove it, or set a later end with: otelauth users expire", stamp(l.Expires))
		}
		if l.Former != "" && !now.Before(l.FormerExpires) {
			warn(n, "the former password is over since %s, and each attempt still costs two hashes: any edit of the line takes it out, otelauth users enable for one", stamp(l.FormerExpires))
		}
	}
	if info, err := os.Stat(c.File); err == nil && info.Mode().Perm()&0o007 != 0 {
		warnings++
		t.told("%s: warning: its mode is %04o, so everybody on this machine can read the hashes: chmod o= %s", c.File, info.Mode().Perm(), c.File)
	}
	t.told("%s: %s, %s, %s", c.File, count(accounts, "account"), count(faults, "fault"), count(warnings, "warning"))
	if faults > 0 {
		return errors.New("the file is refused as a whole until its faults are gone; a running server keeps the last good one")
	}
	return nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// flatten returns the errors that were joined.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && !errors.Is(err, fs.ErrNotExist) {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}
