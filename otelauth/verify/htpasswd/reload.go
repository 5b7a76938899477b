// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Reload reads the files now, without waiting for them to settle: what a process does at SIGHUP. On an error the previous
// accounts are served on. Both ends are told to [File.OnReload].
func (f *File) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cfg.Path == "" {
		return errors.New("htpasswd: this File is not open: call htpasswd.Open")
	}
	v, err := f.read()
	return f.serve(v, err)
}

// serve swaps the accounts in, or keeps the previous ones, and tells of it. f.mu is held.
func (f *File) serve(v version, err error) error {
	f.settler.judge(v.fingerprints)
	if err != nil {
		err = fmt.Errorf("%w (the previous %d accounts are still served)", err, f.Len())
	} else {
		f.current.Store(newSnapshot(f.current.Load(), v.accounts))
	}
	f.report(err)
	return err
}

// version is one reading of the files.
type version struct {
	fingerprints fingerprints
	accounts     []*verify.Account
}

// read returns what the files hold; its fingerprints are set on an error too.
func (f *File) read() (v version, err error) {
	content, groups := new(bytes.Buffer), new(bytes.Buffer)
	var groupsErr error
	v.fingerprints.accounts, err = f.fingerprint(f.cfg.Path, content)
	if f.cfg.Groups != "" {
		v.fingerprints.groups, groupsErr = f.fingerprint(f.cfg.Groups, groups)
	}
	if err := errors.Join(err, groupsErr); err != nil {
		return v, err
	}
	accounts, err := parse(content.Bytes(), f.cfg.Path, f.cfg.Policy)
	groupsOf, groupsErr := parseGroups(groups.Bytes(), f.cfg.Groups)
	if err := errors.Join(err, groupsErr); err != nil {
		return v, err
	}
	for _, a := range accounts {
		a.Groups = groupsOf[a.Name]
	}
	v.accounts = accounts
	return v, nil
}
