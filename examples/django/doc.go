// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package django holds a small Django site and a test with otelauth gateway in front of it. The
// gateway uses the site's existing accounts and records each attempt at each endpoint. The
// site's own log lines have the same trace id.
package django
