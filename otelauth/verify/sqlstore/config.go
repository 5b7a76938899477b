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

// The defaults of [Config].
const (
	defaultTTL         = 5 * time.Second
	defaultStaleIfDown = 5 * time.Minute
	defaultTimeout     = time.Second
	defaultSampleEvery = 10 * time.Minute
	defaultMaxAccounts = 1 << 16
	defaultMaxGuessed  = 1 << 14
	DefaultMaxQueries  = 4
)

// FailClosed is a [Config.StaleIfDown] that lets nobody in whose account is older than TTL while the database is down.
const FailClosed time.Duration = -1

// maxNameBytes is the longest name that is looked up. A longer one is no account.
const maxNameBytes = 256

// Config says where accounts are and how they are read. DB, Query and Passwords are required; the zero value of every
// other field is its default.
type Config struct {
	// DB is the database. It belongs to the caller, who closes it after the Store.
	DB *sql.DB
	// Source names the store in events and errors. Default: "database". Not the data source: that may hold a password.
	Source string
	// Query finds the account of a name, its one parameter; see the package's comment for its columns.
	Query string
	// Passwords returns the stored hashes of all accounts, or of a fair share, in one column. It is read to the end, at most
	// [maxSample] rows.
	Passwords string
	// Policy bounds the hashes; its zero value is the safe one.
	Policy password.Policy
	// Canonical returns the spelling of a name that the query is given: what the database treats as one name must become
	// one. strings.ToLower fits a case-insensitive column. It must be pure. nil: every spelling is a name of its own.
	Canonical func(name string) string

	// TTL is how long an account is served as it was read; a removed, disabled or changed one is seen within it. An account in use is
	// read again from half of it on, beside the requests. Default: 5 s; at least 10 ms.
	TTL time.Duration
	// StaleIfDown is how old the account of a credential that was verified before may be while the database is down.
	// Default: 5 min. [FailClosed], or any negative: TTL.
	StaleIfDown time.Duration
	// Timeout is how long one query may take, and how long a caller waits for his turn to ask. Default: 1 s; at most TTL.
	Timeout time.Duration
	// SampleEvery is how often Passwords is asked. Default: 10 min; at least 1 s.
	SampleEvery time.Duration

	// MaxAccounts bounds the accounts that are remembered for credentials that were verified
	// before, MaxGuessed the names, of accounts or not, of which the last reading for another
	// attempt is kept in case the credential proves right: about 700 bytes each for an account,
	// 300 for another name, and the name. The one that was not asked for longest, nearly, makes
	// room. Defaults: 65,536 and 16,384.
	MaxAccounts int
	MaxGuessed  int
	// MaxQueries bounds the queries that run at once for strangers, and again for credentials that were verified before.
	// One more may ask whether the database is up, and one for Passwords. Default: 4.
	MaxQueries int

	// Now is the clock, with a monotonic reading. Default: time.Now. Timeouts and the pace of questions while the database
	// is down are those of the operating system.
	Now func() time.Time
}

// withDefaults returns c completed, or every fault of it.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("sqlstore: Config."+format, args...))
	}
	if c.DB == nil {
		fault("DB is nil: open the database with sql.Open")
	}
	if strings.TrimSpace(c.Query) == "" {
		fault("Query is empty: SELECT login AS name, hash AS password FROM users WHERE login = $1")
	}
	if strings.TrimSpace(c.Passwords) == "" {
		fault("Passwords is empty: SELECT hash FROM users")
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
			fault("%s is %v: at least %v, or 0 for %v", name, *d, least, byDefault)
		}
	}
	span("TTL", &c.TTL, defaultTTL, 10*time.Millisecond)
	span("SampleEvery", &c.SampleEvery, defaultSampleEvery, time.Second)
	span("Timeout", &c.Timeout, min(defaultTimeout, max(c.TTL, 0)), time.Millisecond)
	if c.Timeout > c.TTL {
		fault("Timeout is %v, longer than TTL, %v: what is read must not be old when it arrives", c.Timeout, c.TTL)
	}
	if c.StaleIfDown == 0 {
		c.StaleIfDown = defaultStaleIfDown
	}
	size := func(name string, n *int, byDefault int) {
		if *n < 0 {
			fault("%s is negative; leave it 0 for %d", name, byDefault)
		}
		if *n == 0 {
			*n = byDefault
		}
	}
	size("MaxAccounts", &c.MaxAccounts, defaultMaxAccounts)
	size("MaxGuessed", &c.MaxGuessed, defaultMaxGuessed)
	size("MaxQueries", &c.MaxQueries, DefaultMaxQueries)
	return c, errors.Join(faults...)
}
