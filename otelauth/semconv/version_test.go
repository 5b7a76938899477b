// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package semconv

import (
	"runtime/debug"
	"testing"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	own := debug.Module{Path: module, Version: "v1.2.3"}
	fork := debug.Module{Path: module, Version: "v1.2.3", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.2.4"}}
	local := debug.Module{Path: module, Version: "v0.0.0", Replace: &debug.Module{Path: "../otelauth"}}
	other := debug.Module{Path: "example.com/service", Version: "v9.9.9"}
	for _, tc := range []struct {
		name string
		info debug.BuildInfo
		want string
	}{
		{"main module", debug.BuildInfo{Main: own}, "v1.2.3"},
		{"dependency", debug.BuildInfo{Main: other, Deps: []*debug.Module{&other, &own}}, "v1.2.3"},
		{"replaced by a version", debug.BuildInfo{Main: other, Deps: []*debug.Module{&fork}}, "v1.2.4"},
		{"replaced by a directory", debug.BuildInfo{Main: other, Deps: []*debug.Module{&local}}, devel},
		{"no version", debug.BuildInfo{Main: other}, devel},
	} {
		if got := versionIn(&tc.info); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	if Version() == "" {
		t.Error("Version is empty")
	}
}
