// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthy" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	for _, c := range []struct {
		url, says string
		status    int
	}{
		{s.URL + "/healthy", "", 0},
		{s.URL + "/starting", "answered 503", 1},
		{"http://127.0.0.1:1/", "connection refused", 1},
		{"::", "not a URL", 1},
	} {
		var stderr bytes.Buffer
		if got := run(t.Context(), []string{"probe", c.url}, nil, &stderr); got != c.status || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("probe %s: %d %q, want %d %q", c.url, got, &stderr, c.status, c.says)
		}
	}
}

func TestOverlays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, a, b := filepath.Join(dir, "from.yaml"), filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	if err := os.WriteFile(from, []byte("exporters: {otlp_http/a: {}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	do := func(args ...string) {
		t.Helper()
		var stderr bytes.Buffer
		if status := run(t.Context(), args, nil, &stderr); status != 0 {
			t.Fatalf("%v: %d: %s", args, status, &stderr)
		}
	}
	content := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	do("forget", a, b)
	do("choose", from, a)
	if content(a) != content(from) || !strings.HasSuffix(content(b), "{}\n") {
		t.Errorf("a: %q, b: %q", content(a), content(b))
	}
	if info, err := os.Stat(a); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("a: %v %v: the collector runs as another user and could not read it", info.Mode(), err)
	}
	do("forget", a, b)
	if strings.Contains(content(a), "exporters") {
		t.Errorf("a is still chosen: %q", content(a))
	}
	if files, _ := os.ReadDir(dir); len(files) != 3 {
		t.Errorf("%d files are left in the directory, want 3", len(files))
	}
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"choose", filepath.Join(dir, "none.yaml"), a}, nil, &stderr); status != 1 || !strings.Contains(stderr.String(), "none.yaml") {
		t.Errorf("choose of a file that is not there: %d %s", status, &stderr)
	}
}

func TestReturns(t *testing.T) {
	t.Parallel()
	var seen []string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, given, _ := r.BasicAuth()
		seen = append(seen, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Forwarded-For"))
		switch {
		case name != robbed || given != password(robbed) || given == "":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/checkout/lamp":
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"id":1001}`)
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(s.Close)
	ca := testkit.WriteCA(t, s.Certificate())
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"returns", "--target", s.URL, "--ca", ca, "--every", "0"}, &stdout, &stderr); status != 0 {
		t.Fatalf("%d: %s", status, &stderr)
	}
	if want := "as victor bought lamp, returns answered 502 Bad Gateway\n"; stdout.String() != want {
		t.Errorf("said %q, want %q", &stdout, want)
	}
	if got := strings.Join(seen, "; "); got != "POST /checkout/lamp 203.0.113.66; POST /returns/1001 203.0.113.66" {
		t.Errorf("did %s", got)
	}
	if strings.Contains(stdout.String()+stderr.String(), password(robbed)) {
		t.Error("the password was printed")
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"probe"}, {"forget"}, {"choose", "a"}, {"returns"}, {"returns", "--ca"}, {"other"}} {
		var stderr bytes.Buffer
		if status := run(t.Context(), args, nil, &stderr); status != 2 || !strings.Contains(stderr.String(), "usage:") {
			t.Errorf("%v: %d %s", args, status, &stderr)
		}
	}
}
