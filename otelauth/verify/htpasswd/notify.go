// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"path/filepath"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// notifier says that something may have changed. It may miss changes, since the files are polled too.
type notifier interface {
	watch(paths []string)
	events() <-chan struct{}
	close()
}

// directories tells of changes to the directories that files are in: a watch on a file itself dies with the file when it
// is replaced by rename.
type directories struct {
	w      *fsnotify.Watcher // nil when the operating system grants none
	wake   chan struct{}
	ended  sync.WaitGroup
	mu     sync.Mutex
	names  map[string]bool // base names of interest
	folder map[string]bool // watched
}

// watchDirectories falls back to silence, and so to polling, where there are no watches left (inotify's limits) or none at all.
func watchDirectories() notifier {
	d := &directories{wake: make(chan struct{}, 1)}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return d
	}
	d.w = w
	d.ended.Go(d.listen)
	return d
}

func (d *directories) events() <-chan struct{} { return d.wake }

// watch sets the files of interest. A symlink is followed, because its target may be written in place.
func (d *directories) watch(paths []string) {
	if d.w == nil {
		return
	}
	names, folders := make(map[string]bool), make(map[string]bool)
	for _, path := range paths {
		names[filepath.Base(path)] = true
		folders[filepath.Dir(path)] = true
		if target, err := filepath.EvalSymlinks(path); err == nil {
			names[filepath.Base(target)] = true
			folders[filepath.Dir(target)] = true
		}
	}
	d.mu.Lock()
	previous := d.folder
	d.names, d.folder = names, folders
	d.mu.Unlock()
	for folder := range previous {
		if !folders[folder] {
			_ = d.w.Remove(folder) // gone already is as good
		}
	}
	for folder := range folders {
		_ = d.w.Add(folder) // again on each poll: the directory may have been made anew
	}
}

func (d *directories) listen() {
	for {
		select {
		case event, ok := <-d.w.Events:
			if !ok {
				return
			}
			if !d.concerns(event.Name) {
				continue
			}
		case _, ok := <-d.w.Errors:
			if !ok {
				return
			}
			// Events were lost: look.
		}
		select {
		case d.wake <- struct{}{}:
		default: // one is waiting already
		}
	}
}

// concerns keeps a busy directory from waking us. Names that begin with ".." are how Kubernetes flips a mounted secret.
func (d *directories) concerns(path string) bool {
	name := filepath.Base(path)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names[name] || strings.HasPrefix(name, "..")
}

func (d *directories) close() {
	if d.w != nil {
		_ = d.w.Close() // ends listen
		d.ended.Wait()
	}
}
