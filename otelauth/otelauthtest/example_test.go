// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest_test

import (
	"fmt"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

func ExampleClock() {
	clock := otelauthtest.NewClock(time.Time{})
	var now func() time.Time = clock.Now // what a config asks for
	clock.Advance(90 * time.Second)
	fmt.Println(now().Format(time.DateTime))
	// Output: 2026-01-01 00:01:30
}

func ExampleLeaks() {
	leaks, err := otelauthtest.Leaks([]byte("Authorization: Basic YWxpY2U6d29uZGVybGFuZA=="), "wonderland")
	fmt.Println(leaks, err)
	// Output: [{0 base64 29}] <nil>
}
