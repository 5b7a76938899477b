// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// The columns of [Config.Query].
const (
	columnName = iota
	columnPassword
	columnActive
	columnDisabled
	columnExpires
	columnGroup
	columns
)

var columnNames = [columns]string{"name", "password", "active", "disabled", "expires", "group_name"}

// layout has the position of each column in a row; -1 if there is none.
type layout [columns]int

// layoutOf finds the columns by their names.
func layoutOf(names []string) (l layout, err error) {
	for i := range l {
		l[i] = -1
	}
	for at, name := range names {
		i := slices.Index(columnNames[:], strings.ToLower(name))
		switch {
		case i < 0:
			return l, fmt.Errorf("Config.Query returns a column %q that is not known: rename it with AS to one of %s, or remove it",
				name, strings.Join(columnNames[:], ", "))
		case l[i] >= 0:
			return l, fmt.Errorf("Config.Query returns two columns %q: remove one", columnNames[i])
		}
		l[i] = at
	}
	for _, i := range [...]int{columnName, columnPassword} {
		if l[i] < 0 {
			return l, fmt.Errorf("Config.Query returns no column %q; it returns %s: rename one of them with AS",
				columnNames[i], strings.Join(names, ", "))
		}
	}
	return l, nil
}

// account reads one row. With an error it may also return an account, which must be disabled.
func (s *Store) account(where layout, values []any) (*verify.Account, error) {
	get := func(column int) any {
		if where[column] < 0 {
			return nil
		}
		return values[where[column]]
	}
	bad := func(column int, what string) error { return fmt.Errorf("column %q %s", columnNames[column], what) }

	name, ok := parseText(get(columnName))
	if !ok {
		return nil, bad(columnName, "is NULL or not text, so the account is refused: correct the row")
	}
	a := &verify.Account{Name: strings.Clone(name)}
	if err := verify.ValidName(name); err != nil {
		return nil, fmt.Errorf("column %q has an invalid name: %w", columnNames[columnName], err)
	}
	if v := get(columnPassword); v == nil {
		a.Disabled = true
	} else if encoded, ok := parseText(v); !ok {
		return a, bad(columnPassword, "is not text, so the account is disabled: correct the row")
	} else if h, err := s.cfg.Policy.Parse(encoded); err == nil {
		a.Password = h
	} else {
		a.Disabled = true
		if !errors.Is(err, password.ErrUnusable) {
			s.reportAccount(fmt.Errorf("a stored password is refused, so its account is disabled: set it again: %w", err))
		}
	}
	for _, flag := range [...]struct {
		column int
		open   bool // the value of an enabled account
	}{{columnActive, true}, {columnDisabled, false}} {
		if where[flag.column] < 0 {
			continue
		}
		v := get(flag.column)
		is, ok := parseBool(v)
		if v != nil && !ok {
			return a, bad(flag.column, "is neither true nor false, so the account is disabled: correct the row")
		}
		if v == nil || is != flag.open {
			a.Disabled = true
		}
	}
	if v := get(columnExpires); v != nil {
		if a.Expires, ok = parseTime(v); !ok {
			return a, bad(columnExpires, "is not a time, so the account is disabled: use a timestamp, seconds since 1970, or text in RFC 3339")
		}
	}
	if v := get(columnGroup); v != nil {
		group, ok := parseText(v)
		if !ok || group == "" {
			return a, bad(columnGroup, "is empty or not text, so the account is disabled: correct the row")
		}
		a.Groups = []string{strings.Clone(group)}
	}
	return a, nil
}
