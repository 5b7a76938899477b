// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
)

// fingerprint identifies the content of a file. It does not use time stamps: they are too coarse
// for two writes in a row, and cp -p and some network file systems keep or invent them.
type fingerprint struct {
	sum  uint64
	size int64
	err  string // why the content could not be read
	// unsure: the file may be half-written. It is missing or empty, or its last line has no end.
	unsure bool
}

// fingerprints are those of both files, read one after the other.
type fingerprints struct{ accounts, groups fingerprint }

// unsure reports whether either file may be half-written.
func (p fingerprints) unsure() bool { return p.accounts.unsure || p.groups.unsure }

// look returns the fingerprints of the files without their content.
func (f *File) look() (p fingerprints) {
	p.accounts, _ = f.fingerprint(f.cfg.Path, nil)
	if f.cfg.Groups != "" {
		p.groups, _ = f.fingerprint(f.cfg.Groups, nil)
	}
	return p
}

// fingerprint reads a file. It writes the content to keep, unless that is nil.
func (f *File) fingerprint(path string, keep *bytes.Buffer) (p fingerprint, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("htpasswd: %w", err)
			p = fingerprint{err: err.Error(), unsure: true}
		}
	}()
	file, err := f.openRegular(path)
	if err != nil {
		return p, err
	}
	defer func() { _ = file.Close() }() // read only
	info, err := file.Stat()
	if err != nil {
		return p, err
	}
	if info.Size() > maxFileBytes {
		return p, tooLarge(path)
	}
	if keep != nil {
		keep.Grow(int(info.Size()) + bytes.MinRead)
	}
	var sum maphash.Hash
	sum.SetSeed(f.seed)
	var last byte
	buf := make([]byte, 32<<10)
	for {
		n, err := file.Read(buf)
		if n > 0 {
			_, _ = sum.Write(buf[:n]) // never fails
			if keep != nil {
				keep.Write(buf[:n])
			}
			p.size += int64(n)
			last = buf[n-1]
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p, err
		}
		if p.size > maxFileBytes {
			return p, tooLarge(path) // it grew
		}
	}
	p.sum, p.unsure = sum.Sum64(), last != '\n'
	return p, nil
}

// openRegular refuses a file that is not regular before it opens it: opening a FIFO would block,
// and a device never ends.
func (f *File) openRegular(path string) (fs.File, error) {
	stat, open := os.Stat, func(path string) (fs.File, error) { return os.Open(path) }
	if f.cfg.FS != nil {
		stat = func(path string) (fs.FileInfo, error) { return fs.Stat(f.cfg.FS, path) }
		open = f.cfg.FS.Open
	}
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	return open(path)
}

func tooLarge(path string) error { return fmt.Errorf("%s: larger than %d bytes", path, maxFileBytes) }
