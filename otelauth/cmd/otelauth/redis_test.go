// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/internal/redistest"
)

func fileOf(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// has reports whether a line of JSON with these values has been written so far.
func (p *running) has(msg string, values map[string]any) bool {
	for line := range strings.Lines(p.output()) {
		var e map[string]any
		if json.Unmarshal([]byte(line), &e) != nil || e["msg"] != msg {
			continue
		}
		all := true
		for k, v := range values {
			all = all && e[k] == v
		}
		if all {
			return true
		}
	}
	return false
}

// TestGatewaysShare checks that two gateways with one Redis share the budget of an account and
// detect an attack that is spread over both. Without Redis each continues alone and reports that
// once.
func TestGatewaysShare(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	server := redistest.Start(t)
	admin := server.Client(t)
	if err := admin.Do(t.Context(), "ACL", "SETUSER", "gateway", "on", ">canary-redis", "~{shop*", "-@all",
		"+hello", "+client", "+select", "+ping", "+eval", "+evalsha", "+time", "+get", "+set", "+del", "+exists", "+strlen", "+getrange", "+pexpire", "+xadd", "+xrange", "+xrevrange").Err(); err != nil {
		t.Fatal(err)
	}
	up, users := newUpstream(t, nil), usersFile(t)
	args := gatewayArgs(up.url, users,
		"--redis-url-file", fileOf(t, "redis", "redis://gateway:canary-redis@"+server.Addr+"/0\n"), "--redis-prefix", "shop",
		"--identity-key-file", fileOf(t, "key", "k1:"+strings.Repeat("5f", 32)+"\n"))
	var both [2]*running
	var urls [2]string
	for i := range both {
		both[i] = start(t, nil, args...)
		urls[i] = "http://" + both[i].address("gateway.listening")
	}

	// A stranger guesses at alice ten times, in turns; then both refuse. Alone, each would allow
	// five.
	for i := range 10 {
		if resp := ask(t, urls[i%2], "alice", fmt.Sprint(canaryBad, i)); resp.StatusCode != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d", i, resp.StatusCode)
		}
	}
	taken := 0
	for i := range 8 {
		if resp := ask(t, urls[i%2], "alice", fmt.Sprint(canaryBad, " more ", i)); resp.StatusCode != http.StatusTooManyRequests {
			taken++
		}
	}
	if taken > 0 {
		t.Errorf("%d guesses beyond the budget were verified", taken)
	}
	// Each sees fewer names than the rule needs.
	for i := range 24 {
		ask(t, urls[i%2], fmt.Sprint("unknown", i), canaryBad)
	}
	deadline := time.Now().Add(patience)
	found := func() bool {
		want := map[string]any{"security_rule.name": "credential_stuffing"}
		return both[0].has("auth.detection", want) || both[1].has("auth.detection", want)
	}
	for !found() {
		if time.Now().After(deadline) {
			t.Fatalf("the attack that is spread over both was not detected:\n%s\n%s", both[0].output(), both[1].output())
		}
		<-time.After(10 * time.Millisecond)
	}
	keys, err := admin.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatal(keys, err)
	}
	for _, k := range keys {
		if !strings.HasPrefix(k, "{shop}:") && !strings.HasPrefix(k, "{shop-detect}:") {
			t.Errorf("the key %q has another prefix", k)
		}
	}

	server.Kill()
	for range 3 { // notices of guesses: three failures in a row
		for _, url := range urls {
			if resp := ask(t, url, "alice", canaryNew); resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusInternalServerError {
				t.Errorf("without Redis: %d", resp.StatusCode)
			}
			for i := range 3 {
				ask(t, url, fmt.Sprint("somebody", i), canaryBad)
			}
		}
	}
	for _, p := range both {
		p.event("auth.throttle.store", map[string]any{"level": "ERROR"})
	}
	if both[0].has("redis:", nil) || strings.Contains(both[0].output(), "redis: ") {
		t.Errorf("go-redis writes log lines:\n%s", both[0].output())
	}
}

