// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command detection plays the same attacks to otelauth, django-axes, fail2ban and CrowdSec, and
// prints what each of them noticed and whom it locked out. Package detection says how.
package main

import (
	"os"

	"github.com/otelauth/otelauth-go/examples/compare/detection"
)

func main() { os.Exit(detection.Main(os.Args[1:], os.Stdout, os.Stderr)) }
