// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package ldap shows how a directory stands behind otelauth: a [verify.Verifier] that finds the entry of a name and binds as
// it with the password.
//
//	users, err := ldap.New(ldap.Config{
//		URL:      "ldaps://ldap.example.com",
//		BindDN:   "cn=otelauth,ou=services,dc=example,dc=com",
//		Password: os.Getenv("LDAP_PASSWORD"),
//		BaseDN:   "ou=people,dc=example,dc=com",
//	})
//	mw, err := otelauth.New(otelauth.Config{Verifier: users})
//
// What otelauth does for any Verifier it does here: successes are remembered for a minute by a keyed MAC, guesses are paid
// for, questions to the directory are limited in number and in time, and each attempt is told.
//
// The adapter sends no password in plaintext: ldap:// is raised to TLS by StartTLS, or fails. It refuses an empty
// password, which many servers take for an anonymous bind that succeeds (RFC 4513 section 5.1.2), and a spelling other than the
// stored one, which a directory takes for the same name and a guess budget does not.
//
// It is an example: copy it and change what your directory needs.
package ldap
