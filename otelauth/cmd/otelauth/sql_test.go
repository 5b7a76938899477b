// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestBusyTimeout queries SQLite for its timeout.
func TestBusyTimeout(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "db.sqlite3")
	if err := os.WriteFile(db, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dsn, want := range map[string]int{
		db:                        1000,
		"file:" + db:              1000,
		"file:" + db + "?":        1000,
		"file:" + db + "?mode=ro": 1000,
		"file:" + db + "?_pragma=query_only(1)&mode=ro": 1000,
		db + "?mode=ro&_pragma=busy_timeout(7)":         7,
		db + "?_pragma=BUSY_TIMEOUT%3d8":                8,
		"file:" + db + "?_busy_timeout=9":               9,
		"file:" + db + "?_timeout=10&mode=ro":           10,
	} {
		path := filepath.Join(t.TempDir(), "dsn")
		if err := os.WriteFile(path, []byte(dsn), 0o600); err != nil {
			t.Fatal(err)
		}
		f := sqlFlags{SQLDriver: "sqlite", SQLDSNFile: path, Django: true}
		pool, err := f.open()
		if err != nil {
			t.Fatal(err)
		}
		var got int
		if err := pool.QueryRowContext(t.Context(), "PRAGMA busy_timeout").Scan(&got); err != nil || got != want {
			t.Errorf("%s: waits for %d ms, want %d; %v", dsn, got, want, err)
		}
		_ = pool.Close()
	}
}
