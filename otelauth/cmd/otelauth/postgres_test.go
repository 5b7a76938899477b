// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/internal/postgrestest"
)

// TestGatewayPostgreSQL checks accounts in PostgreSQL, whose server stops and restarts while the
// gateway serves.
func TestGatewayPostgreSQL(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	server := postgrestest.Start(t)
	name, db := server.Database(t)
	for _, q := range []string{
		"CREATE TABLE accounts (login text PRIMARY KEY, hash text, active boolean, team text)",
		"INSERT INTO accounts VALUES ('alice', '" + hashOf(t, canaryNew) + "', true, 'ops'), ('bob', '" + hashOf(t, canaryNew) + "', true, NULL)",
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	up := newUpstream(t, nil)
	p := start(t, nil, "gateway", "--upstream", up.url, "--listen", "127.0.0.1:0",
		"--sql-driver", "postgres", "--sql-dsn-file", fileOf(t, "dsn", server.DSN(name)+"\n"),
		"--sql-query", "SELECT login AS name, hash AS password, active, team AS group_name FROM accounts WHERE login = $1",
		"--sql-passwords", "SELECT hash FROM accounts", "--allow-groups", "/admin/=ops", "--groups-header", "Remote-Groups")
	url := "http://" + p.address("gateway.listening")
	status := func(path, name string) int {
		t.Helper()
		return ask(t, url+path, name, canaryNew).StatusCode
	}
	eventually := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !is(); <-time.After(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not %s:\n%s", what, p.output())
			}
		}
	}
	// On a busy machine the first queries may exceed the timeout of the store.
	eventually("let in", func() bool { return status("/admin/", "alice") == http.StatusOK })
	if got := up.last(t).Header.Get("Remote-Groups"); got != "ops" {
		t.Errorf("groups %q", got)
	}
	eventually("forbidden", func() bool { return status("/admin/", "bob") == http.StatusForbidden })

	// bob was not verified before; alice was, and remains logged in.
	if _, err := db.ExecContext(t.Context(), "INSERT INTO accounts VALUES ('carol', '"+hashOf(t, canaryNew)+"', true, NULL)"); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	eventually("unavailable", func() bool { return status("/", "carol") == http.StatusServiceUnavailable })
	p.event("auth.attempt", map[string]any{"error.type": "accounts_unavailable", "http.response.status_code": 503.0})
	p.event("auth.account.reload", map[string]any{"level": "ERROR", "auth.account.source": "postgres"})
	if got := status("/", "alice"); got != http.StatusOK {
		t.Errorf("alice, verified before, while the database is down: %d", got)
	}
	p.signal(syscall.SIGHUP) // nothing can be read, and nothing is lost
	p.event("gateway.reload_failed", nil)
	if got := status("/", "alice"); got != http.StatusOK {
		t.Errorf("alice after SIGHUP without a database: %d", got)
	}

	server.Restart(t)
	p.event("auth.account.reload", map[string]any{"level": "INFO", "auth.account.source": "postgres"})
	eventually("up again", func() bool { return status("/", "carol") == http.StatusOK })
	if _, err := db.ExecContext(t.Context(), "UPDATE accounts SET active = false WHERE login = 'alice'"); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.event("gateway.reloaded", map[string]any{"accounts": 3.0})
	eventually("revoked", func() bool { return status("/", "alice") == http.StatusUnauthorized })
	p.signal(syscall.SIGTERM)
	if code := p.ended(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}
