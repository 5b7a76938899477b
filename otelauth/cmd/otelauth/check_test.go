// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// goIdentifier matches what an operator cannot know: fields of structs, and names of Go in camel
// case that are no product's name.
var goIdentifier = regexp.MustCompile(`\b(?:Config|Limits|Events|Thresholds|MemoryConfig|Policy|Auth)\.[A-Z]\w*|\b[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+\b`)

// testFolder matches a path beneath t.TempDir, which holds the name of the test.
var testFolder = regexp.MustCompile(`\S*/TestCheck\S*`)

var productNames = map[string]bool{"OpenTelemetry": true, "PostgreSQL": true, "ServeMux": true, "AuthGroupFile": true, "GeoLite2": true, "ForwardAuth": true}

// checkOutput returns the lines of errors of --check.
func checkOutput(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	var out, errors bytes.Buffer
	term := &terminal{in: os.Stdin, out: &out, err: &errors, args: append([]string{"gateway"}, args...)}
	if err := term.check(t.Context(), offline, environ); err != nil {
		term.complain(err)
	}
	return errors.String()
}

// TestCheckNamesFlags checks that --check finds each of many bad configurations, names the flag
// or key, and shows no identifier of Go.
func TestCheckNamesFlags(t *testing.T) {
	t.Parallel()
	users, key := usersFile(t), fileOf(t, "key", "k1:"+strings.Repeat("5a", 32))
	groups := fileOf(t, "groups", "ops: alice\n")
	weak := fileOf(t, "weak", "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
	plain := fileOf(t, "plain", "bob:canary\n")
	trailKey := filepath.Join(t.TempDir(), "trail.key")
	if err := (&terminal{in: os.Stdin, out: io.Discard, err: io.Discard}).run([]string{"trail", "keygen", trailKey, "--origin", "host/site"}); err != nil {
		t.Fatal(err)
	}
	redis, detectRules := fileOf(t, "redis", "redis://127.0.0.1:1/0"), fileOf(t, "rules", "rulez: []\n")
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"burst too large":         {[]string{"--limit-new-pair", "70000/1m"}, "--limit-new-pair: burst is 70000; "},
		"every too short":         {[]string{"--limit-network", "300/1us"}, "--limit-network: every is 1µs; "},
		"not a limit":             {[]string{"--limit-network", "300"}, "--limit-network: not a valid limit: write the burst and the time until one more, such as 10/1m"},
		"limits contradict":       {[]string{"--limit-account", "5/1m"}, "--limit-account: burst is 5, below --limit-new-pair burst of 10"},
		"remember too long":       {[]string{"--limit-remember", "500d"}, "--limit-remember: is "},
		"lease too short":         {[]string{"--limit-lease", "1ms"}, "--limit-lease: is 1ms; "},
		"memory too small":        {[]string{"--limit-memory-bytes", "1000"}, "--limit-memory-bytes: is 1000; "},
		"limit file, no key":      {[]string{"--limit-file", "budgets"}, "--limit-file: needs an identity key"},
		"limit file, no folder":   {[]string{"--limit-file", "/nowhere/budgets", "--identity-key-file", key}, `--limit-file: "/nowhere" is not a directory`},
		"limit file and redis":    {[]string{"--limit-file", "b", "--redis-url-file", redis, "--identity-key-file", key}, "--limit-file: cannot be combined with --redis-url-file"},
		"detect file, no key":     {[]string{"--detect-file", "evidence"}, "--detect-file: needs an identity key"},
		"detect file, no folder":  {[]string{"--detect-file", "/nowhere/evidence", "--identity-key-file", key}, `--detect-file: "/nowhere" is not a directory`},
		"detect file and redis":   {[]string{"--detect-file", "e", "--redis-url-file", redis, "--identity-key-file", key}, "--detect-file: cannot be combined with --redis-url-file"},
		"evidence of nothing":     {[]string{"--detect-file-every", "1m"}, "--detect-file-every: has no effect without --detect-file"},
		"snapshots of nothing":    {[]string{"--limit-file-every", "1m"}, "--limit-file-every: has no effect without --limit-file"},
		"negative slots":          {[]string{"--hash-slots=-1"}, "--hash-slots: is negative"},
		"negative bytes":          {[]string{"--hash-memory-bytes=-1"}, "--hash-memory-bytes: is negative"},
		"burst of events":         {[]string{"--event-burst", "20000"}, "--event-burst: is 20000; "},
		"period of events":        {[]string{"--event-period", "1us"}, "--event-period: is 1µs; "},
		"entries of events":       {[]string{"--event-entries", "2000000"}, "--event-entries: is 2000000; "},
		"unknown rule":            {[]string{"--detect-off", "brute-force"}, `--detect-off: "brute-force" is not a rule: did you mean brute_force?`},
		"unknown rule to turn on": {[]string{"--detect-on", "unusualhour"}, `--detect-on: "unusualhour" is not a rule: did you mean unusual_hour?`},
		"rule on and off":         {[]string{"--detect-on", "unusual_hour", "--detect-off", "unusual_hour"}, `--detect-on: has "unusual_hour", and so has --detect-off; remove it`},
		"events a second":         {[]string{"--event-per-second", "2"}, "--event-per-second: is 2; "},
		"detection rules":         {[]string{"--detect-rules", detectRules}, "--detect-rules: rulefile: " + detectRules + `:1: the file has no key "rulez"`},
		"owners of addresses":     {[]string{"--geoip-owners", key}, "--geoip-owners: requires --geoip-database"},
		"threshold":               {[]string{"--detect-slow-days", "15"}, "--detect-slow-days: is 15; choose 2 to 14"},
		"thresholds contradict":   {[]string{"--detect-run-before-success", "40"}, "--detect-run-before-success: is 40 but --detect-brute-force-passwords is 30"},
		"table of detection":      {[]string{"--detect-entries", "99999999"}, "--detect-entries: is 99999999; "},
		"queue of detection":      {[]string{"--detect-queue", "99999999"}, "--detect-queue: is 99999999; "},
		"two years of hours":      {[]string{"--detect-learn-hours", "800d"}, "--detect-learn-hours: is "},
		"trail without a folder":  {[]string{"--trail", "/nowhere/trail", "--trail-key-file", trailKey}, `--trail: "/nowhere" is not a directory`},
		"trail too patient":       {[]string{"--trail", "/tmp/trail", "--trail-key-file", trailKey, "--trail-timeout", "5h"}, "--trail-timeout: is 5h0m0s; "},
		"trail without a key":     {[]string{"--trail", "/tmp/trail"}, "--trail-key-file is missing"},
		"poll":                    {[]string{"--users-poll", "1ms"}, "--users-poll: is 1ms: "},
		"settle":                  {[]string{"--users-settle", "2m"}, "--users-settle: is 2m0s: "},
		"redis timeout":           {[]string{"--redis-url-file", redis, "--identity-key-file", key, "--redis-timeout", "1m"}, "--redis-timeout: is 1m0s; "},
		"redis lease":             {[]string{"--redis-url-file", redis, "--identity-key-file", key, "--redis-detect-lease", "1m"}, "--redis-detect-lease: is 1m0s; "},
		"redis bytes":             {[]string{"--redis-url-file", redis, "--identity-key-file", key, "--redis-detect-bytes", "1"}, "--redis-detect-bytes: is 1; "},
		"redis without key":       {[]string{"--redis-url-file", redis}, "--redis-url-file: needs an identity key"},
		"plaintext from":          {[]string{"--dangerously-allow-plaintext-from", "lan"}, `--dangerously-allow-plaintext-from: "lan" is not a network`},
		"weak hash":               {[]string{"--users", weak}, "set --dangerously-allow-legacy while you migrate"},
		"no hash":                 {[]string{"--users", plain}, "not a hash of a known scheme"},
		"accounts are missing":    {[]string{"--users", "/nowhere/users"}, "/nowhere/users"},
		"groups are missing":      {[]string{"--groups", "/nowhere/groups"}, "/nowhere/groups"},
		"no groups file":          {[]string{"--allow-groups", "/x=ops"}, "--allow-groups: needs --groups"},
		"unknown group":           {[]string{"--groups", groups, "--allow-groups", "/x=dev"}, `--allow-groups: no account is in the group "dev"`},
		"unknown account":         {[]string{"--allow-accounts", "/x=carol"}, `--allow-accounts: "carol" is not an account`},
		"realm":                   {[]string{"--realm", "a\nb"}, "--realm: "},
		"proxy of everyone":       {[]string{"--trusted-proxy", "0.0.0.0/0"}, "--trusted-proxy: "},
		"certificate alone":       {[]string{"--cert-file", key}, "--cert-file: --cert-file and --key-file belong together"},
		"certificate missing":     {[]string{"--cert-file", "/nowhere/c", "--key-file", "/nowhere/k"}, "--cert-file: "},
		"CA of plaintext":         {[]string{"--upstream-ca-file", key}, "--upstream-ca-file: applies to an https upstream only"},
		"upstream with a path":    {[]string{"--upstream", "http://127.0.0.1:1/api"}, "--upstream: "},
		"origin":                  {[]string{"--trusted-origin", "shop.example"}, "--trusted-origin: "},
		"cross origin":            {[]string{"--dangerously-allow-cross-origin", "nonsense"}, "--dangerously-allow-cross-origin: "},
		"raw path":                {[]string{"--allow-raw-path", "nonsense"}, "--allow-raw-path: "},
		"public root":             {[]string{"--public", "/"}, `the rules of "/": `},
		"five headers":            {[]string{"--identity-header=A", "--identity-header=B", "--identity-header=C", "--identity-header=D", "--identity-header=E"}, "--identity-header: holds 5 names"},
		"header of groups":        {[]string{"--groups", groups, "--groups-header", "Remote-User"}, "--groups-header: is one of --identity-header too"},
		"negative timeout":        {[]string{"--idle-timeout=-1s"}, "--idle-timeout: is negative"},
		"negative cache":          {[]string{"--cache-entries=-1"}, "--cache-entries: is negative"},
		"server name":             {[]string{"--server-name", "shop:port"}, "--server-name: "},
		"forward auth alone":      {[]string{"--upstream=", "--forward-auth", "nginx"}, "--forward-auth: needs a trusted proxy"},
		"forwarded header":        {[]string{"--upstream=", "--forward-auth", "nginx", "--trusted-proxy", "127.0.0.1", "--forwarded-header", "forwarded"}, "--forwarded-header: "},
		"flag of a proxy":         {[]string{"--upstream=", "--forward-auth", "nginx", "--trusted-proxy", "127.0.0.1", "--pass-authorization", "/x"}, "--pass-authorization: has no effect with --forward-auth"},
		"admin is listen":         {[]string{"--admin-listen", "127.0.0.1:0"}, "--admin-listen: "},
		"listen twice":            {[]string{"--listen", "127.0.0.1:0"}, "is listed twice"},
		"not an address":          {[]string{"--listen", "here"}, `--listen: "here" is not an address`},
		"a socket that is a file": {[]string{"--listen", "unix:" + key}, "exists and is not a socket"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--users", users, "--upstream", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"}, test.args...)
			got := checkOutput(t, nil, args...)
			if !strings.Contains(got, test.want) {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
			for _, word := range goIdentifier.FindAllString(testFolder.ReplaceAllString(got, ""), -1) {
				if !productNames[word] {
					t.Errorf("shows the identifier %s: %s", word, got)
				}
			}
			if strings.Contains(got, "canary") {
				t.Errorf("shows a secret: %s", got)
			}
		})
	}
}

