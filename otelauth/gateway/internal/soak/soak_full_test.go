// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestSoak is a short run; .ci/run runs the command for longer.
func TestSoak(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"-duration", "12s", "-clients", "1"}, strings.NewReader(""), &stdout, &stderr); err != nil {
		t.Errorf("%v\n%s%s", err, &stdout, &stderr)
	}
	t.Log(stdout.String())
}
