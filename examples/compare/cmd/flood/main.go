// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command flood measures the service that a client with the right password gets during a flood of
// wrong passwords, for otelauth and its peers. Everything stays on loopback. Package flood
// describes the method.
package main

import (
	"os"

	"github.com/otelauth/otelauth-go/examples/compare/flood"
)

func main() { os.Exit(flood.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
