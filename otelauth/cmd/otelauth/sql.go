// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/internal/scrub"
	"github.com/otelauth/otelauth-go/otelauth/verify/sqlstore"
)

// dsnVariable holds the data source if no file does. There is no flag for it, because every user
// of the machine can list arguments.
const dsnVariable = "OTELAUTH_SQL_DSN"

// sqlFlags name the database of the accounts.
type sqlFlags struct {
	SQLDriver    string `via:"sqlstore:DB sqlstore:Source" name:"sql-driver" enum:"postgres,sqlite," default:"" placeholder:"postgres|sqlite" help:"The accounts: a database of this kind, instead of --users."`
	SQLDSNFile   string `name:"sql-dsn-file" placeholder:"FILE" help:"File whose only line is the data source, such as postgres://name@host/database. Default: the environment variable OTELAUTH_SQL_DSN."`
	SQLQuery     string `via:"sqlstore:Query" name:"sql-query" placeholder:"QUERY" help:"SQL query that finds an account by its name, its only parameter. For the columns see the documentation of package sqlstore."`
	SQLPasswords string `via:"sqlstore:Passwords" name:"sql-passwords" placeholder:"QUERY" help:"SQL query that returns the password hash of every account, in one column, such as SELECT password FROM users. The gateway needs it to take as long for a name that is not an account as for one that is; otherwise attackers could find out by the time which names are accounts. It runs at the start and every 10 minutes."`
	Django       bool   `via:"sqlstore:Policy.Django" help:"Use the accounts of a Django site: its table auth_user and its password hashes. Replaces --sql-query and --sql-passwords."`
}

func (f *sqlFlags) isSet() bool { return f.SQLDriver != "" }

// validate checks the flags only.
func (f *sqlFlags) validate() error {
	if !f.isSet() {
		if f.SQLDSNFile != "" || f.SQLQuery != "" || f.SQLPasswords != "" || f.Django {
			return errors.New("sql-driver is missing: set it to postgres or sqlite")
		}
		return nil
	}
	switch {
	case f.Django && (f.SQLQuery != "" || f.SQLPasswords != ""):
		return errors.New("django has its own queries: remove sql-query and sql-passwords, or django")
	case !f.Django && (f.SQLQuery == "" || f.SQLPasswords == ""):
		return errors.New("sql-query or sql-passwords is missing: both are needed without django")
	}
	return nil
}

// dsn returns the data source.
func (f *sqlFlags) dsn() (string, error) {
	if f.SQLDSNFile == "" {
		dsn := os.Getenv(dsnVariable)
		if dsn == "" {
			return "", errors.New("no data source: name a file that holds it with sql-dsn-file, or set " + dsnVariable)
		}
		return dsn, nil
	}
	user, _, at := strings.Cut(f.SQLDSNFile, "@")
	if strings.Contains(f.SQLDSNFile, "://") || strings.Contains(f.SQLDSNFile, "password=") || at && strings.Contains(user, ":") {
		return "", errors.New("sql-dsn-file is a data source itself (not shown): put it into a file and name the file, because every user of the machine can list arguments")
	}
	dsn, err := readSecretLine(f.SQLDSNFile)
	if errors.Is(err, errNotOneLine) {
		return "", fmt.Errorf("sql-dsn-file: %s: write exactly one line, a data source such as postgres://name@host/database", f.SQLDSNFile)
	}
	if err != nil {
		return "", fmt.Errorf("sql-dsn-file: %w", err)
	}
	return dsn, nil
}

// open opens the database without connecting to it.
func (f *sqlFlags) open() (*sql.DB, error) {
	if err := f.validate(); err != nil {
		return nil, usageError{err}
	}
	dsn, err := f.dsn()
	if err != nil {
		return nil, usageError{err}
	}
	driver := "sqlite"
	if f.SQLDriver == "sqlite" {
		dsn = withBusyTimeout(dsn)
	}
	if f.SQLDriver == "postgres" {
		driver = "pgx"
		// The parser's own error quotes the data source.
		if _, err := pgx.ParseConfig(dsn); err != nil {
			return nil, usageError{errors.New("the data source (not shown) is not valid for PostgreSQL: write postgres://name@host/database; its password may need percent-encoding")}
		}
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, usageError{f.redact(err)}
	}
	if driver == "pgx" {
		// Queries for unknown and for known clients, the probe and the query for hashes.
		db.SetMaxOpenConns(2*sqlstore.DefaultMaxQueries + 2)
		db.SetConnMaxIdleTime(5 * time.Minute)
	}
	return db, nil
}

// withBusyTimeout makes a reader of SQLite wait a second for a writer, unless the data source sets
// a timeout. By default SQLite returns SQLITE_BUSY at once, which would be answered 503.
func withBusyTimeout(dsn string) string {
	base, query, found := strings.Cut(dsn, "?")
	if values, err := url.ParseQuery(query); err == nil {
		for key, all := range values {
			if key == "_busy_timeout" || key == "_timeout" {
				return dsn
			}
			if key == "_pragma" && strings.Contains(strings.ToLower(strings.Join(all, " ")), "busy_timeout") {
				return dsn
			}
		}
	}
	const pragma = "_pragma=busy_timeout(1000)"
	switch {
	case !found:
		return base + "?" + pragma
	case query == "":
		return dsn + pragma
	}
	return dsn + "&" + pragma
}

// redact returns a driver's error without the data source and passwords.
func (f *sqlFlags) redact(err error) error {
	dsn, _ := f.dsn() // "" without one
	return redactError(err, dsn)
}

// databaseWait is the timeout of the first queries to a database.
const databaseWait = 10 * time.Second

// databaseAccounts is a store with its connection pool.
type databaseAccounts struct {
	*sqlstore.Store
	db *sql.DB
}

// Close closes the store and the pool.
func (a *databaseAccounts) Close() error { return errors.Join(a.Store.Close(), a.db.Close()) }

func (f *sqlFlags) store(ctx context.Context, s *settings) (*databaseAccounts, error) {
	db, err := f.open()
	if err != nil {
		return nil, err
	}
	placeholder := "?"
	if f.SQLDriver == "postgres" {
		placeholder = "$1"
	}
	cfg := sqlstore.Config{Query: f.SQLQuery, Passwords: f.SQLPasswords}
	if f.Django {
		cfg = sqlstore.Django(placeholder)
	}
	cfg.DB, cfg.Source = db, f.SQLDriver
	apply(s.flags, "sqlstore", &cfg)
	ctx, cancel := context.WithTimeout(ctx, databaseWait)
	defer cancel()
	store, err := sqlstore.Open(ctx, cfg)
	if err != nil {
		_ = db.Close()
		return nil, f.redact(err)
	}
	return &databaseAccounts{store, db}, nil
}

// redactError returns err on one line, without secret and without other passwords. The result
// wraps nothing, because a wrapped error would still hold the text.
func redactError(err error, secret string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if secret != "" {
		text = strings.ReplaceAll(text, secret, credential.Redacted)
	}
	// Pgx writes several lines.
	return errors.New(scrub.Text(strings.Join(strings.Fields(text), " ")))
}
