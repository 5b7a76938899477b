// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
		"CRITICAL: Answers without credentials (open, CWE-306, ASVS 8.2.1)\n  GET /export\n", "list.txt:3\n",
		"HIGH: An account without the group gets the content (group, CWE-863, ASVS 8.2.1)\n  GET /admin\n",
		"not tested\n", "no throwaway account",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("canary")) {
		t.Error("the JSON report shows a password")
	}
	report, err := probe.ParseReport(text)
	if err != nil {
		t.Fatal(err)
	}
	attempts := 0
	for _, row := range report.Rows {
		attempts += len(row.Attempts)
	}
	if len(report.Rows) != 4 || attempts < 100 || report.Requests < attempts || int64(report.Requests) < service.requests.Load() {
		t.Errorf("%d rows with %d attempts, %d requests, the service saw %d", len(report.Rows), attempts, report.Requests, service.requests.Load())
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
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report probe.Report
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
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
	if !strings.Contains(out.String(), "the service throttles: waiting until ") {
		t.Errorf("got %q", out.String())
	}
	quiet := &probeProgress{progress: newProgress(&out)}
	out.Reset()
	quiet.show(at)
	if out.Len() > 0 {
		t.Errorf("a file gets the line of a terminal: %q", out.String())
	}
}
