// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command flood measures what a right client feels while wrong passwords pour in, against otelauth
// and its peers. Everything stays on the loopback. Package flood says how it counts.
package main

import (
	"os"

	"github.com/otelauth/otelauth-go/examples/compare/flood"
)

func main() { os.Exit(flood.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
