// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"fmt"
	"strings"
	"time"
)

// follow reads the files when they change, until quit is closed.
func (f *File) follow(n notifier) {
	defer close(f.done)
	defer n.close()
	poll := time.NewTicker(f.cfg.Poll)
	defer poll.Stop()
	settle := time.NewTimer(0) // looks at once: the files may have changed since Open read them
	defer settle.Stop()
	waiting := true
	for {
		notified := false
		select {
		case <-f.quit:
			return
		case <-settle.C:
			waiting = false
		case <-poll.C:
		case <-n.events():
			notified = true
		}
		if waiting {
			continue // the settle timer will look at this change too
		}
		// Before the look, so that no change is missed: a directory may be new, or a symbolic
		// link may have another target.
		n.watch(f.paths())
		again := f.step(time.Now())
		if notified && !again {
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
		f.report(fmt.Errorf("htpasswd: %s: never stops changing: replace it by rename, "+
			"or find the program that writes it (the previous %d accounts are still served)", strings.Join(f.paths(), ", "), f.Len()))
		return true
	case settled:
		v, err := f.read()
		if v.fingerprints != seen {
			f.settler.see(now, v.fingerprints) // it was written during the reading
			return true
		}
		_ = f.serve(v, err) // OnReload reports the error
		return false
	default:
		return true
	}
}
