// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command detection plays the same attacks to otelauth, django-axes, fail2ban and CrowdSec. It
// prints what each of them noticed and which users it locked out. Package detection describes the
// method.
package main

import (
	"os"

	"github.com/otelauth/otelauth-go/examples/compare/detection"
)

func main() { os.Exit(detection.Main(os.Args[1:], os.Stdout, os.Stderr)) }
