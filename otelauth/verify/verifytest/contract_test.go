// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verifytest_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify/verifytest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, contract)
}

// names returns the names of a store's accounts, sorted.
func (r *registry) names() []string {
	return slices.Sorted(maps.Keys(r.current.Load().accounts))
}
