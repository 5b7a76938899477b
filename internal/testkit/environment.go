// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"os"
	"strings"
)

// Unset removes all variables with one of the prefixes from the environment of the process. Call it
// in TestMain, so that the settings of the shell do not affect the tests.
func Unset(prefixes ...string) {
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		for _, prefix := range prefixes {
			if strings.HasPrefix(name, prefix) {
				_ = os.Unsetenv(name)
			}
		}
	}
}
