// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// OS is the file system of the operating system.
type OS struct{}

var _ FS = OS{}

// Open opens a file to read.
func (OS) Open(name string) (File, error) {
	return regular(os.OpenFile(filepath.Clean(name), os.O_RDONLY|openFlags, 0))
}

// Create makes a file.
func (OS) Create(name string) (File, error) {
	return opened(os.OpenFile(filepath.Clean(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600))
}

// Edit opens an existing file.
func (OS) Edit(name string) (File, error) {
	return regular(os.OpenFile(filepath.Clean(name), os.O_RDWR|openFlags, 0))
}

// Stat returns what is at name.
func (OS) Stat(name string) (Info, error) { return statPath(name) }

// List returns the names in a folder.
func (OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// MakeDir makes a folder and missing parents.
func (OS) MakeDir(dir string) error { return os.MkdirAll(dir, 0o700) }

// Rename replaces to by from.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file.
func (OS) Remove(name string) error { return os.Remove(name) }

// maxSyncFiles bounds the files that are open at once.
const maxSyncFiles = 256

// SyncFiles flushes the data of existing files. The system writes many of them before the first is
// waited for, where it has a call for that: a commit of its journal then serves many files.
func (OS) SyncFiles(names []string) error {
	for some := range slices.Chunk(names, maxSyncFiles) {
		if err := syncTogether(some); err != nil {
			return err
		}
	}
	return nil
}

func syncTogether(names []string) (err error) {
	files := make([]*os.File, 0, len(names))
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	for _, name := range names {
		f, err := os.OpenFile(filepath.Clean(name), os.O_RDWR|openFlags, 0)
		if err != nil {
			return err
		}
		files = append(files, f)
		beginSync(f)
	}
	for _, f := range files {
		if err := syncFile(f); err != nil {
			return err
		}
	}
	return nil
}

// SyncDir flushes the names in a folder.
func (OS) SyncDir(dir string) error { return syncDir(dir) }

// Lock locks a file until its process ends or Close is called.
func (OS) Lock(name string) (Lock, error) {
	f, err := os.OpenFile(filepath.Clean(name), os.O_RDWR|os.O_CREATE|openFlags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return lockFile{f}, nil
}

type lockFile struct{ *os.File }

// Close unlocks and closes the file. A program that this process is starting has a copy of the
// descriptor for a moment, so closing alone would not unlock it.
func (l lockFile) Close() error { return errors.Join(unlock(l.File), l.File.Close()) }

// IsHeld reports whether the file still has its name.
func (l lockFile) IsHeld() bool {
	own, errOwn := statFile(l.File)
	named, errNamed := statPath(l.Name())
	return errOwn == nil && errNamed == nil && own.ID == named.ID
}

// Kind returns the kind of file system on which dir is.
func (OS) Kind(dir string) (Kind, error) { return kind(dir) }

type osFile struct{ *os.File }

func opened(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// regular refuses everything but a file: a pipe has no end, and a link would lead elsewhere.
func regular(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.Name(), Err: errors.New("not a regular file")}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return osFile{f}, nil
}

func (f osFile) Sync() error { return syncFile(f.File) }

func (f osFile) Stat() (Info, error) { return statFile(f.File) }
