// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// whoisCommand finds the name behind a user.hash by hashing candidate names, or prints the hashes of
// all candidates.
type whoisCommand struct {
	Hash []string `arg:"" optional:"" help:"The user.hash of an event or span: id:hex. May be repeated. Default: every candidate is printed with its hashes."`

	IdentityKeyFile []string `required:"" placeholder:"FILE" help:"File with the identity keys of the service that recorded the hash; see otelauth gateway --help. May be repeated."`
	Users           []string `placeholder:"FILE" help:"An htpasswd file whose account names are candidates. May be repeated."`
	Names           string   `placeholder:"FILE" help:"A file with one candidate name a line; - reads standard input."`
	sqlFlags
	SQLNames string `name:"sql-names" placeholder:"QUERY" help:"SQL query for candidate names, one column. Default with --django: the names of auth_user."`
}

// whoisTimeout is the timeout of the query to the database.
const whoisTimeout = time.Minute

var hashForm = regexp.MustCompile(`^([a-z0-9_-]{1,32}):[0-9a-f]{32}$`)

// Run prints each hash with its name.
func (c *whoisCommand) Run(t *terminal) error {
	key, err := readIdentityKeys(c.IdentityKeyFile)
	if err != nil {
		return usageError{err}
	}
	if len(c.Hash) == 0 {
		return c.candidates(t, func(name string) bool {
			for _, k := range append([]otelauth.IdentityKey{key}, key.Previous...) {
				t.print("%s %s", k.Hash(name), shown(name))
			}
			return true
		})
	}
	known := map[string]bool{key.ID: true}
	for _, f := range key.Previous {
		known[f.ID] = true
	}
	open := make(map[string]bool, len(c.Hash))
	for i, hash := range c.Hash {
		form := hashForm.FindStringSubmatch(hash)
		if form == nil {
			return usageError{fmt.Errorf("argument %d is not a user.hash: write id:hex with 32 hexadecimal digits", i+1)}
		}
		if !known[form[1]] {
			hint := "name the file that holds it with --identity-key-file"
			if strings.HasPrefix(form[1], "r-") {
				hint = "it may be the random key of a process without an identity key; the names of its hashes cannot be found"
			}
			return fmt.Errorf("the key files hold no key %s: %s", form[1], hint)
		}
		open[hash] = true
	}
	found := make(map[string]string, len(open))
	try := func(name string) bool {
		for hash := range open {
			if key.Matches(hash, name) {
				found[hash] = name
				delete(open, hash)
			}
		}
		return len(open) > 0
	}
	if err := c.candidates(t, try); err != nil {
		return err
	}
	for _, hash := range c.Hash {
		if name, ok := found[hash]; ok {
			t.print("%s %s", hash, shown(name))
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("no candidate matches %s of %d: the name may be a removed account, or a guess that is not an account", count(len(open), "hash"), len(c.Hash))
	}
	return nil
}

// candidates calls try with each name until it returns false.
func (c *whoisCommand) candidates(t *terminal, try func(name string) bool) error {
	if len(c.Users) == 0 && c.Names == "" && !c.sqlFlags.isSet() {
		return usageError{errors.New("no candidates: provide them with --users, --names or --sql-driver")}
	}
	for _, file := range c.Users {
		content, err := htpasswd.ReadContent(file)
		if err != nil {
			return err
		}
		for _, name := range content.Names() {
			if !try(name) {
				return nil
			}
		}
	}
	if c.sqlFlags.isSet() {
		more, err := c.fromDatabase(try)
		if err != nil || !more {
			return err
		}
	}
	if c.Names == "" {
		return nil
	}
	r := io.Reader(t.in)
	if c.Names == "-" {
		if term.IsTerminal(int(t.in.Fd())) {
			fmt.Fprintln(t.err, "otelauth: enter candidate names, one a line, and end with Ctrl-D:")
		}
	} else {
		f, err := openRegular(c.Names)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // only read
		r = f
	}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if !try(strings.TrimSuffix(lines.Text(), "\r")) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read the candidates: %w", err)
	}
	return nil
}

func (c *whoisCommand) fromDatabase(try func(name string) bool) (more bool, err error) {
	query := c.SQLNames
	if query == "" && c.Django {
		query = "SELECT username FROM auth_user"
	}
	if query == "" {
		return false, usageError{errors.New("--sql-names is missing: write a query for one column of names")}
	}
	db, err := c.sqlFlags.open()
	if err != nil {
		return false, err
	}
	defer func() { _ = db.Close() }() // only read
	ctx, cancel := context.WithTimeout(context.Background(), whoisTimeout)
	defer cancel()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return false, c.sqlFlags.redact(err)
	}
	defer func() { _ = rows.Close() }() // Err reports errors
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return false, c.sqlFlags.redact(err)
		}
		if !try(name) {
			return false, nil
		}
	}
	return true, c.sqlFlags.redact(rows.Err())
}
