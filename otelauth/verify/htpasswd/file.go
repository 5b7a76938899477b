// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// File serves the accounts of a file and, while it is watched, of its later versions. [Open]
// returns one. The zero File has no accounts and cannot be reloaded. A File is safe for
// concurrent use.
type File struct {
	cfg     Config
	seed    maphash.Seed
	current atomic.Pointer[snapshot]

	mu      sync.Mutex // one reload at a time, reports in order
	settler settler

	listenersMu sync.Mutex
	listeners   map[*func(verify.Reload)]struct{}

	quit chan struct{} // nil when not watched
	done chan struct{}
	once sync.Once
}

var (
	_ verify.Accounts = (*File)(nil)
	_ verify.Peeker   = (*File)(nil)
	_ verify.Reloader = (*File)(nil)
)

// Open reads the files and watches them until [File.Close]. It returns all errors of cfg, or the
// error of the file, such as [fs.ErrNotExist], [*ParseError] or [ErrNoAccounts].
func Open(cfg Config) (*File, error) {
	if cfg.FS != nil || cfg.Unwatched {
		return open(cfg, nil)
	}
	return open(cfg, watchDirectories)
}

// open is Open with another source of notifications, for tests; nil watches nothing.
func open(cfg Config, notify func() notifier) (*File, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Poll == 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Settle == 0 {
		cfg.Settle = defaultSettle
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	f := &File{cfg: cfg, seed: maphash.MakeSeed(), settler: settler{settle: cfg.Settle}}
	var n notifier
	if notify != nil {
		// The watch starts before the file is read, so that no change is missed.
		n = notify()
		n.watch(f.paths())
	}
	v, err := f.read()
	if err != nil {
		if n != nil {
			n.close()
		}
		return nil, err
	}
	f.settler.judge(v.fingerprints)
	f.current.Store(newSnapshot(nil, v.accounts))
	if n != nil {
		f.quit, f.done = make(chan struct{}), make(chan struct{})
		go f.follow(n)
	}
	return f, nil
}

// Close stops the watch and waits until it has stopped. The accounts are still served. A second
// call does nothing. A function registered with [File.OnReload] must not call it. The error is
// always nil.
func (f *File) Close() error {
	if f.quit != nil {
		f.once.Do(func() { close(f.quit) })
		<-f.done
	}
	return nil
}

// Lookup returns the account with exactly that name, or nil. Case, white space and Unicode
// normalisation matter, as for Apache and nginx. An account that a reload does not change stays
// the same pointer. Lookup takes no lock, does no I/O and never returns an error.
func (f *File) Lookup(_ context.Context, name string) (*verify.Account, error) {
	s := f.current.Load()
	if s == nil {
		return nil, nil
	}
	return s.accounts[name], nil
}

// Peek returns the account of Lookup.
func (f *File) Peek(name string) *verify.Account {
	account, _ := f.Lookup(context.Background(), name)
	return account
}

// Canonical returns name: every spelling is a different account.
func (f *File) Canonical(name string) string { return name }

// Decoy returns a hash that no password matches, of a scheme and cost in the file.
func (f *File) Decoy(key uint64) *password.Hash {
	if s := f.current.Load(); s != nil {
		return s.mix.Decoy(key)
	}
	return new(password.Mix).Decoy(key)
}

// Len returns the number of accounts that are served.
func (f *File) Len() int {
	if s := f.current.Load(); s != nil {
		return len(s.accounts)
	}
	return 0
}

// paths returns the paths of the files to read.
func (f *File) paths() []string {
	if f.cfg.Groups == "" {
		return []string{f.cfg.Path}
	}
	return []string{f.cfg.Path, f.cfg.Groups}
}
