// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package enumeration tests whether a client without a right password can find out which names
// are accounts. It has tests only; docs/enumeration.md explains the results.
//
// The sequences compare complete answers (status, header, body) and counted work (hashes, and
// queries in the request and in the background) of an account with those of an unknown name, over
// every kind of store. They are exact. With the build tag full, the Mann-Whitney test compares
// the CPU time of both.
//
//	go test ./otelauth/internal/enumeration/
//	go test -tags full -timeout 30m ./otelauth/internal/enumeration/
package enumeration
