// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/internal/postgrestest"
)

// TestLeastPrivilege: the role in the documentation has the privileges that the store needs, and
// no others.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	server := postgrestest.Shared(t)
	name, db := server.Database(t)
	role := "otelauth_" + name // roles belong to the server, which other tests share
	exec(t, db, djangoSchema)
	exec(t, db, "INSERT INTO auth_user VALUES (1, '"+djangoAccounts[0].password+"', NULL, TRUE, 'alice', '', 'alice@example.com', TRUE, TRUE, '2026-01-01', '')")
	exec(t, db, "INSERT INTO auth_user_groups VALUES (1, 1, 1)")
	exec(t, db, strings.ReplaceAll(`CREATE ROLE otelauth LOGIN;
GRANT SELECT (id, username, password, is_active) ON auth_user TO otelauth;
GRANT SELECT ON auth_group, auth_user_groups TO otelauth`, "otelauth", role))
	as, err := sql.Open("pgx", strings.Replace(server.DSN(name), "user=postgres", "user="+role, 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = as.Close() })
	cfg := Django("$1")
	cfg.DB = as
	cfg.TTL, cfg.Timeout = backend{}.config(nil).TTL, backend{}.config(nil).Timeout
	if a := lookup(t, open(t, cfg), "alice"); a == nil || a.Disabled || len(a.Groups) != 1 {
		t.Errorf("alice: %+v", a)
	}
	for _, forbidden := range []string{"SELECT email FROM auth_user", "UPDATE auth_user SET is_active = TRUE", "DELETE FROM auth_user"} {
		if _, err := as.ExecContext(t.Context(), forbidden); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", forbidden, err)
		}
	}
}
