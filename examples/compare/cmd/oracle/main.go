// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command oracle measures whether the CPU time of a refusal reveals which names are accounts.
// Package oracle describes the method.
package main

import (
	"os"

	"github.com/otelauth/otelauth-go/examples/compare/oracle"
)

func main() { os.Exit(oracle.Main(os.Args[1:], os.Stdout, os.Stderr)) }
