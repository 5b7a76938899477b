// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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

// maxRows bounds the rows of one account, one a group.
const maxRows = 1024

// layout is where the columns stand in a row; -1: nowhere.
type layout [columns]int

func layoutOf(names []string) (l layout, err error) {
	for i := range l {
		l[i] = -1
	}
	for at, name := range names {
		i := slices.Index(columnNames[:], strings.ToLower(name))
		switch {
		case i < 0:
			return l, fmt.Errorf("Config.Query returns a column %q that means nothing here: name it by AS as one of %s, or leave it out",
				name, strings.Join(columnNames[:], ", "))
		case l[i] >= 0:
			return l, fmt.Errorf("Config.Query returns two columns %q", columnNames[i])
		}
		l[i] = at
	}
	for _, i := range [...]int{columnName, columnPassword} {
		if l[i] < 0 {
			return l, fmt.Errorf("Config.Query returns no column %q; it returns %s: name one so by AS",
				columnNames[i], strings.Join(names, ", "))
		}
	}
	return l, nil
}

// find asks for the account of a name, given as Canonical spells it. An error means that the database or its schema is at fault; what is
// wrong with one account lets nobody in and is told.
func (s *Store) find(ctx context.Context, name string) (*verify.Account, error) {
	found, fault, err := s.query(ctx, name)
	if err != nil {
		return nil, err
	}
	if found != nil && s.cfg.Canonical(found.Name) != name {
		s.fault(errors.New("the database takes another spelling for an account's name, and it gets nobody in: " +
			"set Config.Canonical to what the database does, strings.ToLower for instance"))
		return nil, nil
	}
	if fault != nil {
		s.fault(fault)
		if found != nil {
			found.Disabled, found.Password, found.Groups = true, nil, nil
		}
	}
	return found, nil
}

// query returns the account that the query finds, and what is wrong with its rows.
func (s *Store) query(ctx context.Context, name string) (found *verify.Account, fault, err error) {
	rows, err := s.cfg.DB.QueryContext(ctx, s.cfg.Query, name)
	if err != nil {
		return nil, nil, s.queryError(err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	names, err := rows.Columns()
	if err != nil {
		return nil, nil, s.queryError(err)
	}
	where, err := layoutOf(names)
	if err != nil {
		return nil, nil, err
	}
	values, targets := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	for n := 0; rows.Next(); n++ {
		if n == maxRows {
			return nil, nil, fmt.Errorf("Config.Query returns more than %d rows for one name: it must select by its one parameter", maxRows)
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, nil, s.queryError(err)
		}
		a, f := s.account(where, values)
		switch {
		case f != nil:
			fault = f
		case found != nil && !alike(found, a):
			fault = errors.New("the query finds two accounts for one name, and neither gets in")
		}
		switch {
		case a == nil:
		case found == nil:
			found = a
		default:
			found.Groups = append(found.Groups, a.Groups...)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, nil, s.queryError(err)
	}
	if found != nil {
		slices.Sort(found.Groups)
		found.Groups = slices.Clip(slices.Compact(found.Groups))
	}
	return found, fault, nil
}

func (s *Store) queryError(err error) error {
	return fmt.Errorf("Config.Query: %w (the query is %s)", err, oneLine(s.cfg.Query))
}

// account reads one row. With a fault the account, if there is a name, must let nobody in.
func (s *Store) account(where layout, values []any) (*verify.Account, error) {
	get := func(column int) any {
		if where[column] < 0 {
			return nil
		}
		return values[where[column]]
	}
	fault := func(column int, what string) error { return fmt.Errorf("column %q %s", columnNames[column], what) }

	name, ok := text(get(columnName))
	if !ok {
		return nil, fault(columnName, "is NULL or no text, and the account gets nobody in")
	}
	a := &verify.Account{Name: strings.Clone(name)}
	if err := verify.ValidName(name); err != nil {
		return nil, fmt.Errorf("column %q holds what cannot be a name: %w", columnNames[columnName], err)
	}
	if v := get(columnPassword); v == nil {
		a.Disabled = true
	} else if encoded, ok := text(v); !ok {
		return a, fault(columnPassword, "is no text")
	} else if h, err := s.cfg.Policy.Parse(encoded); err == nil {
		a.Password = h
	} else {
		a.Disabled = true
		if !errors.Is(err, password.ErrUnusable) {
			s.fault(fmt.Errorf("a stored password is refused, and its account gets nobody in: %w", err))
		}
	}
	for _, flag := range [...]struct {
		column int
		open   bool // the value that leaves the account open
	}{{columnActive, true}, {columnDisabled, false}} {
		if where[flag.column] < 0 {
			continue
		}
		v := get(flag.column)
		is, ok := truth(v)
		if v != nil && !ok {
			return a, fault(flag.column, "is neither true nor false")
		}
		if v == nil || is != flag.open {
			a.Disabled = true
		}
	}
	if v := get(columnExpires); v != nil {
		if a.Expires, ok = instant(v); !ok {
			return a, fault(columnExpires, "is no time: a timestamp, seconds since 1970, or text in RFC 3339")
		}
	}
	if v := get(columnGroup); v != nil {
		group, ok := text(v)
		if !ok || group == "" {
			return a, fault(columnGroup, "is empty or no text")
		}
		a.Groups = []string{strings.Clone(group)}
	}
	return a, nil
}

// alike reports whether two rows are of one account.
func alike(a, b *verify.Account) bool {
	return a.Name == b.Name && a.Disabled == b.Disabled && a.Expires.Equal(b.Expires) && a.Password.Equal(b.Password)
}

// same reports whether nothing about an account has changed.
func same(a, b *verify.Account) bool {
	return a == b || a != nil && b != nil && alike(a, b) && slices.Equal(a.Groups, b.Groups)
}

// text reads what drivers give for text.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	}
	return "", false
}

// truth reads what drivers give for a boolean: SQLite has numbers, MySQL too, some have text.
func truth(v any) (is, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case int64:
		return v != 0, v == 0 || v == 1
	}
	t, _ := text(v)
	switch strings.ToLower(t) {
	case "1", "t", "true", "y", "yes":
		return true, true
	case "0", "f", "false", "n", "no":
		return false, true
	}
	return false, false
}

// instant reads what drivers give for a time. Text without a zone is UTC.
func instant(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v, !v.IsZero()
	case int64:
		return time.Unix(v, 0), v > 0
	}
	s, _ := text(v)
	for _, form := range [...]string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07", "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, !t.IsZero()
		}
	}
	return time.Time{}, false
}

// oneLine shows a query in an error.
func oneLine(query string) string {
	const most = 300
	q := strings.Join(strings.Fields(query), " ")
	if len(q) > most {
		q = strings.ToValidUTF8(q[:most], "") + "…"
	}
	return q
}
