// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package django holds a small Django site and a test with otelauth gateway in front of it. The
// gateway uses the site's existing accounts and records each attempt at each endpoint. In the
// site, otelauth_middleware.py takes the user from the gateway, annotates the span and writes JSON
// lines with the same trace id.
package django
