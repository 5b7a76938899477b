// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package sqlstore is a store of accounts in any database with a database/sql driver. One query
// finds an account by its name. The accounts of verified credentials are kept in memory for a
// limited time. So a recognised credential costs no query, and a revoked one ends within that
// time.
//
//	db, err := sql.Open("pgx", "postgres://otelauth@/orders")
//	users, err := sqlstore.Open(ctx, sqlstore.Config{
//	    DB:        db,
//	    Query:     "SELECT login AS name, hash AS password, locked AS disabled FROM users WHERE login = $1",
//	    Passwords: "SELECT hash FROM users",
//	})
//	if err != nil {
//	    log.Fatal(err)
//	}
//	defer users.Close()
//
// [Django] returns the configuration for the table auth_user of a Django site. The package
// imports no driver.
//
// # The queries
//
// [Config.Query] has one parameter, the name, in the form of the driver: $1 for pgx, ? for SQLite
// and MySQL. The names of its columns give their meaning, in any order and case:
//
//	name        the account's name; never NULL
//	password    the stored hash, in a form that package password reads; NULL: every password is wrong
//	active      false or NULL: the account is disabled
//	disabled    true or NULL: the account is disabled
//	expires     when the account expires: a timestamp, seconds since 1970, or text in RFC 3339; NULL: never
//	group_name  a group of the account; NULL: none
//
// name and password are required. A column with another name is an error, because a mistyped one
// must not leave an account open; rename it with AS. An account in several groups has several
// rows that differ only in group_name, as a LEFT JOIN returns them. So the account and its groups
// are of one instant.
//
// [Config.Passwords] returns the stored hashes of all accounts, or of a representative part, in
// one column. It runs at [Open] and then at intervals. An unknown name is verified against a
// decoy whose scheme and cost are chosen in the proportions of these hashes. Without them, the
// time of an answer would show which names are accounts.
//
// The database role needs SELECT on these columns only. Use a connection pool of its own, so that
// long transactions of the application do not delay logins.
//
// # What it refuses
//
// An account is disabled if package password does not accept its stored hash, such as plaintext,
// if one of its columns cannot be read, or if two accounts have its name. [Store.OnReload]
// reports it. A name that [verify.ValidName] refuses, or that is longer than 256 bytes, is never
// sent to the database. If the database treats names as equal that [Config.Canonical] does not,
// such as Alice and alice, only the stored spelling is accepted. Two names for one account would
// double its guess budget. Errors contain neither names nor hashes nor the data source, which may
// contain a password.
//
// # When the database is down
//
// Every answer is at most [Config.TTL] old. If a query fails and the next one fails too, the
// database is down. Then only one prober queries it, and everything except [Store.Recall] fails
// at once. Credentials that were verified before are accepted for [Config.StaleIfDown];
// everything else is answered 503. The start and the end of an outage are reported once each.
//
// # Under attack
//
// A guess is one query in its request, whether its name is an account or not. Only credentials
// that were verified before are answered from memory. A wrong credential that a network repeats
// causes one query in [Config.TTL]. A guess that the budgets refuse causes none.
//
// The memory is bounded, separately for verified credentials and for all others, so a flood of
// names does not evict an account in use. Concurrent lookups of one name share a query. At most
// [Config.MaxQueries] queries run at once for strangers, and as many for verified credentials, so
// a flood of names neither overloads the database nor delays known users. The database takes some
// tens of microseconds longer to find a row than to find none; no other difference between an
// account and an unknown name remains.
package sqlstore
