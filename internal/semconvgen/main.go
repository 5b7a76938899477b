// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command semconvgen makes the Go constants of package otelauth/semconv and docs/signals.md from
// the registry in otelauth/semconv/registry. Run it with
//
//	go generate ./otelauth/semconv
//
// It also renames a signal or an attribute in the whole tree: registry, code, dashboards, alerts,
// documentation.
//
//	go run ./internal/semconvgen -rename auth.public.responses=auth.anonymous.responses
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/otelauth/otelauth-go/internal/semconvgen/generate"
	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
	"github.com/otelauth/otelauth-go/internal/semconvgen/rename"
)

func main() {
	names := flag.String("rename", "", "rename a signal or an attribute in the whole tree: `old=new`")
	flag.Parse()
	if err := run(*names); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(names string) error {
	r, err := registry.Open()
	if err != nil {
		return err
	}
	if names != "" {
		before, after, _ := strings.Cut(names, "=")
		if after == "" {
			return fmt.Errorf("semconvgen: -rename %q; use old=new", names)
		}
		changed, err := rename.Tree(r, registry.Root(), before, after)
		if err != nil {
			return err
		}
		fmt.Printf("%d files renamed; run gofmt and the tests, and add a line to CHANGELOG.md\n", len(changed)) //nolint:forbidigo // a command
		if r, err = registry.Open(); err != nil {
			return err
		}
	}
	files, err := generate.All(r)
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(registry.Root(), filepath.FromSlash(name))
		if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // sources
			return fmt.Errorf("semconvgen: %w", err)
		}
	}
	return nil
}
