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

// maxFileBytes bounds what is read of a credentials file.
const maxFileBytes = 8 << 10

// stamp tells one state of a file from another without reading it.
type stamp struct {
	info [2]os.FileInfo
	err  string // why there is no info
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

// reading is the outcome of the last look at the files: the last good credentials, and the state
// of the files that was last tried, good or bad.
type reading struct {
	stamp    stamp
	name     string
	password credential.Secret
	err      string // "" when what was tried is what is served
}

// file serves credentials from a file, or from two in a directory, and reads them again when they change.
//
// A stat for each request instead of a watcher: it costs a microsecond beside a network round trip, sees
// symlink flips and remounts, and leaves nothing to close. A rewrite within the clock tick of a file
// system that also keeps the size escapes it; the 401 that follows forces a reading.
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
	if rejected || !f.look().same(r.stamp) {
		r = f.reload(rejected)
	}
	return r.name, r.password, nil
}

// reload keeps the last good credentials when what it finds is no use: half a file is read while
// somebody writes it.
func (f *file) reload(forced bool) *reading {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.now.Load()
	if !forced && f.look().same(old.stamp) {
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

// look returns the state of the files.
func (f *file) look() stamp {
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

// read returns a reading whose stamp is that of the content: when the files change under its hands,
// it looks again, so that a name is not paired with the password of another rotation. On an error the
// reading has the stamp only.
func (f *file) read() (*reading, error) {
	const tries = 3
	var r *reading
	var err error
	for range tries {
		before, place := f.look(), f.place()
		r = &reading{stamp: before}
		r.name, r.password, err = f.parse()
		if f.look().same(before) && f.place() == place {
			return r, err
		}
		// Never the stamp of a state that was not read: the next request tries again.
		r.stamp = stamp{err: "changing"}
	}
	if err == nil {
		err = fmt.Errorf("otelauth/client: %s changes while it is read; replace it in one step, by a rename", f.paths[0])
	}
	return r, err
}

// place is where symbolic links lead. A new file may have the inode, the size and, within a tick of the clock, the time of
// one that is gone; the directories of a mounted Secret never have the name of another.
func (f *file) place() string {
	var all [2]string
	for i, p := range f.paths {
		all[i], _ = filepath.EvalSymlinks(p) // what cannot be followed cannot be read either
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

// checked keeps what no header can carry from replacing credentials that work.
func (f *file) checked(name string, password credential.Secret) (string, credential.Secret, error) {
	if _, err := credential.Encode(name, password); err != nil {
		return "", credential.Secret{}, fmt.Errorf("otelauth/client: %s: %w", f.paths[0], err)
	}
	return name, password, nil
}

// readLine returns the one line of a file, which may end in a newline.
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
	var fault error
	switch {
	case len(b) == 0:
		fault = errors.New("is empty")
	case len(b) > maxFileBytes:
		fault = fmt.Errorf("is longer than %d bytes", maxFileBytes)
	case bytes.ContainsAny(b, "\r\n"):
		fault = errors.New("holds more than one line")
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		fault = errors.New("begins with a byte order mark, which would be part of the credentials; save it without")
	}
	if fault != nil {
		return nil, fmt.Errorf("otelauth/client: %s: %w", path, fault)
	}
	return b, nil
}
