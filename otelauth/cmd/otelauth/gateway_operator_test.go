// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/internal/redistest"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// operate runs a command of the operator in a process of its own.
func operate(t *testing.T, socket string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Args = append([]string{"otelauth"}, args...)
	cmd.Env = append(os.Environ(), operatorVariable+"=unix:"+socket)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err = cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// mustOperate fails unless the command succeeds and prints every part.
func mustOperate(t *testing.T, socket string, args []string, parts ...string) string {
	t.Helper()
	out, problems, code := operate(t, socket, args...)
	if code != exitDone {
		t.Fatalf("otelauth %q: exit code %d\n%s%s", args, code, out, problems)
	}
	for _, part := range parts {
		if !strings.Contains(out, part) {
			t.Errorf("otelauth %q prints no %q:\n%s", args, part, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("otelauth %q prints colours to a pipe", args)
	}
	return out
}

// attackAlice guesses until alice is blocked.
func attackAlice(t *testing.T, url string) {
	t.Helper()
	for i := range 20 {
		if ask(t, url, "alice", fmt.Sprint(canaryBad, i)).StatusCode == http.StatusTooManyRequests {
			return
		}
	}
	t.Fatal("20 wrong passwords block no client")
}

// TestOperator is a gateway under attack: see, explain, clear, deny, undo, with real processes.
func TestOperator(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil)
	socket := filepath.Join(t.TempDir(), "op.sock")
	p := start(t, nil, gatewayArgs(up.url, usersFile(t), "--operator-listen", "unix:"+socket, "--operator-acts",
		"--identity-key-file", fileOf(t, "key", "k1:"+strings.Repeat("5f", 32)+"\n"), "--detect-stuffing-names", "5")...)
	url := "http://" + p.address("gateway.listening")
	p.event("gateway.operator_listening", map[string]any{"address": "unix:" + socket, "acts": true})
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the socket: %v %v", info, err)
	}

	mustOperate(t, socket, []string{"budgets", "list"}, "No client is blocked")
	for i := range 8 {
		ask(t, url, fmt.Sprint("nobody", i), canaryBad)
	}
	attackAlice(t, url)
	mustOperate(t, socket, []string{"status"}, "healthy; operators may act", "throttled", "accounts: ")
	mustOperate(t, socket, []string{"status", "--settings"}, "operator-acts", "true")
	mustOperate(t, socket, []string{"attempts", "--account", "alice", "--outcome", "throttled"}, "budget_empty", "alice", "127.0.0.1")
	mustOperate(t, socket, []string{"budgets", "list"}, "pair", "alice", "127.0.0.1")
	mustOperate(t, socket, []string{"budgets", "explain", "alice", "--network", "127.0.0.1"},
		"alice from 127.0.0.1 cannot log in until ", "because too many wrong passwords were tried for alice from 127.0.0.1.")
	mustOperate(t, socket, []string{"top"}, "BLOCKED", "last minute: ")
	testkit.Eventually(t, "the attack in the list", func() bool {
		out, _, code := operate(t, socket, "episodes", "--state", "running")
		return code == exitDone && strings.Contains(out, "credential_stuffing") && strings.Contains(out, "127.0.0.0/24")
	})
	explainEpisode(t, socket)

	begin := time.Now()
	mustOperate(t, socket, []string{"budgets", "clear", "alice", "--reason", "ticket 7"}, "are full again.")
	took := time.Since(begin)
	t.Logf("otelauth budgets clear took %v", took)
	if resp := ask(t, url, "alice", canaryNew); resp.StatusCode != http.StatusOK {
		t.Errorf("after the clear, alice is answered %d", resp.StatusCode)
	}
	e := p.event("auth.operator.act", map[string]any{"auth.operator.verb": "clear", "auth.operator.reason": "ticket 7"})
	if actor, _ := e["auth.operator.actor"].(string); !strings.HasPrefix(actor, "local:") {
		t.Errorf("the actor is %q", actor)
	}

	var deny operator.ActResult
	out := mustOperate(t, socket, []string{"budgets", "deny", "alice", "--for", "1h", "--reason", "stolen", "-o", "json"})
	if err := json.Unmarshal([]byte(out), &deny); err != nil || !deny.Act.Undoable {
		t.Fatalf("%v: %s", err, out)
	}
	if resp := ask(t, url, "alice", canaryNew); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the denied alice is answered %d", resp.StatusCode)
	}
	mustOperate(t, socket, []string{"budgets", "acts"}, deny.Act.ID, "in force", "stolen")
	mustOperate(t, socket, []string{"budgets", "undo", deny.Act.ID, "--reason", "false alarm"}, "No rule applies to alice any more.")
	if resp := ask(t, url, "alice", canaryNew); resp.StatusCode != http.StatusOK {
		t.Errorf("after the undo, alice is answered %d", resp.StatusCode)
	}
	mustOperate(t, socket, []string{"budgets", "forget", "alice", "--reason", "stolen"}, "remembered credentials of alice are forgotten")

	_, problems, code := operate(t, socket, "budgets", "clear", "nobody", "--reason", "x")
	if code != exitFailed || !strings.Contains(problems, `There is no account "nobody"`) || !strings.Contains(problems, "--unknown-account") {
		t.Errorf("an unknown account: %d %s", code, problems)
	}
	if strings.Contains(p.output(), canaryNew) || strings.Contains(p.output(), canaryBad) {
		t.Error("the log holds a password")
	}
	p.signal(syscall.SIGTERM)
	if code := p.ended(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	_, problems, code = operate(t, socket, "status")
	if code != exitFailed || !strings.Contains(problems, "no gateway listens there") {
		t.Errorf("after the end: %d %s", code, problems)
	}
}

// explainEpisode asks for all about the attack, and runs the command that it proposes.
func explainEpisode(t *testing.T, socket string) {
	t.Helper()
	var l operator.EpisodeList
	out := mustOperate(t, socket, []string{"episodes", "--rule", "credential_stuffing", "-o", "json"})
	if err := json.Unmarshal([]byte(out), &l); err != nil || len(l.Episodes) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	id := l.Episodes[0].ID
	mustOperate(t, socket, []string{"episodes", id}, "credential_stuffing", "ATTEMPTS  ADDRESS\n", "  127.0.0.1\n", "USER AGENT", "Go-http-client/1.1",
		"refused with 401", "In one sentence: credential_stuffing", "The rule fires at: 5 names", "Confidence: ", "Without an attack: ", "What to do first: ",
		"Command: otelauth budgets deny --network 127.0.0.0/24 --for 24h --reason "+id, "#credential_stuffing")
	var d operator.EpisodeDetail
	out = mustOperate(t, socket, []string{"episodes", id, "-o", "json"})
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.ID != id || len(d.Addresses) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	deny := mustOperate(t, socket, append(strings.Fields(strings.TrimPrefix(d.Command, "otelauth ")), "-o", "json"))
	var result operator.ActResult
	if err := json.Unmarshal([]byte(deny), &result); err != nil || result.Act.Network != "127.0.0.0/24" || result.Act.Reason != id {
		t.Fatalf("the command %s: %v %s", d.Command, err, deny)
	}
	mustOperate(t, socket, []string{"budgets", "undo", result.Act.ID, "--reason", "a test"})
	if _, problems, code := operate(t, socket, "episodes", "0000000000000001"); code != exitFailed || !strings.Contains(problems, "There is no episode") {
		t.Errorf("an episode that is not there: %d %s", code, problems)
	}
}

// TestOperatorReadOnly is a gateway without --operator-acts, whose API is also on the admin
// listener for one group.
func TestOperatorReadOnly(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, nil)
	socket := filepath.Join(t.TempDir(), "op.sock")
	p := start(t, nil, gatewayArgs(up.url, usersFile(t), "--operator-listen", "unix:"+socket, "--admin-listen", "127.0.0.1:0",
		"--groups", fileOf(t, "groups", "ops: alice\n"), "--operator-group", "ops")...)
	admin := "http://" + p.address("gateway.admin_listening") + "/-/operator/v1/status"
	_, problems, code := operate(t, socket, "budgets", "clear", "alice", "--reason", "x")
	if code != exitFailed || !strings.Contains(problems, "start it with --operator-acts") {
		t.Errorf("an act: %d %s", code, problems)
	}
	if resp := ask(t, admin, "", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without credentials: %d", resp.StatusCode)
	}
	if resp := ask(t, admin, "alice", canaryNew); resp.StatusCode != http.StatusOK {
		t.Errorf("a member of the group: %d", resp.StatusCode)
	}
	p.event("auth.attempt", map[string]any{"auth.outcome": "success", "http.route": "/-/operator/"})
	if resp := ask(t, strings.Replace(admin, "operator", "healthz", 1), "", ""); resp.StatusCode == http.StatusOK {
		t.Errorf("a path beside the API: %d", resp.StatusCode)
	}
	out, problems, code := operate(t, socket, "status", "--operator", strings.TrimSuffix(admin, "/v1/status"), "--user", "alice",
		"--password-file", fileOf(t, "password", canaryNew+"\n"))
	if code != exitDone || !strings.Contains(out, "read-only") {
		t.Errorf("the command at the admin listener: %d %s%s", code, out, problems)
	}
}

