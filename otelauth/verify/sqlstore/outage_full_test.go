// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package sqlstore

import (
	"testing"
	"time"
)

// TestOutageFrozen is TestOutage with a database that keeps its connections and does not answer.
// It waits for two timeouts.
func TestOutageFrozen(t *testing.T) {
	t.Parallel()
	outage{
		name:     "frozen",
		begin:    func(t testing.TB, x *site) { t.Helper(); x.server.Freeze(t) },
		mend:     func(_ testing.TB, x *site) { x.server.Thaw() },
		staleFor: 2 * time.Minute, servedFor: 2 * time.Minute, timeout: 8 * time.Second,
	}.test(t)
}
