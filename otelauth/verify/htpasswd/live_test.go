// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// The tests in this file use real files and the notifications of the operating system. They wait
// for reports of OnReload. With Poll set to never, only a notification can be the cause. Other
// tests poll at short intervals.
const never = time.Hour

func openLive(t *testing.T, cfg Config) (*File, <-chan verify.Reload) {
	t.Helper()
	cfg.Settle = 20 * time.Millisecond
	f, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, reports(t, f)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, path, content string) {
	t.Helper()
	write(t, path+".new", content)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// until waits for a reload with so many accounts, with or without an error. It skips reports of
// intermediate states, which the operating system may show.
func until(t *testing.T, reloads <-chan verify.Reload, accounts int, failed bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case r := <-reloads:
			if r.Accounts == accounts && (r.Err != nil) == failed {
				return
			}
			t.Logf("on the way: %d accounts, %v", r.Accounts, r.Err)
		case <-deadline:
			t.Fatalf("not reloads of %d accounts, failed %v", accounts, failed)
		}
	}
}

func TestLiveReplacementByRename(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	write(t, path, one)
	f, reloads := openLive(t, Config{Path: path, Poll: never})
	for range 3 { // a watch on the file itself would report only the first
		replace(t, path, two)
		until(t, reloads, 2, false)
		if lookup(t, f, "bob") == nil {
			t.Error("bob is not served")
		}
		replace(t, path, one)
		until(t, reloads, 1, false)
		if lookup(t, f, "bob") != nil {
			t.Error("bob is still served")
		}
	}
}

func TestLiveInPlaceTruncationEmptyingDeletion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	write(t, path, two)
	f, reloads := openLive(t, Config{Path: path, Poll: never})
	alice := lookup(t, f, "alice")
	for name, harm := range map[string]func() error{
		"truncation": func() error { return os.Truncate(path, int64(len(one)+2)) },
		"emptying":   func() error { return os.Truncate(path, 0) },
		"deletion":   func() error { return os.Remove(path) },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		until(t, reloads, 2, true)
		if lookup(t, f, "alice") != alice || lookup(t, f, "bob") == nil {
			t.Errorf("%s: the last good accounts are gone", name)
		}
		write(t, path, two)
		until(t, reloads, 2, false)
	}
	if lookup(t, f, "alice") != alice {
		t.Error("alice did not change and has another pointer")
	}
}

// TestLiveKubernetesSymlinkFlip: Kubernetes mounts a secret as users -> ..data/users and ..data
// -> ..2026_01, and replaces ..data by rename.
func TestLiveKubernetesSymlinkFlip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	version := func(name, content string) {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "users"), content)
		symlink(t, name, filepath.Join(dir, "..data"))
	}
	version("..2026_01", two)
	symlink(t, "..data/users", filepath.Join(dir, "users"))
	f, reloads := openLive(t, Config{Path: filepath.Join(dir, "users"), Poll: never})
	alice := lookup(t, f, "alice")

	version("..2026_02", one)
	until(t, reloads, 1, false)
	if err := os.RemoveAll(filepath.Join(dir, "..2026_01")); err != nil { // as the kubelet does
		t.Fatal(err)
	}
	version("..2026_03", three)
	until(t, reloads, 3, false)
	if lookup(t, f, "alice") != alice {
		t.Error("alice did not change and has another pointer")
	}
}

// TestLiveSymlinkTargetWrittenInPlace: a write to the target of a symbolic link causes no event
// in the directory of the link.
func TestLiveSymlinkTargetWrittenInPlace(t *testing.T) {
	t.Parallel()
	target, path := filepath.Join(t.TempDir(), "real"), filepath.Join(t.TempDir(), "users")
	write(t, target, one)
	symlink(t, target, path)
	_, reloads := openLive(t, Config{Path: path, Poll: never})
	write(t, target, two)
	until(t, reloads, 2, false)

	another := filepath.Join(t.TempDir(), "another")
	write(t, another, three)
	symlink(t, another, path)
	until(t, reloads, 3, false)
	write(t, another, one)
	until(t, reloads, 1, false)
}

