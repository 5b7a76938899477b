// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command otelcol is the collector of builder.yaml, with the module versions of this module. They
// build together; the builder selects its own, which some module proxies lack.
package main

import (
	"os"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

func main() {
	if collectortest.Command().Execute() != nil {
		os.Exit(1) // cobra has printed the error
	}
}