// TestOperatorClockSkew calls a process whose clock is an hour ahead.
func TestOperatorClockSkew(t *testing.T) {
	t.Parallel()
	op, err := operator.New(operator.Config{Now: func() time.Time { return time.Now().Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op.ServeHTTP(w, r.WithContext(operator.WithActor(r.Context(), "carol")))
	}))
	defer srv.Close()
	out, problems, code := operate(t, "", "status", "--operator", srv.URL)
	if code != exitDone || !strings.Contains(out, ", up ") || strings.Contains(out, "up 1h") || !strings.Contains(problems, "the clock of the gateway differs from the one here by 1h0m0s; times are those of the gateway") {
		t.Errorf("%d %s%s", code, out, problems)
	}
}

// TestOperatorStatus shows an upstream that ends, and exporters without a collector.
func TestOperatorStatus(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	socket := filepath.Join(t.TempDir(), "op.sock")
	p := start(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + testkit.FreeAddress(t), "OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_METRIC_EXPORT_INTERVAL=100"},
		gatewayArgs(up.URL, usersFile(t), "--operator-listen", "unix:"+socket)...)
	url := "http://" + p.address("gateway.listening")
	mustOperate(t, socket, []string{"status"}, "upstream: answers; last answer never; 0 errors", "exporters: traces to otlp, metrics to otlp, logs to otlp")
	ask(t, url, "alice", canaryNew)
	mustOperate(t, socket, []string{"status"}, "upstream: answers; last answer ", "s ago; 0 errors")
	up.Close()
	ask(t, url, "alice", canaryNew)
	mustOperate(t, socket, []string{"status"}, "needs attention", "auth.gateway.upstream since ", "upstream: does not answer since ", "1 errors (upstream_unreachable)")
	testkit.Eventually(t, "errors of the exporters", func() bool {
		out, _, _ := operate(t, socket, "status")
		return strings.Contains(out, "export errors: ") && strings.Contains(out, "an exporter fails, so traces, metrics or events are missing in the backend")
	})
}

