// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package echov4_test

import (
	"testing"

	"github.com/otelauth/otelauth-go/examples/routers/echov4"
	"github.com/otelauth/otelauth-go/examples/routers/internal/routertest"
)

func TestRecorded(t *testing.T) {
	t.Parallel()
	routertest.Test(t, "/orders/:id", echov4.New)
}
