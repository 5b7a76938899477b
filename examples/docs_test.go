// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

const root = ".."

func file(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fromRoot returns the text of a file that is named by its path from the root, with slashes.
func fromRoot(t *testing.T, name string) string {
	t.Helper()
	return file(t, filepath.Join(root, filepath.FromSlash(name)))
}

// pages returns README.md and the pages of docs, by their path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"README.md": fromRoot(t, "README.md")}
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(found) == 0 {
		t.Fatal("no pages in docs: ", err)
	}
	for _, p := range found {
		name := "docs/" + filepath.Base(p)
		all[name] = fromRoot(t, name)
	}
	return all
}

// blocks returns the fenced blocks of a language.
func blocks(text, language string) []string {
	var all []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// prose returns the text without fenced blocks.
func prose(text string) string {
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
}

// rows returns the cells of the table whose header begins with these cells.
func rows(t *testing.T, text string, header ...string) [][]string {
	t.Helper()
	_, table, found := strings.Cut(text, "\n| "+strings.Join(header, " | ")+" |")
	if !found {
		t.Fatalf("there is no table %q", header)
	}
	var all [][]string
	for _, line := range strings.Split(table, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells []string
		for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(c))
		}
		all = append(all, cells)
	}
	return all
}

// quoted returns the texts in backquotes, sorted.
func quoted(cell string) []string {
	var all []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

// compiled are the files that hold the Go blocks of the pages.
var compiled = []string{
	"examples/readme_test.go", "examples/testing_test.go", "examples/complete/main.go", "examples/nethttp/mixed.go",
	"examples/routers/chi/chi.go", "examples/routers/gorilla/gorilla.go", "examples/routers/gin/gin.go",
	"examples/routers/echov4/echov4.go", "examples/routers/echov5/echov5.go", "examples/console_test.go",
}

// TestDocsGoBlocks: each Go block of a page is a sequence of lines of a file that is compiled.
func TestDocsGoBlocks(t *testing.T) {
	t.Parallel()
	plain := func(text string) string {
		var lines []string
		for _, l := range strings.Split(text, "\n") {
			if l = strings.TrimSpace(l); l != "" && !strings.HasSuffix(l, "// not in the README") {
				lines = append(lines, l)
			}
		}
		return strings.Join(lines, "\n") + "\n"
	}
	var source string
	for _, name := range compiled {
		source += plain(fromRoot(t, name))
	}
	for name, text := range pages(t) {
		for _, b := range blocks(text, "go") {
			if !strings.Contains(source, "\n"+plain(b)) {
				t.Errorf("%s: add this block to one of %q, so that it is compiled:\n%s", name, compiled, b)
			}
		}
	}
	if len(blocks(fromRoot(t, "README.md"), "go")) == 0 {
		t.Error("README.md has no Go block")
	}
}

// TestPackageDocProgram: the package comment of otelauth shows the program of the README.
func TestPackageDocProgram(t *testing.T) {
	t.Parallel()
	var comment strings.Builder
	for line := range strings.Lines(fromRoot(t, "otelauth/doc.go")) {
		comment.WriteString(strings.TrimPrefix(strings.TrimPrefix(line, "//"), "\t"))
	}
	program := blocks(fromRoot(t, "README.md"), "go")[0]
	if n := strings.Count(program, "\n"); n > 45 || !strings.HasPrefix(program, "package main\n") {
		t.Errorf("the first Go block of README.md has %d lines; it is a whole program of at most 45", n)
	}
	if !strings.Contains(comment.String(), program) {
		t.Error("otelauth/doc.go has another program: copy the one of README.md")
	}
}

// TestDocsFailures compares the error types of docs/failure-modes.md with the code.
func TestDocsFailures(t *testing.T) {
	t.Parallel()
	var errorTypes []string
	for _, e := range attempt.ErrorTypes() {
		errorTypes = append(errorTypes, e.String())
	}

	// What the page about failures calls recorded is an error type, an event, a metric or an
	// attribute.
	page := fromRoot(t, "docs/failure-modes.md")
	for _, row := range rows(t, page, "what breaks", "the request gets", "what is recorded") {
		for _, q := range quoted(row[2]) {
			if !strings.Contains(q, ".") && !slices.Contains(errorTypes, q) {
				t.Errorf("docs/failure-modes.md: there is no error type %q", q)
			}
		}
	}
}

// TestDocsNames: a signal that any page names is in the tables of docs/signals.md.
func TestDocsNames(t *testing.T) {
	t.Parallel()
	signals := fromRoot(t, "docs/signals.md")
	known := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(signals, -1) {
		known[m[1]] = true
	}
	for name, text := range pages(t) {
		for _, q := range quoted(prose(text)) {
			signal, _, _ := strings.Cut(q, "=")
			if regexp.MustCompile(`^auth\.[a-z_.]+$`).MatchString(signal) && !known[signal] {
				t.Errorf("%s names %q, which is not in docs/signals.md", name, signal)
			}
		}
	}
	for _, row := range rows(t, fromRoot(t, "docs/privacy.md"), "data", "where", "how to avoid it") {
		for _, q := range quoted(row[0]) {
			if !known[q] {
				t.Errorf("docs/privacy.md names %q, which is not in docs/signals.md", q)
			}
		}
	}
}

// TestDocsRules compares the rules and budgets of docs/attacks.md with the code.
func TestDocsRules(t *testing.T) {
	t.Parallel()
	text := fromRoot(t, "docs/attacks.md")
	var want, got [][]string
	for _, r := range detect.Rules() {
		want = append(want, []string{"`" + r.Name + "`", r.Severity.String(), r.Technique})
	}
	for _, row := range rows(t, text, "rule", "severity", "ATT&CK", "fires at") {
		got = append(got, row[:3])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-code +page):\n%s", diff)
	}

	want, got = nil, nil
	budgets := reflect.ValueOf(throttle.DefaultLimits())
	for field, v := range budgets.Fields() {
		limit := "none"
		if l := v.Interface().(throttle.Limit); l != (throttle.Limit{}) {
			limit = l.String()
		}
		want = append(want, []string{"`" + field.Name + "`", limit})
	}
	for _, row := range rows(t, text, "budget", "wrong guesses", "of") {
		got = append(got, row[:2])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("budgets (-code +page):\n%s", diff)
	}

	// A test of package throttle measures what its doc comment promises.
	documented := strings.Join(strings.Fields(fromRoot(t, "otelauth/throttle/limits.go")), " ")
	for _, row := range rows(t, text, "from", "first day", "each further day") {
		if line := strings.Join(row, " "); !strings.Contains(documented, " "+line+" ") {
			t.Errorf("otelauth/throttle/limits.go does not contain %q", line)
		}
	}
}

