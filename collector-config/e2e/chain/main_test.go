// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package chain tests the whole chain: the library, the SDK, OTLP, the real collector with the
// shipped files, and the real backends.
package chain

import (
	"testing"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

func TestMain(m *testing.M) { collectortest.Main(m) }
