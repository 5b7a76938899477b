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

	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// whoisCommand finds names behind hashes by hashing the candidates.
type whoisCommand struct {
	Hash []string `arg:"" help:"The user.hash of an event or a span, id:hex; several may be given."`

	IdentityKeyFile []string `required:"" placeholder:"FILE" help:"The identity keys of the service that wrote the hash; see otelauth gateway. Several files may be given."`
	Users           []string `placeholder:"FILE" help:"An htpasswd file whose names are candidates."`
	Names           string   `placeholder:"FILE" help:"A file of candidates, a name on each line; - is standard input."`
	sqlFlags
	SQLNames string `name:"sql-names" placeholder:"QUERY" help:"The query for the candidates in the database, one column of names. Default with --django: the names of auth_user."`
}

// whoisTimeout bounds the question to the database.
const whoisTimeout = time.Minute

var hashForm = regexp.MustCompile(`^([a-z0-9_-]{1,32}):[0-9a-f]{32}$`)

// Run prints each hash with its name.
func (c *whoisCommand) Run(t *terminal) error {
	key, err := readIdentityKeys(c.IdentityKeyFile)
	if err != nil {
		return usageError{err}
	}
	known := map[string]bool{key.ID: true}
	for _, f := range key.Previous {
		known[f.ID] = true
	}
	open := make(map[string]bool, len(c.Hash))
	for i, hash := range c.Hash {
		form := hashForm.FindStringSubmatch(hash)
		if form == nil {
			return usageError{fmt.Errorf("argument %d is no user.hash: it reads id:hex, with 32 hexadecimal digits", i+1)}
		}
		if !known[form[1]] {
			hint := "give the file that holds it with --identity-key-file"
			if strings.HasPrefix(form[1], "r-") {
				hint = "it may be the random key of a process without an identity key, which nobody has any longer"
			}
			return fmt.Errorf("no key %s is in the key files: %s", form[1], hint)
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
			t.told("%s %s", hash, shown(name))
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%s of %d found no name: it is none of the candidates, an account that was removed or what somebody typed", count(len(open), "hash"), len(c.Hash))
	}
	return nil
}

// candidates calls try with each name until it returns false.
func (c *whoisCommand) candidates(t *terminal, try func(name string) bool) error {
	if len(c.Users) == 0 && c.Names == "" && !c.sqlFlags.given() {
		return usageError{errors.New("no candidates: name them with --users, --names or --sql-driver")}
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
	if c.sqlFlags.given() {
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
			fmt.Fprintln(t.err, "otelauth: candidates, a name on each line, until end of file:")
		}
	} else {
		f, err := openRegular(c.Names)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // read only
		r = f
	}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if !try(strings.TrimSuffix(lines.Text(), "\r")) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the candidates cannot be read: %w", err)
	}
	return nil
}

func (c *whoisCommand) fromDatabase(try func(name string) bool) (more bool, err error) {
	query := c.SQLNames
	if query == "" && c.Django {
		query = "SELECT username FROM auth_user"
	}
	if query == "" {
		return false, usageError{errors.New("--sql-names is missing: a query for one column of names")}
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
		return false, c.sqlFlags.scrub(err)
	}
	defer func() { _ = rows.Close() }() // Err says what happened
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return false, c.sqlFlags.scrub(err)
		}
		if !try(name) {
			return false, nil
		}
	}
	return true, c.sqlFlags.scrub(rows.Err())
}
