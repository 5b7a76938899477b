// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package rename renames a signal or an attribute in the whole tree.
package rename

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/internal/semconvgen/generate"
	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
)

// replacement is one spelling of a name.
type replacement struct {
	old *regexp.Regexp
	new string
}

// replacements returns the spellings of a name: with dots, as Prometheus has it, and as a Go
// constant. It fails if r does not declare the name, and if two declarations share it, because
// they cannot be separated in a text.
func replacements(r *registry.Registry, before, after string) ([]replacement, error) {
	var prefixes []string
	for kind, prefix := range map[string]string{"metric": "Metric", "event": "Event"} {
		if slices.ContainsFunc(r.Of(kind), func(g *registry.Group) bool { return g.Name() == before }) {
			prefixes = append(prefixes, prefix)
		}
	}
	if r.Own(before) != nil {
		prefixes = append(prefixes, "Key")
	}
	if len(prefixes) != 1 {
		return nil, fmt.Errorf("semconvgen: %d declarations have the name %s; rename exactly one", len(prefixes), before)
	}
	under := strings.NewReplacer(".", "_").Replace
	return []replacement{
		{regexp.MustCompile(`(^|[^\w.])((?:metric|event)\.)?` + regexp.QuoteMeta(before) + `($|[^\w.]|\.(?:$|\W))`), "${1}${2}" + after + "${3}"},
		{regexp.MustCompile(`(^|[^\w:])` + under(before) + `((?:_seconds)?(?:_total|_bucket|_sum|_count)?)\b`), "${1}" + under(after) + "${2}"},
		{regexp.MustCompile(`\b` + prefixes[0] + generate.Identifier(before) + `\b`), prefixes[0] + generate.Identifier(after)},
	}, nil
}

// Tree renames before to after in every source, configuration and document below root, except
// this program and the changelog, which is history. It returns the files that it changed.
func Tree(r *registry.Registry, root, before, after string) (changed []string, err error) {
	all, err := replacements(r, before, after)
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "semconvgen") {
			return filepath.SkipDir
		}
		kinds := []string{".go", ".yaml", ".yml", ".json", ".md", ".txtar", ".sh"}
		if d.IsDir() || d.Name() == "CHANGELOG.md" || !slices.Contains(kinds, filepath.Ext(path)) {
			return nil
		}
		text, err := os.ReadFile(path) //nolint:gosec // sources
		if err != nil {
			return err
		}
		renamed := string(text)
		for _, x := range all {
			// Twice, because matches share the character between them.
			renamed = x.old.ReplaceAllString(x.old.ReplaceAllString(renamed, x.new), x.new)
		}
		if renamed == string(text) {
			return nil
		}
		changed = append(changed, path)
		return os.WriteFile(path, []byte(renamed), 0o644) //nolint:gosec // sources
	})
	return changed, err
}
