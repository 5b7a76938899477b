// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Defaults of [Config].
const (
	defaultPoll   = 5 * time.Second
	defaultSettle = 200 * time.Millisecond
)

// Config is where the accounts are and how they are kept up to date. Only Path is required.
type Config struct {
	// Path is the file of accounts.
	Path string
	// Groups is a group file in the form of Apache's AuthGroupFile; "" for no groups.
	Groups string
	// FS contains the files; nil means the operating system. Files of an FS, such as embedded
	// ones, are not watched; [File.Reload] reads them again.
	FS fs.FS
	// Policy bounds the hashes. Its zero value is safe.
	Policy password.Policy

	// Poll is the interval at which the content is read and compared, even without a
	// notification: some file systems (NFS, FUSE) send none. Default: 5 s; at least 10 ms.
	Poll time.Duration
	// Settle is how long a changed file must not change before it is served, five times that if
	// it is empty or its last line has no end. A removed account is refused about Settle after
	// the change if the operating system sends a notification, otherwise Poll later at most.
	// [File.Reload] waits for neither. Default: 200 ms; at most a minute.
	Settle time.Duration
	// Unwatched files are read at [Open] and [File.Reload] only.
	Unwatched bool
	// Now is the clock of the reload reports; nil means [time.Now].
	Now func() time.Time
}

// validate returns all errors of c, joined.
func (c Config) validate() error {
	var problems []error
	if c.Path == "" {
		problems = append(problems, errors.New("htpasswd: Config.Path is empty: name the file of accounts"))
	}
	if c.Poll < 0 || c.Poll > 0 && c.Poll < 10*time.Millisecond {
		problems = append(problems, fmt.Errorf("htpasswd: Config.Poll is %v: set at least 10ms, or 0 for %v", c.Poll, defaultPoll))
	}
	if c.Settle < 0 || c.Settle > time.Minute {
		problems = append(problems, fmt.Errorf("htpasswd: Config.Settle is %v: set at most 1m, or 0 for %v", c.Settle, defaultSettle))
	}
	return errors.Join(problems...)
}
