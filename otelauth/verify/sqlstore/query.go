// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// maxRows bounds the rows of one account, one for each group.
const maxRows = 1024

// find queries the account with a canonical name. An error is one of the database or its schema.
// An error of a single account is reported and disables it.
func (s *Store) find(ctx context.Context, name string) (*verify.Account, error) {
	found, problem, err := s.query(ctx, name)
	if err != nil {
		return nil, err
	}
	if found != nil && s.cfg.Canonical(found.Name) != name {
		s.reportAccount(errors.New("the database accepts another spelling of an account's name, so that spelling is refused: " +
			"set Config.Canonical to what the database does, strings.ToLower for instance"))
		return nil, nil
	}
	if problem != nil {
		s.reportAccount(problem)
		if found != nil {
			found.Disabled, found.Password, found.Groups = true, nil, nil
		}
	}
	return found, nil
}

// query runs Config.Query, and again if the connection was lost that it ran on: an administrator
// or a failover terminates idle connections, and database/sql notices only some of that itself.
// All idle connections may be lost, so it tries one more time than the store can have left.
func (s *Store) query(ctx context.Context, name string) (found *verify.Account, problem, err error) {
	for range 1 + 2*s.cfg.MaxQueries {
		var isLost bool
		if found, problem, isLost, err = s.queryOnce(ctx, name); !isLost {
			break
		}
	}
	return found, problem, err
}

// queryOnce returns the account that Config.Query finds. problem is an error of its rows. isLost
// reports that the query failed because its connection no longer exists.
func (s *Store) queryOnce(ctx context.Context, name string) (found *verify.Account, problem error, isLost bool, err error) {
	conn, err := s.cfg.DB.Conn(ctx)
	if err != nil {
		return nil, nil, false, s.queryError(err)
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool
	rows, err := conn.QueryContext(ctx, s.cfg.Query, name)
	if err != nil {
		// On a connection that exists, the error is that of the query.
		return nil, nil, ctx.Err() == nil && conn.PingContext(ctx) != nil, s.queryError(err)
	}
	defer func() { _ = rows.Close() }() // rows.Err reports it
	found, problem, err = s.scan(rows)
	return found, problem, false, err
}

// scan returns the account of rows. problem is an error of the rows.
func (s *Store) scan(rows *sql.Rows) (found *verify.Account, problem, err error) {
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
		a, bad := s.account(where, values)
		switch {
		case bad != nil:
			problem = bad
		case found != nil && !isSameRow(found, a):
			problem = errors.New("the query finds two accounts for one name, so both are disabled: correct Config.Query or the rows")
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
	return found, problem, nil
}

func (s *Store) queryError(err error) error {
	return fmt.Errorf("Config.Query: %w (the query is %s)", err, oneLine(s.cfg.Query))
}

// isSameRow reports whether two rows are of one account.
func isSameRow(a, b *verify.Account) bool {
	return a.Name == b.Name && a.Disabled == b.Disabled && a.Expires.Equal(b.Expires) && a.Password.Equal(b.Password)
}

// isUnchanged reports whether an account has not changed.
func isUnchanged(a, b *verify.Account) bool {
	return a == b || a != nil && b != nil && isSameRow(a, b) && slices.Equal(a.Groups, b.Groups)
}

// oneLine returns a query for an error, on one line and shortened.
func oneLine(query string) string {
	const most = 300
	q := strings.Join(strings.Fields(query), " ")
	if len(q) > most {
		q = strings.ToValidUTF8(q[:most], "") + "…"
	}
	return q
}
