// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// TestFullTableTakesNoLock: endpoints beyond the bound are counted as one, and requests do not
// wait for each other.
func TestFullTableTakesNoLock(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tr := newTraffic(now)
	for i := range maxRoutes {
		tr.count(now, attempt.Failure, attempt.Miss, fmt.Sprint("/", i))
	}
	tr.grow.Lock()
	defer tr.grow.Unlock()
	counted := make(chan struct{})
	go func() {
		tr.count(now, attempt.Failure, attempt.Miss, "/beyond")
		close(counted)
	}()
	testkit.Receive(t, "the count of an endpoint beyond the bound", counted)
	if n := (*tr.routes.Load())[otherRoute][attempt.Failure].Load(); n != 1 {
		t.Errorf("%d attempts are counted as %s, want 1", n, otherRoute)
	}
}
