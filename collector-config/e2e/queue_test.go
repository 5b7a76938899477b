// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

// twoBackends starts the base with a backend for all signals and one for security events.
func twoBackends(t *testing.T, o collectortest.Options) (c *collectortest.Collector, all, siem *collectortest.Sink) {
	t.Helper()
	all, siem = collectortest.NewSink(t), collectortest.NewSink(t)
	all.Stop()
	siem.Stop()
	t.Cleanup(func() { all.Set(collectortest.Accept); siem.Set(collectortest.Accept) })
	authorization := filepath.Join(t.TempDir(), "authorization")
	if err := os.WriteFile(authorization, []byte("Bearer siem"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Configs = append([]string{"base.yaml", "backends/otlp.yaml", "backends/siem-otlp.yaml"}, o.Configs...)
	o.Env = map[string]string{
		"OTLP_ENDPOINT": all.HTTP, "SIEM_OTLP_LOGS_ENDPOINT": siem.HTTP + "/v1/logs", "SIEM_OTLP_AUTHORIZATION_FILE": authorization,
	}
	return collectortest.Start(t, o), all, siem
}

// numbered returns n security events that are numbered from first.
func numbered(first, n int) plog.Logs {
	logs := collectortest.Events("auth.attempt", n)
	for i, r := range logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().All() {
		r.Attributes().PutInt("test.seq", int64(first+i))
	}
	return logs
}

// acknowledged are the numbers of the events that the collector has acknowledged.
type acknowledged struct {
	mu      sync.Mutex
	numbers []int
}

func (a *acknowledged) add(first, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range n {
		a.numbers = append(a.numbers, first+i)
	}
}

// arrived waits until the sink has each of them.
func (a *acknowledged) arrived(t *testing.T, where string, sink *collectortest.Sink) {
	t.Helper()
	missing := -1
	defer func() {
		if t.Failed() {
			t.Logf("%s: event %d was acknowledged and is missing", where, missing)
		}
	}()
	collectortest.Wait(t, func() bool {
		seen := collectortest.Seq(sink.LogRecords())
		for _, n := range a.numbers {
			if seen[n] == 0 {
				missing = n
				return false
			}
		}
		return true
	}, "%d acknowledged events at %s", len(a.numbers), where)
}

// kill -9 during a stream of events, three times, with both backends away: one is down, one does
// not answer. Every acknowledged event arrives at both.
func TestKillLosesNoAcknowledgedEvent(t *testing.T) {
	t.Parallel()
	c, all, siem := twoBackends(t, collectortest.Options{})
	siem.Set(collectortest.Hang)
	siem.Start(t)
	var acked acknowledged
	first := 0
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		var senders sync.WaitGroup
		enough := make(chan struct{}, 1000)
		for range 4 {
			from := first
			first += 1_000_000
			senders.Go(func() {
				for ; ctx.Err() == nil; from += 5 {
					if c.HTTP().Logs(ctx, numbered(from, 5)) != nil {
						return // killed, or about to be
					}
					acked.add(from, 5)
					select {
					case enough <- struct{}{}:
					default:
					}
				}
			})
		}
		for range 40 {
			<-enough
		}
		c.Kill()
		cancel()
		senders.Wait()
		c.Start(t)
	}
	all.Start(t)
	siem.Set(collectortest.Accept)
	acked.arrived(t, "the backend", all)
	acked.arrived(t, "the SIEM", siem)
	t.Logf("%d events acknowledged, %d and %d arrived", len(acked.numbers), len(all.LogRecords()), len(siem.LogRecords()))
}

// First a backend that refuses, then one that is away, then an orderly restart.
func TestOutageAndRestartLoseNothing(t *testing.T) {
	t.Parallel()
	c, all, siem := twoBackends(t, collectortest.Options{})
	all.Set(collectortest.Refuse)
	all.Start(t)
	siem.Start(t)
	var acked acknowledged
	send := func(first int) {
		t.Helper()
		c.HTTP().MustLogs(t, numbered(first, 10))
		acked.add(first, 10)
	}
	send(0)
	all.WaitTried(t, 1)
	acked.arrived(t, "the SIEM", siem) // one backend's outage does not affect the other
	all.Stop()
	send(10)
	if err := c.Shutdown(t); err != nil {
		t.Fatal(err)
	}
	c.Start(t)
	send(20)
	all.Set(collectortest.Accept)
	all.Start(t)
	acked.arrived(t, "the backend", all)
	acked.arrived(t, "the SIEM", siem)
}

// refusal reports whether the error asks the sender to try again.
func refusal(err error) bool {
	var answer *collectortest.HTTPError
	return errors.As(err, &answer) && (answer.Status == http.StatusServiceUnavailable || answer.Status == http.StatusTooManyRequests) ||
		status.Code(err) == codes.Unavailable
}

// fill sends until the collector refuses, and returns what it acknowledged.
func fill(t *testing.T, c *collectortest.Collector) *acknowledged {
	t.Helper()
	var acked acknowledged
	for first := 0; first < 100_000; first += 100 {
		if err := c.HTTP().Logs(t.Context(), numbered(first, 100)); err != nil {
			if !refusal(err) {
				t.Fatalf("the sender is not asked to try again: %v", err)
			}
			if err := c.GRPC(t, c.Token).Logs(t.Context(), numbered(first, 100)); !refusal(err) {
				t.Fatalf("over gRPC the sender is not asked to try again: %v", err)
			}
			return &acked
		}
		acked.add(first, 100)
	}
	t.Fatal("the collector acknowledges more than fits")
	return nil
}

func TestFullQueueRefusesAndIsCounted(t *testing.T) {
	t.Parallel()
	c, all, siem := twoBackends(t, collectortest.Options{Configs: []string{
		"yaml:exporters::otlp_http/otlp::sending_queue::queue_size: 200000",
	}})
	siem.Start(t)
	acked := fill(t, c)
	c.WaitMetric(t, "otelcol_exporter_enqueue_failed_log_records_total", 100)
	c.WaitMetric(t, "otelcol_receiver_refused_log_records_total", 100)
	all.Start(t)
	acked.arrived(t, "the backend", all)
	acked.arrived(t, "the SIEM", siem)
	collectortest.Wait(t, func() bool { return c.HTTP().Logs(t.Context(), numbered(1_000_000, 1)) == nil }, "room in the queue")
}

// The disk of the queue has 3 MiB: a file system of its own, in a mount namespace that ends with
// the collector.
func TestFullDiskRefusesAndIsCounted(t *testing.T) {
	t.Parallel()
	unshare := []string{"unshare", "--mount"}
	if os.Geteuid() != 0 {
		unshare = []string{"unshare", "--mount", "--map-root-user"}
	}
	probe := slices.Concat(unshare[1:], []string{"mount", "-t", "tmpfs", "tmpfs", t.TempDir()})
	if out, err := exec.CommandContext(t.Context(), unshare[0], probe...).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here (%v: %s): run as root with CAP_SYS_ADMIN, or allow user namespaces", err, out)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "queue"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, all, siem := twoBackends(t, collectortest.Options{
		Dir:    dir,
		Before: append(unshare, "sh", "-c", `mount -t tmpfs -o size=3m,mode=0700 tmpfs "$0" && exec "$@"`, filepath.Join(dir, "queue")),
	})
	acked := fill(t, c)
	if len(acked.numbers) == 0 {
		t.Error("nothing fits")
	}
	c.WaitMetric(t, "otelcol_exporter_enqueue_failed_log_records_total", 100)
	c.WaitMetric(t, "otelcol_receiver_refused_log_records_total", 100)
	if !c.Healthy(t.Context()) {
		t.Error("a full disk ends the collector")
	}
	// The test does not require that all arrive: version 0.161 skips an item whose mark it cannot
	// write to the disk. The README says how to keep the queue below the size of the disk.
	all.Start(t)
	siem.Start(t)
	collectortest.Wait(t, func() bool { return c.HTTP().Logs(t.Context(), numbered(1_000_000, 1)) == nil }, "room on the disk")
}

// A batch that a backend refuses permanently is dropped, and counted.
func TestRejectedByTheBackendIsCounted(t *testing.T) {
	t.Parallel()
	c, all, siem := twoBackends(t, collectortest.Options{})
	all.Set(collectortest.Reject)
	all.Start(t)
	siem.Start(t)
	c.HTTP().MustLogs(t, numbered(0, 7))
	c.WaitMetric(t, "otelcol_exporter_send_failed_log_records_total", 7)
	siem.WaitLogs(t, 7)
}

// The queue holds names and addresses of logins.
func TestQueueIsForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	c, _, _ := twoBackends(t, collectortest.Options{})
	queue := filepath.Join(c.Dir, "queue")
	if info, err := os.Stat(queue); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	files, err := os.ReadDir(queue)
	if err != nil || len(files) == 0 {
		t.Fatalf("no queue on disk: %v", err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", f.Name(), info.Mode(), err)
		}
	}
}

// diskUsage returns the bytes of the largest file of the queue.
func diskUsage(t testing.TB, dir string) int64 {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(dir, "queue"))
	if err != nil {
		t.Fatal(err)
	}
	var largest int64
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			largest = max(largest, info.Size())
		}
	}
	return largest
}
