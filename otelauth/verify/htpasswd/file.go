// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// The defaults of [Config].
const (
	defaultPoll   = 5 * time.Second
	defaultSettle = 200 * time.Millisecond
)

// Config says where accounts are and how they are kept up to date. Only Path is required.
type Config struct {
	// Path is the file of accounts.
	Path string
	// Groups is a group file in the form of Apache's AuthGroupFile; "" for no groups.
	Groups string
	// FS is where the files are; nil is the operating system. Files of an FS, embedded ones for
	// instance, are not watched: [File.Reload] reads them again.
	FS fs.FS
	// Policy bounds the hashes; its zero value is the safe one.
	Policy password.Policy

	// Poll is how often the content is read and compared, whether or not the operating system tells of
	// changes: some file systems (NFS, FUSE) do not. 0 is [defaultPoll]; at least 10 ms.
	Poll time.Duration
	// Settle is how long a changed file must stand still before it is served, five times that when it is
	// empty or its last line has no end. 0 is [defaultSettle]; at most a minute. A removed account is refused about Settle after the change
	// where the operating system tells of it, else at most Poll later; [File.Reload] waits for neither.
	Settle time.Duration
	// Unwatched files are read at [Open] and [File.Reload] only.
	Unwatched bool
	// Now stamps reloads; nil is [time.Now].
	Now func() time.Time
}

func (c Config) validate() error {
	var faults []error
	if c.Path == "" {
		faults = append(faults, errors.New("htpasswd: Config.Path is empty: name the file of accounts"))
	}
	if c.Poll < 0 || c.Poll > 0 && c.Poll < 10*time.Millisecond {
		faults = append(faults, fmt.Errorf("htpasswd: Config.Poll is %v: at least 10ms, or 0 for %v", c.Poll, defaultPoll))
	}
	if c.Settle < 0 || c.Settle > time.Minute {
		faults = append(faults, fmt.Errorf("htpasswd: Config.Settle is %v: at most 1m, or 0 for %v", c.Settle, defaultSettle))
	}
	return errors.Join(faults...)
}

// File serves the accounts of a file and, while it is watched, of its later versions. Its zero value holds
// nobody and cannot be reloaded; [Open] makes one. It is safe for concurrent use.
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

// Open reads the files and watches them until [File.Close]. It returns every fault of cfg, or the
// error of the file: [fs.ErrNotExist], [*ParseError], [ErrNoAccounts] and others.
func Open(cfg Config) (*File, error) {
	if cfg.FS != nil || cfg.Unwatched {
		return open(cfg, nil)
	}
	return open(cfg, watchDirectories)
}

// open takes what tells of changes as an argument, so that tests bring their own; nil watches nothing.
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
		// Watched before it is read, so that no change falls between the two.
		n = notify()
		n.watch(f.paths())
	}
	v, err := f.read()
	if err != nil {
		if n != nil {
			n.close()
		}
		if v.fingerprints.accounts.err != "" && errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; make one with: otelauth users add FILE NAME, or htpasswd -c -B FILE NAME", err)
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

// Close ends the watch and waits for its end; the accounts are served on. It may be called again, and
// not from a function that [File.OnReload] registered. The error is always nil.
func (f *File) Close() error {
	if f.quit != nil {
		f.once.Do(func() { close(f.quit) })
		<-f.done
	}
	return nil
}

// Lookup returns the account of exactly that name, as Apache and nginx compare it: case, white space and
// Unicode normalisation count. nil when there is none; the error is always nil. It takes no lock and does no I/O.
// An account that a reload did not change stays the same pointer.
func (f *File) Lookup(_ context.Context, name string) (*verify.Account, error) {
	s := f.current.Load()
	if s == nil {
		return nil, nil
	}
	return s.accounts[name], nil
}

// Peek is Lookup without the error.
func (f *File) Peek(name string) *verify.Account {
	account, _ := f.Lookup(context.Background(), name)
	return account
}

// Canonical returns name: no two spellings are one account.
func (f *File) Canonical(name string) string { return name }

// Decoy returns a hash that no password matches, of a scheme and cost that the file holds.
func (f *File) Decoy(key uint64) *password.Hash {
	if s := f.current.Load(); s != nil {
		return s.mix.Decoy(key)
	}
	return new(password.Mix).Decoy(key)
}

// Len is the number of accounts that are served.
func (f *File) Len() int {
	if s := f.current.Load(); s != nil {
		return len(s.accounts)
	}
	return 0
}

func (f *File) paths() []string {
	if f.cfg.Groups == "" {
		return []string{f.cfg.Path}
	}
	return []string{f.cfg.Path, f.cfg.Groups}
}

// snapshot is one version of the accounts, immutable once it is served.
type snapshot struct {
	accounts map[string]*verify.Account
	mix      *password.Mix
}

// newSnapshot keeps the pointers of accounts that did not change since old: the cache of verified
// credentials compares them first.
func newSnapshot(old *snapshot, accounts []*verify.Account) *snapshot {
	s := &snapshot{accounts: make(map[string]*verify.Account, len(accounts))}
	changed := old == nil || len(old.accounts) != len(accounts)
	for _, a := range accounts {
		if old != nil {
			if previous := old.accounts[a.Name]; previous != nil && same(previous, a) {
				a = previous
			} else {
				changed = true
			}
		}
		s.accounts[a.Name] = a
	}
	if !changed {
		return old
	}
	s.mix = password.NewMix(func(yield func(*password.Hash) bool) {
		for _, a := range accounts {
			if !yield(a.Password) {
				return
			}
		}
	})
	return s
}

func same(a, b *verify.Account) bool {
	return a.Password.Equal(b.Password) && slices.Equal(a.Groups, b.Groups) &&
		a.Disabled == b.Disabled && a.Expires.Equal(b.Expires) && a.PreviousExpires.Equal(b.PreviousExpires)
}

// OnReload registers fn, which is told of every reload and of every new reason why the previous accounts are still
// served, once each. fn must not block nor call Reload or Close. After stop no new call begins.
func (f *File) OnReload(fn func(verify.Reload)) (stop func()) {
	key := &fn
	f.listenersMu.Lock()
	defer f.listenersMu.Unlock()
	if f.listeners == nil {
		f.listeners = make(map[*func(verify.Reload)]struct{})
	}
	f.listeners[key] = struct{}{}
	return func() {
		f.listenersMu.Lock()
		defer f.listenersMu.Unlock()
		delete(f.listeners, key)
	}
}

func (f *File) report(err error) {
	f.listenersMu.Lock()
	listeners := slices.Collect(maps.Keys(f.listeners))
	f.listenersMu.Unlock()
	r := verify.Reload{Source: f.cfg.Path, Time: f.cfg.Now(), Accounts: f.Len(), Err: err}
	for _, fn := range listeners {
		(*fn)(r)
	}
}
