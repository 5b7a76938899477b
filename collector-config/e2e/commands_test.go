// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

// harness is what a test sets for a collector and a reader of the documents must set as well.
var harness = []string{"OTELAUTH_COLLECTOR_TOKEN_FILE", "OTELAUTH_COLLECTOR_QUEUE_DIR", "OTELAUTH_COLLECTOR_BIND"}

// documentedCommand is a command line of a document, with nothing but what the document says.
type documentedCommand struct {
	where   string
	env     map[string]string
	configs []string
}

// documentedCommands returns each command line of otelcol-contrib in the headers of the shipped
// files and in the sh blocks of the pages. TestQuickBackendsOfTheReadme has those with export.
func documentedCommands(t *testing.T) (all []documentedCommand) {
	t.Helper()
	for _, pattern := range []string{"*.yaml", "backends/*.yaml", "scale/*.yaml", "*.md", "*/*.md", "../README.md", "../docs/*.md", "../examples/*/*.md"} {
		files, err := filepath.Glob(filepath.Join(collectortest.ConfigDir(), pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files: %v", pattern, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := string(b)
			if filepath.Ext(file) == ".yaml" {
				header, _, _ := strings.Cut(text, "\n\n")
				text = regexp.MustCompile(`(?m)^#(?: Command)?[ \t]*`).ReplaceAllString(header, "")
			} else {
				text = strings.Join(fenced(text), "\n")
			}
			for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
				if c, found := parseCommand(line); found {
					c.where = file
					all = append(all, c)
				}
			}
		}
	}
	return all
}

func fenced(text string) (blocks []string) {
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

func parseCommand(line string) (c documentedCommand, found bool) {
	before, after, found := strings.Cut(line, "otelcol-contrib --config ")
	if !found {
		return c, false
	}
	c.env = map[string]string{}
	for _, word := range strings.Fields(before) {
		name, value, assigned := strings.Cut(word, "=")
		if !assigned {
			return c, false // a sentence
		}
		c.env[name] = value
	}
	for _, word := range strings.Fields(after) {
		if word != "--config" {
			c.configs = append(c.configs, word)
		}
	}
	return c, !strings.Contains(line, "'yaml:") && (len(c.env) > 0 || c.configs[0] != "quick.yaml")
}

// Each command of the documents starts with what its line sets, and with nothing else. Files that
// it names exist.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	commands := documentedCommands(t)
	if len(commands) < 30 {
		t.Errorf("found %d commands only", len(commands))
	}
	for _, c := range commands {
		if slices.Contains(c.configs, "trail.yaml") {
			continue // file_log is in e2e/filelog only, whose tests start this file
		}
		dir := t.TempDir()
		for name, value := range c.env {
			if !strings.HasSuffix(name, "_FILE") {
				continue
			}
			c.env[name] = filepath.Join(dir, filepath.Base(value))
			content := "0123456789abcdef0123456789abcdef"
			if strings.Contains(name, "KAFKA") {
				content = "sasl: {mechanism: SCRAM-SHA-512, username: otelauth, password: " + content + "}"
			}
			if err := os.WriteFile(c.env[name], []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var unset []string
		for _, name := range harness {
			if _, set := c.env[name]; !set {
				unset = append(unset, name)
			}
		}
		out, err := collectortest.Validate(t, collectortest.Options{Configs: c.configs, Env: c.env, Unset: unset, Dir: dir})
		if err != nil {
			t.Errorf("%s: %v: %v: %s", c.where, c.configs, err, out)
		}
	}
}