// TestDocsPackages: the package map is complete.
func TestDocsPackages(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^\| \[([a-z/]+)\]\(\.\./([a-z/]+)\) \|`).FindAllStringSubmatch(fromRoot(t, "docs/packages.md"), -1) {
		if m[1] != m[2] {
			t.Errorf("[%s] leads to %s", m[1], m[2])
		}
		listed = append(listed, m[1])
	}
	slices.Sort(listed)
	var exist []string
	for _, top := range []string{"otelauth", "spans", "metrics"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if d.Name() == "internal" {
				return filepath.SkipDir
			}
			sources, err := filepath.Glob(filepath.Join(path, "*.go"))
			if len(sources) > 0 {
				exist = append(exist, filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator))))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(exist)
	if diff := cmp.Diff(exist, listed); diff != "" {
		t.Errorf("packages (-tree +page):\n%s", diff)
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// anchors returns the fragments that lead to the headings of a page, as GitHub makes them.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(prose(text), -1) {
		name := strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")
		all = append(all, regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(name, ""))
	}
	return all
}

// TestDocsLinks: every relative link leads to a file, and to a heading if it names one.
func TestDocsLinks(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for _, name := range []string{"examples/README.md", "examples/routers/README.md", "examples/shop/README.md", "examples/demo/README.md",
		"examples/gateway/README.md", "examples/django/README.md", "collector-config/README.md"} {
		all[name] = fromRoot(t, name)
	}
	for name, text := range all {
		for _, m := range link.FindAllStringSubmatch(prose(text), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			target, fragment, _ := strings.Cut(m[1], "#")
			target = path.Join(path.Dir(name), target)
			if strings.HasPrefix(m[1], "#") {
				target = name
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			} else if fragment != "" && !slices.Contains(anchors(fromRoot(t, target)), fragment) {
				t.Errorf("%s links to %s: there is no such heading", name, m[1])
			}
		}
	}
}

// TestDocsTests: every test that docs/contributing.md names exists.
func TestDocsTests(t *testing.T) {
	t.Parallel()
	declared := declaredTests(t)
	named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(fromRoot(t, "docs/contributing.md"), -1)
	if len(named) == 0 {
		t.Error("docs/contributing.md names no test")
	}
	for _, m := range named {
		if !declared[m[1]] {
			t.Errorf("docs/contributing.md names %s, which no package declares", m[1])
		}
	}
}

// TestDocsForm: the README is a front page that links to every page, and each page begins with a
// sentence that says what the page answers.
func TestDocsForm(t *testing.T) {
	t.Parallel()
	all := pages(t)
	readme := all["README.md"]
	if n := strings.Count(readme, "\n"); n > 200 {
		t.Errorf("README.md has %d lines, 200 are allowed: move something to docs", n)
	}
	delete(all, "README.md")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.Contains(readme, "]("+name+")") {
			t.Errorf("README.md does not link to %s: add a row to the table of its section Documentation", name)
		}
		if !regexp.MustCompile(`^# [^\n]+\n\n[A-Z][^|#]*?[.?]\s`).MatchString(all[name]) {
			t.Errorf("%s does not begin with a title and a sentence", name)
		}
	}
	for _, picture := range regexp.MustCompile(`!\[([^\]]*)\]\(([^)]+)\)`).FindAllStringSubmatch(readme, -1) {
		if len(picture[1]) < 20 {
			t.Errorf("%s needs a text for readers who do not see it", picture[2])
		}
	}
}

