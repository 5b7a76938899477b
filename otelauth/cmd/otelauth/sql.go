// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
	"github.com/otelauth/otelauth-go/otelauth/verify/sqlstore"
)

// dsnVariable holds the data source where no file does. It has no flag: arguments are public.
const dsnVariable = "OTELAUTH_SQL_DSN"

// sqlFlags say where accounts in a database are.
type sqlFlags struct {
	SQLDriver    string `name:"sql-driver" enum:"postgres,sqlite," default:"" placeholder:"postgres|sqlite" help:"The accounts are in this kind of database."`
	SQLDSNFile   string `name:"sql-dsn-file" placeholder:"FILE" help:"The file that holds the data source, on its first line. Default: the environment variable OTELAUTH_SQL_DSN."`
	SQLQuery     string `name:"sql-query" placeholder:"QUERY" help:"Finds an account by its name, the one parameter; see package sqlstore for the columns."`
	SQLPasswords string `name:"sql-passwords" placeholder:"QUERY" help:"The stored hashes of all accounts, one column, so that names that are no account cost the same."`
	Django       bool   `help:"The database is that of a Django site: its auth_user and its hashes."`
}

func (f *sqlFlags) given() bool { return f.SQLDriver != "" }

// validate looks at the flags alone.
func (f *sqlFlags) validate() error {
	if !f.given() {
		if f.SQLDSNFile != "" || f.SQLQuery != "" || f.SQLPasswords != "" || f.Django {
			return errors.New("sql-driver is missing: postgres or sqlite")
		}
		return nil
	}
	switch {
	case f.Django && (f.SQLQuery != "" || f.SQLPasswords != ""):
		return errors.New("django brings its own queries: remove sql-query and sql-passwords, or django")
	case !f.Django && (f.SQLQuery == "" || f.SQLPasswords == ""):
		return errors.New("sql-query or sql-passwords is missing: both are needed without django")
	}
	return nil
}

// maxDSNBytes bounds a data source.
const maxDSNBytes = 16 << 10

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
		return "", errors.New("sql-dsn-file is a data source itself (not shown): put it into a file and name that, since arguments are public")
	}
	file, err := openRegular(f.SQLDSNFile)
	if err != nil {
		return "", fmt.Errorf("sql-dsn-file: %w", err)
	}
	defer func() { _ = file.Close() }() // read only
	text, err := io.ReadAll(io.LimitReader(file, maxDSNBytes+1))
	if err != nil {
		return "", fmt.Errorf("sql-dsn-file: %w", err)
	}
	dsn := strings.TrimSpace(string(text))
	if dsn == "" || len(text) > maxDSNBytes || strings.ContainsAny(dsn, "\r\n") {
		return "", fmt.Errorf("sql-dsn-file: %s: not one line with a data source, such as postgres://name@host/database", f.SQLDSNFile)
	}
	return dsn, nil
}

// open opens the database without calling it.
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
		// The parser's own error quotes what it was given.
		if _, err := pgx.ParseConfig(dsn); err != nil {
			return nil, usageError{errors.New("the data source (not shown) is none of PostgreSQL, such as postgres://name@host/database; its password may need percent-encoding")}
		}
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, usageError{f.scrub(err)}
	}
	if driver == "pgx" {
		// A pool of its own: a question for strangers, one for those who are known, one prober, one for the hashes.
		db.SetMaxOpenConns(2*sqlstore.DefaultMaxQueries + 2)
		db.SetConnMaxIdleTime(5 * time.Minute)
	}
	return db, nil
}

// withBusyTimeout has a reader of SQLite that meets a writer wait for a second, unless the data source says for how long. SQLite itself
// answers SQLITE_BUSY at once, which is a 503 for somebody who did nothing wrong.
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

// scrub takes the data source and what it holds out of a driver's error.
func (f *sqlFlags) scrub(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if dsn, e := f.dsn(); e == nil {
		text = strings.ReplaceAll(text, dsn, credential.Redacted)
	}
	return errors.New(redact(strings.Join(strings.Fields(text), " "))) // pgx writes several lines
}

// databaseWait bounds the first questions to a database.
const databaseWait = 10 * time.Second

// databaseAccounts is a store with its pool.
type databaseAccounts struct {
	*sqlstore.Store
	db *sql.DB
}

// Close ends both.
func (a *databaseAccounts) Close() error { return errors.Join(a.Store.Close(), a.db.Close()) }

func (f *sqlFlags) store(ctx context.Context, policy password.Policy) (*databaseAccounts, error) {
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
	cfg.Policy.DangerouslyAllowLegacy = policy.DangerouslyAllowLegacy
	ctx, cancel := context.WithTimeout(ctx, databaseWait)
	defer cancel()
	store, err := sqlstore.Open(ctx, cfg)
	if err != nil {
		_ = db.Close()
		return nil, f.scrub(err)
	}
	return &databaseAccounts{store, db}, nil
}
