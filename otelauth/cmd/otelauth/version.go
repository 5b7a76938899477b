// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCommand prints the version.
type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(t *terminal) error {
	_, err := fmt.Fprintln(t.out, versionLine())
	return err
}

// versionLine returns version, commit, Go version and platform.
func versionLine() string {
	return fmt.Sprintf("otelauth %s commit %s %s %s/%s", version(), commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version returns the module's version, or "devel" if it was built from a checkout without a tag.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// commit returns the revision that was built, with "+changes" for a checkout with uncommitted
// changes. A build from the module cache knows its version only.
func commit() string {
	revision, changes := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value[:min(len(s.Value), 12)]
			case s.Key == "vcs.modified" && s.Value == "true":
				changes = "+changes"
			}
		}
	}
	return revision + changes
}
