// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// The benchmarks need a disk: set TMPDIR to a folder that is on one.

func open(b testing.TB, cfg trail.Config) *trail.Trail {
	b.Helper()
	cfg.Dir, cfg.Key = filepath.Join(b.TempDir(), "trail"), newKey(b)
	tr, err := trail.Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = tr.Close(context.Background()) })
	return tr
}

func success() (attempt.Request, attempt.Result) {
	req := attempt.Request{
		Context: context.Background(), Time: time.Now(), Scheme: attempt.SchemeBasic, Method: "GET", Route: "/orders/{id}",
		Path: "/orders/7", UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		Client: netip.MustParseAddr("192.0.2.7"), ClientText: "192.0.2.7", ClientPort: 40000,
		Peer: netip.MustParseAddrPort("192.0.2.7:40000"),
	}
	return req, attempt.Result{Outcome: attempt.Success, UserName: "alice", UserHash: "k1:0123456789abcdef0123456789abcdef", Cache: attempt.Hit}
}

// parallel divides b.N calls of f among writers and reports the median latency.
func parallel(b *testing.B, writers int, f func() error) {
	b.Helper()
	var (
		next atomic.Int64
		wg   sync.WaitGroup
		mu   sync.Mutex
		took []time.Duration
	)
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			var own []time.Duration
			for next.Add(1) <= int64(b.N) {
				start := time.Now()
				if err := f(); err != nil {
					b.Error(err)
					return
				}
				own = append(own, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	if n := len(took); n > 0 {
		b.ReportMetric(float64(took[n/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[n*99/100].Microseconds()), "p99-µs")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

var writers = []int{1, 64, 1024}

// BenchmarkBare appends lines of the same size and flushes them: one goroutine does it for all, and
// commits whatever waits. It is what the hardware allows.
func BenchmarkBare(b *testing.B) {
	line := bytes.Repeat([]byte("x"), 460)
	for _, n := range writers {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f, err := disk.OS{}.Create(filepath.Join(b.TempDir(), "file"))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			requests := make(chan chan error, n)
			go bareCommits(f, line, requests)
			defer close(requests)
			replies := sync.Pool{New: func() any { return make(chan error, 1) }}
			parallel(b, n, func() error {
				reply := replies.Get().(chan error)
				defer replies.Put(reply)
				requests <- reply
				return <-reply
			})
		})
	}
}

func bareCommits(f disk.File, line []byte, requests <-chan chan error) {
	var (
		buf     []byte
		waiting []chan error
		offset  int64
	)
	for first := range requests {
		buf, waiting = append(buf[:0], line...), append(waiting[:0], first)
		for len(requests) > 0 {
			waiting = append(waiting, <-requests)
			buf = append(buf, line...)
		}
		_, err := f.WriteAt(buf, offset)
		if err == nil {
			err = f.Sync()
		}
		offset += int64(len(buf))
		for _, w := range waiting {
			w <- err
		}
	}
}

func BenchmarkRequired(b *testing.B) {
	for _, n := range writers {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tr := open(b, trail.Config{})
			parallel(b, n, func() error {
				req, res := success()
				return tr.Decide(req.Context, &req, &res)
			})
		})
	}
}

// BenchmarkOrdered reports the CPU time of the whole process for one line, with the default queue
// and intervals: lines arrive as fast as the disk takes them.
func BenchmarkOrdered(b *testing.B) {
	tr := open(b, trail.Config{Durability: trail.Ordered})
	req, res := success()
	b.ReportAllocs()
	before := testkit.CPUTime(b)
	b.ResetTimer()
	for i := range b.N {
		_ = tr.Decide(req.Context, &req, &res)
		if i%4096 == 0 {
			for tr.Status().Queued > trail.DefaultQueueEntries/2 {
				time.Sleep(time.Millisecond)
			}
		}
	}
	_, _ = tr.Checkpoint(b.Context())
	b.StopTimer()
	b.ReportMetric(float64((testkit.CPUTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/line")
	if n := tr.Status().Dropped; n > 0 {
		b.Fatal(n, "lines were dropped")
	}
}

// BenchmarkVerify verifies a trail of 300,000 lines; BenchmarkSHA256 hashes as many bytes at once.
func BenchmarkVerify(b *testing.B) {
	dir, key := filepath.Join(b.TempDir(), "trail"), newKey(b)
	tr, err := trail.Open(trail.Config{Dir: dir, Key: key, Durability: trail.Ordered, QueueEntries: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	req, res := success()
	for range 300_000 {
		_ = tr.Decide(req.Context, &req, &res)
	}
	if err := tr.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	var bytes int64
	b.ResetTimer()
	for range b.N {
		report, err := trail.Verify(b.Context(), dir, trail.VerifyOptions{Keys: []string{key.Public()}})
		if err != nil {
			b.Fatal(err)
		}
		bytes = report.Bytes
	}
	b.SetBytes(bytes)
}

func BenchmarkSHA256(b *testing.B) {
	data := make([]byte, 1<<20)
	b.SetBytes(int64(len(data)))
	for range b.N {
		_ = sha256.Sum256(data)
	}
}

// openLines is the size of the trail that BenchmarkOpen opens.
var openLines = flag.Int("open-lines", 300_000, "lines of the trail that BenchmarkOpen opens")

// BenchmarkOpen opens a trail after a crash: the last segment is nearly full, and no checkpoint
// covers it.
func BenchmarkOpen(b *testing.B) {
	cfg := trail.Config{Dir: filepath.Join(b.TempDir(), "trail"), Key: newKey(b), Durability: trail.Ordered, QueueEntries: 1 << 20}
	tr, err := trail.Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	for i := range *openLines {
		req, res := attempt.Request{Context: b.Context(), Time: time.Now()}, attempt.Result{Outcome: attempt.Success, UserName: "alice"}
		_ = tr.Decide(req.Context, &req, &res)
		if i%(1<<19) == 0 {
			_, _ = tr.Checkpoint(b.Context())
		}
	}
	if err := tr.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	segments, err := os.ReadDir(filepath.Join(cfg.Dir, "segments"))
	if err != nil {
		b.Fatal(err)
	}
	crashed := filepath.Join(cfg.Dir, "checkpoint")
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		if err := os.Remove(crashed); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if tr, err = trail.Open(cfg); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := tr.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		// The segments of this run are not of interest.
		now, _ := os.ReadDir(filepath.Join(cfg.Dir, "segments"))
		for _, s := range now[len(segments):] {
			_ = os.Remove(filepath.Join(cfg.Dir, "segments", s.Name()))
		}
		b.StartTimer()
	}
}
