// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package semconv_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
)

var (
	dottedName      = regexp.MustCompile(`\bauth(?:\.[a-z][a-z0-9_]*)+`)
	underscoredName = regexp.MustCompile(`[a-z0-9_:]+`)
)

// TestNamesInTheTree: every name of a signal in dashboards, alerts, queries, the collector's
// configuration and the documentation is declared. The tests of collector-config/e2e compare the
// labels and values with real series too.
func TestNamesInTheTree(t *testing.T) {
	t.Parallel()
	r := open(t)
	dotted, underscored := dottedNames(r), prometheusNames(r)
	found := 0
	for _, dir := range []string{"README.md", "docs", "collector-config", "examples"} {
		err := filepath.WalkDir(filepath.Join(registry.Root(), dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !slices.Contains([]string{".md", ".yaml", ".json"}, filepath.Ext(path)) {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(registry.Root(), path)
			for i, line := range strings.Split(string(text), "\n") {
				line = strings.ReplaceAll(line, `\\.`, ".")
				for _, n := range dottedName.FindAllString(line, -1) {
					found++
					if !dotted[n] {
						t.Errorf("%s:%d: %s is not declared in otelauth/semconv/registry", name, i+1, n)
					}
				}
				if !strings.HasPrefix(name, "collector-config") {
					continue // other programs have such names too
				}
				for _, n := range underscoredName.FindAllString(line, -1) {
					n = strings.TrimRight(n, ":")
					if !strings.HasPrefix(n, "auth_") || strings.Contains(n, ":") {
						continue // a name with a colon is that of a recording rule
					}
					found++
					if !underscored[n] {
						t.Errorf("%s:%d: %s is not the Prometheus name of a declared metric or attribute", name, i+1, n)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 500 {
		t.Errorf("only %d names were found", found)
	}
}

// dottedNames returns the names of signals and attributes, and the namespaces that they are in.
func dottedNames(r *registry.Registry) map[string]bool {
	names := map[string]bool{}
	add := func(name string) {
		for ; name != ""; name = name[:max(strings.LastIndexByte(name, '.'), 0)] {
			names[name] = true
		}
	}
	for _, g := range r.Groups {
		add(g.Name())
	}
	for _, key := range r.Keys() {
		add(key)
	}
	return names
}

// prometheusNames returns the names of series and labels that a Prometheus exporter makes.
func prometheusNames(r *registry.Registry) map[string]bool {
	names := map[string]bool{}
	for _, g := range r.Of("metric") {
		base := strings.ReplaceAll(g.MetricName, ".", "_")
		if g.Unit == "s" {
			base += "_seconds"
		}
		switch g.Instrument {
		case "counter":
			names[base+"_total"] = true
		case "histogram":
			names[base], names[base+"_bucket"], names[base+"_sum"], names[base+"_count"] = true, true, true, true
		default:
			names[base] = true
		}
	}
	for _, key := range r.Keys() {
		names[strings.ReplaceAll(key, ".", "_")] = true
	}
	return names
}
