// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

func TestTable(t *testing.T) {
	t.Parallel()
	shop := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); strings.HasPrefix(password, "Winter2026") {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer shop.Close()
	ca := testkit.WriteCA(t, shop.Certificate())
	args := []string{"--target", shop.URL, "--attack", "spray", "--duration", "500ms", "--rate", "40", "--from", "127.0.0.5"}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), append(args, "--ca", ca), &stdout, &stderr); status != 0 {
		t.Fatalf("exit status %d, %s", status, stderr.String())
	}
	for _, line := range []string{"status            honest  attacker\n", "200 OK ", "401 Unauthorized  0 "} {
		if !strings.Contains(stdout.String(), line) {
			t.Errorf("no %q in\n%s", line, stdout.String())
		}
	}

	// The target's certificate is verified.
	stdout.Reset()
	if status := run(t.Context(), args, &stdout, &stderr); status != 1 || !strings.Contains(stderr.String(), "certificate") || strings.Contains(stdout.String(), "200") {
		t.Errorf("an unknown authority: exit status %d, %s%s", status, stdout.String(), stderr.String())
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	noPEM := filepath.Join(t.TempDir(), "no.pem")
	if err := os.WriteFile(noPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--attack", "flood"}, 2, "choose one of none, spray, distributed, low-and-slow, stuffing"},
		{[]string{"--rate", "1000"}, 2, "choose 0.01 to 200"},
		{[]string{"--duration", "25h"}, 2, "choose at most 24h"},
		{[]string{"--target", "shop"}, 2, "https://127.0.0.2:8443"},
		{[]string{"--target", "https://192.0.2.1", "--rate", "100"}, 2, "--dangerously-target-anything"},
		{[]string{"--from", "here"}, 2, "--from"},
		{[]string{"--ca", "/none"}, 1, "/none"},
		{[]string{"--ca", noPEM}, 1, noPEM},
		{[]string{"now"}, 2, `unexpected argument "now"`},
	} {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), c.args, &stdout, &stderr)
		if message := stderr.String(); status != c.status || stdout.Len() > 0 || strings.Count(message, "\n") != 1 || !strings.Contains(message, c.says) {
			t.Errorf("%q: exit status %d, %q", c.args, status, message)
		}
	}
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"--help"}, &stderr, &stderr); status != 0 || !strings.Contains(stderr.String(), "--attack") && !strings.Contains(stderr.String(), "-attack") {
		t.Errorf("--help: %d, %q", status, stderr.String())
	}
	if status := run(t.Context(), []string{"--speed"}, &stderr, &stderr); status != 2 {
		t.Errorf("an unknown flag: %d", status)
	}
}
