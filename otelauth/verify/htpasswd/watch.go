// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"fmt"
	"strings"
	"time"
)

// follow reads the files when they change, until quit.
func (f *File) follow(n notifier) {
	defer close(f.done)
	defer n.close()
	poll := time.NewTicker(f.cfg.Poll)
	defer poll.Stop()
	settle := time.NewTimer(0) // looks at once, for a change between reading and now
	defer settle.Stop()
	waiting := true
	for {
		told := false
		select {
		case <-f.quit:
			return
		case <-settle.C:
			waiting = false
		case <-poll.C:
		case <-n.events():
			told = true
		}
		if waiting {
			continue // settle will look, after what was just told
		}
		// Before the look, so that no change falls between the two: a directory may be new, a symlink may point elsewhere.
		n.watch(f.paths())
		again := f.step(time.Now())
		if told && !again {
			// The first event of a write may come before its content.
			again = true
		}
		if again {
			settle.Reset(f.cfg.Settle)
			waiting = true
		}
	}
}

// step looks at the files once and reports whether to look again after Settle.
func (f *File) step(now time.Time) (again bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.look()
	switch f.settler.see(now, seen) {
	case rest:
		return false
	case restless:
		f.report(fmt.Errorf("htpasswd: %s: keeps changing and never stands still: replace it by rename, "+
			"or see who writes it (the previous %d accounts are still served)", strings.Join(f.paths(), ", "), f.Len()))
		return true
	case settled:
		v, err := f.read()
		if v.fingerprints != seen {
			f.settler.see(now, v.fingerprints) // written while we read
			return true
		}
		_ = f.serve(v, err) // told to OnReload
		return false
	default:
		return true
	}
}
