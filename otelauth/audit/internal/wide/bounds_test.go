// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package wide

import (
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// An event with more attributes than usual keeps all of them.
func TestAttributesAreNeverDropped(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, inlineAttributes, inlineAttributes + 1, 3 * inlineAttributes} {
		var a Attributes
		for i := range n {
			a.Add(attribute.Int(fmt.Sprint("key", i), i))
		}
		all := a.All()
		if len(all) != n {
			t.Fatalf("%d attributes of %d", len(all), n)
		}
		for i, kv := range all {
			if kv.Value.AsInt64() != int64(i) {
				t.Errorf("attribute %d of %d is %v", i, n, kv)
			}
		}
	}
}

// Each Reason has a number of its own in the key of a fold.
func TestReasonNumbers(t *testing.T) {
	t.Parallel()
	for _, r := range append(attempt.Reasons(), "") {
		if got := reasonAt(reasonIndex(r)); got != r {
			t.Errorf("%q comes back as %q", r, got)
		}
	}
	if i := reasonIndex("of a service"); int(i) != otherReason || reasonAt(i) != "" {
		t.Errorf("a foreign reason has the number %d and the text %q", i, reasonAt(i))
	}
}
