// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package semconv_test

import (
	"fmt"

	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// A program that shows metrics of otelauth gets their descriptions and units from here.
func ExampleDescription() {
	fmt.Println(semconv.Description("auth.attempts"), semconv.Unit("auth.attempts"))
	fmt.Println(semconv.Version()) // the version of the scope; a program has that of its go.mod
	// Output:
	// Authentication attempts. {attempt}
	// (devel)
}
