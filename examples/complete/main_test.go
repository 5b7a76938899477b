// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

// service builds the program for a free address and starts it with an account in dir.
func service(t *testing.T, dir string) (p *testkit.Process, url string) {
	t.Helper()
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	address := testkit.FreeAddress(t)
	changed := strings.Replace(string(source), "127.0.0.1:8080\"))", address+"\"))", 1)
	if changed == string(source) {
		t.Fatal("main.go does not listen on 127.0.0.1:8080")
	}
	here, err := filepath.Abs("main.go")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{here: filepath.Join(dir, "main.go")}})
	if err != nil {
		t.Fatal(err)
	}
	const hash = "$2y$04$sW65/0lcGVKlAH4F55lS2OJnUXYQZJn0Wy8QvO0e47nojfb5NefFC" // wonderland
	for name, text := range map[string]string{"main.go": changed, "overlay.json": string(overlay), "users.htpasswd": "alice:" + hash + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "orders")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "OTEL_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	p = testkit.Start(t, cmd)
	p.WaitListening(t, "tcp", address)
	return p, "http://" + address
}

// get returns the status and the body of the answer.
func get(t *testing.T, url, password string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("alice", password)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestComplete runs the program without any variable, as its first user does.
func TestComplete(t *testing.T) {
	t.Parallel()
	p, url := service(t, t.TempDir())
	if status, _ := get(t, url+"/orders/7", "looking-glass"); status != http.StatusUnauthorized {
		t.Errorf("a wrong password got %d", status)
	}
	status, body := get(t, url+"/orders/7", "wonderland")
	if status != http.StatusOK || !strings.Contains(body, "alice") {
		t.Errorf("the right password got %d, %q", status, body)
	}
	p.Signal(t, syscall.SIGTERM)
	testkit.Receive(t, "the end of the service", p.Ended())
	if err := p.Err(); err != nil {
		t.Error(err)
	}
	out := p.Output()
	otelauthtest.NoSecretsIn(t, "standard error", []byte(out), "wonderland", "looking-glass")
	outcomes := make(map[string]int)
	for _, line := range p.Lines() {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Errorf("%v: %s", err, line)
		} else if event["msg"] == "auth.attempt" {
			outcomes[event["auth.outcome"].(string)]++
			if id, _ := event["trace_id"].(string); len(id) != 32 {
				t.Errorf("no trace id: %s", line)
			}
		}
	}
	if outcomes["failure"] != 1 || outcomes["success"] != 1 {
		t.Errorf("the outcomes are %v:\n%s", outcomes, out)
	}
}

// TestWithoutAccounts: the error names the file.
func TestWithoutAccounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), testkit.Build(t, "."))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "users.htpasswd") {
		t.Errorf("%v: %s", err, out)
	}
}
