// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"fmt"
	"os"
	"testing"

	"go.opentelemetry.io/otel"
)

// TestMain lets the test binary run as a server process, see heap_test.go.
func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) != "" {
		if err := serveForHeapDump(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Exporters fail on purpose here, and the SDK logs it.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	os.Exit(m.Run())
}
