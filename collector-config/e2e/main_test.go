// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

func TestMain(m *testing.M) { collectortest.Main(m) }
