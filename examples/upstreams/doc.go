// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package upstreams holds the differential path fuzzer. It has no code of its own: the tests
// run the same small site on real servers, frameworks and Go routers, put otelauth in front of
// it, and send paths in every spelling.
//
// The site has public, protected and restricted parts, and each answer names its part. Two
// things must never happen, however the upstream reads a path: an anonymous caller gets an answer
// that is not public, or an account outside of the group gets a restricted answer.
//
//	go test ./...                                         the short run
//	go test -v -run TestPaths -paths.process 1000000 -paths.server 50000 -timeout 2h ./...
//	                                                      the long run, that of ".ci/full paths"
//	go test -run '^$' -fuzz FuzzPaths ./...               guided by coverage
package upstreams
