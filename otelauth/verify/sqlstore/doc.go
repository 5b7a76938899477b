// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package sqlstore is a store of accounts in any database that database/sql speaks to: one query
// finds an account by its name. Accounts of verified credentials are kept in memory for a stated
// time, so that recognised credentials cost no query and a revoked one ends within that time.
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
// [Django] is the configuration for the auth_user of a Django site. The package imports no driver.
//
// # The query
//
// [Config.Query] has one parameter, the name, written as the driver wants it: $1 for pgx, ? for SQLite and MySQL. What its
// columns mean is said by their names, in any order and any case:
//
//	name        the account's name; never NULL
//	password    the stored hash, as package password reads it; NULL: nobody gets in
//	active      false or NULL: the account is disabled
//	disabled    true or NULL: the account is disabled
//	expires     when the credential ends: a timestamp, seconds since 1970, or text in RFC 3339; NULL: never
//	group_name  a group of the account; NULL: none
//
// name and password must be there. A column of another name is an error, for a mistyped one must not leave an account open: give
// it one of these by AS. An account in several groups is several rows that differ in group_name alone, as a LEFT JOIN
// makes them, so account and groups are of one instant.
//
// [Config.Passwords] returns stored hashes, one column, of all accounts or of a fair share. It is asked at [Open] and from
// time to time. A name that is no account is verified against a decoy whose scheme and cost are chosen in the
// proportions of these, and costs what a real one costs; without them it could be told from one by the clock.
//
// The role needs SELECT on these columns and nothing else; a pool of its own, beside the application's, keeps
// the application's long transactions from holding up logins.
//
// # What it refuses
//
// A stored hash that package password does not accept, plaintext above all, lets nobody in, nor does an account
// of which a column cannot be read; [Store.OnReload] tells. Two accounts for one name let nobody in either. A name that cannot be an account's
// ([verify.ValidName], [maxNameBytes]) is never sent to the database. When the database treats as one name what [Config.Canonical]
// keeps apart, such as Alice and alice, only the spelling that is stored gets in: two names for one
// account would double its guess budget. Errors hold neither names nor hashes nor the data source, which may hold a password.
//
// # When the database is down
//
// Every answer is at most [Config.TTL] old. When a question fails and the next one does too, the database is down: nobody asks it
// but one prober, and everything but [Store.Recall] fails at once. Credentials that were verified before go on for
// [Config.StaleIfDown]; everything else is answered 503. Down and up are told once each.
//
// # Under attack
//
// A guess is one query, in its request, for every name alike, whether it is an account or not and
// whether its owner is at work: only credentials that were verified before are answered from
// memory, and a wrong one that a network sends again is asked about once in [Config.TTL]. An
// attempt that the guess budgets refuse asks nothing. What is remembered is bounded, for verified
// credentials apart from all others, so no flood of invented names makes the store forget an
// account in use. Concurrent questions for one name are one query. At most [Config.MaxQueries]
// queries run at once for strangers, and as many for credentials that were verified before, so a
// flood of names neither takes the database down nor stands before those who are known. Finding a
// row takes the database some tens of microseconds longer than finding none; that is the whole
// difference between an account and no account.
package sqlstore
