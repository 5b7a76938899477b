// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package django holds a small Django site, and the test that puts otelauth gateway in front of it: with the accounts that
// the site already has, each attempt at each of its endpoints is told, and the site's own log lines carry the same trace id.
package django