// TestCheckPlaces checks that an error of the library names the variable or the line of the file.
func TestCheckPlaces(t *testing.T) {
	t.Parallel()
	file := configOf(t, "upstream: http://127.0.0.1:1\nusers: "+usersFile(t)+"\nlisten: 127.0.0.1:0\nlimit-lease: 1ms\ndetect-off: [nonsense]\n")
	got := checkOutput(t, nil, "--config", file)
	for _, want := range []string{file + ":4: limit-lease: is 1ms; ", file + `:5: detect-off: "nonsense" is not a rule`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// TestCheckInUse checks that an address in use is a warning only.
func TestCheckInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := checkOutput(t, nil, "--users", usersFile(t), "--upstream", "http://127.0.0.1:1", "--listen", l.Addr().String())
	if want := "otelauth: warning: --listen: " + l.Addr().String() + " is in use: "; !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestCheckVariables checks that a mistyped variable is an error, and that variables of the
// collector configuration and of Kubernetes are not.
func TestCheckVariables(t *testing.T) {
	t.Parallel()
	environ := []string{
		"OTELAUTH_USER=x", "OTELAUTH_SQL_DSN=x", "OTELAUTH_CONFIG=x", "OTELAUTH_COLLECTOR_BIND=x",
		"OTELAUTH_SERVICE_HOST=x", "OTELAUTH_SERVICE_PORT_HTTP=x", "OTELAUTH_PORT=x", "OTELAUTH_PORT_80_TCP_ADDR=x", "PATH=x",
	}
	got := checkOutput(t, environ, "--users", usersFile(t), "--upstream", "http://127.0.0.1:1", "--listen", "127.0.0.1:0")
	const want = "otelauth: OTELAUTH_USER is not a variable of the gateway: did you mean OTELAUTH_USERS?; unset it, or see otelauth help --all gateway for all names\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
