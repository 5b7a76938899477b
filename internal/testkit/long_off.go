// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !long && !full

package testkit

// Long reports whether tests run at full length: with -tags long, as .ci/run does, or with -tags
// full, as .ci/full does. Without, go test ./... takes a minute.
const Long = false
