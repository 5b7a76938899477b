// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

func readText(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(collectortest.ConfigDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReadmeNamesEveryVariableWithItsDefault(t *testing.T) {
	t.Parallel()
	readme := readText(t, "README.md")
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(OTELAUTH_COLLECTOR_[A-Z_]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(readme, -1) {
		rows[m[1]] = strings.Trim(m[2], "`")
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$\{env:(OTELAUTH_COLLECTOR_[A-Z_]+)(?::-([^}]*))?\}`).FindAllStringSubmatch(readText(t, "base.yaml"), -1) {
		used[m[1]] = true
		want := m[2]
		if want == "" {
			want = "none: required to start"
		}
		if rows[m[1]] != want {
			t.Errorf("%s: the README says %q, base.yaml %q", m[1], rows[m[1]], want)
		}
	}
	for name := range rows {
		if !used[name] {
			t.Errorf("%s is in the README and not in base.yaml", name)
		}
	}
}

func TestOverlayOfTheReadmeIsValid(t *testing.T) {
	t.Parallel()
	_, text, ok := strings.Cut(readText(t, "README.md"), "```yaml\n")
	text, _, end := strings.Cut(text, "```")
	if !ok || !end {
		t.Fatal("the README shows no overlay")
	}
	dir := t.TempDir()
	overlay, token := filepath.Join(dir, "mine.yaml"), filepath.Join(dir, "authorization")
	for path, content := range map[string]string{overlay: text, token: "Bearer x"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := collectortest.Validate(t, collectortest.Options{
		Configs: []string{"base.yaml", overlay},
		Env:     map[string]string{"MINE_ENDPOINT": "https://mine.example.com", "MINE_AUTHORIZATION_FILE": token},
	})
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := checkOverlays(t, "base.yaml", overlay, "backends/otlp.yaml"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
