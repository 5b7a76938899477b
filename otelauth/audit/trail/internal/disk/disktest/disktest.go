// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package disktest is a disk in memory that fails as disks do: it loses what was not flushed, tears
// writes, fails a flush once and then succeeds without having written anything, fills up, becomes
// read-only and hangs.
package disktest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// page is the unit in which a crash loses data.
const page = 4096

// ErrCrashed is the error of every operation after the crash.
var ErrCrashed = errors.New("disktest: the host has crashed")

// Disk is a disk in memory. Make it with [New]. It is safe for concurrent use.
type Disk struct {
	mu    sync.Mutex
	names map[string]*node // as a process sees them
	kept  map[string]*node // as they are after a crash
	locks map[string]bool
	ids   uint64
	rand  *rand.Rand

	crashIn   int // operations until the crash; negative: none
	crashed   bool
	failSyncs int // the next syncs that fail
	free      int // bytes; negative: unlimited
	readOnly  bool
	kind      disk.Kind
	hang      chan struct{} // nil: syncs do not hang
	hung      chan struct{}
}

// node is a file.
type node struct {
	id      uint64
	links   uint64
	data    []byte // as a process sees it
	kept    []byte // as it is on the disk
	dirty   map[int]bool
	resized bool
}

var _ disk.FS = (*Disk)(nil)

// New returns an empty disk whose chances come from seed.
func New(seed uint64) *Disk {
	return &Disk{
		names: make(map[string]*node), kept: make(map[string]*node), locks: make(map[string]bool),
		rand: rand.New(rand.NewPCG(seed, 0)), crashIn: -1, free: -1, hung: make(chan struct{}, 1), //nolint:gosec // a test
	}
}

// CrashIn makes the disk crash before the n-th operation from now that changes it.
func (d *Disk) CrashIn(n int) { d.locked(func() { d.crashIn = n }) }

// FailSyncs makes the next n flushes fail. What they should have flushed stays visible, and no
// later flush writes it: as Linux does.
func (d *Disk) FailSyncs(n int) { d.locked(func() { d.failSyncs = n }) }

// Fill leaves free bytes; negative: any number.
func (d *Disk) Fill(free int) { d.locked(func() { d.free = free }) }

// ReadOnly makes the disk read-only or writable.
func (d *Disk) ReadOnly(is bool) { d.locked(func() { d.readOnly = is }) }

// SetKind sets the kind of file system.
func (d *Disk) SetKind(k disk.Kind) { d.locked(func() { d.kind = k }) }

// Files returns the content of all files.
func (d *Disk) Files() map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	files := make(map[string][]byte)
	for name, n := range d.names {
		files[name] = bytes.Clone(n.data)
	}
	return files
}

// With returns a disk that has these files, flushed.
func With(seed uint64, files map[string][]byte) *Disk {
	d := New(seed)
	for name, data := range files {
		d.Put(name, data)
	}
	return d
}

// Put makes or replaces a file, as another program would.
func (d *Disk) Put(name string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.names[name]; old != nil {
		old.links--
	}
	d.ids++
	n := &node{id: d.ids, links: 1, data: bytes.Clone(data), kept: bytes.Clone(data), dirty: make(map[int]bool)}
	d.names[name], d.kept[name] = n, n
}

// Change replaces the content of a file, as another program would.
func (d *Disk) Change(name string, change func([]byte) []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[name]
	n.data = change(n.data)
	n.kept = bytes.Clone(n.data)
}

// Hang makes flushes of files hang until release is called. hung has an element when one does.
func (d *Disk) Hang() (hung <-chan struct{}, release func()) {
	c := make(chan struct{})
	d.locked(func() { d.hang = c })
	return d.hung, func() {
		d.locked(func() { d.hang = nil })
		close(c)
	}
}

