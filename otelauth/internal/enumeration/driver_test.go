// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package enumeration

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"time"
)

// queryTime is what a query takes on the clock of a bubble, so that one in the request shows in
// the time of its answer.
const queryTime = time.Millisecond

// counted is a database whose queries are counted, and take queryTime.
type counted struct {
	of   driver.Driver
	dsn  string
	took time.Duration
	n    *atomic.Int64
}

// open opens the database behind db a second time.
func (c counted) open() *sql.DB { return sql.OpenDB(c) }

func (c counted) Driver() driver.Driver { return c.of }

func (c counted) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.of.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return countedConn{conn, c}, nil
}

type countedConn struct {
	driver.Conn
	c counted
}

var errNoQueries = errors.New("enumeration: the driver's connections answer no queries")

func (c countedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	q, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return nil, errNoQueries
	}
	c.c.n.Add(1)
	if c.c.took > 0 {
		time.Sleep(c.c.took)
	}
	return q.QueryContext(ctx, query, args)
}

func (c countedConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}
