// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package authlog_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/authlog"
)

var written = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)

func parser(t testing.TB) *authlog.Parser {
	t.Helper()
	p, err := authlog.NewParser(authlog.Options{Zone: time.UTC, Written: written})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// summary returns what a line is, in one text.
func summary(l authlog.Line) string {
	kinds := [...]string{"unreadable", "other", "", "no credentials", "undecided", "folded", "duplicate", "key", "no address"}
	if l.Kind != authlog.Attempted {
		return kinds[l.Kind]
	}
	a := l.Attempt
	return fmt.Sprintf("%s %s %s %q %s x%d", a.Time.UTC().Format(time.RFC3339), a.Outcome, a.Client, a.Name, a.Reason, a.Count)
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, line, want string }{
		{"OpenSSH, wrong password", "Nov 29 19:23:20 host sshd[12]: Failed password for root from 192.0.2.7 port 4711 ssh2",
			`2026-11-29T19:23:20Z failure 192.0.2.7 "root" wrong_password x1`},
		{"a day with one digit", "Nov  9 09:03:20 host sshd[12]: Failed password for root from 192.0.2.7 port 4711 ssh2",
			`2026-11-09T09:03:20Z failure 192.0.2.7 "root" wrong_password x1`},
		{"the year before", "Dec 31 23:59:59 host sshd[12]: Failed password for root from 192.0.2.7 port 4711 ssh2",
			`2025-12-31T23:59:59Z failure 192.0.2.7 "root" wrong_password x1`},
		{"ISO 8601, newer OpenSSH", "2026-11-29T19:23:20.123456+01:00 host sshd-session[12]: Failed password for invalid user x from 2001:db8::1 port 9 ssh2",
			`2026-11-29T18:23:20Z failure 2001:db8::1 "x" unknown_user x1`},
		{"journalctl -o short-iso", "2026-11-29T19:23:20+0000 host sshd[12]: Accepted password for alice from 192.0.2.7 port 4711 ssh2",
			`2026-11-29T19:23:20Z success 192.0.2.7 "alice"  x1`},
		{"a key", "Nov 29 19:23:20 host sshd[12]: Accepted publickey for alice from 192.0.2.7 port 4711 ssh2: ED25519 SHA256:abc",
			`2026-11-29T19:23:20Z success 192.0.2.7 "alice"  x1`},
		{"a refused key", "Nov 29 19:23:20 host sshd[12]: Failed publickey for alice from 192.0.2.7 port 4711 ssh2: ED25519 SHA256:abc", "key"},
		{"no method yet", "Nov 29 19:23:20 host sshd[12]: Failed none for invalid user a from 192.0.2.7 port 4711 ssh2", "other"},
		{"a client that names a user", "Nov 29 19:23:20 host sshd[12]: Invalid user admin from 192.0.2.7 port 4711",
			`2026-11-29T19:23:20Z failure 192.0.2.7 "admin" unknown_user x1`},
		{"an empty name", "Nov 29 19:23:20 host sshd[12]: Invalid user  from 192.0.2.7 port 4711",
			`2026-11-29T19:23:20Z failure 192.0.2.7 "" unknown_user x1`},
		{"a forged address", "Nov 29 19:23:20 host sshd[12]: Failed password for invalid user x from 9.9.9.9 port 1 ssh2 from 192.0.2.7 port 4711 ssh2",
			`2026-11-29T19:23:20Z failure 192.0.2.7 "x from 9.9.9.9 port 1 ssh2" unknown_user x1`},
		{"repeated", "Nov 29 19:23:20 host sshd[12]: message repeated 3 times: [ Failed password for root from 192.0.2.7 port 4711 ssh2]",
			`2026-11-29T19:23:20Z failure 192.0.2.7 "root" wrong_password x3`},
		{"not allowed", "Nov 29 19:23:20 host sshd[12]: User bob from 192.0.2.7 not allowed because not listed in AllowUsers",
			`2026-11-29T19:23:20Z failure 192.0.2.7 "bob" account_disabled x1`},
		{"a host name", "Nov 29 19:23:20 host sshd[12]: Failed password for root from example.com port 4711 ssh2", "no address"},
		{"another program", "Nov 29 19:23:20 host CRON[12]: Failed password for root from 192.0.2.7 port 4711 ssh2", "other"},
		{"kernel", "Nov 29 19:23:20 host kernel: [ 0.1] x", "other"},

		{"nginx, right password", `192.0.2.7 - alice [29/Nov/2026:19:23:20 +0100] "GET / HTTP/1.1" 200 3 "-" "curl/8"`,
			`2026-11-29T18:23:20Z success 192.0.2.7 "alice"  x1`},
		{"nginx, wrong password", `2001:db8::7 - alice [29/Nov/2026:19:23:20 +0000] "GET / HTTP/1.1" 401 3 "-" "curl/8"`,
			`2026-11-29T19:23:20Z failure 2001:db8::7 "alice"  x1`},
		{"common format", `192.0.2.7 - alice [29/Nov/2026:19:23:20 +0000] "GET / HTTP/1.1" 401 3`,
			`2026-11-29T19:23:20Z failure 192.0.2.7 "alice"  x1`},
		{"with the virtual host", `example.com:443 192.0.2.7 - alice [29/Nov/2026:19:23:20 +0000] "GET / HTTP/1.1" 401 3 "-" "curl/8"`,
			`2026-11-29T19:23:20Z failure 192.0.2.7 "alice"  x1`},
		{"no credentials", `192.0.2.7 - - [29/Nov/2026:19:23:20 +0000] "GET / HTTP/1.1" 401 3 "-" "curl/8"`, "no credentials"},
		{"public", `192.0.2.7 - - [29/Nov/2026:19:23:20 +0000] "GET / HTTP/1.1" 200 3 "-" "curl/8"`, "other"},
		{"refused by a rule", `192.0.2.7 - alice [29/Nov/2026:19:23:20 +0000] "GET / HTTP/1.1" 403 3 "-" "curl/8"`, "undecided"},
		{"throttled", `192.0.2.7 - alice [29/Nov/2026:19:23:20 +0000] "GET / HTTP/1.1" 429 3 "-" "curl/8"`,
			`2026-11-29T19:23:20Z throttled 192.0.2.7 "alice"  x1`},
		{"a name that looks like a line", `192.0.2.7 - x [29/Nov/2026:19:23:20 +0000] \x22GET / HTTP/1.1\x22 200 3 [29/Nov/2026:19:23:21 +0000] "GET / HTTP/1.1" 401 3 "-" "-"`,
			`2026-11-29T19:23:21Z failure 192.0.2.7 "x [29/Nov/2026:19:23:20 +0000] \"GET / HTTP/1.1\" 200 3"  x1`},
		{"a quote in the request", `192.0.2.7 - alice [29/Nov/2026:19:23:20 +0000] "GET /\" 200 HTTP/1.1" 401 3 "-" "curl/8"`,
			`2026-11-29T19:23:20Z failure 192.0.2.7 "alice"  x1`},

		{"nginx error, wrong password", `2026/11/29 19:23:20 [error] 29#29: *3 user "alice": password mismatch, client: 192.0.2.7, server: , request: "GET / HTTP/1.1", host: "a"`,
			`2026-11-29T19:23:20Z failure 192.0.2.7 "alice" wrong_password x1`},
		{"nginx error, unknown", `2026/11/29 19:23:20 [error] 29#29: *3 user "eve" was not found in "/etc/nginx/htpasswd", client: 192.0.2.7, server: a, request: "GET / HTTP/1.1", host: "a"`,
			`2026-11-29T19:23:20Z failure 192.0.2.7 "eve" unknown_user x1`},
		{"nginx error, other", `2026/11/29 19:23:20 [error] 29#29: *3 open() "/x" failed, client: 192.0.2.7, server: a, request: "GET / HTTP/1.1", host: "a"`, "other"},
		{"nginx notice", `2026/11/29 19:23:20 [notice] 29#29: start worker process 7`, "other"},
		{"Apache error, wrong password", `[Sun Nov 29 19:23:20.123456 2026] [auth_basic:error] [pid 1:tid 2] [client 192.0.2.7:4711] AH01617: user alice: authentication failure for "/": Password Mismatch`,
			`2026-11-29T19:23:20Z failure 192.0.2.7 "alice" wrong_password x1`},
		{"Apache error, unknown", `[Sun Nov 29 19:23:20.123456 2026] [auth_basic:error] [pid 1:tid 2] [client 192.0.2.7:4711] AH01618: user eve not found: /`,
			`2026-11-29T19:23:20Z failure 192.0.2.7 "eve" unknown_user x1`},
		{"Apache error, other", `[Sun Nov 29 19:23:20.123456 2026] [mpm_event:notice] [pid 1:tid 2] AH00489: Apache configured`, "other"},

		{"otelauth", `{"time":"2026-11-29T19:23:20Z","msg":"auth.attempt","auth.outcome":"failure","user.name":"alice","client.address":"192.0.2.7","auth.reason":"wrong_password"}`,
			`2026-11-29T19:23:20Z failure 192.0.2.7 "alice" wrong_password x1`},
		{"ECS", `{"@timestamp":"2026-11-29T19:23:20Z","event":{"action":"login","category":["authentication"],"outcome":"failure"},"user":{"name":"alice"},"source":{"ip":"192.0.2.7"}}`,
			`2026-11-29T19:23:20Z failure 192.0.2.7 "alice"  x1`},
		{"otelauth, missing", `{"time":"2026-11-29T19:23:20Z","msg":"auth.attempt","auth.outcome":"missing","client.address":"192.0.2.7"}`, "no credentials"},
		{"otelauth, folded", `{"time":"2026-11-29T19:23:20Z","msg":"auth.events.suppressed","auth.events.suppressed.count":17}`, "folded"},
		{"JSON", `{"a":1}`, "other"},

		{"no format", "hello", "unreadable"},
		{"cut JSON", `{"time":`, "unreadable"},
		{"empty", "", "other"},
	} {
		if got := summary(parser(t).Line([]byte(tc.line))); got != tc.want {
			t.Errorf("%s: got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

// TestOneAttemptOnce: OpenSSH writes two lines about one wrong password.
func TestOneAttemptOnce(t *testing.T) {
	t.Parallel()
	p := parser(t)
	for _, step := range [][2]string{
		{"sshd[1]: Invalid user eve from 192.0.2.7 port 1", "failure"},
		{"sshd[1]: Failed none for invalid user eve from 192.0.2.7 port 1 ssh2", "other"},
		{"sshd[1]: Failed password for invalid user eve from 192.0.2.7 port 1 ssh2", "duplicate"},
		{"sshd[1]: Failed password for invalid user eve from 192.0.2.7 port 1 ssh2", "failure"},
		{"sshd[2]: Failed password for invalid user eve from 192.0.2.7 port 2 ssh2", "failure"},
		{"sshd[3]: error: PAM: Authentication failure for alice from 192.0.2.7", "failure"},
		{"sshd[3]: Failed keyboard-interactive/pam for alice from 192.0.2.7 port 3 ssh2", "duplicate"},
		{"sshd[3]: error: PAM: Authentication failure for alice from 192.0.2.7", "failure"},
		{"sshd[4]: User bob from 192.0.2.7 not allowed because account is locked", "failure"},
		{"sshd[4]: Failed password for invalid user bob from 192.0.2.7 port 4 ssh2", "duplicate"},
	} {
		if got := summary(p.Line([]byte("Nov 29 19:23:20 host " + step[0]))); !strings.Contains(got, step[1]) {
			t.Errorf("%s: got %s, want %s", step[0], got, step[1])
		}
	}
}

// TestYears: a log without years begins at most a year before the file was written.
func TestYears(t *testing.T) {
	t.Parallel()
	p, err := authlog.NewParser(authlog.Options{Zone: time.UTC, Written: time.Date(2024, 3, 2, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range [][2]string{
		{"Dec 30 10:00:00", "2023-12-30"}, {"Jan  1 00:00:00", "2024-01-01"}, {"Dec 31 23:59:59", "2023-12-31"}, {"Jan  1 00:00:01", "2024-01-01"},
		{"Feb 29 10:00:00", "2024-02-29"}, {"Mar  1 10:00:00", "2024-03-01"},
	} {
		got := summary(p.Line([]byte(step[0] + " host sshd[1]: Failed password for root from 192.0.2.7 port 4711 ssh2")))
		if !strings.HasPrefix(got, step[1]) {
			t.Errorf("%s: got %s, want %s", step[0], got, step[1])
		}
	}
}

// TestMerge: attempts of several files come in the order of time, and one that two logs report
// comes once.
func TestMerge(t *testing.T) {
	t.Parallel()
	access := `192.0.2.7 - alice [29/Nov/2026:19:23:21 +0000] "GET / HTTP/1.1" 401 3 "-" "curl/8"
192.0.2.7 - alice [29/Nov/2026:19:23:25 +0000] "GET / HTTP/1.1" 200 3 "-" "curl/8"
nonsense
`
	const mismatch = `2026/11/29 19:23:%d [error] 29#29: *3 user "alice": password mismatch, client: 192.0.2.7, server: , request: "GET / HTTP/1.1", host: "a"` + "\n"
	errorLog := fmt.Sprintf(mismatch, 21) + fmt.Sprintf(mismatch, 23)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(errorLog))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	options := authlog.Options{Zone: time.UTC, Written: written}
	var got []string
	counts, err := authlog.Merge([]authlog.File{
		{Name: "access.log", Reader: strings.NewReader(access), Options: options},
		{Name: "error.log.gz", Reader: &packed, Options: options},
	}, func(a *authlog.Attempt) error {
		got = append(got, a.Time.UTC().Format("05 ")+a.Outcome.String())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "21 failure, 23 failure, 25 success"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if counts.Unreadable != "access.log:3" || counts.Lines != 5 || counts.Kinds[authlog.Duplicate] != 1 || counts.Kinds[authlog.Attempted] != 3 {
		t.Errorf("counts: %+v", counts)
	}
}

// TestMergeBackwards: a line that is out of order is counted.
func TestMergeBackwards(t *testing.T) {
	t.Parallel()
	const line = "Nov 29 %s host sshd[1]: Failed password for root from 192.0.2.7 port 4711 ssh2\n"
	text := fmt.Sprintf(line, "10:00:00") + fmt.Sprintf(line, "09:59:30") + fmt.Sprintf(line, "08:00:00")
	counts, err := authlog.Merge([]authlog.File{{
		Name: "a", Reader: strings.NewReader(text), Options: authlog.Options{Zone: time.UTC, Written: written},
	}}, func(*authlog.Attempt) error { return nil })
	if err != nil || counts.Backwards != 1 || counts.FirstBackwards != "a:3" {
		t.Errorf("%v, %+v", err, counts)
	}
}

// FuzzLine: no line makes the Parser fail, and an attempt has a time and a known outcome.
func FuzzLine(f *testing.F) {
	for _, line := range []string{
		"Nov 29 19:23:20 host sshd[12]: message repeated 3 times: [ Failed password for root from 192.0.2.7 port 4711 ssh2]",
		`192.0.2.7 - alice [29/Nov/2026:19:23:20 +0000] "GET / HTTP/1.1" 401 3 "-" "curl/8"`,
		`2026/11/29 19:23:20 [error] 29#29: *3 user "eve" was not found in "/x", client: 192.0.2.7, server: a`,
		`[Sun Nov 29 19:23:20.123456 2026] [auth_basic:error] [pid 1:tid 2] [client 192.0.2.7:4711] AH01618: user eve not found: /`,
		`{"time":"2026-11-29T19:23:20Z","msg":"auth.attempt","auth.outcome":"failure","user.name":"alice"}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l := parser(t).Line(raw)
		if l.Kind >= authlog.KindCount {
			t.Fatalf("kind %d", l.Kind)
		}
		a := l.Attempt
		if l.Kind == authlog.Attempted && (a.Time.IsZero() || a.Count < 1 || a.Client == netip.Addr{} && len(raw) > 0 && raw[0] != '{' ||
			a.Outcome != attempt.Success && a.Outcome != attempt.Failure && a.Outcome != attempt.Throttled) {
			t.Fatalf("%+v", a)
		}
	})
}

// TestRealLogs reads what OpenSSH 9.2 (through rsyslog), nginx 1.22 and Apache 2.4 wrote about the
// same attempts: no credentials, wrong passwords with names that imitate a log line, a success.
func TestRealLogs(t *testing.T) {
	t.Parallel()
	const hostileSSH = `fail "x from 9.9.9.9 port 1 ssh2"`
	ssh := `fail "admin", fail "admin", fail "root", fail "alice", ` + hostileSSH + `, ok "alice", fail "eve"`
	for file, want := range map[string]string{
		"openssh-syslog": ssh,
		"openssh-iso":    ssh,
		"nginx-access":   `fail "alice", fail "eve \"x\" [a] b", fail "zoë", fail "x\", client", ok "alice", ok "alice"`,
		"apache-access":  `fail "alice", fail "eve \"x\" [a] b", fail "zoë", fail "x\", client", fail "", ok "alice", ok "alice"`,
		"apache-vhost":   `fail "alice", fail "eve \"x\" [a] b", fail "zoë", fail "x\", client", fail "", ok "alice", ok "alice"`,
		"nginx-error":    `fail "alice", fail "eve \"x\" [a] b", fail "zoë", fail "x\", client"`,
		"apache-error":   `fail "alice", fail "eve \"x\" [a] b", fail "zoë", fail "x\", client", fail ""`,
	} {
		got, counts := readAll(t, file)
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: got %s\nwant %s", file, strings.Join(got, ", "), want)
		}
		if counts.Kinds[authlog.Unreadable] != 0 {
			t.Errorf("%s: unreadable: %s", file, counts.Unreadable)
		}
	}
	// Both logs of a server together have each wrong password once.
	for _, server := range []string{"nginx", "apache"} {
		access, _ := readAll(t, server+"-access")
		both, counts := readAll(t, server+"-access", server+"-error")
		if len(both) != len(access) || counts.Kinds[authlog.Duplicate] < 4 {
			t.Errorf("%s: %d attempts in the access log, %d with the error log; %d duplicates", server, len(access), len(both), counts.Kinds[authlog.Duplicate])
		}
	}
}

// readAll returns the attempts of files of testdata.
func readAll(t *testing.T, names ...string) (list []string, counts authlog.Counts) {
	t.Helper()
	var files []authlog.File
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join("testdata", name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, authlog.File{Name: name, Reader: bytes.NewReader(text), Options: authlog.Options{Zone: time.UTC, Written: written}})
	}
	counts, err := authlog.Merge(files, func(a *authlog.Attempt) error {
		verdict := "ok"
		if a.Outcome == attempt.Failure {
			verdict = "fail"
		}
		if a.Client != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("%v: the client is %v", names, a.Client)
		}
		list = append(list, fmt.Sprintf("%s %q", verdict, a.Name))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list, counts
}
