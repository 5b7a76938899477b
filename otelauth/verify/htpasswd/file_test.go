// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

func TestOpenReportsEveryConfigError(t *testing.T) {
	t.Parallel()
	_, err := Open(Config{Poll: time.Millisecond, Settle: -1})
	want := "htpasswd: Config.Path is empty: name the file of accounts\n" +
		"htpasswd: Config.Poll is 1ms: set at least 10ms, or 0 for 5s\n" +
		"htpasswd: Config.Settle is -1ns: set at most 1m, or 0 for 200ms"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	f, err := Open(Config{Path: "users", FS: newMemory(one)})
	if err != nil {
		t.Fatal(err)
	}
	if f.cfg.Poll != 5*time.Second || f.cfg.Settle != 200*time.Millisecond || f.cfg.Now == nil {
		t.Errorf("%+v", f.cfg)
	}
}

func TestMissingFileAtStartIsAOneLineErrorWithThePath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users.htpasswd")
	_, err := Open(Config{Path: path})
	want := "htpasswd: stat " + path + ": no such file or directory; make one with: otelauth users add FILE NAME, or htpasswd -c -B FILE NAME"
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestMissingGroupFileAtStart(t *testing.T) {
	t.Parallel()
	_, err := Open(Config{Path: "users", Groups: "groups", FS: newMemory(one)})
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != `htpasswd: open groups: file does not exist; make one whose lines are "GROUP: NAME NAME", or name no file of groups` {
		t.Errorf("got %v", err)
	}
}

func TestBadFileAtStart(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]error{"": ErrNoAccounts, "# nobody\n": ErrNoAccounts} {
		if _, err := Open(Config{Path: "users", FS: newMemory(in)}); !errors.Is(err, want) {
			t.Errorf("%q: %v", in, err)
		}
	}
	var bad *ParseError
	if _, err := Open(Config{Path: "users", FS: newMemory(one + "bob")}); !errors.As(err, &bad) || bad.Line != 2 {
		t.Errorf("got %v", err)
	}
}

func TestFileTooLarge(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, maxFileBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Path: path}); err == nil || err.Error() != "htpasswd: "+path+": larger than 67108864 bytes" {
		t.Errorf("got %v", err)
	}
}

