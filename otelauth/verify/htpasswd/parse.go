// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Limits of a file; see the package's comment.
const (
	// maxLineBytes is the longest line without its end, as in Apache.
	maxLineBytes = 8192
	maxFileBytes = 64 << 20
	// maxReportedLines is the most bad lines that one error names.
	maxReportedLines = 20
)

// ErrNoAccounts is the error of a file without accounts.
var ErrNoAccounts = errors.New("has no accounts")

// ParseError is the error of one bad line. It never has the content of the line.
type ParseError struct {
	File string // as in Config
	Line int    // from 1
	Err  error  // the problem
}

// Error returns "htpasswd: file:line: problem".
func (e *ParseError) Error() string {
	return "htpasswd: " + e.File + ":" + strconv.Itoa(e.Line) + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *ParseError) Unwrap() error { return e.Err }

// parse returns the accounts in the order of their lines. It hashes nothing. On errors it returns
// no account, and either a [*ParseError] for each bad line, up to maxReportedLines, or
// [ErrNoAccounts].
func parse(content []byte, file string, policy password.Policy) ([]*verify.Account, error) {
	bad := badLines{file: file}
	var accounts []*verify.Account
	lineOf := make(map[string]int)
	err := eachLine(content, file, &bad, func(n int, line []byte) error {
		a, err := parseAccount(line, policy)
		if err != nil {
			return err
		}
		if first, twice := lineOf[a.Name]; twice {
			return fmt.Errorf("the same name as line %d: remove one of the two", first)
		}
		lineOf[a.Name] = n
		accounts = append(accounts, a)
		return nil
	})
	if err == nil {
		err = bad.join()
	}
	if err != nil {
		return nil, err
	}
	if len(accounts) == 0 {
		return nil, fmt.Errorf("htpasswd: %s: %w; to lock an account out, end its line with :disabled", file, ErrNoAccounts)
	}
	return accounts, nil
}

// parseAccount reads one line.
func parseAccount(line []byte, policy password.Policy) (*verify.Account, error) {
	field, rest, found := bytes.Cut(line, []byte{':'})
	if !found {
		return nil, errors.New("no colon: a line is name:hash")
	}
	name := string(field)
	if err := verify.ValidName(name); err != nil {
		return nil, err
	}
	encoded, settings, found := bytes.Cut(rest, []byte{':'})
	if len(encoded) == 0 {
		return nil, errors.New("the hash is empty: set one with otelauth users passwd or htpasswd -B")
	}
	a := &verify.Account{Name: name}
	var err error
	// A new string, because a substring would keep the whole file in memory.
	if a.Password, err = policy.Parse(string(encoded)); err != nil {
		return nil, err
	}
	if found {
		if err := parseSettings(a, string(settings), policy); err != nil {
			return nil, err
		}
	}
	return a, nil
}
