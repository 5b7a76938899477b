// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command oracle measures whether a verifier tells known names from unknown ones by the CPU time
// that it takes to refuse them. Package oracle says how.
package main

import (
	"os"

	"github.com/otelauth/otelauth-go/examples/compare/oracle"
)

func main() { os.Exit(oracle.Main(os.Args[1:], os.Stdout, os.Stderr)) }
