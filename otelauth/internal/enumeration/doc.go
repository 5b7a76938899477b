// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package enumeration tests whether a caller without a right password can find out which names are
// accounts. It holds tests only; docs/enumeration.md says what they show.
//
// The sequences compare complete answers (status, header, body) and counted work (hashes, and
// queries in the request and beside it) of an account with those of a name that is none, over
// every kind of store: they are exact and never flake. With the build tag full, the CPU time of
// both is compared by the Mann-Whitney test.
//
//	go test ./otelauth/internal/enumeration/
//	go test -tags full -timeout 30m ./otelauth/internal/enumeration/
package enumeration
