// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Unset("OTEL_", "OTELAUTH_")
	os.Exit(m.Run())
}

const module = "github.com/otelauth/otelauth-go"

// recipe is a pipeline as its server runs it.
type recipe struct {
	env    map[string]string
	script string
}

// The recipes get passwords as secrets. The first are those of the quickstart.
var (
	passwords    = map[string]string{"PROBE_ROOT_PASSWORD": "toor", "PROBE_ALICE_PASSWORD": "wonderland"}
	newPasswords = map[string]string{"PROBE_ROOT_PASSWORD": "correct-horse", "PROBE_ALICE_PASSWORD": "battery-staple"}
)

// secret is how a workflow of GitHub refers to a secret.
var secret = regexp.MustCompile(`^\$\{\{ secrets\.([A-Z_]+) \}\}$`)

// github returns the steps of github.yaml.
func github(t *testing.T) recipe {
	t.Helper()
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct {
				Env       map[string]string
				Run, Uses string
				With      map[string]string
			}
		}
	}
	read(t, "github.yaml", &workflow)
	r := recipe{env: map[string]string{}}
	var uploads []string
	for _, step := range workflow.Jobs["probe"].Steps {
		for name, value := range step.Env {
			m := secret.FindStringSubmatch(value)
			if m == nil {
				t.Fatalf("%s is not a secret", name)
			}
			r.env[name] = passwords[m[1]]
		}
		r.script += step.Run + "\n"
		uploads = append(uploads, step.With["sarif_file"], step.With["path"])
	}
	for _, file := range []string{"probe.sarif", "probe.html"} {
		if !strings.Contains(strings.Join(uploads, " "), file) || !strings.Contains(r.script, file) {
			t.Errorf("github.yaml does not write and upload %s", file)
		}
	}
	return r
}

// gitlab returns the script of gitlab.yaml.
func gitlab(t *testing.T) recipe {
	t.Helper()
	var pipeline struct {
		Probe struct {
			Variables map[string]string
			Script    []string
			Artifacts struct {
				Paths   []string
				Reports struct{ JUnit string }
			}
		}
	}
	read(t, "gitlab.yaml", &pipeline)
	p := pipeline.Probe
	r := recipe{env: p.Variables, script: strings.Join(p.Script, "\n") + "\n"}
	for name, value := range newPasswords {
		r.env[name] = value
	}
	for _, file := range append(p.Artifacts.Paths, p.Artifacts.Reports.JUnit) {
		if !strings.Contains(r.script, file) {
			t.Errorf("gitlab.yaml keeps %s, which no command writes", file)
		}
	}
	return r
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// preamble replaces what would take minutes: the programs are those of this tree, already built.
const preamble = `set -eo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
PATH=$PWD:$PATH
go() {
  case "$*" in
  "install github.com/otelauth/otelauth-go/otelauth/cmd/otelauth@latest") ln -s "$OTELAUTH" otelauth ;;
  "build -o service ./examples/quickstart") ln -s "$QUICKSTART" service ;;
  "build -o service ./examples/probe") ln -s "$SITE" service ;;
  *) echo "the test does not know: go $*" >&2; return 1 ;;
  esac
}
`

// run runs the commands of a recipe in a folder of their own, on free ports. edit changes a file
// of the recipe.
func (r recipe) run(t *testing.T, edit func(name, text string) string) (dir, output string, err error) {
	t.Helper()
	dir = t.TempDir()
	ports := strings.NewReplacer("127.0.0.1:8080", testkit.FreeAddress(t), "127.0.0.1:8000", testkit.FreeAddress(t), "127.0.0.1:4318", testkit.FreeAddress(t))
	here := filepath.Join(dir, "examples", "probe")
	if err := os.MkdirAll(here, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"baseline.yaml", "endpoints.txt", "gateway.yaml", "identities.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(here, name), []byte(ports.Replace(edit(name, string(text)))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", preamble+ports.Replace(r.script))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "OTELAUTH="+testkit.Build(t, testkit.OTelAuth),
		"QUICKSTART="+testkit.Build(t, module+"/examples/quickstart"), "SITE="+testkit.Build(t, module+"/examples/probe"))
	for name, value := range r.env {
		cmd.Env = append(cmd.Env, name+"="+ports.Replace(value))
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	testkit.Group(cmd)
	cmd.WaitDelay = testkit.Patience
	err = cmd.Run()
	for _, value := range newPasswords { // the quickstart itself prints those of its accounts
		if strings.Contains(out.String(), value) {
			t.Error("the log shows a password")
		}
	}
	return dir, out.String(), err
}

func unchanged(_, text string) string { return text }

// TestGitHub runs the steps of the workflow against the quickstart.
func TestGitHub(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	dir, out, err := github(t).run(t, unchanged)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := sarifResults(t, dir); n != 0 {
		t.Errorf("%d results, want none\n%s", n, out)
	}
}

// TestGitHubFinds sees that the workflow fails, and still uploads, if an endpoint is open.
func TestGitHubFinds(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	dir, out, err := github(t).run(t, func(name, text string) string {
		if name == "endpoints.txt" {
			return strings.Replace(text, "GET /          public", "GET /", 1)
		}
		return text
	})
	if err == nil || !strings.Contains(out, "CRITICAL: Answers without credentials") {
		t.Errorf("%v, want an open endpoint\n%s", err, out)
	}
	if n := sarifResults(t, dir); n == 0 {
		t.Error("SARIF has no result")
	}
	if page, err := os.ReadFile(filepath.Join(dir, "probe.html")); err != nil || len(page) == 0 {
		t.Errorf("no page: %v", err)
	}
}

func sarifResults(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "probe.sarif"))
	if err != nil {
		t.Fatal(err)
	}
	var log struct {
		Runs []struct{ Results []any }
	}
	if err := json.Unmarshal(text, &log); err != nil || len(log.Runs) != 1 {
		t.Fatalf("not SARIF: %v", err)
	}
	return len(log.Runs[0].Results)
}

// TestGitLab runs the script against a service behind the gateway, and judges its telemetry.
func TestGitLab(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	dir, out, err := gitlab(t).run(t, unchanged)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "gateway.log"))
		t.Fatalf("%v\n%s\n%s", err, out, log)
	}
	if !regexp.MustCompile(`\ntelemetry: [0-9]+ recorded, [0-9]+ not required; `).MatchString(out) {
		t.Errorf("not every attempt was recorded\n%s", out)
	}
	if n := junitFailures(t, dir); n != 0 {
		t.Errorf("%d test cases fail, want none", n)
	}
}

// TestGitLabFinds expects an endpoint to be protected that the gateway opens.
func TestGitLabFinds(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	r := gitlab(t)
	r.script = strings.Replace(r.script, "--policy examples/probe/gateway.yaml", "--list examples/probe/endpoints.txt", 1)
	dir, out, err := r.run(t, func(name, text string) string {
		if name == "endpoints.txt" {
			return "GET /healthz\nGET /orders\nGET /orders/7\nGET /admin groups=admin\n"
		}
		return text
	})
	if err == nil || !strings.Contains(out, "GET /healthz") {
		t.Errorf("%v, want an open endpoint\n%s", err, out)
	}
	if junitFailures(t, dir) == 0 {
		t.Error("no test case fails")
	}
}

func junitFailures(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "probe.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(text, &suites); err != nil || len(suites.Suites) < 4 {
		t.Fatalf("not the report of four endpoints: %v", err)
	}
	n := 0
	for _, s := range suites.Suites {
		n += s.Failures
	}
	return n
}
