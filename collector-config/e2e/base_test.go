// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

func TestBaseRunsAlone(t *testing.T) {
	t.Parallel()
	if out, err := collectortest.Validate(t, collectortest.Options{Configs: []string{"base.yaml"}}); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := collectortest.Start(t, collectortest.Options{Configs: []string{"base.yaml"}})
	c.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 3))
	if err := c.GRPC(t, c.Token).Traces(t.Context(), collectortest.Trace(nil)); err != nil {
		t.Fatal(err)
	}
	c.WaitMetric(t, "otelcol_receiver_accepted_log_records_total", 3)
	if err := c.Shutdown(t); err != nil {
		t.Fatal(err)
	}
}
