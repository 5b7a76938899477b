// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Reload reads the files now, even if they are still changing. A process calls it at SIGHUP. On
// an error the previous accounts are still served. [File.OnReload] reports the result.
func (f *File) Reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cfg.Path == "" {
		return errors.New("htpasswd: this File is not open: call htpasswd.Open")
	}
	v, err := f.read()
	return f.serve(v, err)
}

// serve replaces the accounts, or keeps the previous ones, and reports the result. The caller
// holds f.mu.
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

// version is the content of the files at one reading.
type version struct {
	fingerprints fingerprints
	accounts     []*verify.Account
}

// read returns the content of the files. It returns their fingerprints with an error too.
func (f *File) read() (v version, err error) {
	content, groups := new(bytes.Buffer), new(bytes.Buffer)
	var groupsErr error
	v.fingerprints.accounts, err = f.fingerprint(f.cfg.Path, content)
	err = ifMissing(err, "make one with: otelauth users add FILE NAME, or htpasswd -c -B FILE NAME")
	if f.cfg.Groups != "" {
		v.fingerprints.groups, groupsErr = f.fingerprint(f.cfg.Groups, groups)
		groupsErr = ifMissing(groupsErr, `make one whose lines are "GROUP: NAME NAME", or name no file of groups`)
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

// ifMissing adds a remedy to the error of a file that does not exist.
func ifMissing(err error, remedy string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; %s", err, remedy)
	}
	return err
}
