// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/internal/testkit"
)

// fail2banProgram returns the path of a program of fail2ban, or skips the test.
func fail2banProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is missing: apt-get install fail2ban", name)
	}
	return path
}

// trailLine returns a line of a trail. attributes are JSON members.
func trailLine(seq int, at time.Time, attributes string) string {
	return fmt.Sprintf(`{"seq":%d,"time":"%s","event":%s}`+"\n", seq, at.UTC().Format(time.RFC3339Nano), attributes)
}

// The filter matches denials by the address of the client, and nothing that a client writes can
// make it match another address.
func TestFail2banFilter(t *testing.T) {
	t.Parallel()
	program := fail2banProgram(t, "fail2ban-regex")
	now := time.Now()
	forged := `\",\"auth.outcome\":\"failure\",\"client.address\":\"198.51.100.1\",\"x\":\"`
	text := ""
	for i, attributes := range []string{
		`"auth.attempt","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","auth.scheme":"basic","auth.outcome":"failure","user.hash":"k1:00","client.address":"192.0.2.1","client.port":4000,"http.request.header.x-request-id":["a\"b"],"auth.credentials.exposed":true`,
		`"auth.attempt","auth.scheme":"basic","auth.outcome":"throttled","client.address":"2001:db8::2"`,
		`"auth.attempt","auth.scheme":"none","auth.outcome":"missing","client.address":"192.0.2.3"`,
		`"auth.attempt","auth.scheme":"basic","auth.outcome":"malformed","client.address":"192.0.2.4"`,
		`"auth.events.suppressed","auth.events.suppressed.count":7,"auth.outcome":"failure","client.address":"192.0.2.5","auth.events.suppressed.routes":["/a","/{id}"],"auth.events.suppressed.route_counts":[1,2]`,
		`"auth.events.suppressed","client.address":"192.0.2.6","auth.outcome":"failure"`,
		`"auth.attempt","auth.scheme":"basic","auth.outcome":"success","client.address":"192.0.2.7"`,
		`"auth.attempt","auth.scheme":"basic","auth.outcome":"success","client.address":"192.0.2.8","url.path":"/` + forged + `"`,
		`"auth.attempt","auth.scheme":"basic","auth.outcome":"success","user.name":"` + forged + `","client.address":"192.0.2.9","user_agent.original":"\\"`,
		`"auth.account.reload","auth.account.count":3`,
	} {
		text += trailLine(i, now, attributes)
	}
	file := filepath.Join(t.TempDir(), "lines.jsonl")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string][]string{
		"normal":     {"192.0.2.1", "2001:db8::2", "192.0.2.5", "192.0.2.6"},
		"aggressive": {"192.0.2.1", "2001:db8::2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"},
	} {
		filter := filepath.Join(collectortest.ConfigDir(), "fail2ban", "filter.d", "otelauth.conf") + "[mode=" + mode + "]"
		out, err := exec.CommandContext(t.Context(), program, "-o", "<ip>", file, filter).CombinedOutput()
		if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, want) {
			t.Errorf("mode %s: %v\n got %s\nwant %s", mode, err, got, want)
		}
	}
}

// jail is a running fail2ban with our filter and jail. Its only action writes addresses to a file.
type jail struct {
	process *testkit.Process
	banned  string
	dir     string // of the trail
}

func startJail(t *testing.T) *jail {
	t.Helper()
	program := fail2banProgram(t, "fail2ban-server")
	dir, err := os.MkdirTemp("/tmp", "f2b") //nolint:usetesting // the path of a unix socket has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	j := &jail{banned: filepath.Join(dir, "banned"), dir: filepath.Join(dir, "trail")}
	shipped := func(name string) string {
		b, err := os.ReadFile(filepath.Join(collectortest.ConfigDir(), "fail2ban", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	common, err := os.ReadFile("/etc/fail2ban/filter.d/common.conf")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"fail2ban.conf": "[DEFAULT]\nloglevel = INFO\nlogtarget = STDOUT\nsyslogsocket = auto\nsocket = " + dir + "/s\npidfile = " + dir + "/pid\n" +
			"dbfile = None\ndbpurgeage = 1d\nallowipv6 = auto\n[Definition]\n[Thread]\n",
		"jail.conf":                    "[DEFAULT]\nenabled = false\nignoreself = false\nusedns = no\n",
		"jail.d/otelauth.conf":         shipped("jail.d/otelauth.conf"),
		"jail.d/test.local":            "[otelauth]\nlogpath = " + j.dir + "/current.jsonl\naction = test\n",
		"filter.d/otelauth.conf":       shipped("filter.d/otelauth.conf"),
		"filter.d/common.conf":         string(common),
		"action.d/test.conf":           "[Definition]\nactionban = echo <ip> >> " + j.banned + "\nactionunban =\n",
		"trail/segments/0000000.jsonl": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j.point(t, "0000000.jsonl")
	j.process = testkit.Start(t, exec.CommandContext(t.Context(), program, "-f", "-c", dir, "-s", dir+"/s", "-p", dir+"/pid", "start"))
	j.process.WaitLine(t, "Jail 'otelauth' started")
	return j
}

// point lets current.jsonl lead to a segment, as the trail does.
func (j *jail) point(t *testing.T, segment string) {
	t.Helper()
	link := filepath.Join(j.dir, "next")
	if err := os.Symlink(filepath.Join("segments", segment), link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(j.dir, "current.jsonl")); err != nil {
		t.Fatal(err)
	}
}

func (j *jail) append(t *testing.T, segment, text string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(j.dir, "segments", segment), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func (j *jail) wait(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	j.process.Await(t, fmt.Sprintf("bans of %s", want), func() bool {
		b, _ := os.ReadFile(j.banned)
		got = strings.Fields(string(bytes.TrimSpace(b)))
		return len(got) >= len(want)
	})
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("banned %s, want %s", got, want)
	}
}

// The real server bans clients that fail often, and no others, and follows the trail to its next
// segment.
func TestFail2banJail(t *testing.T) {
	t.Parallel()
	j := startJail(t)
	seq, now := 0, time.Now()
	attempts := func(outcome, address string, n int) string {
		var text strings.Builder
		for range n {
			text.WriteString(trailLine(seq, now, `"auth.attempt","auth.scheme":"basic","auth.outcome":"`+outcome+`","client.address":"`+address+`"`))
			seq++
		}
		return text.String()
	}
	j.append(t, "0000000.jsonl", attempts("success", "192.0.2.1", 20)+attempts("failure", "192.0.2.2", 9)+attempts("failure", "192.0.2.3", 10))
	j.wait(t, "192.0.2.3")
	next := fmt.Sprintf("%07d.jsonl", seq)
	j.append(t, next, attempts("failure", "192.0.2.4", 5))
	j.point(t, next)
	j.append(t, next, attempts("throttled", "192.0.2.4", 5))
	j.wait(t, "192.0.2.3", "192.0.2.4")
}