// TestOperatorForwardAuth has no upstream to show.
func TestOperatorForwardAuth(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	socket := filepath.Join(t.TempDir(), "op.sock")
	p := start(t, nil, "gateway", "--forward-auth", "nginx", "--trusted-proxy", "127.0.0.1", "--users", usersFile(t), "--listen", "127.0.0.1:0",
		"--operator-listen", "unix:"+socket)
	p.event("gateway.operator_listening", nil)
	if out := mustOperate(t, socket, []string{"status"}, "read-only"); strings.Contains(out, "upstream:") {
		t.Errorf("the status shows an upstream:\n%s", out)
	}
}

// TestOperatorReplicas acts at one of two gateways with one Redis, and measures when the other one
// follows.
func TestOperatorReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	up, users, dir := newUpstream(t, nil), usersFile(t), t.TempDir()
	args := gatewayArgs(up.url, users, "--operator-acts",
		"--redis-url-file", fileOf(t, "redis", "redis://"+server.Addr+"/0\n"), "--identity-key-file", fileOf(t, "key", "k1:"+strings.Repeat("5f", 32)+"\n"))
	var urls, sockets [2]string
	for i := range urls {
		sockets[i] = filepath.Join(dir, fmt.Sprint(i))
		urls[i] = "http://" + start(t, nil, append(args, "--operator-listen", "unix:"+sockets[i])...).address("gateway.listening")
	}
	attackAlice(t, urls[1])
	testkit.Eventually(t, "the blocked alice in the list of the other gateway", func() bool {
		out, _, _ := operate(t, sockets[0], "budgets", "list")
		return strings.Contains(out, "alice")
	})
	begin := time.Now()
	mustOperate(t, sockets[0], []string{"budgets", "clear", "alice", "--reason", "ticket 7"})
	testkit.Eventually(t, "alice is in at the other gateway", func() bool { return ask(t, urls[1], "alice", canaryNew).StatusCode == http.StatusOK })
	t.Logf("from the command to alice at the other gateway: %v", time.Since(begin))
	begin = time.Now()
	mustOperate(t, sockets[0], []string{"budgets", "deny", "alice", "--reason", "stolen"})
	testkit.Eventually(t, "the deny at the other gateway", func() bool { return ask(t, urls[1], "alice", canaryNew).StatusCode == http.StatusTooManyRequests })
	t.Logf("from the command to the deny at the other gateway: %v", time.Since(begin))
	mustOperate(t, sockets[1], []string{"status"}, "REPLICA")
	mustOperate(t, sockets[1], []string{"budgets", "acts"}, "stolen", "in force")
}
