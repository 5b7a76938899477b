// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in   string
		want []string
	}{
		"three schemes":             {three, []string{"alice", "bob", "carol"}},
		"no newline at the end":     {strings.TrimSuffix(two, "\n"), []string{"alice", "bob"}},
		"CRLF":                      {strings.ReplaceAll(two, "\n", "\r\n"), []string{"alice", "bob"}},
		"byte order mark":           {"\ufeff" + one, []string{"alice"}},
		"comments and blanks":       {"# staff\n\n \t\n  # more:of:it\n" + one + "#end", []string{"alice"}},
		"white space at the end":    {"alice:" + bcryptHash + " \t\n", []string{"alice"}},
		"space inside a name":       {"alice smith:" + bcryptHash, []string{"alice smith"}},
		"names that differ in case": {one + "Alice:" + bcryptHash, []string{"alice", "Alice"}},
		"a name beyond ASCII":       {"zoë:" + bcryptHash, []string{"zoë"}},
		"# inside a name":           {"a#b:" + bcryptHash, []string{"a#b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accounts, err := parse([]byte(test.in), "users", password.Policy{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range accounts {
				got = append(got, a.Name)
				if a.Password == nil {
					t.Errorf("%q has no hash", a.Name)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in   string
		want string
	}{
		"no colon":                   {one + "bob", "htpasswd: users:2: no colon: a line is name:hash"},
		"empty name":                 {":" + bcryptHash, "htpasswd: users:1: the name is empty"},
		"blank name":                 {" :" + bcryptHash, "htpasswd: users:1: the name begins or ends with white space"},
		"name after white space":     {" alice:" + bcryptHash, "htpasswd: users:1: the name begins or ends with white space"},
		"name before white space":    {"alice :" + bcryptHash, "htpasswd: users:1: the name begins or ends with white space"},
		"twice":                      {two + one, "htpasswd: users:3: the same name as line 1: remove one of the two"},
		"name not UTF-8":             {"zo\xeb:" + bcryptHash, "htpasswd: users:1: the name is not valid UTF-8"},
		"C1 control in the name":     {"a\u0085b:" + bcryptHash, "htpasswd: users:1: the name contains a control character"},
		"NUL":                        {one + "\x00\x00\x00\n", "htpasswd: users:2: a control character: remove it"},
		"NUL in a comment":           {one + "# \x00\n", "htpasswd: users:2: a control character: remove it"},
		"CR hides an account":        {one + "# staff\rbob:" + bcryptHash + "\n", "htpasswd: users:2: a control character: remove it"},
		"escape":                     {"a\x1b[2J:" + bcryptHash, "htpasswd: users:1: a control character: remove it"},
		"DEL":                        {"a\x7f:" + bcryptHash, "htpasswd: users:1: a control character: remove it"},
		"tab in a name":              {"a\tb:" + bcryptHash, "htpasswd: users:1: the name contains a control character"},
		"over-long line":             {one + strings.Repeat("x", maxLineBytes+1), "htpasswd: users:2: longer than 8192 bytes: shorten it"},
		"over-long comment":          {one + "#" + strings.Repeat("x", maxLineBytes), "htpasswd: users:2: longer than 8192 bytes: shorten it"},
		"UTF-16":                     {"\xff\xfea\x00:\x00", "htpasswd: users: UTF-16: save it as UTF-8"},
		"empty":                      {"", "htpasswd: users: has no accounts; to lock an account out, end its line with :disabled"},
		"comments only":              {"# nobody\n", "htpasswd: users: has no accounts; to lock an account out, end its line with :disabled"},
		"a comment after the hash":   {"alice:" + bcryptHash + ":Alice Liddell", "htpasswd: users:1: the text after the hash must be at most one each of disabled, expires=TIME, previous=HASH and previous-expires=TIME: put comments on lines of their own that begin with #"},
		"disabled mistyped":          {"alice:" + bcryptHash + ":disable", "htpasswd: users:1: the text after the hash must be at most one each of disabled, expires=TIME, previous=HASH and previous-expires=TIME: put comments on lines of their own that begin with #"},
		"disabled twice":             {"alice:" + bcryptHash + ":disabled disabled", "htpasswd: users:1: the text after the hash must be at most one each of disabled, expires=TIME, previous=HASH and previous-expires=TIME: put comments on lines of their own that begin with #"},
		"settings cut off":           {"alice:" + bcryptHash + ":", "htpasswd: users:1: nothing after the second colon: remove it, or write disabled or expires=TIME"},
		"a day is no time":           {"alice:" + bcryptHash + ":expires=2026-12-31", "htpasswd: users:1: expires is not an RFC 3339 time such as 2026-12-31T00:00:00Z"},
		"expires cut off":            {"alice:" + bcryptHash + ":expires=2026-12-31T00:00:00+02:0", "htpasswd: users:1: expires is not an RFC 3339 time such as 2026-12-31T00:00:00Z"},
		"the zero time would be now": {"alice:" + bcryptHash + ":expires=0001-01-01T00:00:00Z", "htpasswd: users:1: expires is not an RFC 3339 time such as 2026-12-31T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			accounts, err := parse([]byte(test.in), "users", password.Policy{})
			if accounts != nil {
				t.Errorf("returned %d accounts", len(accounts))
			}
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// TestParseRefusesHashes: a hash that Policy.Parse refuses is an error with its line.
func TestParseRefusesHashes(t *testing.T) {
	t.Parallel()
	for name, encoded := range map[string]string{
		"plaintext":        "correct horse battery staple",
		"unknown scheme":   "$9$saltsalt$0123456789abcdef",
		"cut bcrypt":       bcryptHash[:len(bcryptHash)-1],
		"cut in the salt":  bcryptHash[:20],
		"cut argon2id":     argon2Hash[:40],
		"legacy":           "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
		"DES crypt":        "rqXexS6ZhobKA",
		"two lines in one": bcryptHash + "bob",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse([]byte(one+"bob:"+encoded+"\n"), "users", password.Policy{})
			var bad *ParseError
			if !errors.As(err, &bad) || bad.File != "users" || bad.Line != 2 {
				t.Fatalf("got %v, want a ParseError on line 2", err)
			}
			if !strings.HasPrefix(err.Error(), "htpasswd: users:2: ") || strings.Contains(err.Error(), encoded) {
				t.Errorf("got %q", err)
			}
		})
	}
}

func TestParseSettings(t *testing.T) {
	t.Parallel()
	in := "a:" + bcryptHash + ":disabled\n" +
		"b:" + bcryptHash + ":expires=2026-12-31T01:00:00+01:00\n" +
		"c:" + bcryptHash + ": expires=2026-12-31T00:00:00Z  disabled \n" +
		"d:" + bcryptHash + "\n"
	accounts, err := parse([]byte(in), "users", password.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	for i, want := range []struct {
		disabled bool
		expires  time.Time
	}{{true, time.Time{}}, {false, end}, {true, end}, {false, time.Time{}}} {
		if a := accounts[i]; a.Disabled != want.disabled || !a.Expires.Equal(want.expires) {
			t.Errorf("%s: disabled %v, expires %v", a.Name, a.Disabled, a.Expires)
		}
	}
}

// TestBadFilesOfGoHTTPAuth: abbot/go-http-auth panics during a request on such files, and
// prometheus/exporter-toolkit accepts every request.
func TestBadFilesOfGoHTTPAuth(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"alice", "alice:" + bcryptHash + "\nbob\n", "\x00", ":", "::", ":::", "\n:\n"} {
		if accounts, err := parse([]byte(in), "users", password.Policy{}); err == nil || accounts != nil {
			t.Errorf("%q: %d accounts, %v", in, len(accounts), err)
		}
	}
}

// TestGoHTPasswdEmptyPassword: tg123/go-htpasswd accepts the empty password for "alice:".
func TestGoHTPasswdEmptyPassword(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"alice:", "alice:\n", "alice: \n", "alice::disabled\n"} {
		if _, err := parse([]byte(in), "users", password.Policy{}); err == nil ||
			err.Error() != "htpasswd: users:1: the hash is empty: set one with otelauth users passwd or htpasswd -B" {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestGoHTPasswdCommentedUser: tg123/go-htpasswd makes "#alice:…" an account "#alice".
func TestGoHTPasswdCommentedUser(t *testing.T) {
	t.Parallel()
	accounts, err := parse([]byte("#alice:"+bcryptHash+"\n  #carol:"+bcryptHash+"\nbob:"+bcryptHash), "users", password.Policy{})
	if err != nil || len(accounts) != 1 || accounts[0].Name != "bob" {
		t.Fatalf("%d accounts, %v", len(accounts), err)
	}
}

// TestGoHTPasswdUnknownSchemeIsNotPlaintext: tg123/go-htpasswd takes an unknown scheme for
// plaintext, so the stored hash is the password.
func TestGoHTPasswdUnknownSchemeIsNotPlaintext(t *testing.T) {
	t.Parallel()
	accounts, err := parse([]byte("bob:"+argon2Hash), "users", password.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if accounts[0].Password.Verify([]byte(argon2Hash)).Match {
		t.Error("the stored hash is the password")
	}
	if !accounts[0].Password.Verify([]byte("builder")).Match {
		t.Error("the password does not match")
	}
}

func TestParseReportsEveryBadLineWithinABound(t *testing.T) {
	t.Parallel()
	_, err := parse([]byte(strings.Repeat("bad\n", maxReportedLines)), "users", password.Policy{})
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxReportedLines || lines[19] != "htpasswd: users:20: no colon: a line is name:hash" {
		t.Errorf("%d lines:\n%v", len(lines), err)
	}
	_, err = parse([]byte(strings.Repeat("bad\n", 1000)), "users", password.Policy{})
	lines = strings.Split(err.Error(), "\n")
	if len(lines) != maxReportedLines+1 || lines[20] != "htpasswd: users: and 980 more bad lines" {
		t.Errorf("%d lines:\n%v", len(lines), err)
	}
}

func TestParseGroups(t *testing.T) {
	t.Parallel()
	got, err := parseGroups([]byte("# who may\nops: alice bob\ndev:bob\r\nops:\tcarol  alice\nnobody:\n"), "groups")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"alice": {"ops"}, "bob": {"dev", "ops"}, "carol": {"ops"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for in, want := range map[string]string{
		"ops alice":        "htpasswd: groups:1: no colon: a line is group: member member",
		"#\n: alice":       "htpasswd: groups:2: the group's name is empty, not UTF-8, quoted or has white space: rename it",
		"the ops: alice":   "htpasswd: groups:1: the group's name is empty, not UTF-8, quoted or has white space: rename it",
		"ops: \"al ice\"":  "htpasswd: groups:1: a member is not UTF-8 or quoted: members are names separated by spaces",
		"ops: zo\xeb":      "htpasswd: groups:1: a member is not UTF-8 or quoted: members are names separated by spaces",
		"ops: alice\x00":   "htpasswd: groups:1: a control character: remove it",
		"ops\x1b[2J: bob ": "htpasswd: groups:1: a control character: remove it",
	} {
		if got, err := parseGroups([]byte(in), "groups"); got != nil || err == nil || err.Error() != want {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// canary is text of which no four letters are in an error or in an English word. It uses the
// alphabet of names, bcrypt and base64.
const canary = "QZXJKVWQ9XQZ7VJX"

func FuzzParse(f *testing.F) {
	for _, seed := range []string{three, "#c\n\n" + two, one + one, "alice", ":", "a::", "alice:" + bcryptHash + ":disabled",
		"a:" + bcryptHash + ":expires=2026-12-31T00:00:00Z", "\ufeffa:" + argon2Hash, "a:{SHA}x", "a:$6$rounds=9$s$d", "a:$apr1$s$d"} {
		for _, at := range []uint16{0, 3, 14, 40, 60} {
			f.Add([]byte(seed), at)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, at uint16) {
		accounts, err := parse(in, "users", password.Policy{})
		if (err == nil) != (len(accounts) > 0) {
			t.Fatalf("%d accounts and %v", len(accounts), err)
		}
		seen := make(map[string]bool)
		for _, a := range accounts {
			if a.Name == "" || seen[a.Name] || a.Password == nil {
				t.Fatalf("name %q, twice %v", a.Name, seen[a.Name])
			}
			seen[a.Name] = true
			if !strings.Contains(string(in), a.Name+":") {
				t.Fatalf("%q is not in the file", a.Name)
			}
		}
		// The same text with a canary in it. No error may show the canary.
		i := min(int(at), len(in))
		_, err = parse([]byte(string(in[:i])+canary+string(in[i:])), "users", password.Policy{})
		if err == nil {
			return
		}
		for i := range len(canary) - 3 {
			if strings.Contains(err.Error(), canary[i:i+4]) {
				t.Fatalf("shows the content: %v", err)
			}
		}
		for _, line := range strings.Split(err.Error(), "\n") {
			if !strings.HasPrefix(line, "htpasswd: users") || strconv.Quote(line) != `"`+strings.ReplaceAll(line, `"`, `\"`)+`"` {
				t.Fatalf("not one clean line: %q", line)
			}
		}
	})
}
