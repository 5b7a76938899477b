// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client

import "net/http"

// Shares reports whether requests go out through rt itself.
func (t *Transport) Shares(rt http.RoundTripper) bool { return t.auth.base == rt }