// dialect matches words that the documentation does not use, because a reader may not know them or
// because the field has another word.
var dialect = regexp.MustCompile(`(?i)\b(?:(?:is|are|was|were|be|been) told|tells|nobody(?:'s)?|whoever|whence|former|faults?|octets?|speaks?|hears)\b`)

// TestDocsLanguage: the pages use plain technical English. Names in backquotes and links are not
// prose.
func TestDocsLanguage(t *testing.T) {
	t.Parallel()
	for name, text := range pages(t) {
		text = regexp.MustCompile("`[^`]*`").ReplaceAllString(prose(text), "")
		text = link.ReplaceAllString(text, "]")
		if found := dialect.FindAllString(text, -1); found != nil {
			t.Errorf("%s uses %q; write plain technical English", name, found)
		}
	}
}

// TestCommentsLanguage: comments of Go files, the changelog and other READMEs use plain technical
// English too. A name that a comment documents, and the user "nobody", are no prose.
func TestCommentsLanguage(t *testing.T) {
	t.Parallel()
	comment := regexp.MustCompile(`(?m)^\s*// ?(.*)$`)
	name := regexp.MustCompile("`[^`]*`|\"[^\"]*\"|user nobody|^\\w+ (?:is|are) ")
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			if d != nil && d.IsDir() && d.Name() == "node_modules" {
				return fs.SkipDir
			}
			return err
		case !strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, ".md"):
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		lines := [][]string{{"", prose(string(text))}}
		if strings.HasSuffix(file, ".go") {
			lines = comment.FindAllStringSubmatch(string(text), -1)
		}
		for _, line := range lines {
			if found := dialect.FindAllString(link.ReplaceAllString(name.ReplaceAllString(line[1], ""), "]"), -1); found != nil {
				t.Errorf("%s uses %q in %.100q; write plain technical English", file, found, line[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
