// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"path/filepath"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// notifier reports that files may have changed. It may miss changes, because the files are polled
// too.
type notifier interface {
	watch(paths []string)
	events() <-chan struct{}
	close()
}

// directories watches the directories of the files. A watch on a file itself ends when the file
// is replaced by rename.
type directories struct {
	w      *fsnotify.Watcher // nil if the operating system has none
	wake   chan struct{}
	ended  sync.WaitGroup
	mu     sync.Mutex
	names  map[string]bool // base names of interest
	folder map[string]bool // watched
}

// watchDirectories returns a notifier. If the operating system has no watches left (inotify's
// limits) or none at all, it reports nothing, and polling finds the changes.
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

// watch sets the files of interest. It follows a symbolic link, because the target may be written
// in place.
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
			_ = d.w.Remove(folder) // it may be gone already
		}
	}
	for folder := range folders {
		_ = d.w.Add(folder) // again at each poll, because the directory may be a new one
	}
}

// listen forwards events until the watcher is closed.
func (d *directories) listen() {
	for {
		select {
		case event, ok := <-d.w.Events:
			if !ok {
				return
			}
			if !d.isRelevant(event.Name) {
				continue
			}
		case _, ok := <-d.w.Errors:
			if !ok {
				return
			}
			// Events were lost, so look.
		}
		select {
		case d.wake <- struct{}{}:
		default: // a notification is pending already
		}
	}
}

// isRelevant filters the events of other files in a busy directory. Kubernetes replaces a mounted
// secret by renaming an entry that begins with "..".
func (d *directories) isRelevant(path string) bool {
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
