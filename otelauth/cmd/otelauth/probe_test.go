// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// shop is a service with four endpoints. /export is open; /admin is open to every account.
type shop struct{ requests atomic.Int64 }

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	user, password, _ := r.BasicAuth()
	known := password == "canary-right-"+user && user != ""
	switch r.URL.EscapedPath() {
	case "/orders":
		if !known {
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			http.Error(w, "an account is required", http.StatusUnauthorized)
			return
		}
		io.WriteString(w, "four orders: tea, coffee, sugar, milk")
	case "/admin":
		if !known {
			http.Error(w, "an account is required", http.StatusForbidden)
			return
		}
		io.WriteString(w, "settings: colour, language, currency, opening hours")
	case "/export":
		io.WriteString(w, "all customers: Ada Lovelace, Alan Turing, Grace Hopper")
	case "/site.css":
		io.WriteString(w, "body { margin: 0 }")
	default:
		http.NotFound(w, r)
	}
}

const shopList = "GET /orders\nGET /admin groups=admin\nGET /export\nGET /site.css public\n"

const shopIdentities = `identities:
  - {name: alice, password: canary-right-alice, groups: [admin]}
  - {name: bob, password-file: %s}
`

// probeShop runs the command against the shop.
func probeShop(t *testing.T, target, dir string, args ...string) (stdout string, err error) {
	t.Helper()
	var out, complaints bytes.Buffer
	term := &terminal{in: os.Stdin, out: &out, err: &complaints, now: time.Now}
	err = term.run(append([]string{"probe", target, "--list", filepath.Join(dir, "list.txt"), "--identities", filepath.Join(dir, "identities.yaml"), "--rate", "0"}, args...))
	if strings.Contains(out.String()+complaints.String(), "canary") {
		t.Errorf("the output shows a password:\n%s%s", out.String(), complaints.String())
	}
	return out.String(), err
}

func shopFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"list.txt": shopList, "bob.txt": "canary-right-bob\n", "identities.yaml": fmt.Sprintf(shopIdentities, filepath.Join(dir, "bob.txt")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestProbeReports(t *testing.T) {
	t.Parallel()
	service := &shop{}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	dir := shopFiles(t)
	file := filepath.Join(dir, "report.json")
	out, err := probeShop(t, server.URL, dir, "--json", file)
	var findings findingsError
	if !errors.As(err, &findings) || findings.count != 2 {
		t.Errorf("got %v, want two findings\n%s", err, out)
	}
	for _, want := range []string{
		"CRITICAL: Answers without credentials (open, CWE-306, ASVS 8.2.1)\n  GET /export (" + filepath.Join(dir, "list.txt") + ":3)\n",
		": 4 endpoints, ",
		"HIGH: An account without the group gets the content (group, CWE-863, ASVS 8.2.1)\n  GET /admin (",
		"not tested\n", "no throwaway account",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	report := readReport(t, file)
	attempts := 0
	for _, row := range report.Rows {
		attempts += len(row.Attempts)
	}
	if len(report.Rows) != 4 || attempts < 100 || report.Requests < attempts || int64(report.Requests) < service.requests.Load() {
		t.Errorf("%d rows with %d attempts, %d requests, the service saw %d", len(report.Rows), attempts, report.Requests, service.requests.Load())
	}
}

// TestProbePolicy: the rules of a gateway are endpoints with what they expect.
func TestProbePolicy(t *testing.T) {
	t.Parallel()
	got, err := readPolicy(strings.NewReader(`
upstream: http://127.0.0.1:8000
public: ["GET /healthz", /static/]
endpoint: ["/orders/{$}", "/orders/{id}"]
sensitive: ["DELETE /orders/7"]
default-groups: [staff]
allow-groups: ["shop.example/admin/=admin,root"]
`), "gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := []probe.Endpoint{
		{Method: "GET", Path: "/healthz", Route: "/healthz", Access: probe.Public},
		{Method: "GET", Path: "/static/", Route: "/static/", Access: probe.Public},
		{Method: "GET", Path: "/orders/", Route: "/orders/", Groups: []string{"staff"}},
		{Method: "GET", Path: "/orders/{id}", Route: "/orders/{id}", Groups: []string{"staff"},
			Skip: "the pattern has a parameter: list a path of it with --list and route=/orders/{id}"},
		{Method: "DELETE", Path: "/orders/7", Route: "/orders/7", Groups: []string{"staff"}},
		{Method: "GET", Path: "/admin/", Route: "/admin/", Groups: []string{"admin", "root"}},
	}
	for i := range want {
		want[i].Source = "gateway.yaml"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestProbeFailOn(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&shop{})
	t.Cleanup(server.Close)
	dir := shopFiles(t)
	for level, want := range map[string]int{"info": 2, "high": 2, "critical": 1, "none": 0} {
		_, err := probeShop(t, server.URL, dir, "--fail-on", level)
		var findings findingsError
		_ = errors.As(err, &findings)
		if findings.count != want || (err == nil) != (want == 0) {
			t.Errorf("--fail-on %s: %v, want %d findings", level, err, want)
		}
	}
}

func TestProbeBaseline(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&shop{})
	t.Cleanup(server.Close)
	dir := shopFiles(t)
	baseline := filepath.Join(dir, "baseline.yaml")
	text := "- {id: open GET /export, reason: the export is being removed, expires: 2999-12-31}\n" +
		"- {id: group GET /admin, reason: one more week, expires: 2020-01-31}\n" +
		"- {id: open GET /gone, reason: none, expires: 2999-12-31}\n"
	if err := os.WriteFile(baseline, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := probeShop(t, server.URL, dir, "--baseline", baseline)
	var findings findingsError
	if !errors.As(err, &findings) || findings.count != 1 {
		t.Errorf("got %v, want one finding", err)
	}
	for _, want := range []string{
		"1 finding accepted by the baseline", "no longer accepts group GET /admin: the entry expired on 2020-01-31", "accepts open GET /gone, which was not found",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestProbeResume ends a run by its bound of requests and continues it.
func TestProbeResume(t *testing.T) {
	t.Parallel()
	service := &shop{}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	dir := shopFiles(t)
	state, file := filepath.Join(dir, "state"), filepath.Join(dir, "report.json")
	out, err := probeShop(t, server.URL, dir, "--resume", state, "--workers", "1", "--max-requests", "70", "--fail-on", "none")
	if err == nil || !strings.Contains(out, "the run is not complete") {
		t.Errorf("the first run is complete: %v\n%s", err, out)
	}
	before := service.requests.Load()
	if out, err = probeShop(t, server.URL, dir, "--resume", state, "--json", file, "--fail-on", "none"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	report := readReport(t, file)
	if len(report.Rows) != 4 || len(report.Findings) != 2 || !report.Complete {
		t.Errorf("%d rows and %d findings, complete: %t", len(report.Rows), len(report.Findings), report.Complete)
	}
	if n := service.requests.Load() - before; n > 110 {
		t.Errorf("the second run made %d requests: it did not use the first one", n)
	}
	if _, err := probeShop(t, "http://127.0.0.1:1", dir, "--resume", state); err == nil || !strings.Contains(err.Error(), "the run in it was against") {
		t.Errorf("another target: %v", err)
	}
	if _, err := probeShop(t, server.URL, dir, "--resume", filepath.Join(dir, "list.txt")); err == nil || !strings.Contains(err.Error(), "not the file of a probe") {
		t.Errorf("another file: %v", err)
	}
}

// TestProbeResumeOtherSettings: a run is not continued with settings by which its verdicts would
// mean something else. The error names each flag.
func TestProbeResumeOtherSettings(t *testing.T) {
	t.Parallel()
	service := &shop{}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	dir, other := shopFiles(t), shopFiles(t)
	state := filepath.Join(dir, "state")
	if _, err := probeShop(t, server.URL, dir, "--resume", state, "--max-requests", "1"); err == nil {
		t.Fatal("the first run is complete")
	}
	for name, text := range map[string]string{
		"list.txt":        "GET /orders public\nPUT /stock\nGET /admin groups=admin\nGET /site.css public\nGET /stock\n",
		"identities.yaml": "identities: [{name: bob, password: canary-right-bob, groups: [staff]}, {name: carol, password: canary-right-carol}]",
	} {
		if err := os.WriteFile(filepath.Join(other, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := service.requests.Load()
	for _, c := range []struct {
		dir  string
		args []string
		want string
	}{
		{dir, []string{"--only", "path,none"}, "--only was not set and is none,path"},
		{dir, []string{"--without", "head", "--throwaway", "mallory"}, "--throwaway was not set and is mallory; --without was not set and is head"},
		{dir, []string{"--correlate", "traceparent"}, "--correlate was not set and is traceparent"},
		{dir, []string{"--unsafe-methods"}, "--unsafe-methods was not set and is set"},
		{dir, []string{"--logs", state, "--require", "status,path"}, "--log-fields was not set and is otelauth; --logs was not set and is set; --require was not set and is path,status"},
		{dir, []string{"--telemetry", "127.0.0.1:1", "--shared-traffic"}, "--shared-traffic was not set and is set; --telemetry or --telemetry-grpc was not set and is set"},
		{other, nil, "--list, --openapi, --policy or --events lack GET /export, add GET /stock, PUT /stock, change GET /orders; " +
			"--identities lack alice, add carol, change bob"},
	} {
		_, err := probeShop(t, server.URL, c.dir, append(c.args, "--resume", state)...)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), "had other settings: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.args, err, c.want)
		}
	}
	if n := service.requests.Load() - before; n > 0 {
		t.Errorf("%d requests were made", n)
	}
	// What decides how fast requests are sent, how long they wait and what is written may differ.
	if out, err := probeShop(t, server.URL, dir, "--resume", state, "--workers", "2", "--timeout", "9s", "--max-body", "9000", "--fail-on", "none",
		"--target-limit", "1000/1ms", "--samples", "0", "--json", filepath.Join(dir, "report.json")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestProbeIdentitiesOfEnvironment: bob must get 403 where alice may go, and the variables say so.
func TestProbeIdentitiesOfEnvironment(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&shop{})
	t.Cleanup(server.Close)
	p := start(t, []string{
		"OTELAUTH_PROBE_USER=alice", "OTELAUTH_PROBE_PASSWORD=canary-right-alice", "OTELAUTH_PROBE_GROUPS=staff, admin",
		"OTELAUTH_PROBE_USER_2=bob", "OTELAUTH_PROBE_PASSWORD_2=canary-right-bob", "OTELAUTH_PROBE_GROUPS_2=staff",
	}, "probe", server.URL, "--list", filepath.Join(shopFiles(t), "list.txt"), "--rate", "0", "--only", "identity", "--fail-on", "high")
	if code := p.ended(); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if out := p.output(); !strings.Contains(out, "bob, who has none of the groups admin, gets 200") {
		t.Errorf("bob is not found:\n%s", out)
	}
	env := map[string]string{userVariable: "alice", passwordVariable: "a", userVariable + "_2": "bob"}
	_, err := readIdentities("", func(name string) string { return env[name] })
	if err == nil || !strings.Contains(err.Error(), "OTELAUTH_PROBE_USER_2 and OTELAUTH_PROBE_PASSWORD_2 belong together") {
		t.Errorf("an account without a password: %v", err)
	}
}

// TestProbeInterrupted sends the signal of Ctrl-C to the process. Every report is valid and says
// that the run is not complete.
func TestProbeInterrupted(t *testing.T) {
	t.Parallel()
	service := &shop{}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	dir := shopFiles(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	p := start(t, nil, "probe", server.URL, "--list", file("list.txt"), "--identities", file("identities.yaml"), "--rate", "50",
		"--json", file("report.json"), "--html", file("report.html"), "--sarif", file("report.sarif"), "--junit", file("report.xml"))
	p.Await(t, "requests", func() bool { return service.requests.Load() > 20 })
	p.signal(syscall.SIGINT)
	if code := p.ended(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d\n%s", code, exitInterrupted, p.output())
	}
	if !strings.Contains(p.output(), "the run is not complete: the run was interrupted") {
		t.Errorf("the output does not say so:\n%s", p.output())
	}
	report := readReport(t, file("report.json"))
	if report.Complete || len(report.NotTested) == 0 || report.Requests < 20 {
		t.Errorf("complete: %t, %d requests, not tested: %+v", report.Complete, report.Requests, report.NotTested)
	}
	for name, end := range map[string]string{"report.html": "</html>", "report.sarif": "}", "report.xml": "</testsuites>"} {
		text, err := os.ReadFile(file(name))
		if err != nil || !strings.HasSuffix(strings.TrimSpace(string(text)), end) {
			t.Errorf("%s is not whole: %v", name, err)
		}
	}
}

// TestProbeInterruptedTwice: after the first signal the probe waits for the telemetry that is in
// transit, after the second one for nothing.
func TestProbeInterruptedTwice(t *testing.T) {
	t.Parallel()
	service := &shop{}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	dir := shopFiles(t)
	p := start(t, nil, "probe", server.URL, "--list", filepath.Join(dir, "list.txt"), "--identities", filepath.Join(dir, "identities.yaml"),
		"--rate", "50", "--telemetry", testkit.FreeAddress(t), "--require", "events", "--telemetry-wait", "1h")
	p.Await(t, "requests", func() bool { return service.requests.Load() > 5 })
	p.signal(syscall.SIGINT)
	p.WaitLine(t, "waiting for the last telemetry, at most 1h; Ctrl-C again ends at once")
	p.signal(syscall.SIGINT)
	if code := p.ended(); code == exitDone {
		t.Error("the exit code is that of a run without findings")
	}
}

func readReport(t *testing.T, file string) *probe.Report {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("canary")) {
		t.Errorf("%s shows a password", file)
	}
	report, err := probe.ParseReport(text)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestProbeProgress: the line of a terminal says how far the run is, and why it waits.
func TestProbeProgress(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	bar := &probeProgress{progress: &progress{w: &out, live: true}}
	at := probe.Progress{Endpoints: 60, EndpointsDone: 20, Requests: 1040, Findings: 2, Elapsed: 10 * time.Second, Remaining: 20 * time.Second}
	bar.show(at)
	if want := "[##########....................] 20 of 60 endpoints  1040 requests  2 findings  about 20s left"; !strings.Contains(out.String(), want) {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	out.Reset()
	bar.show(at) // at the same time: not again
	if out.Len() > 0 {
		t.Errorf("the line was written again: %q", out.String())
	}
	at.Elapsed, at.Waiting = 20*time.Second, time.Now().Add(time.Minute)
	bar.show(at)
	if !strings.Contains(out.String(), "because the service limits attempts") {
		t.Errorf("got %q", out.String())
	}
	quiet := &probeProgress{progress: newProgress(&out)}
	out.Reset()
	quiet.show(at)
	if out.Len() > 0 {
		t.Errorf("a file gets the line of a terminal: %q", out.String())
	}
}
