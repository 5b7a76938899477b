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

const (
	// maxLineBytes bounds a line without its end, as Apache does.
	maxLineBytes = 8192
	// maxFileBytes bounds a file: some 900,000 accounts with bcrypt hashes, which take about 280 bytes of memory each.
	maxFileBytes = 64 << 20
	// maxReportedLines bounds how many bad lines one error names.
	maxReportedLines = 20
)

// ErrNoAccounts is in the error when a file holds no account at all.
var ErrNoAccounts = errors.New("holds no account")

// ParseError is one bad line. It never holds what stands in the line.
type ParseError struct {
	File string // as it was given
	Line int    // from 1
	Err  error  // what is wrong with it
}

// Error returns "htpasswd: file:line: what is wrong".
func (e *ParseError) Error() string {
	return "htpasswd: " + e.File + ":" + strconv.Itoa(e.Line) + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *ParseError) Unwrap() error { return e.Err }

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
		return nil, errors.New("the hash is empty")
	}
	a := &verify.Account{Name: name}
	var err error
	// A string of its own: a substring would keep the whole file in memory.
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
