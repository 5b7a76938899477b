// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"embed"

	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// Hashes of bcrypt and argon2id stand side by side, as they do while a service moves from one to the other.
//
//go:embed accounts.htpasswd
var files embed.FS

func openAccounts() (*htpasswd.File, error) {
	return htpasswd.Open(htpasswd.Config{Path: "accounts.htpasswd", FS: files})
}
