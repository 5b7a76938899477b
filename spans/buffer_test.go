// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package spans

import (
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

// A span with more attributes than usual keeps all of them, and a released buffer holds none.
func TestBufferGrows(t *testing.T) {
	t.Parallel()
	b := &buffer{make([]attribute.KeyValue, 0, 1)}
	for i := range 40 {
		b.add(attribute.Key(fmt.Sprint("key", i)), "value")
	}
	if len(b.attrs) != 40 {
		t.Errorf("%d attributes of 40", len(b.attrs))
	}
	kept := b.attrs[:40]
	b.release()
	for _, kv := range kept {
		if kv.Valid() {
			t.Errorf("a released buffer holds %v", kv)
		}
	}
}
