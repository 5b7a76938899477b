// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package accountstores

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/otelauth/otelauth-go/otelauth/internal/postgrestest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/sqlstore"
	"github.com/otelauth/otelauth-go/otelauth/verify/verifytest"
)

// database is the tables of a sqlstore.Store.
type database struct {
	db          *sql.DB
	dsn         string
	placeholder string
	schema      schema
}

// schema is one design of the tables.
type schema struct {
	create string
	config func(placeholder string) sqlstore.Config
	clear  []string
	insert func(id int, a verifytest.Account, exec func(statement string, args ...any))
}

var plain = schema{
	create: `CREATE TABLE users (login VARCHAR(300) PRIMARY KEY, hash TEXT, locked BOOLEAN, until VARCHAR(40));
CREATE TABLE membership (login VARCHAR(300), team TEXT)`,
	config: func(placeholder string) sqlstore.Config {
		return sqlstore.Config{
			Query: "SELECT u.login AS name, hash AS password, locked AS disabled, until AS expires, team AS group_name " +
				"FROM users u LEFT JOIN membership m ON m.login = u.login WHERE u.login = " + placeholder,
			Passwords: "SELECT hash FROM users",
		}
	},
	clear: []string{"DELETE FROM users", "DELETE FROM membership"},
	insert: func(_ int, a verifytest.Account, exec func(string, ...any)) {
		var until any
		if !a.Expires.IsZero() {
			until = a.Expires.Format(time.RFC3339)
		}
		exec("INSERT INTO users (login, hash, locked, until) VALUES (?, ?, ?, ?)", a.Name, a.Hash, a.Disabled, until)
		for _, group := range a.Groups {
			exec("INSERT INTO membership (login, team) VALUES (?, ?)", a.Name, group)
		}
	},
}

// django has the columns of Django's migrations that sqlstore.Django reads. The id of a group is
// its name.
var django = schema{
	create: `CREATE TABLE auth_user (id integer NOT NULL PRIMARY KEY, password varchar(128) NOT NULL, username varchar(150) NOT NULL UNIQUE, is_active boolean NOT NULL);
CREATE TABLE auth_group (id varchar(150) NOT NULL PRIMARY KEY, name varchar(150) NOT NULL UNIQUE);
CREATE TABLE auth_user_groups (user_id integer NOT NULL, group_id varchar(150) NOT NULL)`,
	config: sqlstore.Django,
	clear:  []string{"DELETE FROM auth_user_groups", "DELETE FROM auth_group", "DELETE FROM auth_user"},
	insert: func(id int, a verifytest.Account, exec func(string, ...any)) {
		encoded := a.Hash
		switch {
		case strings.HasPrefix(encoded, "$argon2id$"):
			encoded = "argon2" + encoded
		case strings.HasPrefix(encoded, "$2"):
			encoded = "bcrypt$" + encoded
		}
		exec("INSERT INTO auth_user (id, password, username, is_active) VALUES (?, ?, ?, ?)", id, encoded, a.Name, !a.Disabled)
		for _, group := range a.Groups {
			exec("INSERT INTO auth_group (id, name) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM auth_group WHERE id = ?)", group, group, group)
			exec("INSERT INTO auth_user_groups (user_id, group_id) VALUES (?, ?)", id, group)
		}
	},
}

func newSQLite(t testing.TB) Backing {
	t.Helper()
	// A reader waits for a writer instead of failing.
	dsn := filepath.Join(t.TempDir(), "users.db") + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_txlock=immediate"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return create(t, database{db, dsn, "?", plain})
}

func newPostgreSQL(t testing.TB) Backing {
	t.Helper()
	return onPostgreSQL(t, plain)
}

func newDjango(t testing.TB) Backing {
	t.Helper()
	return onPostgreSQL(t, django)
}

func onPostgreSQL(t testing.TB, s schema) Backing {
	t.Helper()
	server := postgrestest.Shared(t)
	name, db := server.Schema(t)
	return create(t, database{db, server.SchemaDSN(name), "$", s})
}

func create(t testing.TB, d database) Backing {
	t.Helper()
	for statement := range strings.SplitSeq(d.schema.create, ";") {
		if _, err := d.db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d database) Write(t testing.TB, accounts []verifytest.Account) {
	t.Helper()
	tx, err := d.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // after a failure; no effect after Commit
	exec := func(statement string, args ...any) {
		t.Helper()
		if d.placeholder == "$" {
			for i := range args {
				statement = strings.Replace(statement, "?", fmt.Sprint("$", i+1), 1)
			}
		}
		if _, err := tx.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for _, statement := range d.schema.clear {
		exec(statement)
	}
	for i, a := range accounts {
		d.schema.insert(i+1, a, exec)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// Open opens a store with a pool of its own.
func (d database) Open(t testing.TB, o Options) (verify.Accounts, error) {
	t.Helper()
	if o.Queries == nil {
		o.Queries = new(atomic.Int64)
	}
	placeholder := d.placeholder
	if placeholder == "$" {
		placeholder = "$1"
	}
	cfg := d.schema.config(placeholder)
	cfg.Timeout = 5 * time.Second // a loaded machine
	cfg.DB = counted{d.db.Driver(), d.dsn, o.QueryTime, o.Queries}.open()
	cfg.Now = o.Now
	store, err := sqlstore.Open(t.Context(), cfg)
	if err != nil {
		_ = cfg.DB.Close()
		return nil, err
	}
	t.Cleanup(func() {
		_ = store.Close()
		_ = cfg.DB.Close()
	})
	return store, nil
}