func TestLiveGroupFile(t *testing.T) {
	t.Parallel()
	users, groups := filepath.Join(t.TempDir(), "users"), filepath.Join(t.TempDir(), "groups")
	write(t, users, two)
	write(t, groups, "ops: alice\n")
	f, reloads := openLive(t, Config{Path: users, Groups: groups, Poll: never})
	replace(t, groups, "ops: bob\n")
	until(t, reloads, 2, false)
	if lookup(t, f, "alice").Groups != nil || len(lookup(t, f, "bob").Groups) != 1 {
		t.Error("the groups are the previous ones")
	}
}

// TestLivePollingFindsANewDirectory: polling finds a new directory at the old path.
func TestLivePollingFindsANewDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etc")
	path := filepath.Join(dir, "users")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, path, one)
	_, reloads := openLive(t, Config{Path: path, Poll: 10 * time.Millisecond})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	until(t, reloads, 1, true)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, path, two)
	until(t, reloads, 2, false)
}

func TestLiveUnwatchedFileIsReadAtReloadOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	write(t, path, one)
	f, err := Open(Config{Path: path, Unwatched: true})
	if err != nil {
		t.Fatal(err)
	}
	replace(t, path, two)
	if f.quit != nil || f.Len() != 1 {
		t.Error("it is watched")
	}
	if err := f.Reload(); err != nil || f.Len() != 2 {
		t.Errorf("%d accounts, %v", f.Len(), err)
	}
}

// TestLiveReloadsUnderLoad is invariant 6: a removed account never passes and a present
// one never fails.
func TestLiveReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	// Every version has "stays" unchanged and "turns" with one of two hashes. "n" is in version
	// n only.
	version := func(n int) string {
		return fmt.Sprintf("stays:%s\nturns:%s\n%d:%s\n", bcryptHash, [2]string{bcryptHash, bcryptNew}[n%2], n, hashNumber(n))
	}
	write(t, path, version(0))
	// The watch reloads in between.
	f, reloads := openLive(t, Config{Path: path, Poll: 10 * time.Millisecond})
	stays := lookup(t, f, "stays")
	hashes := [2]*verify.Account{lookup(t, f, "turns")}
	replace(t, path, version(1))
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	hashes[1] = lookup(t, f, "turns")

	var stop atomic.Bool
	var lookups atomic.Int64
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				a, err := f.Lookup(t.Context(), "stays")
				if err != nil || a != stays {
					t.Errorf("a present account failed: %v, %v", a, err)
					return
				}
				a, err = f.Lookup(t.Context(), "turns")
				if err != nil || a == nil ||
					!a.Password.Equal(hashes[0].Password) && !a.Password.Equal(hashes[1].Password) {
					t.Errorf("neither the old nor the new account: %v, %v", a, err)
					return
				}
				if n := f.Len(); n != 3 {
					t.Errorf("%d accounts", n)
					return
				}
				_ = f.Decoy(uint64(lookups.Add(1)))
			}
		})
	}
	defer readers.Wait()
	defer stop.Store(true)
	replacements := testkit.Repeats(100, 1000)
	// On a busy machine all replacements may be over before a reader runs.
	for n := 2; n < 2+replacements || lookups.Load() == 0 && !t.Failed(); n++ {
		replace(t, path, version(n))
		if n%10 == 0 { // a broken file in between
			write(t, path, version(n)[:len("stays:\ntu")+len(bcryptHash)])
			if f.Reload() == nil {
				t.Fatal("half a file was served")
			}
			replace(t, path, version(n))
		}
		if err := f.Reload(); err != nil {
			t.Fatal(err)
		}
		if lookup(t, f, fmt.Sprint(n-1)) != nil {
			t.Fatalf("%d was removed and is still served", n-1)
		}
		if lookup(t, f, fmt.Sprint(n)) == nil {
			t.Fatalf("%d is present and fails", n)
		}
	}
	stop.Store(true)
	readers.Wait()
	if lookups.Load() == 0 || len(reloads) < replacements {
		t.Errorf("%d lookups, %d reports", lookups.Load(), len(reloads))
	}
}
