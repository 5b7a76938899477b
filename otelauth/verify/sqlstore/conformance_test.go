// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	conformance(t, sqlite(t))
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	conformance(t, postgres(t))
}

// conformance tests what is special to a database. Package verifytest tests the rest.
func conformance(t *testing.T, b backend) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, backend)
	}{
		{"an account has the values of its row", rowsAndColumns},
		{"a change is noticed within TTL", changes},
		{"an account that did not change stays the same pointer", samePointer},
		{"Reload notices a change at once", reload},
		{"hostile names are unknown", hostileNames},
		{"a flood of names evicts no account in use", flood},
		{"an account that cannot be verified is disabled", refusedRows},
		{"decoys cost the same as accounts", decoys},
		{"another spelling is refused, even if the database accepts it", spellings},
		{"a configuration that cannot work is refused at Open", badConfig},
		{"a changed schema is reported, and repaired without a restart", changedSchema},
		{"Django's accounts", django},
		{"concurrent lookups and changes", concurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, b)
		})
	}
}

func rowsAndColumns(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	b.insert(t, db, "alice", bcryptHash)
	b.insert(t, db, "bob", bcryptHash)
	b.insert(t, db, "carol", bcryptHash)
	b.insert(t, db, "Zoë 漢", bcryptHash)
	exec(t, db, "UPDATE users SET locked = TRUE WHERE login = 'bob'")
	exec(t, db, "UPDATE users SET until = '2031-02-03 04:05:06' WHERE login = 'carol'")
	exec(t, db, "INSERT INTO membership VALUES ('alice', 'ops'), ('alice', 'dev'), ('alice', 'dev'), ('bob', 'dev')")
	s := open(t, b.config(db))
	type account struct {
		Name     string
		Groups   []string
		Disabled bool
		Expires  string
	}
	for _, want := range []account{
		{"alice", []string{"dev", "ops"}, false, ""},
		{"bob", []string{"dev"}, true, ""},
		{"carol", nil, false, "2031-02-03T04:05:06Z"},
		{"Zoë 漢", nil, false, ""},
	} {
		a := lookup(t, s, want.Name)
		if a == nil {
			t.Errorf("%q is not an account", want.Name)
			continue
		}
		got := account{Name: a.Name, Groups: a.Groups, Disabled: a.Disabled}
		if !a.Expires.IsZero() {
			got.Expires = a.Expires.UTC().Format(time.RFC3339)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if !a.Password.Verify([]byte("wonderland")).Match {
			t.Errorf("%s: the password is wrong", a.Name)
		}
	}
	if s.Len() != 4 {
		t.Errorf("Len() = %d, want 4", s.Len())
	}
}

func changes(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	b.insert(t, db, "alice", bcryptHash)
	b.insert(t, db, "bob", bcryptHash)
	clock := new(ticker)
	cfg := b.config(db)
	cfg.TTL, cfg.Timeout, cfg.Now = 0, 0, clock.Now
	s := open(t, cfg)
	if s.cfg.TTL != 5*time.Second || s.cfg.Timeout != time.Second {
		t.Errorf("the defaults are TTL %v and Timeout %v", s.cfg.TTL, s.cfg.Timeout)
	}
	s.cfg.Timeout = 30 * time.Second // for a busy machine
	alice, bob := recall(t, s, "alice"), recall(t, s, "bob")
	if alice == nil || bob == nil || recall(t, s, "dave") != nil {
		t.Fatal("the accounts are wrong")
	}
	exec(t, db, "UPDATE users SET locked = TRUE WHERE login = 'alice'")
	exec(t, db, "DELETE FROM users WHERE login = 'bob'")
	b.insert(t, db, "dave", bcryptHash)

	clock.Advance(defaultTTL/2 - time.Nanosecond)
	if recall(t, s, "alice") != alice || recall(t, s, "bob") != bob || recall(t, s, "dave") != nil {
		t.Error("what was read is not kept for half of TTL")
	}
	clock.Advance(defaultTTL / 2)
	clock.Advance(time.Nanosecond)
	if a := recall(t, s, "alice"); a == nil || !a.Disabled {
		t.Error("alice is not disabled after TTL")
	}
	if recall(t, s, "bob") != nil {
		t.Error("bob is still there after TTL")
	}
	if recall(t, s, "dave") == nil {
		t.Error("dave is not there after TTL")
	}

	// An account in use is read again beside the requests, before TTL is over.
	dave := recall(t, s, "dave")
	exec(t, db, "UPDATE users SET locked = TRUE WHERE login = 'dave'")
	clock.Advance(defaultTTL / 2)
	if recall(t, s, "dave") != dave {
		t.Error("a request waited for a refresh")
	}
	eventually(t, "a refresh beside the requests", func() bool { return recall(t, s, "dave").Disabled })
}

func samePointer(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	b.insert(t, db, "alice", bcryptHash)
	exec(t, db, "INSERT INTO membership VALUES ('alice', 'ops'), ('alice', 'dev')")
	clock := new(ticker)
	cfg := b.config(db)
	cfg.Now = clock.Now
	s := open(t, cfg)
	first := lookup(t, s, "alice")
	clock.Advance(cfg.TTL)
	if lookup(t, s, "alice") != first {
		t.Error("an account that did not change is another pointer")
	}
	exec(t, db, "DELETE FROM membership WHERE team = 'dev'")
	clock.Advance(cfg.TTL)
	if a := lookup(t, s, "alice"); a == first || !cmp.Equal(a.Groups, []string{"ops"}) {
		t.Errorf("after its groups changed, alice is in %v", a.Groups)
	}
}

func reload(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	b.insert(t, db, "alice", bcryptHash)
	s := open(t, b.config(db))
	got := reports(t, s)
	if lookup(t, s, "alice").Disabled || lookup(t, s, "bob") != nil {
		t.Fatal("alice is disabled, or bob is there")
	}
	exec(t, db, "UPDATE users SET locked = TRUE")
	b.insert(t, db, "bob", bcryptHash)
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if !lookup(t, s, "alice").Disabled || lookup(t, s, "bob") == nil {
		t.Error("Reload noticed no change")
	}
	if r := next(t, got); r.Err != nil || r.Accounts != 2 || r.Source != "database" {
		t.Errorf("report: %+v", r)
	}
}

// hostile are names that could confuse a query.
var hostile = []string{
	"", " ", " alice", "alice ", "alice'--", "' OR '1'='1", "alice' OR 'a'='a", `alice" OR "a"="a`, "alice\x00", "\x00", "alice\n", "\xff\xfe",
	"alice;DROP TABLE users", "'; DROP TABLE users; --", "%", "_lice", "ali%", "\\", "\\'", "$1", "?", ":name", "@p1", "{{7*7}}", "\u202ealice",
	"alice\u0000", "NULL", "null", "1", "0", "true", "alice\u200b", "a\u006cice\u0301", strings.Repeat("a", 256), strings.Repeat("ä", 128),
	strings.Repeat("a", 257), strings.Repeat("\U0001F600", 4096), "alice:x", "ALICE", "Alice", "ａlice",
}

func hostileNames(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	b.insert(t, db, "alice", bcryptHash)
	s := open(t, b.config(db))
	got := reports(t, s)
	for _, name := range hostile {
		a, err := s.Lookup(t.Context(), name)
		if a != nil || err != nil {
			t.Errorf("Lookup(%q) = %v, %v", name, a, err)
		}
		if s.Canonical(name) != name {
			t.Errorf("Canonical(%q) = %q", name, s.Canonical(name))
		}
	}
	if lookup(t, s, "alice") == nil {
		t.Error("alice is no longer an account")
	}
	select {
	case r := <-got:
		t.Errorf("a name caused the report %v", r.Err)
	default:
	}
}

func flood(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	cfg := b.config(db)
	cfg.MaxAccounts, cfg.MaxGuessed, cfg.TTL = 64, 64, time.Hour
	for i := range 20 {
		b.insert(t, db, fmt.Sprint("user", i), bcryptHash)
	}
	s := open(t, cfg)
	accounts := make([]*verify.Account, 20)
	for i := range accounts {
		accounts[i] = recall(t, s, fmt.Sprint("user", i))
	}
	for i := range 2000 {
		if lookup(t, s, fmt.Sprint("nobody", i)) != nil {
			t.Fatal("an unknown name is an account")
		}
	}
	if n := s.read[strangers].len(); n > 64 {
		t.Errorf("%d names that were guessed are remembered, above 64", n)
	}
	exec(t, db, "DELETE FROM users") // an account that is queried again is gone
	for i, want := range accounts {
		if want == nil || recall(t, s, fmt.Sprint("user", i)) != want {
			t.Errorf("user%d was evicted", i)
		}
	}
}

func refusedRows(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	b.insert(t, db, "alice", bcryptHash)
	b.insert(t, db, "plain", "canary-plaintext")
	b.insert(t, db, "nothing", nil)
	b.insert(t, db, "django", "pbkdf2_sha256$1000$saltsalt$c29tZXRoaW5nIHRoYXQgaXMgdGhpcnR5LXR3byBieXQ=")
	b.insert(t, db, "unlocked?", bcryptHash)
	exec(t, db, "UPDATE users SET locked = NULL WHERE login = 'unlocked?'")
	b.insert(t, db, "empty team", bcryptHash)
	exec(t, db, "INSERT INTO membership VALUES ('empty team', '')")
	s := open(t, b.config(db))
	got := reports(t, s)
	if r := next(t, got); r.Err == nil || !strings.Contains(r.Err.Error(), "2 of 6 stored passwords are refused") || strings.Contains(r.Err.Error(), "canary") {
		t.Errorf("first report: %v", r.Err)
	}
	for _, name := range []string{"plain", "nothing", "django", "unlocked?", "empty team"} {
		a := lookup(t, s, name)
		if a == nil || !a.Disabled {
			t.Errorf("%s: %+v, want a disabled account", name, a)
		}
		if a != nil && a.Password.Verify([]byte("canary-plaintext")).Match {
			t.Errorf("%s: a password is right", name)
		}
	}
	if a := lookup(t, s, "alice"); a.Disabled {
		t.Error("alice is disabled by errors of other accounts")
	}
	for range 3 { // plain, django, empty team
		if r := next(t, got); r.Err == nil || strings.Contains(r.Err.Error(), "canary") {
			t.Errorf("report: %v", r.Err)
		}
	}

	// Two accounts for one name: both are disabled.
	cfg := b.config(db)
	cfg.Query = "SELECT 'twin' AS name, '" + bcryptHash + "' AS password, locked AS disabled FROM users WHERE " + b.placeholder + " = 'twin'"
	exec(t, db, "UPDATE users SET locked = TRUE WHERE login = 'plain'")
	s = open(t, cfg)
	if a := lookup(t, s, "twin"); a == nil || !a.Disabled || a.Password.Verify([]byte("wonderland")).Match {
		t.Errorf("twin: %+v, want a disabled account", a)
	}
}

func decoys(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	for i := range 30 {
		hash := bcryptHash
		if i%3 == 0 {
			hash = "$2y$05$" + bcryptHash[7:]
		}
		b.insert(t, db, fmt.Sprint("user", i), hash)
	}
	s := open(t, b.config(db))
	share := map[*password.Hash]int{}
	for key := range uint64(3000) {
		h := s.Decoy(key)
		if h != s.Decoy(key) {
			t.Fatal("a decoy changes")
		}
		share[h]++
	}
	if len(share) != 2 {
		t.Fatalf("%d classes of decoys, want 2", len(share))
	}
	for h, n := range share {
		if h.Verify([]byte("wonderland")).Match {
			t.Error("a decoy matches")
		}
		if n < 850 || n > 2150 {
			t.Errorf("one class has %d of 3000 decoys, want about 1000 and 2000", n)
		}
	}
	exec(t, db, "DELETE FROM users WHERE hash LIKE '$2y$05$%'")
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	only := s.Decoy(1)
	for key := range uint64(100) {
		if s.Decoy(key) != only {
			t.Fatal("a class without accounts still has decoys")
		}
	}
}

func spellings(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	b.insert(t, db, "Alice", bcryptHash)
	cfg := b.config(db)
	cfg.Query = "SELECT login AS name, hash AS password FROM users WHERE lower(login) = lower(" + b.placeholder + ")"
	s := open(t, cfg)
	got := reports(t, s)
	if lookup(t, s, "Alice") == nil {
		t.Error("the stored spelling is not an account")
	}
	if lookup(t, s, "aLICE") != nil {
		t.Error("another spelling is an account, with a guess budget of its own")
	}
	if r := next(t, got); r.Err == nil || !strings.Contains(r.Err.Error(), "Config.Canonical") {
		t.Errorf("report: %v", r.Err)
	}
	cfg.Canonical = strings.ToLower
	s = open(t, cfg)
	if a := lookup(t, s, "aLICE"); a == nil || a.Name != "Alice" || a != lookup(t, s, "ALICE") || s.Canonical("ALICE") != "alice" {
		t.Errorf("with Canonical: %+v", a)
	}
	if n := s.read[strangers].len(); n != 1 {
		t.Errorf("two spellings of one account are remembered %d times", n)
	}
}

func badConfig(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	b.insert(t, db, "alice", bcryptHash)
	for _, c := range []struct{ query, passwords, want string }{
		{"SELECT login AS name FROM users WHERE login = ?", "", `no column "password"; it returns name`},
		{"SELECT hash AS password FROM users WHERE login = ?", "", `no column "name"`},
		{"SELECT login AS name, hash AS password, locked FROM users WHERE login = ?", "", `a column "locked" that is not known`},
		{"SELECT login AS name, login AS name, hash AS password FROM users WHERE login = ?", "", `two columns "name"`},
		{"SELECT login AS name, pw AS password FROM users WHERE login = ?", "", "pw"},
		{"SELECT login AS name, hash AS password FROM people WHERE login = ?", "", "people"},
		{"SELECT login AS name, hash AS password FROM users WHERE login <> ?", "", "finds an account for a random name"},
		{"SELEC", "", "SELEC"},
		{"", "SELECT pw FROM users", "pw"},
		{"", "SELECT login, hash FROM users", "Config.Passwords returns 2 columns"},
	} {
		cfg := b.config(db)
		if c.query != "" {
			cfg.Query = strings.ReplaceAll(c.query, "?", b.placeholder)
		}
		if c.passwords != "" {
			cfg.Passwords = c.passwords
		}
		s, err := Open(t.Context(), cfg)
		if err == nil {
			_ = s.Close()
			t.Errorf("%s %s: no error", c.query, c.passwords)
			continue
		}
		if !errors.Is(err, ErrDown) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "sqlstore: database: ") {
			t.Errorf("%s %s: %v; want %q in it", c.query, c.passwords, err, c.want)
		}
		t.Log(err)
	}
}

