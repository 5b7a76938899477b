// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/otelauth/otelauth-go/otelauth/internal/postgrestest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// bcryptHash was made by Apache's htpasswd -nbB -C 4; the password is wonderland.
const bcryptHash = "$2y$04$1EJPMiRouHqvMVejOxszTu9nKdGPq4KsaVAt/9QoEcFxJqA7o03Gy"

// backend is one kind of database.
type backend struct {
	placeholder string
	fresh       func(t testing.TB) *sql.DB // an empty database or schema
}

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

const schema = `CREATE TABLE users (login VARCHAR(300) PRIMARY KEY, hash TEXT, locked BOOLEAN, until TIMESTAMP);
CREATE TABLE membership (login VARCHAR(300), team TEXT)`

func postgres(t testing.TB) backend {
	t.Helper()
	server := postgrestest.Shared(t)
	return backend{placeholder: "$1", fresh: func(t testing.TB) *sql.DB {
		t.Helper()
		_, db := server.Schema(t)
		return db
	}}
}

func sqlite(testing.TB) backend {
	return backend{placeholder: "?", fresh: func(t testing.TB) *sql.DB {
		t.Helper()
		db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "users.db"))
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1) // a writer and readers of one file would wait for each other
		t.Cleanup(func() { _ = db.Close() })
		return db
	}}
}

func exec(t testing.TB, db *sql.DB, statements string, args ...any) {
	t.Helper()
	for statement := range strings.SplitSeq(statements, ";") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func (b backend) insert(t testing.TB, db *sql.DB, login string, hash any) {
	t.Helper()
	q := "INSERT INTO users (login, hash, locked) VALUES (?, ?, FALSE)"
	if b.placeholder == "$1" {
		q = "INSERT INTO users (login, hash, locked) VALUES ($1, $2, FALSE)"
	}
	exec(t, db, q, login, hash)
}

// config returns a configuration for the tables of schema.
func (b backend) config(db *sql.DB) Config {
	return Config{
		DB: db,
		Query: "SELECT u.login AS name, hash AS password, locked AS disabled, until AS expires, team AS group_name " +
			"FROM users u LEFT JOIN membership m ON m.login = u.login WHERE u.login = " + b.placeholder,
		Passwords: "SELECT hash FROM users",
		// One second is not generous on a machine that is busy with other tests.
		TTL: ttl, Timeout: 30 * time.Second,
	}
}

// tables returns a database with schema in it.
func (b backend) tables(t testing.TB) *sql.DB {
	t.Helper()
	db := b.fresh(t)
	exec(t, db, schema)
	return db
}

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func lookup(t testing.TB, s *Store, name string) *verify.Account {
	t.Helper()
	a, err := s.Lookup(t.Context(), name)
	if err != nil {
		t.Fatalf("Lookup(%q) = %v", name, err)
	}
	return a
}

func recall(t testing.TB, s *Store, name string) *verify.Account {
	t.Helper()
	a, err := s.Recall(t.Context(), name)
	if err != nil {
		t.Fatalf("Recall(%q) = %v", name, err)
	}
	return a
}

// ticker is a clock that tests advance.
type ticker struct{ ns atomic.Int64 }

func (c *ticker) Now() time.Time          { return time.Unix(1_700_000_000, c.ns.Load()) }
func (c *ticker) Advance(d time.Duration) { c.ns.Add(int64(d)) }

// reports collects the reports of OnReload.
func reports(t testing.TB, s *Store) <-chan verify.Reload {
	t.Helper()
	c := make(chan verify.Reload, 1000)
	t.Cleanup(s.OnReload(func(r verify.Reload) { c <- r }))
	return c
}

// next waits for one report.
func next(t testing.TB, c <-chan verify.Reload) verify.Reload {
	t.Helper()
	select {
	case r := <-c:
		return r
	case <-time.After(time.Minute):
		t.Fatal("no report within a minute")
		return verify.Reload{}
	}
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}
