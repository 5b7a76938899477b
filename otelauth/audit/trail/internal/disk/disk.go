// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package disk is the file layer of the trail: the few operations that it needs, the real ones
// ([OS]) and, in package disktest, ones that fail as disks do.
package disk

import (
	"errors"
	"io"
	"io/fs"
)

// FS is a file system. It is safe for concurrent use. Names are paths of the operating system.
type FS interface {
	// Open opens a file to read.
	Open(name string) (File, error)
	// Create makes a file to read and write, with mode 0600. It fails if the file exists.
	Create(name string) (File, error)
	// Edit opens an existing file to read and write.
	Edit(name string) (File, error)
	// Stat returns what is at name; fs.ErrNotExist if there is nothing.
	Stat(name string) (Info, error)
	// List returns the names in a folder, in order.
	List(dir string) ([]string, error)
	// MakeDir makes a folder and missing parents, with mode 0700. It accepts an existing one.
	MakeDir(dir string) error
	// Rename replaces to by from.
	Rename(from, to string) error
	Remove(name string) error
	// SyncFiles flushes the data of existing files.
	SyncFiles(names []string) error
	// SyncDir flushes the names in a folder.
	SyncDir(dir string) error
	// Lock locks the file name, which it makes. The error is ErrLocked if another process has.
	Lock(name string) (Lock, error)
	// Kind returns the kind of file system on which dir is.
	Kind(dir string) (Kind, error)
}

// Lock is a lock of this process. Close unlocks.
type Lock interface {
	io.Closer
	// IsHeld reports whether the locked file still has its name. Otherwise another process can
	// lock a new one.
	IsHeld() bool
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Sync flushes the data and the size.
	Sync() error
	Stat() (Info, error)
}

// Info describes a file.
type Info struct {
	Size  int64
	ID    ID
	Links uint64 // names of the file; 0 after the last one was removed
}

// ID identifies a file on its host.
type ID struct{ Device, File uint64 }

// Kind is a kind of file system that does not promise that flushed data is on a disk; "" for all
// others.
type Kind string

// The kinds of file systems.
const (
	NFS   Kind = "nfs"
	SMB   Kind = "smb"
	FUSE  Kind = "fuse"
	TmpFS Kind = "tmpfs"
)

// ErrLocked means that another process has the lock.
var ErrLocked = errors.New("disk: locked by another process")

// ReadFile returns the content of a file of at most maxBytes.
func ReadFile(d FS, name string, maxBytes int64) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size > maxBytes {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("the file is too large")}
	}
	data := make([]byte, info.Size)
	n, err := f.ReadAt(data, 0)
	if n == len(data) {
		return data, nil
	}
	return nil, err
}

// WriteFile replaces the file name by one with data, by way of a file with the suffix ".new", so
// that a reader sees the previous content or data. With flush both the data and the name are
// flushed.
func WriteFile(d FS, dir, name string, data []byte, flush bool) error {
	temporary := name + ".new"
	if err := d.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := d.Create(temporary)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil && flush {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = d.Rename(temporary, name)
	}
	if err == nil && flush {
		err = d.SyncDir(dir)
	}
	return err
}
