// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Django returns the configuration for the accounts of a Django site; the caller sets DB. It
// reads the table auth_user of django.contrib.auth with is_active, unusable passwords and
// Django's encodings, and the groups of auth_group. placeholder is the parameter of a query in
// the form of the driver: "$1" for pgx, "?" for SQLite and MySQL.
//
//	cfg := sqlstore.Django("$1")
//	cfg.DB = db
//	users, err := sqlstore.Open(ctx, cfg)
//
// The database compares the names: exactly, in PostgreSQL and SQLite. A site with its own user
// model changes Query and Passwords.
func Django(placeholder string) Config {
	return Config{
		Source: "auth_user",
		Query: fmt.Sprintf(`SELECT u.username AS name, u.password AS password, u.is_active AS active, g.name AS group_name
FROM auth_user u
LEFT JOIN auth_user_groups m ON m.user_id = u.id
LEFT JOIN auth_group g ON g.id = m.group_id
WHERE u.username = %s`, placeholder),
		Passwords: "SELECT password FROM auth_user",
		Policy:    password.Policy{Django: true},
	}
}
