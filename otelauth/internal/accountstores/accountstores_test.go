// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package accountstores

import (
	"os"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/internal/postgrestest"
	"github.com/otelauth/otelauth-go/otelauth/verify/verifytest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// TestContract runs the conformance suite on every store.
func TestContract(t *testing.T) {
	t.Parallel()
	for _, k := range All() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			verifytest.Run(t, k.Contract())
		})
	}
}
