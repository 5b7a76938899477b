// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command semconvgen makes the Go constants of package otelauth/semconv and docs/signals.md from
// the registry in otelauth/semconv/registry. Run it with
//
//	go generate ./otelauth/semconv
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/otelauth/otelauth-go/internal/semconvgen/generate"
	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	r, err := registry.Open()
	if err != nil {
		return err
	}
	files, err := generate.All(r)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(registry.Root(), filepath.FromSlash(name)), content, 0o644); err != nil { //nolint:gosec // sources
			return fmt.Errorf("semconvgen: %w", err)
		}
	}
	return nil
}
