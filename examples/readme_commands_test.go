// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// commandsElsewhere names what runs a kind of command of the READMEs and of docs that this package
// cannot run: a test, a step of .ci/run, or one of .ci/full. "" means that nothing does, and the
// README says so.
var commandsElsewhere = []struct{ readme, prefix, by string }{
	{"collector-config/README.md", "export OTLP_", "TestQuickBackendsOfTheReadme"},
	{"collector-config/README.md", "otelcol-contrib --config quick.yaml", "TestQuickBackendsOfTheReadme"},
	{"collector-config/README.md", "echo '", "TestQuickBackendsOfTheReadme"},
	{"collector-config/README.md", "sudo ", ""},
	{"collector-config/README.md", "docker run ", ""},
	{"collector-config/README.md", "otelcol-contrib ", "TestDocumentedCommands"},
	{"collector-config/backends/README.md", "otelcol-contrib ", "TestDocumentedCommands"},
	{"collector-config/scale.md", "otelcol-contrib ", "TestDocumentedCommands"},
	{"collector-config/alerts/README.md", "promtool test rules ", "TestRulesFireAndKeepSilent"},
	{"examples/demo/README.md", "docker compose ", ""},
	{"examples/demo/README.md", "curl ", ""},
	{"examples/demo/README.md", "examples/demo/run.sh", ""},
	{"examples/demo/README.md", "examples/demo/compose.sh", "step_compose"},
	{"examples/django/README.md", "export ", "TestTable"},
	{"examples/django/README.md", "/usr/bin/python3 ", "TestTable"},
	{"examples/django/README.md", "gunicorn ", "TestTable"},
	{"examples/django/README.md", "go run ../../otelauth/cmd/otelauth gateway ", "TestTable"},
	{"examples/django/README.md", "curl ", "TestTable"},
	{"examples/shop/README.md", "shop ", "TestBadInput"},
	{".github/RELEASING.md", "git ", ""},
	{"docs/install.md", "go install ", ""},
	{"docs/install.md", "dpkg -i ", "full_release"},
	{"docs/install.md", "rpm -i ", ""},
	{"docs/install.md", "otelauth users add /etc/otelauth/", "full_release"},
	{"docs/install.md", "chgrp ", "full_release"},
	{"docs/install.md", "chmod ", "full_release"},
	{"docs/install.md", "otelauth gateway --check --config /etc/otelauth/", "full_release"},
	{"docs/install.md", "systemctl ", ""},
	{"docs/install.md", "journalctl ", ""},
	{"docs/install.md", "docker run ", "full_image"},
	{"docs/install.md", "cosign ", ""},
	{"docs/install.md", "sha256sum ", "TestReleaseArtifacts"},
	{"docs/install.md", "otelauth man gateway | ", "TestManualPages"},
}

// saysNothingRuns reports whether a README says which of its commands no test runs.
func saysNothingRuns(text string) bool { return strings.Contains(text, "`go test` runs no command ") }

// ranElsewhere reports whether a test or a step covers the command, or the README says that none
// does.
func ranElsewhere(t *testing.T, readme, text, line string, declared map[string]bool) bool {
	t.Helper()
	for _, e := range commandsElsewhere {
		if e.readme != readme || !strings.HasPrefix(line, e.prefix) {
			continue
		}
		step := strings.HasPrefix(e.by, "step_") && strings.Contains(fromRoot(t, ".ci/run"), "\n"+e.by+"()")
		if full, found := strings.CutPrefix(e.by, "full_"); found {
			step = strings.Contains(fromRoot(t, ".ci/full"), "\n"+full+"() {")
		}
		marked := e.by == "" && saysNothingRuns(text)
		if !declared[e.by] && !step && !marked {
			t.Errorf("%s: %q is said to be run by %q, which does not exist; or the README does not say that nothing runs it", readme, line, e.by)
		}
		return true
	}
	return false
}

// TestReadmeCommandsAreRun: every command of the READMEs in the tree is run by a test with a fresh
// home, or the README says that none runs it. The front page and docs have TestDocsCommands.
func TestReadmeCommandsAreRun(t *testing.T) {
	t.Parallel()
	var readmes []string
	for _, pattern := range []string{"examples/*/README.md", "collector-config/*.md", "collector-config/*/README.md", ".github/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: nothing found: %v", pattern, err)
		}
		readmes = append(readmes, found...)
	}
	declared := declaredTests(t)
	for _, path := range readmes {
		name := strings.TrimPrefix(filepath.ToSlash(path), "../")
		text := file(t, path)
		for _, m := range regexp.MustCompile("(?ms)^ *```(?:sh|console)\n(.*?)^ *```$").FindAllStringSubmatch(text, -1) {
			dir := sandbox(t, m[1])
			for line := range strings.Lines(strings.ReplaceAll(m[1], "\\\n", "")) {
				runReadmeLine(t, name, text, dir, line, declared)
			}
		}
	}
}

func runReadmeLine(t *testing.T, name, text, dir, line string, declared map[string]bool) {
	t.Helper()
	line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
	line = regexp.MustCompile(`^(?:[A-Z_]+=\S+\s+)*`).ReplaceAllString(strings.TrimSpace(line), "")
	args := words(line)
	switch {
	case line == "" || strings.HasPrefix(line, "#") || args[0] == "cd":
	case ranElsewhere(t, name, text, line, declared):
	case args[0] == "otelauth":
		runOtelauth(t, name, dir, args[1:])
	case args[0] == "echo" || args[0] == "openssl":
		runShell(t, name, dir, line)
	case args[0] == "apt-get":
		scripts := fromRoot(t, ".ci/run") + fromRoot(t, ".ci/full")
		for _, p := range args[2:] {
			if !strings.Contains(scripts, p) && !saysNothingRuns(text) {
				t.Errorf("%s: neither .ci/run nor .ci/full installs %s", name, p)
			}
		}
	case args[0] == "go" || args[0] == ".ci/run" || args[0] == ".ci/full":
		here := filepath.Dir(name)
		if name == "collector-config/dashboards/README.md" {
			here = "collector-config/e2e"
		}
		if checkCommand(t, here, args) != nil {
			if err := checkCommand(t, ".", args); err != nil {
				t.Errorf("%s: %s: %v", name, line, err)
			}
		}
	default:
		t.Errorf("%s: nothing runs the command %q: run it here, or add it to commandsElsewhere", name, line)
	}
}

// declaredTests returns the names of all tests of the tree.
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(file(t, name), -1) {
			declared[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return declared
}