// TestGatewayLearningInRedis checks that a gateway that ends stores what it has learned, and that
// the next one continues from there: neither sees enough names of a spread list, and Redis has lost
// the attempts of the first.
func TestGatewayLearningInRedis(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	server := redistest.Start(t)
	admin := server.Client(t)
	up, users := newUpstream(t, nil), usersFile(t)
	args := gatewayArgs(up.url, users, "--redis-url-file", fileOf(t, "redis", "redis://"+server.Addr+"/0\n"), "--redis-prefix", "shop",
		"--identity-key-file", fileOf(t, "key", "k1:"+strings.Repeat("5f", 32)+"\n"))
	var p *running
	for run := range 2 {
		p = start(t, nil, args...)
		url := "http://" + p.address("gateway.listening")
		testkit.Eventually(t, "it leads", func() bool { return admin.Exists(t.Context(), "{shop-detect}:lead").Val() == 1 })
		for i := range 12 {
			ask(t, url, fmt.Sprint("unknown", run, "-", i), canaryBad)
		}
		if run == 1 {
			break
		}
		testkit.Eventually(t, "the attempts arrive", func() bool { return admin.XLen(t.Context(), "{shop-detect}:attempts").Val() > 0 })
		p.signal(syscall.SIGTERM)
		if code := p.ended(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		if admin.Exists(t.Context(), "{shop-detect}:learned").Val() != 1 {
			t.Fatal("what was learned is not in Redis")
		}
		if err := admin.Del(t.Context(), "{shop-detect}:attempts").Err(); err != nil {
			t.Fatal(err)
		}
	}
	p.event("auth.detection", map[string]any{"security_rule.name": "credential_stuffing"})
}

// TestRedisErrors checks that every error names its flag and shows no part of the URL.
func TestRedisErrors(t *testing.T) {
	t.Parallel()
	key := otelauth.IdentityKey{ID: "k1", Secret: make([]byte, 32)}
	good := fileOf(t, "good", "redis://127.0.0.1:1/0")
	for name, test := range map[string]struct {
		url, prefix, timeout string
		key                  otelauth.IdentityKey
		want                 string
	}{
		"none":        {"", "shop", "500ms", otelauth.IdentityKey{}, ""},
		"good":        {good, "shop", "500ms", key, ""},
		"no key":      {good, "shop", "500ms", otelauth.IdentityKey{}, "--redis-url-file: needs an identity key"},
		"a URL":       {"redis://u:canary@h", "shop", "500ms", key, "--redis-url-file: is a URL itself (not shown)"},
		"no file":     {"missing", "shop", "500ms", key, "--redis-url-file: stat missing"},
		"no URL":      {fileOf(t, "bad", "u:canary@h"), "shop", "500ms", key, "--redis-url-file: "},
		"two lines":   {fileOf(t, "two", "redis://h\ncanary"), "shop", "500ms", key, "--redis-url-file: "},
		"a bad name":  {good, "{shop}", "500ms", key, "--redis-prefix: "},
		"too patient": {good, "shop", "1m", key, "--redis-timeout: "},
	} {
		text := ""
		c, set, err := loadGateway([]string{"gateway", "--redis-url-file=" + test.url, "--redis-prefix", test.prefix, "--redis-timeout", test.timeout}, noEnvironment)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range c.redisFlags.validate(set, &otelauth.Config{IdentityKey: test.key}) {
			text += err.Error() + "\n"
		}
		if !strings.HasPrefix(text, test.want) || (test.want == "") != (text == "") || strings.Contains(text, "canary") {
			t.Errorf("%s: %q, want %q", name, text, test.want)
		}
	}
}

// TestGatewayGeoIP checks that a detection names the country of an attacker. In
// testdata/geoip/cities.mmdb 192.0.2.0/24 is in DE; the tests of package geoip wrote it.
func TestGatewayGeoIP(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil)
	p := start(t, nil, gatewayArgs(up.url, usersFile(t), "--geoip-database", "testdata/geoip/cities.mmdb", "--trusted-proxy", "127.0.0.1")...)
	url := "http://" + p.address("gateway.listening")
	for i := range 5 {
		req, err := http.NewRequestWithContext(t.Context(), "GET", url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("alice", fmt.Sprint("guess ", i))
		req.Header.Set("X-Forwarded-For", "192.0.2.7")
		req.Header.Set("X-Forwarded-Proto", "https")
		tr := &http.Transport{DisableKeepAlives: true}
		resp, err := tr.RoundTrip(req)
		if err != nil || resp.StatusCode != 401 {
			t.Fatalf("%v, %v", resp, err)
		}
		_ = resp.Body.Close()
	}
	e := p.event("auth.detection", map[string]any{"security_rule.name": "failure_burst"})
	if got := fmt.Sprint(e["auth.detection.origins"]); got != "[DE]" {
		t.Errorf("the addresses are in %s, want [DE]", got)
	}

	bad := start(t, nil, gatewayArgs(up.url, usersFile(t), "--geoip-database", fileOf(t, "bad.mmdb", "canary"))...)
	if code := bad.ended(); code != exitUsage || !strings.Contains(bad.output(), "otelauth: --geoip-database: geoip: ") {
		t.Errorf("exit code %d:\n%s", code, bad.output())
	}
}