func changedSchema(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	b.insert(t, db, "alice", bcryptHash)
	clock := new(ticker)
	cfg := b.config(db)
	cfg.Now = clock.Now
	s := open(t, cfg)
	got := reports(t, s)
	alice := lookup(t, s, "alice")
	exec(t, db, "ALTER TABLE users RENAME COLUMN hash TO pw")
	clock.Advance(cfg.TTL)
	if a, err := s.Lookup(t.Context(), "alice"); !errors.Is(err, ErrDown) || !strings.Contains(err.Error(), "Config.Query") ||
		!strings.Contains(err.Error(), "hash") || strings.Contains(err.Error(), "alice") {
		t.Errorf("Lookup = %v, %v; want an error that names the query and the column", a, err)
	}
	r := next(t, got)
	if r.Err == nil || !strings.Contains(r.Err.Error(), "hash") {
		t.Errorf("report: %v", r.Err)
	}
	if a, err := s.Recall(t.Context(), "alice"); a != alice || err != nil {
		t.Errorf("Recall = %v, %v; want the last reading", a, err)
	}
	exec(t, db, "ALTER TABLE users RENAME COLUMN pw TO hash")
	if r := next(t, got); r.Err != nil {
		t.Errorf("report: %v, want the end of the outage", r.Err)
	}
	if lookup(t, s, "alice") != alice {
		t.Error("alice has another pointer")
	}
}

func concurrent(t *testing.T, b backend) {
	t.Helper()
	db := b.tables(t)
	for i := range 8 {
		b.insert(t, db, fmt.Sprint("user", i), bcryptHash)
	}
	cfg := b.config(db)
	cfg.MaxAccounts, cfg.MaxGuessed = 32, 32
	cfg.TTL, cfg.Timeout = time.Minute, time.Minute
	clock := new(ticker)
	cfg.Now = clock.Now
	s := open(t, cfg)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 200 {
				if a, err := s.Lookup(t.Context(), fmt.Sprint("user", i%8)); err != nil || a == nil {
					t.Errorf("user%d: %v, %v", i%8, a, err)
				}
				if a, err := s.Recall(t.Context(), fmt.Sprint("user", i%8)); err != nil || a == nil {
					t.Errorf("user%d: %v, %v", i%8, a, err)
				}
				if a, err := s.Lookup(t.Context(), fmt.Sprint("nobody", i*8+g)); err != nil || a != nil {
					t.Errorf("nobody: %v, %v", a, err)
				}
				clock.Advance(cfg.TTL / 50)
				if i%50 == 0 && s.Reload() != nil {
					t.Error("Reload failed")
				}
			}
		})
	}
	all.Wait()
}
