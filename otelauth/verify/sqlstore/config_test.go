// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"strings"
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := Config{DB: new(sql.DB), Query: "q", Passwords: "p"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if c.Source != "database" || c.TTL != 5*time.Second || c.StaleIfDown != 5*time.Minute || c.Timeout != time.Second ||
		c.SampleEvery != 10*time.Minute || c.MaxAccounts != 65536 || c.MaxGuessed != 16384 || c.MaxQueries != 4 || c.Canonical("A") != "A" {
		t.Errorf("the defaults are %+v", c)
	}
	short, err := Config{DB: new(sql.DB), Query: "q", Passwords: "p", TTL: 50 * time.Millisecond}.withDefaults()
	if err != nil || short.Timeout != short.TTL {
		t.Errorf("with a short TTL Timeout is %v, %v", short.Timeout, err)
	}
}

func TestConfigErrorsAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Config{
		TTL: time.Millisecond, SampleEvery: time.Millisecond, Timeout: time.Hour, MaxAccounts: -1, MaxGuessed: -1, MaxQueries: -1,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"DB is nil", "Query is empty", "Passwords is empty", "TTL is 1ms", "SampleEvery is 1ms", "longer than TTL", "MaxAccounts is negative", "MaxGuessed is negative", "MaxQueries is negative"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
