// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// maxFileBytes bounds the size of a credentials file.
const maxFileBytes = 8 << 10

// stamp identifies one state of the files without reading them.
type stamp struct {
	info [2]os.FileInfo
	err  string // the reason without info
}

func (s stamp) same(o stamp) bool {
	if s.err != o.err {
		return false
	}
	for i := range s.info {
		a, b := s.info[i], o.info[i]
		if (a == nil) != (b == nil) {
			return false
		}
		if a != nil && !(os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())) {
			return false
		}
	}
	return true
}

// reading is the result of the last read: the last good credentials, and the state of the files
// that was last read, good or bad.
type reading struct {
	stamp    stamp
	name     string
	password credential.Secret
	err      string // "" when the last read succeeded
}

// file returns credentials from a file, or from two files in a directory, and reads them again
// when they change.
//
// Each request calls stat; there is no watcher. A stat costs a microsecond, sees changed symlinks
// and remounts, and leaves nothing to close. It misses a rewrite of equal size within one clock
// tick of the file system; the 401 that follows forces a read.
type file struct {
	paths    []string // "name:password" in one, or the name and the password in two
	onReload func(error)

	mu  sync.Mutex // one reader at a time
	now atomic.Pointer[reading]
}

func openFile(onReload func(error), paths ...string) (*file, error) {
	f := &file{paths: paths, onReload: onReload}
	r, err := f.read()
	if err != nil {
		return nil, err
	}
	f.now.Store(r)
	return f, nil
}

func (f *file) credentials(_ context.Context, rejected bool) (string, credential.Secret, error) {
	r := f.now.Load()
	if rejected || !f.stat().same(r.stamp) {
		r = f.reload(rejected)
	}
	return r.name, r.password, nil
}

// reload reads the files if they changed or if forced. It keeps the last good credentials when the
// files are invalid, for example while another process writes them.
func (f *file) reload(forced bool) *reading {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.now.Load()
	if !forced && f.stat().same(old.stamp) {
		return old // another request was faster
	}
	r, err := f.read()
	var changed bool
	if err != nil {
		changed = old.err != err.Error()
		r.name, r.password, r.err = old.name, old.password, err.Error()
	} else {
		changed = old.err != "" || r.name != old.name || !r.password.Equal(old.password)
	}
	f.now.Store(r)
	if changed && f.onReload != nil {
		f.onReload(err)
	}
	return r
}

// stat returns the state of the files.
func (f *file) stat() stamp {
	var s stamp
	for i, p := range f.paths {
		info, err := os.Stat(p)
		if err != nil {
			return stamp{err: err.Error()}
		}
		s.info[i] = info
	}
	return s
}

// read returns a reading whose stamp belongs to the content. It repeats when the files change
// meanwhile, so that a name is not paired with the password of another rotation. On an error the
// reading has a stamp only.
func (f *file) read() (*reading, error) {
	const tries = 3
	var r *reading
	var err error
	for range tries {
		before, target := f.stat(), f.target()
		r = &reading{stamp: before}
		r.name, r.password, err = f.parse()
		if f.stat().same(before) && f.target() == target {
			return r, err
		}
		// Not the stamp of a state that was not read: the next request reads again.
		r.stamp = stamp{err: "changing"}
	}
	if err == nil {
		err = fmt.Errorf("otelauth/client: %s changed while it was read; replace it atomically, by a rename", f.paths[0])
	}
	return r, err
}

// target returns the files that the paths resolve to. A new file may have the inode, the size and,
// within a clock tick, the time of a removed one; each directory of a mounted Secret has a new
// name.
func (f *file) target() string {
	var all [2]string
	for i, p := range f.paths {
		all[i], _ = filepath.EvalSymlinks(p) // readLine reports the error
	}
	return all[0] + "\x00" + all[1]
}

func (f *file) parse() (string, credential.Secret, error) {
	if len(f.paths) == 2 {
		name, err := readLine(f.paths[0])
		if err != nil {
			return "", credential.Secret{}, err
		}
		password, err := readLine(f.paths[1])
		if err != nil {
			return "", credential.Secret{}, err
		}
		return f.checked(string(name), credential.NewSecret(string(password)))
	}
	line, err := readLine(f.paths[0])
	if err != nil {
		return "", credential.Secret{}, err
	}
	name, password, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return "", credential.Secret{}, fmt.Errorf(`otelauth/client: %s: no colon; write one line "name:password"`, f.paths[0])
	}
	return f.checked(string(name), credential.NewSecret(string(password)))
}

// checked returns an error for credentials that no header can carry, so that they replace none.
func (f *file) checked(name string, password credential.Secret) (string, credential.Secret, error) {
	if _, err := credential.Encode(name, password); err != nil {
		return "", credential.Secret{}, fmt.Errorf("otelauth/client: %s: %w", f.paths[0], err)
	}
	return name, password, nil
}

// readLine returns the only line of a file, without its newline.
func readLine(path string) ([]byte, error) {
	fd, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("otelauth/client: %w", err)
	}
	defer func() { _ = fd.Close() }()
	b, err := io.ReadAll(io.LimitReader(fd, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("otelauth/client: %w", err)
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	var problem error
	switch {
	case len(b) == 0:
		problem = errors.New("is empty; write the credentials into it")
	case len(b) > maxFileBytes:
		problem = fmt.Errorf("is longer than %d bytes; write one line only", maxFileBytes)
	case bytes.ContainsAny(b, "\r\n"):
		problem = errors.New("has more than one line; write one line only")
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		problem = errors.New("begins with a byte order mark, which would be part of the credentials; save it without one")
	}
	if problem != nil {
		return nil, fmt.Errorf("otelauth/client: %s: %w", path, problem)
	}
	return b, nil
}
