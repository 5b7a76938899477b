// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Errors of an [Edit], for errors.Is.
var (
	// ErrExists: the name is in the file already.
	ErrExists = errors.New("the account exists already: change it, or choose another name")
	// ErrUnknown: the name is not in the file.
	ErrUnknown = errors.New("there is no such account: check the name, or add it")
	// ErrLastAccount: the file would have no accounts, and such a file is not served; see
	// [ErrNoAccounts].
	ErrLastAccount = errors.New("it is the last account of the file, and a file without accounts is not served: disable it instead")
	// ErrForeign: the file is not an htpasswd file, or has a line that does not belong into one;
	// see [Edit].
	ErrForeign = errors.New("not an htpasswd file, so it is not changed: if it is one, correct or remove this line with an editor")
	// ErrLocked: another process held the lock until the context ended.
	ErrLocked = errors.New("another process is editing it: try again")
)

// Edit changes a file in one step. It calls change with the content of the file, and replaces the
// file by the changed content. If change returns an error, Edit returns it and does not change
// the file.
//
// A lock excludes other Edits, in this process and in others. The lock is on a file beside the
// accounts file, with the same name and ".lock" at its end, which is empty and stays. Edit waits
// for the lock until ctx ends; the error is then [ErrLocked]. Writers that do not take the lock,
// such as Apache's htpasswd, are not excluded.
//
// A missing file is created with mode 0600. Otherwise Edit keeps mode, owner and group, and
// returns an error if this process may not set them. It does not keep access control lists and
// extended attributes. The new file and its directory are synced to disk before Edit returns. On
// a system without flock(2) the error is [errors.ErrUnsupported].
//
// A file with a line that is neither empty, a comment nor an account with a password hash is
// refused with [ErrForeign] before anything is written, even the lock. The path may be wrong, or
// a symbolic link to another program's file such as /etc/passwd. A symbolic link to an htpasswd
// file stays a link, and its target is edited.
func Edit(ctx context.Context, path string, change func(*Content) error) error {
	target, linked, err := resolve(path)
	if err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	// Before the lock, because a lock file beside another program's file may have a meaning
	// there, as /etc/passwd.lock does.
	if _, err := readEditable(target, linked); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unlock, err := lock(ctx, target+".lock")
	if err != nil {
		return fmt.Errorf("htpasswd: %s: %w", path, err)
	}
	defer unlock()
	c, err := readEditable(target, linked)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing:
		c = &Content{}
	case err != nil:
		return err
	}
	c.path = path
	if err := change(c); err != nil || !c.changed {
		return err
	}
	if err := overwrite(target, strings.Join(c.lines, ""), missing); err != nil {
		return fmt.Errorf("htpasswd: %s is not changed: %w", path, err)
	}
	return nil
}

// read returns the content of a regular file.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("htpasswd: %w", err)
	}
	if !info.Mode().IsRegular() { // a FIFO would block, a device never ends
		return nil, fmt.Errorf("htpasswd: %s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("htpasswd: %w", err)
	}
	defer func() { _ = file.Close() }() // read only
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("htpasswd: %w", err)
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("htpasswd: %w", tooLarge(path))
	}
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return nil, fmt.Errorf("htpasswd: %s: UTF-16: save it as UTF-8", path)
	}
	return content, nil
}

// readEditable reads a file that may be edited: every line is empty, a comment, or an account
// with a password hash. It accepts hashes that are too weak or too expensive to be served,
// because an edit replaces them. Through a symbolic link, the file must have an account: a link
// may point to any file, and an empty one gives no sign of its purpose.
func readEditable(path string, linked bool) (*Content, error) {
	content, err := read(path)
	if err != nil {
		return nil, err
	}
	accounts, bad := 0, badLines{file: path}
	err = eachLine(content, path, &bad, func(_ int, line []byte) error {
		accounts++
		_, err := parseAccount(line, password.Policy{DangerouslyAllowLegacy: true})
		if errors.Is(err, password.ErrOutOfBounds) || errors.Is(err, password.ErrUnusable) {
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(bad.errs) > 0:
		return nil, fmt.Errorf("%w: %w", bad.errs[0], ErrForeign)
	case linked && accounts == 0:
		return nil, fmt.Errorf("htpasswd: %s: a symbolic link to a file without accounts: %w", path, ErrForeign)
	}
	return newContent(path, content), nil
}

// resolve follows symbolic links, also to a missing file in an existing directory. linked reports
// whether path itself is a link.
func resolve(path string) (target string, linked bool, err error) {
	if info, err := os.Lstat(path); err == nil {
		linked = info.Mode()&fs.ModeSymlink != 0
	}
	target, err = filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return target, linked, err
	}
	if linked {
		return "", true, fmt.Errorf("%s: a symbolic link to a file that is missing: make that file, or remove the link", path)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", false, err
	}
	return filepath.Join(dir, filepath.Base(path)), false, nil
}

// overwrite writes content to a file beside target and renames it to target.
func overwrite(target, content string, isNew bool) (err error) {
	if len(content) > maxFileBytes {
		return tooLarge(target)
	}
	dir := filepath.Dir(target)
	file, err := os.CreateTemp(dir, "."+filepath.Base(target)+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	if !isNew {
		info, err := os.Stat(target)
		if err != nil {
			return err
		}
		// The owner first, because chown clears bits of the mode.
		if err := keepOwner(file, info); err != nil {
			return err
		}
		if err := file.Chmod(info.Mode().Perm()); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(file, content); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), target); err != nil {
		return err
	}
	return syncDirectory(dir)
}