func (d *Disk) locked(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// Crash returns the disk as it is after a crash: what was flushed, and of the rest what chance has
// written. d fails from now on.
func (d *Disk) Crash() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashed = true
	after := New(d.rand.Uint64())
	after.ids = d.ids
	copies := make(map[*node]*node)
	names := maps.Clone(d.kept)
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		if d.names[name] != d.kept[name] && d.rand.IntN(2) == 0 {
			names[name] = d.names[name]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.kept)) {
		if d.names[name] == nil && d.rand.IntN(2) == 0 {
			delete(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		n := names[name]
		if copies[n] == nil {
			data := d.afterCrash(n)
			copies[n] = &node{id: n.id, links: 1, data: data, kept: bytes.Clone(data), dirty: make(map[int]bool)}
		}
		after.names[name], after.kept[name] = copies[n], copies[n]
	}
	return after
}

// afterCrash returns the content of a file after a crash.
func (d *Disk) afterCrash(n *node) []byte {
	data := bytes.Clone(n.kept)
	if n.resized {
		size := len(n.kept)
		switch d.rand.IntN(3) {
		case 0:
			size = len(n.data)
		case 1:
			low, high := min(len(n.kept), len(n.data)), max(len(n.kept), len(n.data))
			size = low + d.rand.IntN(high-low+1)
		}
		data = resize(data, size)
	}
	for _, p := range slices.Sorted(maps.Keys(n.dirty)) {
		start, end := p*page, min((p+1)*page, len(n.data), len(data))
		if start >= end || d.rand.IntN(2) == 0 {
			continue
		}
		if d.rand.IntN(3) == 0 { // torn
			end = start + d.rand.IntN(end-start)
		}
		copy(data[start:end], n.data[start:end])
	}
	return data
}

func resize(data []byte, size int) []byte {
	if size <= len(data) {
		return data[:size]
	}
	return append(data, make([]byte, size-len(data))...)
}

// change is called before each operation that changes the disk.
func (d *Disk) change() error {
	if d.crashIn == 0 {
		d.crashed = true
	}
	if d.crashed {
		return ErrCrashed
	}
	d.crashIn--
	if d.readOnly {
		return syscall.EROFS
	}
	return nil
}

// Open opens a file to read.
func (d *Disk) Open(name string) (disk.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open(name)
}

func (d *Disk) open(name string) (disk.File, error) {
	n := d.names[name]
	if d.crashed {
		return nil, ErrCrashed
	}
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{d, n}, nil
}

// Edit opens an existing file.
func (d *Disk) Edit(name string) (disk.File, error) { return d.Open(name) }

// Create makes a file.
func (d *Disk) Create(name string) (disk.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.change(); err != nil {
		return nil, err
	}
	if d.names[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	d.ids++
	d.names[name] = &node{id: d.ids, links: 1, dirty: make(map[int]bool)}
	return d.open(name)
}

// Stat returns what is at name.
func (d *Disk) Stat(name string) (disk.Info, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[name]
	if n == nil {
		return disk.Info{}, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return n.info(), nil
}

func (n *node) info() disk.Info {
	return disk.Info{Size: int64(len(n.data)), ID: disk.ID{File: n.id}, Links: n.links}
}

// List returns the names in a folder.
func (d *Disk) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for name := range d.names {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// MakeDir does nothing: every folder exists.
func (d *Disk) MakeDir(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.change()
}

// Rename replaces to by from.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.change(); err != nil {
		return err
	}
	n := d.names[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	if old := d.names[to]; old != nil && old != n {
		old.links--
	}
	d.names[to] = n
	delete(d.names, from)
	return nil
}

// Remove removes a file.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.change(); err != nil {
		return err
	}
	n := d.names[name]
	if n == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	n.links--
	delete(d.names, name)
	return nil
}

// SyncFiles implements [disk.FS].
func (d *Disk) SyncFiles(names []string) error {
	for _, name := range names {
		f, err := d.Edit(name)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// SyncDir flushes the names in a folder.
func (d *Disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.change(); err != nil {
		return err
	}
	maps.DeleteFunc(d.kept, func(name string, _ *node) bool { return filepath.Dir(name) == dir && d.names[name] == nil })
	for name, n := range d.names {
		if filepath.Dir(name) == dir {
			d.kept[name] = n
		}
	}
	return nil
}

// Lock locks a name.
func (d *Disk) Lock(name string) (disk.Lock, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locks[name] {
		return nil, disk.ErrLocked
	}
	d.locks[name] = true
	return unlock(func() { d.locked(func() { delete(d.locks, name) }) }), nil
}

type unlock func()

func (u unlock) Close() error {
	u()
	return nil
}

func (u unlock) IsHeld() bool { return true }

// Kind returns the kind that was set.
func (d *Disk) Kind(string) (disk.Kind, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kind, nil
}

type file struct {
	d *Disk
	n *node
}

func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.crashed {
		return 0, ErrCrashed
	}
	if offset >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes p, or a part of it when the disk is full or crashes.
func (f *file) WriteAt(p []byte, offset int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.d.change()
	switch {
	case errors.Is(err, ErrCrashed) && f.d.crashIn == 0 && len(p) > 0:
		f.d.crashIn--
		f.write(p[:f.d.rand.IntN(len(p))], offset)
		return 0, err
	case err != nil:
		return 0, err
	case f.d.free >= 0 && len(p) > f.d.free:
		p, err = p[:f.d.free], syscall.ENOSPC
	}
	if f.d.free >= 0 {
		f.d.free -= len(p)
	}
	f.write(p, offset)
	return len(p), err
}

func (f *file) write(p []byte, offset int64) {
	end := int(offset) + len(p)
	if end > len(f.n.data) {
		f.n.data = resize(f.n.data, end)
		f.n.resized = true
	}
	copy(f.n.data[offset:], p)
	for at := int(offset) / page; at*page < end; at++ {
		f.n.dirty[at] = true
	}
}

func (f *file) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.change(); err != nil {
		return err
	}
	f.n.data = resize(f.n.data, int(size))
	f.n.resized = true
	return nil
}

// Sync flushes the file.
func (f *file) Sync() error {
	f.d.mu.Lock()
	if hang := f.d.hang; hang != nil {
		f.d.mu.Unlock()
		select {
		case f.d.hung <- struct{}{}:
		default:
		}
		<-hang
		f.d.mu.Lock()
	}
	defer f.d.mu.Unlock()
	if err := f.d.change(); err != nil {
		return err
	}
	if f.d.failSyncs > 0 {
		f.d.failSyncs--
		clear(f.n.dirty)
		return syscall.EIO
	}
	f.n.kept = resize(f.n.kept, len(f.n.data))
	for p := range f.n.dirty {
		start, end := p*page, min((p+1)*page, len(f.n.data))
		if start < end {
			copy(f.n.kept[start:end], f.n.data[start:end])
		}
	}
	clear(f.n.dirty)
	f.n.resized = false
	return nil
}

func (f *file) Stat() (disk.Info, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.crashed {
		return disk.Info{}, ErrCrashed
	}
	return f.n.info(), nil
}

func (f *file) Close() error { return nil }
