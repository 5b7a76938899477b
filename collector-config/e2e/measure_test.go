// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

// batch is the number of events in one batch of an SDK's batch processor by default.
const batch = 512

// attempts returns events as audit emits them: names of eight users, many clients, and a trace of
// its own for each.
func attempts(n int) plog.Logs {
	logs := collectortest.Events("auth.attempt", n)
	rl := logs.ResourceLogs().At(0)
	rl.Resource().Attributes().PutStr("service.namespace", "shop")
	rl.Resource().Attributes().PutStr("service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09")
	rl.Resource().Attributes().PutStr("service.version", "1.4.2")
	for _, r := range rl.ScopeLogs().At(0).LogRecords().All() {
		a := r.Attributes()
		a.Remove("test.seq")
		a.PutStr("auth.scheme", "basic")
		a.PutStr("auth.outcome", "failure")
		a.PutStr("error.type", "invalid_credentials")
		a.PutStr("auth.reason", "wrong_password")
		a.PutStr("auth.cache.result", "miss")
		a.PutStr("user.name", "user"+strconv.Itoa(rand.IntN(1000)))
		a.PutStr("user.hash", fmt.Sprintf("k1:%016x%016x", rand.Uint64(), rand.Uint64()))
		client := netip.AddrFrom4([4]byte{203, 0, 113, byte(rand.IntN(256))}).String()
		a.PutStr("client.address", client)
		a.PutInt("client.port", int64(1024+rand.IntN(60000)))
		a.PutStr("network.peer.address", "10.0.3.17")
		a.PutInt("network.peer.port", int64(1024+rand.IntN(60000)))
		a.PutStr("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36")
		a.PutStr("http.route", "GET /orders/{id}")
		a.PutStr("http.request.method", "GET")
		a.PutStr("url.path", "/orders/"+strconv.Itoa(rand.IntN(1_000_000)))
		a.PutInt("http.response.status_code", 401)
	}
	return logs
}

// BenchmarkBase sends batches of 512 events through base.yaml and one overlay to a sink on this
// machine. It reports the CPU time of the collector for all of its work, so that neither the
// sender nor a busy machine is measured. The inverse is the number of events a second for one
// core.
func BenchmarkBase(b *testing.B) {
	for _, compression := range []string{"none", "gzip", "zstd"} {
		b.Run("compression="+compression, func(b *testing.B) {
			sink := collectortest.NewSink(b)
			c := collectortest.Start(b, collectortest.Options{
				Configs: []string{"base.yaml", "backends/otlp.yaml", "yaml:exporters::otlp_http/otlp::compression: " + compression},
				Env:     map[string]string{"OTLP_ENDPOINT": sink.HTTP, "GOMAXPROCS": "1"},
			})
			size := 0
			before := c.Scrape(b)["otelcol_process_cpu_seconds_total"]
			b.ResetTimer()
			for range b.N {
				// each its own: repeated events compress better than real ones
				logs := attempts(batch)
				size += (&plog.ProtoMarshaler{}).LogsSize(logs)
				c.HTTP().MustLogs(b, logs)
			}
			sink.WaitLogs(b, b.N*batch)
			b.StopTimer()
			events := float64(b.N * batch)
			cpu := c.Scrape(b)["otelcol_process_cpu_seconds_total"] - before
			wire := 0
			for _, r := range sink.Requests() {
				wire += r.Bytes
			}
			b.ReportMetric(events/cpu, "events/cpu-s")
			b.ReportMetric(float64(size)/events, "otlp-B/event")
			b.ReportMetric(float64(wire)/events, "wire-B/event")
		})
	}
}

// BenchmarkQueue measures the size of an event in the queue while the backend is away.
func BenchmarkQueue(b *testing.B) {
	sink := collectortest.NewSink(b)
	sink.Stop()
	c := collectortest.Start(b, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml"},
		Env:     map[string]string{"OTLP_ENDPOINT": sink.HTTP, "GOMAXPROCS": "1"},
	})
	b.ResetTimer()
	sent := 0
	for range min(b.N, 400) { // the queue is bounded
		c.HTTP().MustLogs(b, attempts(batch))
		sent++
	}
	b.StopTimer()
	b.ReportMetric(c.Scrape(b)["otelcol_exporter_queue_size"]/float64(sent*batch), "queue-B/event")
	b.ReportMetric(float64(diskUsage(b, c.Dir))/float64(sent*batch), "disk-B/event")
}
