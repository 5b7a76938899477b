// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package accountstores

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"time"
)

// counted is a database whose queries are counted and take additional time.
type counted struct {
	of   driver.Driver
	dsn  string
	took time.Duration
	n    *atomic.Int64
}

// open returns a pool for the database.
func (c counted) open() *sql.DB { return sql.OpenDB(c) }

// Driver returns the driver of the database.
func (c counted) Driver() driver.Driver { return c.of }

// Connect opens a connection.
func (c counted) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.of.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return countedConn{conn, c}, nil
}

// countedConn is a connection of counted.
type countedConn struct {
	driver.Conn
	c counted
}

var errNoQueries = errors.New("accountstores: the connections of this driver do not implement driver.QueryerContext")

// QueryContext counts the query.
func (c countedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	q, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return nil, errNoQueries
	}
	c.c.n.Add(1)
	if c.c.took > 0 {
		time.Sleep(c.c.took) //nolint:forbidigo // it passes on the clock of a synctest bubble
	}
	return q.QueryContext(ctx, query, args)
}

// CheckNamedValue asks the driver, if it checks values.
func (c countedConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}
