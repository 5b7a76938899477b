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

// Errors of an [Edit]; test for them with errors.Is.
var (
	// ErrExists: the name stands in the file already.
	ErrExists = errors.New("the account exists already")
	// ErrUnknown: the name does not stand in the file.
	ErrUnknown = errors.New("there is no such account")
	// ErrLastAccount: nobody would be left, and a file of nobody is not served; see [ErrNoAccounts].
	ErrLastAccount = errors.New("it is the last account of the file, and a file without accounts is not served: disable it instead")
	// ErrForeign: the file is not an htpasswd file, or has a line that is none of its lines; see [Edit].
	ErrForeign = errors.New("not an htpasswd file, and it is not changed: correct or remove this line with an editor if it is one")
	// ErrLocked: somebody else was editing the file until the context ended.
	ErrLocked = errors.New("another process is editing it")
)

// Edit changes a file as one step: change gets its content, and what it makes of it replaces the file at once, or
// nothing is changed when it returns an error, which Edit returns.
//
// Edits exclude each other, in this process and in others, by a lock on a file beside it, its name with ".lock" at the end,
// which stays there empty. Edit waits for the lock until ctx ends: [ErrLocked]. Writers that do not take the lock, Apache's
// htpasswd for instance, are not excluded.
//
// The file is made with mode 0600 when it is missing. Otherwise it keeps mode, owner and group, and an error says so when
// this process may not give them; access control lists and extended attributes are not kept. The new file and its directory
// are synced to disk before Edit returns. Where the system has no flock(2), the error is [errors.ErrUnsupported].
//
// A file with a line that is neither blank, a comment nor an account with a password hash is refused with
// [ErrForeign] before anything is written, the lock included: the path may be wrong, or a symbolic link to another
// program's file such as /etc/passwd. A symbolic link to an htpasswd file stays one, and the file that it points to is edited.
func Edit(ctx context.Context, path string, change func(*Content) error) error {
	target, linked, err := resolve(path)
	if err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	// Before the lock: a lock file beside another program's file may have a meaning there (/etc/passwd.lock has).
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

// readOurs reads a file that may be edited: every line is blank, a comment, or an account with a password hash. Hashes that are too
// weak or too expensive to be served count as well, because an edit is how they are replaced. Through a symbolic
// link, the file must hold an account already: a link may point to any file, and an empty one gives no sign of what it is for.
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

// resolve follows symbolic links, also to a file that does not exist yet in a directory that does. linked reports
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

// overwrite writes content beside target and renames it over it.
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
		// The owner first: giving a file away clears bits of its mode.
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
