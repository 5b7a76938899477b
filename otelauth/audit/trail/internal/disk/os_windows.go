// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// openFlags has no flags: regular refuses what is not a file.
const openFlags = 0

func statPath(name string) (Info, error) {
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return Info{}, err
	}
	info, err := statFile(f)
	return info, errors.Join(err, f.Close())
}

func statFile(f *os.File) (Info, error) {
	var data windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &data); err != nil {
		return Info{}, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return Info{
		Size:  int64(data.FileSizeHigh)<<32 | int64(data.FileSizeLow),
		ID:    ID{Device: uint64(data.VolumeSerialNumber), File: uint64(data.FileIndexHigh)<<32 | uint64(data.FileIndexLow)},
		Links: uint64(data.NumberOfLinks),
	}, nil
}

func syncFile(f *os.File) error { return f.Sync() }

// syncDir does nothing: NTFS journals names, and a folder cannot be flushed.
func syncDir(string) error { return nil }

func lock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	return err
}

// unlock does nothing: closing the file unlocks it, and programs inherit no handle.
func unlock(*os.File) error { return nil }