func TestLookupIsExact(t *testing.T) {
	t.Parallel()
	f, err := Open(Config{Path: "users", FS: newMemory(two + "zoë:" + bcryptHash)})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "bob", "zoë"} {
		if a := lookup(t, f, name); a == nil || a.Name != name || f.Canonical(name) != name {
			t.Errorf("%q: %v", name, a)
		}
	}
	for _, name := range []string{"", "alice ", " alice", "Alice", "alice\x00", "alice:", "zoe\u0308"} {
		if a := lookup(t, f, name); a != nil || f.Canonical(name) != name {
			t.Errorf("%q is %q", name, a.Name)
		}
	}
	if f.Len() != 3 {
		t.Errorf("Len is %d", f.Len())
	}
	if f.Decoy(7) == nil {
		t.Error("no decoy")
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	m := newMemory(three)
	m.files["groups"] = "ops: bob alice ghost\ndev: bob\n"
	f, err := Open(Config{Path: "users", Groups: "groups", FS: m})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{"alice": {"ops"}, "bob": {"dev", "ops"}, "carol": nil} {
		if diff := cmp.Diff(want, lookup(t, f, name).Groups); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if lookup(t, f, "ghost") != nil {
		t.Error("a member became an account")
	}

	alice, bob := lookup(t, f, "alice"), lookup(t, f, "bob")
	m.files["groups"] = "ops: bob\ndev: bob\n"
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if a := lookup(t, f, "alice"); a == alice || a.Groups != nil {
		t.Errorf("alice is still in %v", a.Groups)
	}
	if lookup(t, f, "bob") != bob {
		t.Error("bob changed")
	}
	m.files["groups"] = "ops bob\n"
	var bad *ParseError
	if err := f.Reload(); !errors.As(err, &bad) || bad.File != "groups" || lookup(t, f, "bob") != bob {
		t.Errorf("got %v", err)
	}
}

// TestUnchangedAccountsKeepTheirPointer: the cache of verified credentials compares pointers
// first.
func TestUnchangedAccountsKeepTheirPointer(t *testing.T) {
	t.Parallel()
	m := newMemory(three)
	f, err := Open(Config{Path: "users", FS: m})
	if err != nil {
		t.Fatal(err)
	}
	alice, bob, carol := lookup(t, f, "alice"), lookup(t, f, "bob"), lookup(t, f, "carol")
	m.write("# another order\ncarol:" + cryptHash + ":disabled\nbob:" + argon2Hash + "\nalice:" + bcryptNew + "\ndave:" + bcryptHash)
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	if lookup(t, f, "bob") != bob {
		t.Error("bob did not change and has another pointer")
	}
	if a := lookup(t, f, "alice"); a == alice || a.Password.Equal(alice.Password) {
		t.Error("alice changed and has the same pointer")
	}
	if a := lookup(t, f, "carol"); a == carol || !a.Disabled || carol.Disabled {
		t.Error("carol changed and has the same pointer")
	}
	if lookup(t, f, "dave") == nil || f.Len() != 4 {
		t.Error("dave is not served")
	}
}

// TestBrokenFileKeepsTheLastGoodOne: a broken file keeps the last valid one. Each Reload reports
// it once, until the file is valid again.
func TestBrokenFileKeepsTheLastGoodOne(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		harm func(*memory)
		want error
	}{
		"truncated in a name":   {func(m *memory) { m.write(two[:len(one)+2]) }, nil},
		"emptied":               {func(m *memory) { m.write("") }, ErrNoAccounts},
		"emptied but comments":  {func(m *memory) { m.write("# nobody\n") }, ErrNoAccounts},
		"deleted":               {func(m *memory) { m.remove() }, fs.ErrNotExist},
		"permission lost":       {func(m *memory) { m.fail(fs.ErrPermission) }, fs.ErrPermission},
		"a disk that fails":     {func(m *memory) { m.fail(syscall.EIO) }, syscall.EIO},
		"NULs after a crash":    {func(m *memory) { m.write(two + strings.Repeat("\x00", 4096)) }, nil},
		"a plain text password": {func(m *memory) { m.write(two + "carol\n") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, now := newMemory(two), time.Unix(1_700_000_000, 0)
			f, err := Open(Config{Path: "users", FS: m, Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			reloads := reports(t, f)
			alice := lookup(t, f, "alice")
			test.harm(m)
			err = f.Reload()
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v", err)
			}
			if !strings.HasSuffix(err.Error(), " (the previous 2 accounts are still served)") {
				t.Errorf("got %v", err)
			}
			if lookup(t, f, "alice") != alice || lookup(t, f, "bob") == nil || f.Len() != 2 {
				t.Error("the last good accounts are gone")
			}
			want := verify.Reload{Source: "users", Time: now, Accounts: 2, Err: err}
			if r := <-reloads; r != want {
				t.Errorf("reloads %+v", r)
			}
			m.write(three)
			if err := f.Reload(); err != nil {
				t.Fatal(err)
			}
			if r := <-reloads; r != (verify.Reload{Source: "users", Time: now, Accounts: 3}) {
				t.Errorf("reloads %+v", r)
			}
			if lookup(t, f, "alice") != alice || f.Len() != 3 {
				t.Error("the good file is not served")
			}
		})
	}
}

func TestOnReloadStops(t *testing.T) {
	t.Parallel()
	f, err := Open(Config{Path: "users", FS: newMemory(one)})
	if err != nil {
		t.Fatal(err)
	}
	var first, second int
	count := func(n *int) func(verify.Reload) { return func(verify.Reload) { *n++ } }
	stop := f.OnReload(count(&first))
	f.OnReload(count(&second))
	_ = f.Reload()
	stop()
	stop()
	_ = f.Reload()
	if first != 1 || second != 2 {
		t.Errorf("reloads %d and %d times", first, second)
	}
}

func TestZeroFileHasNoAccounts(t *testing.T) {
	t.Parallel()
	var f File
	if lookup(t, &f, "alice") != nil || f.Len() != 0 || f.Reload() == nil || f.Close() != nil {
		t.Error("the zero File serves")
	}
	if f.Decoy(1) == nil {
		t.Error("no decoy")
	}
	f.OnReload(func(verify.Reload) {})()
}

func TestClosedFileStillServes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(one), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if lookup(t, f, "alice") == nil {
		t.Error("alice is gone")
	}
}

// Not parallel: AllocsPerRun counts the allocations of the whole process.
func TestLookupDoesNotAllocate(t *testing.T) {
	f, err := Open(Config{Path: "users", FS: fstest.MapFS{"users": {Data: []byte(three)}}})
	if err != nil {
		t.Fatal(err)
	}
	var store verify.Accounts = f
	ctx := t.Context()
	allocs := testing.AllocsPerRun(1000, func() {
		_, _ = store.Lookup(ctx, "carol")
		_, _ = store.Lookup(ctx, "no account")
		_ = store.Canonical("carol")
	})
	if !testkit.Race && allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
