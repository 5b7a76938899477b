// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package semconv

import (
	"runtime/debug"
	"sync"
)

const module = "github.com/otelauth/otelauth-go"

// Version returns the version of the otelauth module in this program, the version of its
// instrumentation scopes. It is "(devel)" for a build from a source tree without version
// information, such as a test.
func Version() string { return version() }

var version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return devel
	}
	return versionIn(info)
})

const devel = "(devel)"

func versionIn(info *debug.BuildInfo) string {
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path != module {
			continue
		}
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Version != "" {
			return m.Version
		}
	}
	return devel
}
