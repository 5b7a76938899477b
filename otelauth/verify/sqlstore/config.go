// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Defaults of [Config].
const (
	defaultTTL         = 5 * time.Second
	defaultStaleIfDown = 5 * time.Minute
	defaultTimeout     = time.Second
	defaultSampleEvery = 10 * time.Minute
	defaultMaxAccounts = 1 << 16
	defaultMaxGuessed  = 1 << 14
	// DefaultMaxQueries is exported, so that a program can size its connection pool.
	DefaultMaxQueries = 4
)

// FailClosed is a [Config.StaleIfDown] that accepts no account older than TTL while the database
// is down.
const FailClosed time.Duration = -1

// maxNameBytes is the longest name that is looked up. A longer one is unknown.
const maxNameBytes = 256

// Config is where the accounts are and how they are read. DB, Query and Passwords are required.
// Every other field has a default.
type Config struct {
	// DB is the database. The caller closes it, after the Store.
	DB *sql.DB
	// Source names the store in events and errors. Default: "database". Do not use the data
	// source, which may contain a password.
	Source string
	// Query finds the account with a name, its one parameter. See the package's comment for its
	// columns.
	Query string
	// Passwords returns the stored hashes of all accounts, or of a representative part, in one
	// column. At most 1,000,000 rows are read.
	Passwords string
	// Policy bounds the hashes. Its zero value is safe.
	Policy password.Policy
	// Canonical returns the spelling of a name that Query gets. Names that the database treats as
	// equal must have the same. Use strings.ToLower for a case-insensitive column. It must be
	// pure. Default: every spelling is a different name.
	Canonical func(name string) string

	// TTL is how long an account is served as it was read. A removed, disabled or changed account
	// is noticed within it. An account in use is read again after half of it, in the background.
	// Default: 5 s; at least 10 ms.
	TTL time.Duration
	// StaleIfDown is the maximum age of the account of a verified credential while the database
	// is down. Default: 5 min. [FailClosed], or any negative value, means TTL.
	StaleIfDown time.Duration
	// Timeout bounds one query, and the wait for it to start. Default: 1 s; at most TTL.
	Timeout time.Duration
	// SampleEvery is the interval of Passwords. Default: 10 min; at least 1 s.
	SampleEvery time.Duration

	// MaxAccounts bounds the remembered accounts of verified credentials. MaxGuessed bounds the
	// names, known or unknown, of other attempts whose account is remembered in case the
	// credential is right. An account takes about 700 bytes and another name 300, plus the name.
	// Approximately the least recently used one is evicted. Defaults: 65,536 and 16,384.
	MaxAccounts int
	MaxGuessed  int
	// MaxQueries bounds the concurrent queries for strangers, and separately those for verified
	// credentials. One more may probe the database, and one may read Passwords. Default:
	// [DefaultMaxQueries].
	MaxQueries int

	// Now is the clock, with a monotonic reading. Timeouts and the intervals of probes use the
	// operating system's clock instead. Default: time.Now.
	Now func() time.Time
}

// withDefaults returns c with its defaults, or all errors, joined.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("sqlstore: Config."+format, args...))
	}
	if c.DB == nil {
		problem("DB is nil: open the database with sql.Open")
	}
	if strings.TrimSpace(c.Query) == "" {
		problem("Query is empty: set it, such as SELECT login AS name, hash AS password FROM users WHERE login = $1")
	}
	if strings.TrimSpace(c.Passwords) == "" {
		problem("Passwords is empty: set it, such as SELECT hash FROM users")
	}
	if c.Source == "" {
		c.Source = "database"
	}
	if c.Canonical == nil {
		c.Canonical = func(name string) string { return name }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	span := func(name string, d *time.Duration, byDefault, least time.Duration) {
		if *d == 0 {
			*d = byDefault
		}
		if *d < least {
			problem("%s is %v: set at least %v, or 0 for %v", name, *d, least, byDefault)
		}
	}
	span("TTL", &c.TTL, defaultTTL, 10*time.Millisecond)
	span("SampleEvery", &c.SampleEvery, defaultSampleEvery, time.Second)
	span("Timeout", &c.Timeout, min(defaultTimeout, max(c.TTL, 0)), time.Millisecond)
	if c.Timeout > c.TTL {
		problem("Timeout is %v, longer than TTL, %v: set at most TTL", c.Timeout, c.TTL)
	}
	if c.StaleIfDown == 0 {
		c.StaleIfDown = defaultStaleIfDown
	}
	size := func(name string, n *int, byDefault int) {
		if *n < 0 {
			problem("%s is negative; leave it 0 for %d", name, byDefault)
		}
		if *n == 0 {
			*n = byDefault
		}
	}
	size("MaxAccounts", &c.MaxAccounts, defaultMaxAccounts)
	size("MaxGuessed", &c.MaxGuessed, defaultMaxGuessed)
	size("MaxQueries", &c.MaxQueries, DefaultMaxQueries)
	return c, errors.Join(problems...)
}
