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

// The defaults of [Config].
const (
	defaultPoll   = 5 * time.Second
	defaultSettle = 200 * time.Millisecond
)

// Config says where accounts are and how they are kept up to date. Only Path is required.
type Config struct {
	// Path is the file of accounts.
	Path string
	// Groups is a group file in the form of Apache's AuthGroupFile; "" for no groups.
	Groups string
	// FS is where the files are; nil is the operating system. Files of an FS, embedded ones for
	// instance, are not watched: [File.Reload] reads them again.
	FS fs.FS
	// Policy bounds the hashes; its zero value is the safe one.
	Policy password.Policy

	// Poll is how often the content is read and compared, whether or not the operating system tells of
	// changes: some file systems (NFS, FUSE) do not. 0 is [defaultPoll]; at least 10 ms.
	Poll time.Duration
	// Settle is how long a changed file must stand still before it is served, five times that when it is
	// empty or its last line has no end. 0 is [defaultSettle]; at most a minute. A removed account is refused about Settle after the change
	// where the operating system tells of it, else at most Poll later; [File.Reload] waits for neither.
	Settle time.Duration
	// Unwatched files are read at [Open] and [File.Reload] only.
	Unwatched bool
	// Now stamps reloads; nil is [time.Now].
	Now func() time.Time
}

func (c Config) validate() error {
	var problems []error
	if c.Path == "" {
		problems = append(problems, errors.New("htpasswd: Config.Path is empty: name the file of accounts"))
	}
	if c.Poll < 0 || c.Poll > 0 && c.Poll < 10*time.Millisecond {
		problems = append(problems, fmt.Errorf("htpasswd: Config.Poll is %v: at least 10ms, or 0 for %v", c.Poll, defaultPoll))
	}
	if c.Settle < 0 || c.Settle > time.Minute {
		problems = append(problems, fmt.Errorf("htpasswd: Config.Settle is %v: at most 1m, or 0 for %v", c.Settle, defaultSettle))
	}
	return errors.Join(problems...)
}
