// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Measure measures the collector configuration with real programs, and prints tables for its
// README.
//
//	go run ./cmd/measure latency    from a 401 to queryable in each backend, from an attack to its alert
//	go run ./cmd/measure storage    the storage for ten million attempts a day
//
// It needs the servers that .ci/full builds. Everything runs on loopback and ends with the
// command.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

// commands are the measurements.
var commands = map[string]func(*run, []string){
	"latency": latency,
	"storage": storage,
}

func main() {
	if os.Getenv("OTELAUTH_COLLECTORTEST_CHILD") == "1" {
		collectortest.Main(nil) // this process is the collector
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		var list []string
		for name := range commands {
			list = append(list, name)
		}
		slices.Sort(list)
		fmt.Fprintf(os.Stderr, "usage: measure {%s} [flags]\n", strings.Join(list, "|"))
		os.Exit(2)
	}
	os.Exit(newRun().do(commands[os.Args[1]], os.Args[2:]))
}
