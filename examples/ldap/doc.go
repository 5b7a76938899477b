// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package ldap shows otelauth with a directory: a [verify.Verifier] finds the entry of a name and
// binds to it with the password.
//
//	users, err := ldap.New(ldap.Config{
//		URL:      "ldaps://ldap.example.com",
//		BindDN:   "cn=otelauth,ou=services,dc=example,dc=com",
//		Password: os.Getenv("LDAP_PASSWORD"),
//		BaseDN:   "ou=people,dc=example,dc=com",
//	})
//	mw, err := otelauth.New(otelauth.Config{Verifier: users})
//
// As for any Verifier, otelauth caches successes for a minute with a keyed MAC, charges guesses,
// limits the number and the time of directory queries, and records each attempt.
//
// The adapter sends no password in plaintext: ldap:// uses StartTLS or fails. It refuses an empty
// password, which many servers accept as an anonymous bind (RFC 4513 section 5.1.2). It also
// refuses a spelling other than the stored one: to a directory it is the same name, but it would
// have a separate budget.
//
// It is an example: copy it and change what your directory needs.
package ldap
