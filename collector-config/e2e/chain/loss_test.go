// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/collector-config/e2e/service"
)

type shortError [2]int

func (e shortError) Error() string { return fmt.Sprintf("%d of %d", e[0], e[1]) }

// counted waits until a PromQL expression has at least this value.
func counted(t *testing.T, p *servers.PrometheusServer, expr string, atLeast float64) {
	t.Helper()
	servers.Eventually(t, deadline, expr, func() error {
		samples, err := p.Query(expr)
		if err != nil {
			return err
		}
		if len(samples) != 1 || samples[0].Value < atLeast {
			return fmt.Errorf("is %v, not %v", samples, atLeast)
		}
		return nil
	})
}

// alerts waits for the alert in both programs.
func (r *rig) alerts(t *testing.T, labels map[string]string) {
	t.Helper()
	waitAlert(t, r.prometheus, labels)
	waitAlert(t, r.alertmanager, labels)
}

// The collector is away for longer than the sender retries, and the events exceed the sender's
// queues.
func TestWhatTheSenderDropsIsCountedAndRaisesAnAlert(t *testing.T) {
	t.Parallel()
	r := newRig(t, collectortest.Options{})
	s := r.service(t, service.Config{Events: unfolded, Queue: 64, GiveUp: time.Second})
	a := &attempts{t: t, s: s}
	a.make(10)
	a.acknowledged(10)

	// First the collector hangs, with exports that end by their timeout. Then it is gone.
	if err := syscall.Kill(r.collector.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	a.make(400)
	r.collector.Kill()
	a.make(100)
	servers.Eventually(t, deadline, "an export that was given up", func() error {
		if len(s.GivenUp()) == 0 {
			return shortError{0, 1}
		}
		return nil
	})
	r.collector.Start(t)
	// The loss is in cumulative counters, which arrive as soon as the collector is back.
	for _, labels := range []map[string]string{
		{"alertname": "AuthTelemetryDroppedInService", "signal": "log", "job": s.Job},
		{"alertname": "AuthTelemetryDroppedInService", "signal": "span", "job": s.Job},
		{"alertname": "AuthTelemetryNotExported", "signal": "log", "job": s.Job},
	} {
		r.alerts(t, labels)
	}
	if err := s.Flush(context.Background()); err != nil {
		t.Error(err)
	}
	lost := len(s.Made()) - len(s.Acknowledged())
	if lost == 0 {
		t.Fatal("nothing was lost, so the test shows nothing")
	}
	counted(t, r.prometheus, `sum({__name__=~"otel_sdk_(processor_log_processed|exporter_log_exported)_total", error_type!=""})`, float64(lost))
	servers.Eventually(t, deadline, "what was acknowledged", func() error { return arrived(s.Acknowledged(), r.siem) })
}

func TestABackendThatRefusesForGoodRaisesAnAlert(t *testing.T) {
	t.Parallel()
	r := newRig(t, collectortest.Options{})
	s := r.service(t, service.Config{Events: unfolded})
	r.siem.Set(collectortest.Reject)
	a := &attempts{t: t, s: s}
	a.make(20)
	a.acknowledged(20)
	counted(t, r.prometheus, `sum(otelcol_exporter_send_failed_log_records_total{exporter="otlp_http/siem-otlp"})`, 20)
	r.alerts(t, map[string]string{"alertname": "AuthCollectorExportFailed", "exporter": "otlp_http/siem-otlp", "signal": "log"})
	// The other backend has them.
	servers.Eventually(t, deadline, "the events at the other backend", func() error { return arrived(s.Acknowledged(), r.backend) })
}

func TestAFullQueueRefusesAndRaisesAnAlert(t *testing.T) {
	t.Parallel()
	r := newRig(t, collectortest.Options{Configs: []string{"yaml:exporters::otlp_http/siem-otlp::sending_queue::queue_size: 1048576"}})
	r.siem.Stop()
	_, acknowledged := refusesAndAlerts(t, r)
	servers.Eventually(t, deadline, "what was acknowledged, at the SIEM", func() error { return arrived(acknowledged, r.siem) })
	servers.Eventually(t, deadline, "what was acknowledged, at the backend", func() error { return arrived(acknowledged, r.backend) })
}

// The queue is on a file system of its own that is full: the ENOSPC comes from the kernel.
func TestAFullDiskRefusesAndRaisesAnAlert(t *testing.T) {
	t.Parallel()
	mount := []string{
		"unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
		`mkdir -p "$OTELAUTH_COLLECTOR_QUEUE_DIR" && mount -t tmpfs -o size=1m,mode=0700 tmpfs "$OTELAUTH_COLLECTOR_QUEUE_DIR" && exec "$@"`, "sh",
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("no user namespaces, in which to mount a small disk: %v: %s (apt-get install util-linux; sysctl kernel.unprivileged_userns_clone=1)", err, out)
	}
	r := newRig(t, collectortest.Options{Before: mount})
	r.siem.Stop()
	r.backend.Stop()
	s, acknowledged := refusesAndAlerts(t, r)
	// There is room again, and the collector continues by itself.
	servers.Eventually(t, deadline, "an event that is acknowledged", func() error {
		if s.MustGet(t, "/orders", "alice", wrongPassword, "203.0.113.200"); len(s.Acknowledged()) == len(acknowledged) {
			return shortError{len(acknowledged), len(acknowledged) + 1}
		}
		return nil
	})
	// The collector's queue loses data here. The collector must mark items that it has read. It
	// skips an item if the disk has no room for its mark, even if the item was acknowledged. The
	// collector does not count these items, but the difference between the input and the output of
	// the security bus shows them.
	servers.Eventually(t, deadline, "a count of what is missing", func() error {
		samples, err := r.prometheus.Query(unaccounted)
		if err != nil || len(samples) != 1 {
			return fmt.Errorf("%s: %v, %w", unaccounted, samples, err)
		}
		var missing missingError
		if errors.As(arrived(acknowledged, r.siem), &missing); float64(missing[0]) > samples[0].Value {
			return fmt.Errorf("%w, of which %v are counted", missing, samples[0].Value)
		}
		return nil
	})
}

// refusesAndAlerts fills the queue of r, whose SIEM is away, and then lets it drain. It returns
// the attempts that the collector had acknowledged.
func refusesAndAlerts(t *testing.T, r *rig) (*service.Service, []string) {
	t.Helper()
	s := r.service(t, service.Config{Events: unfolded, GiveUp: 500 * time.Millisecond})
	a := &attempts{t: t, s: s}
	servers.Eventually(t, deadline, "an event that the collector refuses", func() error {
		a.make(50)
		if len(s.GivenUp()) == 0 {
			return shortError{0, 1}
		}
		return nil
	})
	r.alerts(t, map[string]string{"alertname": "AuthCollectorEnqueueFailed", "signal": "log", "severity": "critical"})
	// The sender knows of the refusals, counts what it gave up, and reports that too.
	r.alerts(t, map[string]string{"alertname": "AuthTelemetryNotExported", "signal": "log", "job": s.Job})
	counted(t, r.prometheus, `sum(otelcol_exporter_enqueue_failed_log_records_total)`, 1)

	acknowledged := s.Acknowledged()
	if len(acknowledged) == 0 {
		t.Fatal("nothing was acknowledged before there was no room")
	}
	for _, sink := range []*collectortest.Sink{r.siem, r.backend} {
		sink.Stop()
		sink.Start(t)
	}
	return s, acknowledged
}

// unaccounted is the number of events that came to the security bus, but neither reached the SIEM
// nor were counted as refused or given up. They wait in the queue, or are lost.
const unaccounted = `sum(otelcol_processor_outgoing_items_total{processor="filter/security"})
	- (sum(otelcol_exporter_sent_log_records_total{exporter="otlp_http/siem-otlp"}) or vector(0))
	- (sum(otelcol_exporter_send_failed_log_records_total{exporter="otlp_http/siem-otlp"}) or vector(0))
	- (sum(otelcol_exporter_enqueue_failed_log_records_total{exporter="otlp_http/siem-otlp"}) or vector(0))`
