// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"embed"

	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// The file mixes bcrypt and argon2id hashes, as during a migration.
//
//go:embed accounts.htpasswd
var files embed.FS

func openAccounts() (*htpasswd.File, error) {
	return htpasswd.Open(htpasswd.Config{Path: "accounts.htpasswd", FS: files})
}
