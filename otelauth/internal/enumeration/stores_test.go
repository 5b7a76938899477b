// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package enumeration

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/otelauth/otelauth-go/otelauth/internal/postgrestest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
	"github.com/otelauth/otelauth-go/otelauth/verify/sqlstore"
)

// user is one account: its name, and its password's hash as its store writes it.
type user struct{ name, hash string }

// opener opens a store of accounts. It is called in the bubble that serves.
type opener func(t *testing.T, now func() time.Time, took time.Duration, queries *atomic.Int64) verify.Accounts

// kind is one kind of store.
type kind struct {
	name   string
	django bool
	// fill keeps the users and returns what opens the store.
	fill func(t *testing.T, users []user) opener
}

func kinds() []kind {
	return []kind{
		{"static", false, fillStatic},
		{"htpasswd", false, fillHtpasswd},
		{"SQLite", false, func(t *testing.T, users []user) opener { t.Helper(); return fillSQL(t, sqlite(t), users, false) }},
		{"PostgreSQL", false, func(t *testing.T, users []user) opener { t.Helper(); return fillSQL(t, postgres(t), users, false) }},
		{"Django", true, func(t *testing.T, users []user) opener { t.Helper(); return fillSQL(t, postgres(t), users, true) }},
	}
}

// hash returns a stored hash of the password "right".
func (k kind) hash(t *testing.T, cost int) string {
	t.Helper()
	if !k.django {
		return encode(t, password.Params{Scheme: "bcrypt", BcryptCost: cost})
	}
	rounds := 1000 << (cost - 4)
	key, err := pbkdf2.Key(sha256.New, "right", []byte("saltsaltsalt"), rounds, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("pbkdf2_sha256$%d$saltsaltsalt$%s", rounds, base64.StdEncoding.EncodeToString(key))
}

// cheap returns a hash of "right" that costs little, for sequences of hundreds of guesses.
func (k kind) cheap(t *testing.T) string {
	t.Helper()
	encoded := encode(t, password.Params{Scheme: "argon2id", MemoryKiB: 64, Passes: 1, Lanes: 1})
	if k.django {
		return "argon2" + encoded
	}
	return encoded
}

func encode(t *testing.T, p password.Params) string {
	t.Helper()
	encoded, err := p.Hash([]byte("right"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func fillStatic(_ *testing.T, users []user) opener {
	hashes := make(map[string]string)
	for _, u := range users {
		hashes[u.name] = u.hash
	}
	return func(*testing.T, func() time.Time, time.Duration, *atomic.Int64) verify.Accounts {
		return &verify.Static{Hashes: hashes}
	}
}

// fillHtpasswd opens the file at once: what watches it may not live in a bubble.
func fillHtpasswd(t *testing.T, users []user) opener {
	t.Helper()
	var lines strings.Builder
	for _, u := range users {
		fmt.Fprintf(&lines, "%s:%s\n", u.name, u.hash)
	}
	path := filepath.Join(t.TempDir(), "users.htpasswd")
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := htpasswd.Open(htpasswd.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return func(*testing.T, func() time.Time, time.Duration, *atomic.Int64) verify.Accounts { return file }
}

// database is an empty database.
type database struct {
	db          *sql.DB
	dsn         string
	placeholder string
}

func sqlite(t *testing.T) database {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return database{db, path, "?"}
}

func postgres(t *testing.T) database {
	t.Helper()
	server := postgrestest.Start(t)
	name, db := server.Database(t)
	return database{db, server.DSN(name), "$1"}
}

const usersTable = `CREATE TABLE users (login VARCHAR(300) PRIMARY KEY, hash TEXT)`

// djangoTables has the columns of Django's migrations that the query reads.
const djangoTables = `CREATE TABLE auth_user (id integer NOT NULL PRIMARY KEY, password varchar(128) NOT NULL, username varchar(150) NOT NULL UNIQUE, is_active boolean NOT NULL);
CREATE TABLE auth_group (id integer NOT NULL PRIMARY KEY, name varchar(150) NOT NULL UNIQUE);
CREATE TABLE auth_user_groups (id integer NOT NULL PRIMARY KEY, user_id integer NOT NULL, group_id integer NOT NULL)`

func fillSQL(t *testing.T, d database, users []user, django bool) opener {
	t.Helper()
	exec := func(statement string, args ...any) {
		t.Helper()
		if d.placeholder == "$1" {
			for i := range args {
				statement = strings.Replace(statement, "?", fmt.Sprint("$", i+1), 1)
			}
		}
		if _, err := d.db.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	tables, insert := usersTable, "INSERT INTO users (hash, login) VALUES (?, ?)"
	cfg := sqlstore.Config{
		Query:     "SELECT login AS name, hash AS password FROM users WHERE login = " + d.placeholder,
		Passwords: "SELECT hash FROM users",
	}
	if django {
		cfg = sqlstore.Django(d.placeholder)
		tables, insert = djangoTables, "INSERT INTO auth_user (password, username, is_active, id) VALUES (?, ?, TRUE, ?)"
	}
	for statement := range strings.SplitSeq(tables, ";") {
		exec(statement)
	}
	for i, u := range users {
		args := []any{u.hash, u.name}
		if django {
			args = append(args, i)
		}
		exec(insert, args...)
	}
	return func(t *testing.T, now func() time.Time, took time.Duration, queries *atomic.Int64) verify.Accounts {
		t.Helper()
		own := cfg
		own.DB, own.Now = counted{d.db.Driver(), d.dsn, took, queries}.open(), now
		store, err := sqlstore.Open(t.Context(), own)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = store.Close()
			_ = own.DB.Close()
		})
		return store
	}
}
