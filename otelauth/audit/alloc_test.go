// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
)

type discard struct{}

func (discard) Export(context.Context, []sdklog.Record) error { return nil }
func (discard) Shutdown(context.Context) error                { return nil }
func (discard) ForceFlush(context.Context) error              { return nil }

func batched(t testing.TB, opts ...sdklog.LoggerProviderOption) *sdklog.LoggerProvider {
	t.Helper()
	lp := sdklog.NewLoggerProvider(append(opts, sdklog.WithProcessor(sdklog.NewBatchProcessor(discard{})))...)
	t.Cleanup(func() { _ = lp.Shutdown(context.Background()) })
	return lp
}

// direct returns the most frequent attempt: a caller without a proxy whose credential was
// recognised.
func direct() (*attempt.Request, *attempt.Result, *attempt.Response) {
	req := request()
	req.ClientText, req.Peer = "192.0.2.7", netip.MustParseAddrPort("192.0.2.7:4711")
	res := attempt.Result{Outcome: attempt.Success, Cache: attempt.Hit, UserName: "alice", UserHash: "k1:0011223344556677"}
	return &req, &res, &attempt.Response{Status: 200, Handler: true}
}

// Not parallel: AllocsPerRun counts the whole process.
func TestAllocations(t *testing.T) {
	if testkit.Race {
		return
	}
	ctx := context.Background()
	for name, tc := range map[string]struct {
		lp        log.LoggerProvider
		userAgent string
		max       float64
	}{
		"no-op":        {noop.NewLoggerProvider(), "curl/8", 0},
		"no processor": {sdklog.NewLoggerProvider(), "curl/8", 0},
		// One allocation is ours. The SDK allocates its record, a copy for the queue, and its
		// list, which grows with the attributes: four times for thirteen, a fifth time for the
		// fourteenth.
		"13 attributes": {batched(t, sdklog.WithAllowKeyDuplication()), "", 7},
		"14 attributes": {batched(t, sdklog.WithAllowKeyDuplication()), "curl/8", 8},
	} {
		o := newObserver(t, tc.lp)
		req, res, resp := direct()
		req.UserAgent = tc.userAgent
		if n := testing.AllocsPerRun(200, func() { o.End(ctx, req, res, resp) }); n > tc.max {
			t.Errorf("%s: %v allocations, want at most %v", name, n, tc.max)
		}
	}
}

// TestSuppressedAllocations: a folded event costs no allocation in any table.
// Not parallel.
func TestSuppressedAllocations(t *testing.T) {
	if testkit.Race {
		return
	}
	for name, f := range floods(t) {
		for range 20_000 {
			f()
		}
		if n := testing.AllocsPerRun(2000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// floods returns functions that fold an event in every call after the first thousands.
func floods(t testing.TB) map[string]func() {
	t.Helper()
	never := audit.Events{Success: audit.FirstSuccess, SuccessPeriod: time.Hour, Every: time.Hour, Period: time.Hour}
	observer := func() *audit.Observer {
		o, err := audit.New(audit.Config{LoggerProvider: batched(t), Events: never})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	failure := attempt.Result{
		Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Reason: attempt.ReasonWrongPassword, UserHash: "k1:0011223344556677",
	}
	denied := attempt.Response{Status: 401}
	one, many, ok := observer(), observer(), observer()
	host, _, _ := direct()
	hosts, _, _ := direct()
	again, success, served := direct()
	n := uint32(0)
	return map[string]func(){
		"one host": func() { one.End(context.Background(), host, &failure, &denied) },
		"a new host each time": func() {
			n++
			hosts.Client, hosts.ClientText = v4(n<<8), ""
			many.End(context.Background(), hosts, &failure, &denied)
		},
		"success": func() { ok.End(context.Background(), again, success, served) },
	}
}

func BenchmarkSuppressed(b *testing.B) {
	for name, f := range floods(b) {
		b.Run(name, func(b *testing.B) {
			for range 20_000 {
				f()
			}
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

// BenchmarkSuppressedParallel folds events of one host on all processors, which share one lock.
func BenchmarkSuppressedParallel(b *testing.B) {
	o := newObserver(b, batched(b))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		req, res, resp := direct()
		res.Outcome = attempt.Failure
		for pb.Next() {
			o.End(context.Background(), req, res, resp)
		}
	})
}

func BenchmarkEvent(b *testing.B) {
	ctx := context.Background()
	for _, tc := range []struct {
		name string
		o    attempt.Observer
	}{
		{"noop", newObserver(b, noop.NewLoggerProvider())},
		{"batch", newObserver(b, batched(b))},
		{"batch, WithAllowKeyDuplication", newObserver(b, batched(b, sdklog.WithAllowKeyDuplication()))},
		{"slog JSON", audit.NewSlog(slog.NewJSONHandler(io.Discard, nil))}, //nolint:sloglint // the format is what is measured
	} {
		b.Run(tc.name, func(b *testing.B) {
			req, res, resp := direct()
			b.ReportAllocs()
			for b.Loop() {
				tc.o.End(ctx, req, res, resp)
			}
		})
	}
}
