// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"

	_ "modernc.org/sqlite"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/sqlstore"
)

// orders returns a database with one account, whose password is wonderland.
func orders() (*sql.DB, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // each connection would be a database of its own
	_, err = db.ExecContext(context.Background(), `
		CREATE TABLE users (login TEXT PRIMARY KEY, hash TEXT, locked BOOLEAN DEFAULT FALSE, team TEXT);
		INSERT INTO users (login, hash, team) VALUES ('alice', '$2y$04$1EJPMiRouHqvMVejOxszTu9nKdGPq4KsaVAt/9QoEcFxJqA7o03Gy', 'ops')`)
	return db, err
}

func ExampleOpen() {
	ctx := context.Background()
	db, err := orders()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	users, err := sqlstore.Open(ctx, sqlstore.Config{
		DB:        db,
		Query:     "SELECT login AS name, hash AS password, locked AS disabled, team AS group_name FROM users WHERE login = ?",
		Passwords: "SELECT hash FROM users",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer users.Close()
	alice, err := users.Lookup(ctx, "alice")
	fmt.Println(alice.Name, alice.Groups, alice.Password, err)
	unknown, err := users.Lookup(ctx, "' OR '1'='1")
	fmt.Println(unknown, err)
	// Output:
	// alice [ops] [redacted bcrypt] <nil>
	// <nil> <nil>
}

// A column with another name than the six is refused, because a mistyped one would leave an
// account open.
func ExampleOpen_mistyped() {
	db, err := orders()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	_, err = sqlstore.Open(context.Background(), sqlstore.Config{
		DB:        db,
		Query:     "SELECT login AS name, hash AS password, locked FROM users WHERE login = ?",
		Passwords: "SELECT hash FROM users",
	})
	fmt.Println(err)
	// Output: sqlstore: database: the accounts cannot be read: Config.Query returns a column "locked" that is not known: rename it with AS to one of name, password, active, disabled, expires, group_name, or remove it
}

// A process calls Reload at SIGHUP.
func ExampleStore_OnReload() {
	ctx := context.Background()
	db, err := orders()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	users, err := sqlstore.Open(ctx, sqlstore.Config{
		DB: db, Source: "users",
		Query:     "SELECT login AS name, hash AS password FROM users WHERE login = ?",
		Passwords: "SELECT hash FROM users",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer users.Close()
	stop := users.OnReload(func(r verify.Reload) { fmt.Println(r.Source, r.Accounts, r.Err) })
	defer stop()
	if err := users.Reload(); err != nil {
		fmt.Println(err)
	}
	// Output: users 1 <nil>
}

// Use the accounts of a Django site.
func ExampleDjango() {
	cfg := sqlstore.Django("$1")
	fmt.Println(cfg.Query)
	fmt.Println(cfg.Passwords)
	// Output:
	// SELECT u.username AS name, u.password AS password, u.is_active AS active, g.name AS group_name
	// FROM auth_user u
	// LEFT JOIN auth_user_groups m ON m.user_id = u.id
	// LEFT JOIN auth_group g ON g.id = m.group_id
	// WHERE u.username = $1
	// SELECT password FROM auth_user
}
