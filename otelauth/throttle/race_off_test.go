// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package throttle_test

const raced = false
