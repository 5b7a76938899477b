// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package servers_test

import (
	"testing"

	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
)

func TestEveryServerStartsAndAnswers(t *testing.T) {
	t.Parallel()
	t.Run("Prometheus 3", func(t *testing.T) {
		t.Parallel()
		p := servers.StartPrometheus(t, servers.PrometheusConfig{Program: servers.Prometheus3})
		if _, err := p.Query("vector(1)"); err != nil {
			t.Error(err)
		}
	})
	t.Run("Jaeger", func(t *testing.T) {
		t.Parallel()
		for _, badger := range []bool{false, true} {
			j := servers.StartJaeger(t, servers.JaegerConfig{Badger: badger})
			if _, err := j.Trace("0102030405060708090a0b0c0d0e0f10"); err == nil {
				t.Error("Jaeger knows a trace that was never sent")
			}
		}
	})
	t.Run("VictoriaLogs", func(t *testing.T) {
		t.Parallel()
		v := servers.StartVictoriaLogs(t)
		if rows, err := v.Query("*", 1); err != nil || len(rows) > 0 {
			t.Errorf("%v, %v", rows, err)
		}
		if err := v.Flush(); err != nil {
			t.Error(err)
		}
	})
	t.Run("Loki", func(t *testing.T) {
		t.Parallel()
		l := servers.StartLoki(t)
		if found, err := l.Query(`{service_name=~".+"}`, 10); err != nil || len(found) > 0 {
			t.Errorf("%v, %v", found, err)
		}
	})
}
